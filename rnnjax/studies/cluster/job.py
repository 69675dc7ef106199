"""What a worker is asked for."""

from typing import Any, NamedTuple

from rnnjax.config.schema import Study
from rnnjax.studies.parts import Part


class PartJob(NamedTuple):
    """One part of a group, to be trained to its end."""

    study: Study  # with the sizes of its data
    folder: str  # of the run, absolute
    group: str
    part: Part
    shown: list[int]  # arms whose curves go to TensorBoard while they are trained
    owner: str  # what the holder of the folder has written into its lock
    attempt: int  # of the holder
    machine: dict[str, Any]  # fingerprint of the holder's machine
    data_sha256: str  # of the data of this group
    strict: bool
    own_code: str  # the user's file, "" for none

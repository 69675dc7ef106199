"""What a worker answers: plain values, no results; those are files of the run folder."""

from typing import NamedTuple


class PartOutcome(NamedTuple):
    """How the training of a part has ended. An error of ours is named: not every exception can be pickled."""

    error: str = ""  # class name in `errors`; "" = trained to the end
    message: str = ""

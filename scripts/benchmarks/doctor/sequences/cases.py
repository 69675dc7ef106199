"""A case of the casebook of sequences: a fault planted with any seed, or a healthy neighbour of it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rnnjax.doctor.diagnosis import Diagnosis


class SequenceCase(NamedTuple):
    """Data or networks that differ in their seed alone."""

    kind: str  # faults and healthy neighbours of one kind differ in one property
    name: str
    expected: str  # the condition to be named first; "" for a healthy neighbour
    examine: Callable[[Sequence[int]], list[Diagnosis]]  # seeds -> the diagnosis of each alone

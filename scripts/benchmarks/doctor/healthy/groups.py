"""A group of healthy networks that differ in their seed alone."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rnnjax.doctor.diagnosis import Diagnosis


class HealthyGroup(NamedTuple):
    """Networks of one kind."""

    kind: str  # the property that the groups of one kind vary
    name: str
    examine: Callable[[Sequence[int]], list[Diagnosis]]  # seeds -> the diagnosis of each network alone

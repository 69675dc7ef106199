"""A condition, its limits, and the measured effect of its remedy."""

from math import isfinite
from typing import Literal, NamedTuple

Kind = Literal["fault", "floor", "note"]


class Limit(NamedTuple):
    """An indicator's mean is above `above` and below `below`."""

    indicator: str
    above: float = float("-inf")
    below: float = float("inf")
    optional: bool = False  # ignored if the indicator could not be measured

    @property
    def bound(self) -> float:
        """The finite one of both bounds."""
        return self.below if isfinite(self.below) else self.above

    @property
    def text(self) -> str:
        return f"{'<' if isfinite(self.below) else '>'} {self.bound:g}"


class Comparison(NamedTuple):
    """The two arms of a study that measure the effect of a remedy: mean of treated - untreated over paired seeds.

    Empty if no study contains the fault.
    """

    study: str = ""
    metric: str = ""
    treated: str = ""
    untreated: str = ""
    description: str = ""
    untreated_metric: str = ""  # if it is another metric of the same arm


class Condition(NamedTuple):
    """A fault, or a state of training that is no fault."""

    name: str
    kind: Kind  # fault: needs treatment; floor: the loss cannot be lowered; note: for information
    symptom: str
    quantity: str  # the definition of the first indicator
    limits: tuple[Limit, ...]  # the first one's indicator is the evidence
    cause: str
    remedy: str
    comparison: Comparison
    learning_shortfall: bool = False  # ignored if the loss is at its floor
    explains_shortfall: bool = False  # a fault for which shortfalls of learning are ignored, as at a floor

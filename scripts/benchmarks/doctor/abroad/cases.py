"""A case of the casebook abroad: a network that rnnjax did not build, and the fault that it has or lacks."""

from collections.abc import Callable
from typing import NamedTuple

from rnnjax.doctor.diagnosis import Diagnosis

REFUSED = "refused"  # the expected outcome of an input that `examine` must refuse


class AbroadCase(NamedTuple):
    """A network with one fault, or a healthy neighbour of it."""

    kind: str  # faults and healthy neighbours of one kind differ in one property
    name: str
    expected: str  # the condition to be named first, or how its name begins; "" for a healthy network
    build: Callable[[], Diagnosis]


def is_right(expected: str, findings: list[str], faults: list[str]) -> bool:
    """Whether the first finding is the expected one; for a healthy network, whether there is no fault."""
    return not faults if not expected else bool(findings) and findings[0].startswith(expected)

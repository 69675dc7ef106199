"""The doctor: what is wrong with a recurrent network, what to do about it, and what that is measured to change."""

from rnnjax.doctor.examine import examine
from rnnjax.doctor.signs import Floor
from rnnjax.doctor.verdict import Examination, Finding

__all__ = ["Examination", "Finding", "Floor", "examine"]

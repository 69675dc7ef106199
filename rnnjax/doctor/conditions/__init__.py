"""The table of conditions: everything that the doctor checks, each cause before its consequences.

A condition is found if the means of all its indicators are within their limits. Treat the first finding first: later
ones may be its consequences.
Begin reading: `types.py`, then the groups in the order of the table.
"""

from rnnjax.doctor.conditions.data import DATA
from rnnjax.doctor.conditions.generalization import GENERALIZATION
from rnnjax.doctor.conditions.non_finite import NON_FINITE
from rnnjax.doctor.conditions.program import PROGRAM
from rnnjax.doctor.conditions.source import SOURCE
from rnnjax.doctor.conditions.states import FLOOR_MARGIN, STATES
from rnnjax.doctor.conditions.training import TRAINING
from rnnjax.doctor.conditions.types import Comparison, Condition, Kind, Limit

CONDITIONS = NON_FINITE + SOURCE + DATA + PROGRAM + TRAINING + GENERALIZATION + STATES
NAMES = tuple(condition.name for condition in CONDITIONS)

__all__ = ["CONDITIONS", "FLOOR_MARGIN", "NAMES", "Comparison", "Condition", "Kind", "Limit"]

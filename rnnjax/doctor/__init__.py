"""The doctor: diagnosis of a recurrent network that loops, plateaus or collapses, with remedies and their effects.

May import: every package but `cli`.
Begin reading: `examine.py` (the public function), then `observations.py` -> `indicators.py` -> `diagnosis.py`.
"""

from rnnjax.doctor.diagnosis import Examination, Finding
from rnnjax.doctor.examine import examine
from rnnjax.doctor.indicators import Floor

__all__ = ["Examination", "Finding", "Floor", "examine"]

"""The doctor: diagnosis of a recurrent network that loops, plateaus or collapses, with remedies and their effects.

May import: every package but `cli`.
Begin reading: `examine.py` (the public function), then `observations.py` -> `indicators/` -> `diagnosis.py`.
"""

from rnnjax.doctor.diagnosis import Diagnosis, Finding
from rnnjax.doctor.examine import examine
from rnnjax.doctor.indicators.types import Floor

__all__ = ["Diagnosis", "Finding", "Floor", "examine"]

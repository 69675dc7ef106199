"""The doctor on networks that rnnjax did not build: faults of many kinds, each with healthy neighbours."""

from benchmarks.doctor.abroad import batches, levels, objectives, outputs, programs, records, weights
from benchmarks.doctor.abroad.cases import AbroadCase

ABROAD: tuple[AbroadCase, ...] = tuple(
    case for module in (records, batches, levels, objectives, outputs, programs, weights) for case in module.CASES
)

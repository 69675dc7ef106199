"""The doctor on networks that rnnjax did not build: faults of many kinds, each with healthy neighbours."""

from benchmarks.doctor.abroad import batches, levels, outputs, programs, records
from benchmarks.doctor.abroad.cases import AbroadCase

ABROAD: tuple[AbroadCase, ...] = (*records.CASES, *batches.CASES, *levels.CASES, *outputs.CASES, *programs.CASES)

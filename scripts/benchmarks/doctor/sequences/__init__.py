"""Sets of sequences with a planted fault, and healthy neighbours: files, networks of rnnjax, plain JAX programs."""

from benchmarks.doctor.sequences import files, own, programs
from benchmarks.doctor.sequences.cases import SequenceCase

SEQUENCES: tuple[SequenceCase, ...] = (*files.CASES, *own.CASES, *programs.CASES)

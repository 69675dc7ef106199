"""Healthy networks of many kinds: trained by rnnjax, and by plain JAX programs. A fault found in one is a false one."""

from benchmarks.doctor.healthy import foreign, own
from benchmarks.doctor.healthy.groups import HealthyGroup

HEALTHY: tuple[HealthyGroup, ...] = (*own.GROUPS, *foreign.GROUPS)

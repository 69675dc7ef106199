"""A measurement: an interval with the range in which a statement puts it, and the verdict that follows.

Inside the range: confirmed. Outside of it altogether: refuted. Otherwise unresolved.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.analysis import bootstrap
from rnnjax.analysis.bootstrap import BOOTSTRAP_SEED
from rnnjax.analysis.statistics import Interval
from rnnjax.config.schema import Criterion

CONFIRMED, REFUTED, UNRESOLVED = "confirmed", "refuted", "unresolved"
CONFIDENCE = 0.95  # of a bootstrap chance, where a criterion does not say how sure it must be


class Measurement(NamedTuple):
    """One measured number and where the statement puts it."""

    what: str
    interval: Interval
    low: float
    high: float
    verdict: str


def interval_verdict(interval: Interval, low: float, high: float) -> str:
    """Where an interval lies relative to [low, high]."""
    if low <= interval.low and interval.high <= high:
        return CONFIRMED
    if interval.high < low or high < interval.low:
        return REFUTED
    return UNRESOLVED


def measure_interval(what: str, interval: Interval, low: float, high: float) -> Measurement:
    return Measurement(what, interval, low, high, interval_verdict(interval, low, high))


def finite_values(values: np.ndarray) -> np.ndarray:
    """Without the runs that diverged; they are counted beside every verdict."""
    return values[np.isfinite(values)]


def paired_finite(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The seeds that two arms have in common and that are finite in both."""
    table = common_seeds([first, second])
    return table[0], table[1]


def common_seeds(values: Sequence[np.ndarray]) -> np.ndarray:
    """Several arms' values [A, n] at the seeds that all have, where all are finite."""
    fewest = min(map(len, values))
    table = np.stack([of_arm[:fewest] for of_arm in values])
    return table[:, np.isfinite(table).all(axis=0)]


def probability_measurement(criterion: Criterion, what: str, chance: float, n: int) -> Measurement:
    """The verdict on a bootstrap chance."""
    needed = criterion.low if np.isfinite(criterion.low) else CONFIDENCE
    interval = Interval(float(chance), float(chance), float(chance), n, "bootstrap chance")
    verdict = CONFIRMED if chance >= needed else REFUTED if chance <= 1 - CONFIDENCE else UNRESOLVED
    return Measurement(what, interval, needed, 1.0, verdict)


def mean_over_seeds(values_n: np.ndarray) -> Interval:
    """The mean over seeds: BCa from 10 on, Student's t below."""
    return bootstrap.paired_difference(BOOTSTRAP_SEED, values_n, np.zeros_like(values_n))

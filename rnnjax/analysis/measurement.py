"""A measurement: an interval with the range in which a statement puts it, and the verdict that follows.

Inside the range: confirmed. Outside of it altogether: refuted. Otherwise unresolved.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.statistics import LOOKED_UP, Interval

CONFIRMED, REFUTED, UNRESOLVED = "confirmed", "refuted", "unresolved"


class Measurement(NamedTuple):
    """One measured number and where the statement puts it."""

    what: str
    interval: Interval
    low: float
    high: float
    verdict: str
    needed: str = ""  # what confirms it, where that is more than to lie between low and high


def interval_verdict(interval: Interval, low: float, high: float) -> str:
    """Where an interval lies relative to [low, high]."""
    if low <= interval.low and interval.high <= high:
        return CONFIRMED
    if interval.high < low or high < interval.low:
        return REFUTED
    return UNRESOLVED


def measure_interval(what: str, interval: Interval, low: float, high: float) -> Measurement:
    return Measurement(what, interval, low, high, interval_verdict(interval, low, high))


def as_looked_up(measurement: Measurement) -> Measurement:
    """The same measurement of a value that stands in documentation: no seeds and no spread are behind it."""
    value = measurement.interval.estimate
    return measurement._replace(interval=Interval(value, value, value, 1, LOOKED_UP))


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

"""Which unstated convention comes nearest to stated numbers: one distance for each, over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.intervals import not_told_apart
from rnnjax.analysis.results import ArmResult, per_seed, select_arms
from rnnjax.analysis.statistics import Interval, mean_over_seeds
from rnnjax.config.schema import ConventionComparison, ReferenceValue


class Convention(NamedTuple):
    """One convention against the stated numbers."""

    name: str
    values: list[np.ndarray]  # of each stated number, [n]; no values where the convention has no such arm
    distance: Interval
    may_be_nearest: bool  # it is the nearest, or the interval of the paired difference from that one has 0


def compare_conventions(nearest: ConventionComparison, arms: Sequence[ArmResult]) -> list[Convention]:
    """Every convention, the nearest first.

    distance = mean over the stated numbers of |value - stated| / stated, seed by seed. A run that diverged is 1 away.
    """
    names = dict.fromkeys(convention_name(nearest, arm) for arm in arms)
    values = {name: [convention_values(nearest, number, name, arms) for number in nearest.numbers] for name in names}
    distances = {name: convention_distance(nearest.numbers, of_name) for name, of_name in values.items()}
    fewest = min(map(len, distances.values()))
    common_An = np.stack([one[:fewest] for one in distances.values()])
    near = not_told_apart(common_An, int(common_An.mean(axis=1).argmin()))
    found = [
        Convention(name, values[name], mean_over_seeds(distances[name]), close)
        for name, close in zip(distances, near, strict=True)
    ]
    return sorted(found, key=lambda one: one.distance.estimate)


def convention_name(nearest: ConventionComparison, arm: ArmResult) -> str:
    """The convention of an arm: "sgd, sum, carried"."""
    return ", ".join(str(arm.axes[field]) for field in nearest.by)


def convention_values(
    nearest: ConventionComparison, number: ReferenceValue, convention: str, arms: Sequence[ArmResult]
) -> np.ndarray:
    """The value that a convention's arm reached for a stated number, per seed."""
    [arm] = [arm for arm in select_arms(arms, number.arms) if convention_name(nearest, arm) == convention]
    return per_seed(arm, number.metric)


def convention_distance(numbers: Sequence[ReferenceValue], values: Sequence[np.ndarray]) -> np.ndarray:
    """The distance of each seed [n] that all arms of a convention have."""
    fewest = min(map(len, values))
    apart = [np.abs(of_number[:fewest] / number.value - 1) for number, of_number in zip(numbers, values, strict=True)]
    return np.mean([np.where(np.isfinite(one), one, 1.0) for one in apart], axis=0)

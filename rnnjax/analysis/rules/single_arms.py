"""Rules about one arm at a time: its mean, its values, its spread over seeds.

As in `rules`, each is a function (criterion, arms) -> measurements. Where a criterion names several arms, the intervals
hold for all of them together (Bonferroni).
"""

from collections.abc import Sequence

import numpy as np

from rnnjax.analysis import statistics as stats
from rnnjax.analysis.intervals import intervals_together, state_family, statistic_over_seeds, together
from rnnjax.analysis.measurement import CONFIRMED, REFUTED, Measurement, finite_values, measure_interval
from rnnjax.analysis.results import ArmResult, per_seed, select_arms
from rnnjax.analysis.statistics import Interval, TooFew
from rnnjax.config.schema import Criterion

ROUNDING = 1e-9  # relative to an expected number: what is nearer is equal to it


def bound_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The mean of a metric over seeds lies in [low, high]."""
    chosen = select_arms(arms, criterion.arms)
    intervals = intervals_together([finite_values(per_seed(arm, criterion.metric)) for arm in chosen])
    return [
        measure_interval(arm.name, interval, criterion.low, criterion.high)
        for arm, interval in zip(chosen, intervals, strict=True)
    ]


def exact_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """Every single seed's value lies within `tolerance` of `expected`."""
    low, high = tolerance_range(criterion)
    found = []
    for arm in select_arms(arms, criterion.arms):
        values = finite_values(per_seed(arm, criterion.metric))
        if not len(values):
            raise TooFew(f"{arm.name}: every run diverged")
        extremes = Interval(
            float(values.mean()), float(values.min()), float(values.max()), len(values), "smallest to largest"
        )
        found.append(measure_interval(arm.name, extremes, low, high))
    return found


def tolerance_range(criterion: Criterion) -> tuple[float, float]:
    """[expected - tolerance, expected + tolerance]."""
    assert criterion.expected is not None, "checked when the study is loaded"
    return criterion.expected - criterion.tolerance, criterion.expected + criterion.tolerance


def number_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """`expected` lies in the 95% prediction interval of one new seed, and within `tolerance` of the mean over seeds.

    Confirmed where both hold, else refuted. The prediction interval is Student's, m -+ t(n - 1) s sqrt(1 + 1 / n).
    """
    low, high = tolerance_range(criterion)
    expected, slack = (low + high) / 2, ROUNDING * abs(low + high) / 2
    needed = f"a mean within {criterion.tolerance:.4g} of {expected:.4g}, and {expected:.4g} likely for one new seed"
    found = []
    for arm in select_arms(arms, criterion.arms):
        interval = stats.prediction_interval(finite_values(per_seed(arm, criterion.metric)))
        likely = interval.low - slack <= expected <= interval.high + slack
        near = low - slack <= interval.estimate <= high + slack
        verdict = CONFIRMED if likely and near else REFUTED
        found.append(Measurement(arm.name, interval, low, high, verdict, needed))
    return found


def share_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The share of seeds whose value exceeds `expected` lies in [low, high]."""
    chosen = select_arms(arms, criterion.arms)
    found = []
    for arm in chosen:
        values = finite_values(per_seed(arm, criterion.metric))
        above = int(np.sum(values > criterion.expected))
        interval = stats.share_interval(above, len(values), together(len(chosen)))
        found.append(measure_interval(arm.name, state_family(interval, len(chosen)), criterion.low, criterion.high))
    return found


def spread_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The standard deviation of a metric over seeds lies in [low, high]; needs 8 seeds."""
    chosen = select_arms(arms, criterion.arms)
    found = []
    for arm in chosen:
        interval = deviation_over_seeds(finite_values(per_seed(arm, criterion.metric)), together(len(chosen)))
        found.append(measure_interval(arm.name, state_family(interval, len(chosen)), criterion.low, criterion.high))
    return found


def deviation_over_seeds(values_n: np.ndarray, confidence: float = 0.95) -> Interval:
    """Interval of the standard deviation, by the jackknife of log s: right for other than normal seeds too.

    Raises: TooFew for fewer than 8 values.
    """
    smallest = np.finfo(float).tiny

    def deviation(places: np.ndarray) -> float:
        return max(float(values_n[places].std(ddof=1)), smallest)  # a constant has no logarithm of its deviation

    found = statistic_over_seeds(deviation, len(values_n), np.log, np.exp, confidence)
    return found._replace(estimate=float(values_n.std(ddof=1)))

"""The rules that judge a claim: each turns a criterion into measurements, see `measurement`.

A rule is one function and one line of `RULES`.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import product

import numpy as np

from rnnjax.analysis import bootstrap
from rnnjax.analysis import statistics as stats
from rnnjax.analysis.bootstrap import BOOTSTRAP_SEED
from rnnjax.analysis.measurement import (
    CONFIRMED,
    REFUTED,
    Measurement,
    common_seeds,
    finite_values,
    interval_verdict,
    measure_interval,
    paired_finite,
    probability_measurement,
)
from rnnjax.analysis.results import ArmResult, direction, per_seed, select_arms
from rnnjax.analysis.rules.associations import correlation_rule, variance_share_rule
from rnnjax.analysis.rules.effects import (
    additive_rule,
    contrast_rule,
    interaction_rule,
    largest_factor_rule,
    spread_rule,
    trend_rule,
)
from rnnjax.analysis.statistics import Interval, TooFew
from rnnjax.config.schema import Criterion


def bound_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The mean of a metric over seeds lies in [low, high]."""
    return [
        measure_interval(
            arm.name, stats.mean_interval(finite_values(per_seed(arm, criterion.metric))), criterion.low, criterion.high
        )
        for arm in select_arms(arms, criterion.arms)
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
    assert criterion.expected is not None, "checked when the study is loaded"
    return criterion.expected - criterion.tolerance, criterion.expected + criterion.tolerance


def number_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """`expected` lies in the 95% prediction interval of one seed, or within `tolerance` of the mean over seeds."""
    low, high = tolerance_range(criterion)
    found = []
    for arm in select_arms(arms, criterion.arms):
        values = finite_values(per_seed(arm, criterion.metric))
        interval = stats.prediction_interval(values)
        reproduced = (
            interval_verdict(interval, (low + high) / 2, (low + high) / 2) != REFUTED
            or low <= interval.estimate <= high
        )
        found.append(Measurement(arm.name, interval, low, high, CONFIRMED if reproduced else REFUTED))
    return found


def difference_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The paired difference between `arms` and `compared_to` lies in [low, high]; intervals hold for all pairs at once.

    With `compared_metric`, that metric of `compared_to` is compared, and an arm on both sides is compared with itself.
    With `matched`, only arms that agree in these fields form a pair.
    """
    pairs = list(compared_pairs(criterion, arms))
    other = criterion.compared_metric or criterion.metric
    values = [paired_finite(per_seed(a, criterion.metric), per_seed(b, other)) for a, b in pairs]
    if not all(len(a) for a, _ in values):
        raise TooFew("two arms have no seed in common that did not diverge")
    if criterion.scale == "relative":
        values = [relative_pairs(a, b) for a, b in values]
    intervals = bootstrap.paired_differences(BOOTSTRAP_SEED, values)
    words = f" {criterion.compared_metric}" if criterion.compared_metric else ""
    return [
        measure_interval(f"{a.name} - {b.name}{words}", interval, criterion.low, criterion.high)
        for (a, b), interval in zip(pairs, intervals, strict=True)
    ]


def relative_pairs(a_n: np.ndarray, b_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs whose mean difference is mean a / mean b - 1, and varies over seeds as that ratio does.

    r = mean a / mean b has, to first order in the seeds' deviations, the error of the mean of (a - r b) / mean b.
    Source: Fieller 1954, JRSS B 16:175; the linear part of it.
    """
    mean = b_n.mean()
    return (a_n - a_n.mean() / mean * (b_n - mean)) / mean, np.ones_like(b_n)


def compared_pairs(criterion: Criterion, arms: Sequence[ArmResult]) -> Iterable[tuple[ArmResult, ArmResult]]:
    """The pairs of arms that a criterion compares."""
    firsts, seconds = select_arms(arms, criterion.arms), select_arms(arms, criterion.compared_to)
    with_themselves = (
        {arm.name for arm in firsts} & {arm.name for arm in seconds} if criterion.compared_metric else set()
    )
    for first, second in product(firsts, seconds):
        same = first.name == second.name
        wanted = same if with_themselves else not same
        if wanted and all(first.axes[field] == second.axes[field] for field in criterion.matched):
            yield first, second


def best_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """Among `arms` and `compared_to` together, the arm with the lowest (or highest) mean is one of `arms`.

    Judged by a bootstrap probability: confirmed from `low` on (default 0.95), refuted at 0.05 and below. An arm of
    which every run diverged cannot win; the other arms are compared at the seeds at which none of them diverged.
    """
    entered = select_arms(arms, [*criterion.arms, *criterion.compared_to])
    contenders = [arm for arm in entered if len(finite_values(per_seed(arm, criterion.metric)))]
    if not contenders:
        raise TooFew("every run of every arm diverged")
    values = common_seeds([per_seed(arm, criterion.metric) for arm in contenders])
    sign = direction(criterion.prefers)
    winner = bootstrap.best_arm(BOOTSTRAP_SEED, sign * values)
    favoured = {arm.name for arm in select_arms(arms, criterion.arms)}
    chance = sum(p for arm, p in zip(contenders, winner.probability_A, strict=True) if arm.name in favoured)
    return [
        probability_measurement(criterion, f"chance; best is {contenders[winner.arm].name}", chance, values.shape[1])
    ]


def share_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The share of seeds whose value exceeds `expected` lies in [low, high]."""
    found = []
    for arm in select_arms(arms, criterion.arms):
        values = finite_values(per_seed(arm, criterion.metric))
        interval = stats.share_interval(int(np.sum(values > criterion.expected)), len(values))
        found.append(measure_interval(arm.name, interval, criterion.low, criterion.high))
    return found


def explained_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The share of the variance of a metric that a cubic in the logarithm of another explains lies in [low, high].

    `expected` and `tolerance`, where given, keep only the runs whose value of `explained_by` is within that range.
    """
    chosen = select_arms(arms, criterion.arms)
    x = np.concatenate([per_seed(arm, criterion.explained_by) for arm in chosen])
    y = np.concatenate([per_seed(arm, criterion.metric) for arm in chosen])
    kept = np.isfinite(x) & np.isfinite(y) & (x > 0)  # what is not has no logarithm
    if criterion.expected is not None:
        low, high = tolerance_range(criterion)
        kept &= (low <= x) & (x <= high)
    interval = bootstrap.explained_share(BOOTSTRAP_SEED, np.log(x[kept]), y[kept])
    return [
        measure_interval(f"{criterion.metric} by log {criterion.explained_by}", interval, criterion.low, criterion.high)
    ]


RULES: dict[str, Callable[[Criterion, Sequence[ArmResult]], list[Measurement]]] = {
    "bound": bound_rule,
    "exact": exact_rule,
    "number": number_rule,
    "difference": difference_rule,
    "best": best_rule,
    "share": share_rule,
    "explained": explained_rule,
    "contrast": contrast_rule,
    "trend": trend_rule,
    "interaction": interaction_rule,
    "spread": spread_rule,
    "widest": largest_factor_rule,
    "additive": additive_rule,
    "correlation": correlation_rule,
    "variance_share": variance_share_rule,
}

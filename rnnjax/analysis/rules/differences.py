"""Rules about the differences of arms, seed by seed: `difference` and `equal`.

As in `rules`, each is a function (criterion, arms) -> measurements.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations, product

import numpy as np

from rnnjax.analysis.intervals import ratio_over_seeds, state_family, together
from rnnjax.analysis.measurement import (
    CONFIRMED,
    Measurement,
    interval_verdict,
    measure_interval,
    paired_finite,
)
from rnnjax.analysis.results import ArmResult, per_seed, select_arms
from rnnjax.analysis.statistics import Interval, TooFew, mean_over_seeds
from rnnjax.config.schema import Criterion

ONE_PAIR = 0.95  # two one-sided tests at 0.025: with the 0.025 of a refutation, at most 5% of verdicts are wrong


def difference_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The paired difference between `arms` and `compared_to` lies in [low, high]; intervals hold for all pairs at once.

    With `compared_metric`, that metric of `compared_to` is compared, and an arm on both sides is compared with itself.
    With `matched`, only arms that agree in these fields form a pair. Scale "relative": mean a / mean b - 1.
    """
    pairs = list(compared_pairs(criterion, arms))
    other = criterion.compared_metric or criterion.metric
    words = f" {criterion.compared_metric}" if criterion.compared_metric else ""
    found = []
    for first, second in pairs:
        values = paired_finite(per_seed(first, criterion.metric), per_seed(second, other))
        interval = difference_over_seeds(*values, criterion.scale, together(len(pairs)))
        what = f"{first.name} - {second.name}{words}"
        found.append(measure_interval(what, state_family(interval, len(pairs)), criterion.low, criterion.high))
    return found


def difference_over_seeds(a_n: np.ndarray, b_n: np.ndarray, scale: str, confidence: float) -> Interval:
    """Interval of mean(a - b), or on the scale "relative" of mean a / mean b - 1, over paired seeds.

    Raises: TooFew for fewer than 2 pairs, or a mean of b that is 0 on the scale "relative".
    """
    if len(a_n) < 2:
        raise TooFew(f"two arms have {len(a_n)} seeds in common that did not diverge")
    if scale != "relative":
        return mean_over_seeds(a_n - b_n, confidence)
    ratio = ratio_over_seeds(a_n, b_n, confidence)
    return ratio._replace(estimate=ratio.estimate - 1, low=ratio.low - 1, high=ratio.high - 1)


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


def equal_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The means of every two of the arms, `compared_to` included, differ by less than `tolerance`.

    Scale "difference": in the metric's unit; "relative": mean a / mean b - 1. Confirmed where the 95% intervals of all
    pairs lie within the tolerance (two one-sided tests at 0.025; because all must pass, no correction is needed),
    refuted where an interval that holds for all pairs at 95% (Bonferroni) lies outside of it.
    """
    chosen = select_arms(arms, [*criterion.arms, *criterion.compared_to])
    pairs = list(combinations(chosen, 2))
    return [equality(criterion, first, second, len(pairs)) for first, second in pairs]


def equality(criterion: Criterion, first: ArmResult, second: ArmResult, pairs: int) -> Measurement:
    """One pair of `equal_rule`: the interval shown is the one that decides."""
    values = paired_finite(per_seed(first, criterion.metric), per_seed(second, criterion.metric))
    what, margin = f"{first.name} - {second.name}", criterion.tolerance
    interval = difference_over_seeds(*values, criterion.scale, ONE_PAIR)
    if interval_verdict(interval, -margin, margin) == CONFIRMED:
        return measure_interval(what, interval, -margin, margin)
    interval = difference_over_seeds(*values, criterion.scale, together(pairs))
    return measure_interval(what, state_family(interval, pairs), -margin, margin)

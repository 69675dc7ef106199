"""Rules about the order of arms and factors: the best arm, the factor with the widest range, the predicted best cell.

As in `rules`, each is a function (criterion, arms) -> measurements. Their intervals hold together (Bonferroni), so
that naming an arm after a look at the data costs nothing.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.intervals import state_family, together
from rnnjax.analysis.measurement import (
    CONFIRMED,
    REFUTED,
    UNRESOLVED,
    Measurement,
    common_seeds,
    finite_values,
    interval_verdict,
    measure_interval,
)
from rnnjax.analysis.results import ArmResult, direction, per_seed, select_arms
from rnnjax.analysis.statistics import Interval, TooFew, mean_over_seeds
from rnnjax.config.schema import Criterion

ROUNDING = 1e-6  # relative: arms that differ by less in every seed are the same training
WORST_FIRST = (REFUTED, UNRESOLVED, CONFIRMED)


class Advantage(NamedTuple):
    """How much better a favoured arm is than one rival, in the metric's unit."""

    rival: str
    interval: Interval
    verdict: str


def best_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """One of `arms` is better than every other arm of `compared_to` by more than `tolerance` in its mean.

    Better is lower, or higher with `prefers`. Confirmed where the intervals of one favoured arm's advantages lie above
    the tolerance for all rivals; refuted where each favoured arm has a rival with the advantage below it, or with the
    same values up to rounding (1e-6). For F favoured arms and R rivals each interval has the level
    1 - 0.05 / max(F, R): a wrong confirmation needs a wrong interval of one of the F arms, a wrong refutation one of R
    rivals of the best. An arm of which every run diverged cannot win; the others are compared at the seeds at which
    none diverged.
    """
    entered = select_arms(arms, [*criterion.arms, *criterion.compared_to])
    contenders = [arm for arm in entered if len(finite_values(per_seed(arm, criterion.metric)))]
    if not contenders:
        raise TooFew("every run of every arm diverged")
    names = {arm.name for arm in select_arms(arms, criterion.arms)}
    if len(names) == len(entered):
        raise TooFew("there is no arm to compare with")
    by_name = dict(
        zip(
            (arm.name for arm in contenders),
            direction(criterion.prefers) * common_seeds([per_seed(arm, criterion.metric) for arm in contenders]),
            strict=True,
        )
    )
    favoured = [name for name in by_name if name in names]
    rivals = [name for name in by_name if name not in names]
    if not favoured or not rivals:
        return [walkover(criterion, bool(favoured))]
    count = max(len(favoured), len(rivals))
    rows = {
        name: [advantage(by_name[name], by_name[rival], rival, criterion.tolerance, count) for rival in rivals]
        for name in favoured
    }
    return [best_measurement(criterion, rows, {name: float(values.mean()) for name, values in by_name.items()})]


def walkover(criterion: Criterion, won: bool) -> Measurement:
    """All favoured arms, or all rivals, have diverged in every run."""
    nothing = Interval(np.nan, np.nan, np.nan, 0, "every run diverged")
    what = "every other arm diverged" if won else "every favoured arm diverged"
    return Measurement(what, nothing, criterion.tolerance, np.inf, CONFIRMED if won else REFUTED)


def advantage(own_n: np.ndarray, rival_n: np.ndarray, rival: str, tolerance: float, count: int) -> Advantage:
    """By how much an arm is below a rival, in an interval of `count` that hold together."""
    interval = state_family(mean_over_seeds(rival_n - own_n, together(count)), count)
    same = np.abs(rival_n - own_n).max() <= ROUNDING * np.abs((rival_n + own_n) / 2).mean()
    if same or interval.high < tolerance:
        return Advantage(rival, interval, REFUTED)
    return Advantage(rival, interval, CONFIRMED if interval.low > tolerance else UNRESOLVED)


def best_measurement(criterion: Criterion, rows: dict[str, list[Advantage]], means: dict[str, float]) -> Measurement:
    """The verdict over all favoured arms, with the best of them and the rival that decides against or for it."""
    verdicts = {name: worst_of(row) for name, row in rows.items()}
    overall = (
        CONFIRMED if CONFIRMED in verdicts.values() else REFUTED if set(verdicts.values()) == {REFUTED} else UNRESOLVED
    )
    own = min((name for name in rows if verdicts[name] == overall), key=means.__getitem__)
    deciding = min(
        (one for one in rows[own] if one.verdict == overall),
        key=lambda one: one.interval.high if overall == REFUTED else one.interval.low,
    )
    what = f"{own} better than {deciding.rival}; best is {min(means, key=means.__getitem__)}"
    needed = f"more than {criterion.tolerance:.4g} better than every rival"
    return Measurement(what, deciding.interval, criterion.tolerance, np.inf, overall, needed)


def worst_of(row: Sequence[Advantage]) -> str:
    """The verdict on one favoured arm against all its rivals: it must beat each."""
    return min((one.verdict for one in row), key=WORST_FIRST.index)


def largest_factor_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """Among `factors`, the first has the largest range, max - min over its arms' means.

    A range is bounded by the intervals of |mean a - mean b| over the pairs of its arms, all pairs of all factors
    together: from the largest lower bound to the largest upper bound. More arms therefore favour no factor.
    """
    groups = {name: select_arms(arms, patterns) for name, patterns in criterion.factors.items()}
    chosen = list({arm.name: arm for group in groups.values() for arm in group}.values())
    table = common_seeds([per_seed(arm, criterion.metric) for arm in chosen])
    values = {arm.name: row_n for arm, row_n in zip(chosen, table, strict=True)}
    count = sum(len(group) * (len(group) - 1) // 2 for group in groups.values())
    first, *others = [
        (name, range_of_means([values[arm.name] for arm in group], together(count))) for name, group in groups.items()
    ]
    other, widest = max(others, key=lambda pair: pair[1].estimate)
    lowest, highest = max(one.low for _, one in others), max(one.high for _, one in others)
    own = first[1]
    interval = own._replace(estimate=own.estimate - widest.estimate, low=own.low - highest, high=own.high - lowest)
    what = f"range over {first[0]} minus the widest of the others ({other})"
    return [measure_interval(what, state_family(interval, count), 0.0, np.inf)]


def range_of_means(values: Sequence[np.ndarray], confidence: float) -> Interval:
    """The largest |mean a - mean b| of some arms' values over the same seeds, from intervals of all pairs."""
    pairs = [mean_over_seeds(a_n - b_n, confidence) for a_n, b_n in combinations(values, 2)]
    if not pairs:
        raise TooFew("a factor needs two arms")
    lows = [max(pair.low, -pair.high, 0.0) for pair in pairs]
    highs = [max(pair.high, -pair.low) for pair in pairs]
    estimate = max(abs(pair.estimate) for pair in pairs)
    return Interval(estimate, max(lows), max(highs), pairs[0].n, pairs[0].method)


def additive_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The arm predicted to be lowest by adding single-factor effects is the lowest.

    Prediction: the baseline (`compared_to`) plus, for each of `axes`, the difference between the baseline and the arm
    that differs from it in that axis only. Confirmed where one arm alone may be the lowest, predicted and measured;
    refuted where no arm may be both. All intervals hold together.
    """
    cells = select_arms(arms, criterion.arms)
    [baseline] = select_arms(arms, criterion.compared_to)
    table = common_seeds([per_seed(arm, criterion.metric) for arm in cells])
    if table.shape[1] < 2:
        raise TooFew("the arms have fewer than 2 seeds in common")
    places = [tuple(arm.axes[axis] for axis in criterion.axes) for arm in cells]
    predicted = additive_prediction(table, places, tuple(baseline.axes[axis] for axis in criterion.axes))
    confidence = together(2 * (len(cells) - 1))
    may_be = [lowest_candidates(values_An, confidence) for values_An in (predicted, table)]
    both = may_be[0] & may_be[1]
    verdict = REFUTED if not both else CONFIRMED if may_be[0] == may_be[1] == both and len(both) == 1 else UNRESOLVED
    forecast, best = int(predicted.mean(axis=1).argmin()), int(table.mean(axis=1).argmin())
    interval = state_family(mean_over_seeds(table[best] - table[forecast], confidence), 2 * (len(cells) - 1))
    what = f"measured lowest ({cells[best].name}) minus predicted lowest ({cells[forecast].name})"
    return [Measurement(what, interval, 0.0, np.inf, verdict, "one arm that is lowest, predicted and measured")]


def additive_prediction(
    table: np.ndarray, places: Sequence[tuple[object, ...]], origin: tuple[object, ...]
) -> np.ndarray:
    """The prediction of each arm [A, n] from the rows of the arms that differ from `origin` in one axis."""
    rows = dict(zip(places, table, strict=True))
    base_n = rows[origin]
    return np.stack(
        [
            base_n + sum(rows[(*origin[:i], value, *origin[i + 1 :])] - base_n for i, value in enumerate(place))
            for place in places
        ]
    )


def lowest_candidates(values_An: np.ndarray, confidence: float) -> set[int]:
    """The arms [A] that no other arm is below, by intervals at this confidence."""
    means = values_An.mean(axis=1)
    order = np.argsort(means)
    return {
        int(arm)
        for arm in order
        if not any(
            interval_verdict(mean_over_seeds(values_An[arm] - values_An[other], confidence), -np.inf, 0.0) == REFUTED
            for other in order
            if means[other] < means[arm]
        )
    }

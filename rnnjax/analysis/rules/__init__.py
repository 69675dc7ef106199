"""The rules by which numbers judge a statement: each turns a reading into measurements, see `measurement`.

A rule is one function and one line of `RULES`.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import product

import numpy as np

from rnnjax.analysis import statistics as stats
from rnnjax.analysis.measurement import (
    CONFIRMED,
    REFUTED,
    SEED,
    Measurement,
    both_finite,
    common,
    finite,
    likely,
    measured,
    place,
)
from rnnjax.analysis.results import ArmResult, named, seed_values
from rnnjax.analysis.rules.associations import correlation, variance_share
from rnnjax.analysis.rules.effects import additive, contrast, interaction, spread, trend, widest
from rnnjax.analysis.statistics import Interval, TooFew
from rnnjax.config.schema import Reading


def bound(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The mean of a metric over seeds lies in [low, high]."""
    return [
        measured(arm.name, stats.mean_interval(finite(seed_values(arm, reading.metric))), reading.low, reading.high)
        for arm in named(arms, reading.arms)
    ]


def exact(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """Every single seed's value lies within `tolerance` of `expected`."""
    low, high = around(reading)
    found = []
    for arm in named(arms, reading.arms):
        values = finite(seed_values(arm, reading.metric))
        if not len(values):
            raise TooFew(f"{arm.name}: every run diverged")
        extremes = Interval(
            float(values.mean()), float(values.min()), float(values.max()), len(values), "smallest to largest"
        )
        found.append(measured(arm.name, extremes, low, high))
    return found


def around(reading: Reading) -> tuple[float, float]:
    assert reading.expected is not None, "checked when the study is loaded"
    return reading.expected - reading.tolerance, reading.expected + reading.tolerance


def number(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """A number stated from one run: it lies where 95% of single seeds lie, or the mean within `tolerance` of it."""
    low, high = around(reading)
    found = []
    for arm in named(arms, reading.arms):
        values = finite(seed_values(arm, reading.metric))
        interval = stats.prediction_interval(values)
        reproduced = place(interval, (low + high) / 2, (low + high) / 2) != REFUTED or low <= interval.estimate <= high
        found.append(Measurement(arm.name, interval, low, high, CONFIRMED if reproduced else REFUTED))
    return found


def difference(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The paired difference between `arms` and `against` lies in [low, high]; intervals hold for all pairs at once.

    With `against_metric` that is what is taken of `against`, and an arm is compared with itself where it is on both
    sides. With `matched` only arms that agree in these fields make a pair.
    """
    pairs = list(pairs_of(reading, arms))
    other = reading.against_metric or reading.metric
    values = [both_finite(seed_values(a, reading.metric), seed_values(b, other)) for a, b in pairs]
    if not all(len(a) for a, _ in values):
        raise TooFew("two arms have no seed in common that did not diverge")
    if reading.scale == "relative":
        values = [in_proportion(a, b) for a, b in values]
    intervals = stats.paired_differences(SEED, values)
    words = f" {reading.against_metric}" if reading.against_metric else ""
    return [
        measured(f"{a.name} - {b.name}{words}", interval, reading.low, reading.high)
        for (a, b), interval in zip(pairs, intervals, strict=True)
    ]


def in_proportion(a_n: np.ndarray, b_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs whose mean difference is mean a / mean b - 1, and varies over seeds as that ratio does.

    r = mean a / mean b has, to first order in the seeds' deviations, the error of the mean of (a - r b) / mean b.
    Source: Fieller 1954, JRSS B 16:175; the linear part of it.
    """
    mean = b_n.mean()
    return (a_n - a_n.mean() / mean * (b_n - mean)) / mean, np.ones_like(b_n)


def pairs_of(reading: Reading, arms: Sequence[ArmResult]) -> Iterable[tuple[ArmResult, ArmResult]]:
    """The pairs of arms that a reading compares."""
    firsts, seconds = named(arms, reading.arms), named(arms, reading.against)
    with_themselves = {arm.name for arm in firsts} & {arm.name for arm in seconds} if reading.against_metric else set()
    for first, second in product(firsts, seconds):
        same = first.name == second.name
        wanted = same if with_themselves else not same
        if wanted and all(first.axes[field] == second.axes[field] for field in reading.matched):
            yield first, second


def best(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """Among `arms` and `against` together, the arm with the lowest (or highest) mean is one of `arms`.

    A bootstrap chance: confirmed from `low` on (0.95 if not given), refuted at 0.05 and below. An arm
    of which every run diverged cannot win; of the others those seeds are compared at which none diverged.
    """
    entered = named(arms, [*reading.arms, *reading.against])
    contenders = [arm for arm in entered if len(finite(seed_values(arm, reading.metric)))]
    if not contenders:
        raise TooFew("every run of every arm diverged")
    values = common([seed_values(arm, reading.metric) for arm in contenders])
    sign = -1 if reading.prefers == "highest" else 1
    winner = stats.best_arm(SEED, sign * values)
    favoured = {arm.name for arm in named(arms, reading.arms)}
    chance = sum(p for arm, p in zip(contenders, winner.probability_A, strict=True) if arm.name in favoured)
    return [likely(reading, f"chance; best is {contenders[winner.arm].name}", chance, values.shape[1])]


def share(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The share of seeds whose value exceeds `expected` lies in [low, high]."""
    found = []
    for arm in named(arms, reading.arms):
        values = finite(seed_values(arm, reading.metric))
        interval = stats.share_interval(int(np.sum(values > reading.expected)), len(values))
        found.append(measured(arm.name, interval, reading.low, reading.high))
    return found


def explained(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The share of the variance of a metric that a cubic in the logarithm of another explains lies in [low, high].

    `expected` and `tolerance`, where given, keep only the runs whose explaining value is within that range.
    """
    chosen = named(arms, reading.arms)
    x = np.concatenate([seed_values(arm, reading.explained_by) for arm in chosen])
    y = np.concatenate([seed_values(arm, reading.metric) for arm in chosen])
    kept = np.isfinite(x) & np.isfinite(y) & (x > 0)  # what is not has no logarithm
    if reading.expected is not None:
        low, high = around(reading)
        kept &= (low <= x) & (x <= high)
    interval = stats.explained_share(SEED, np.log(x[kept]), y[kept])
    return [measured(f"{reading.metric} by log {reading.explained_by}", interval, reading.low, reading.high)]


RULES: dict[str, Callable[[Reading, Sequence[ArmResult]], list[Measurement]]] = {
    "bound": bound,
    "exact": exact,
    "number": number,
    "difference": difference,
    "best": best,
    "share": share,
    "explained": explained,
    "contrast": contrast,
    "trend": trend,
    "interaction": interaction,
    "spread": spread,
    "widest": widest,
    "additive": additive,
    "correlation": correlation,
    "variance_share": variance_share,
}

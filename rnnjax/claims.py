"""The judge: a statement holds, does not, or cannot be told, by a rule on measured numbers.

A rule turns a reading into measurements, each an interval and the range in which the statement says that it lies.
Inside the range: confirmed. Outside of it altogether: refuted. Otherwise, and where too few runs are left to measure,
unresolved. A rule is one function and one line of `RULES`.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from rnnjax import stats
from rnnjax.results import ArmResult, named, seed_values
from rnnjax.stats import Interval, TooFew
from rnnjax.study import Claim, Reading

CONFIRMED, REFUTED, UNRESOLVED, NOT_AS_STATED = "confirmed", "refuted", "unresolved", "not-as-stated"
SEED = 0  # of the bootstrap


class Measurement(NamedTuple):
    """One measured number and where the statement puts it."""

    what: str
    interval: Interval
    low: float
    high: float
    verdict: str


class Judgement(NamedTuple):
    """The verdict on a statement with the measurements behind it, grouped by reading."""

    claim: Claim
    verdict: str
    readings: list[tuple[Reading, str, list[Measurement]]]
    excluded: int  # runs that diverged and could not be measured


def place(interval: Interval, low: float, high: float) -> str:
    """Where an interval lies relative to [low, high]."""
    if low <= interval.low and interval.high <= high:
        return CONFIRMED
    if interval.high < low or high < interval.low:
        return REFUTED
    return UNRESOLVED


def measured(what: str, interval: Interval, low: float, high: float) -> Measurement:
    return Measurement(what, interval, low, high, place(interval, low, high))


def finite(values: np.ndarray) -> np.ndarray:
    """Without the runs that diverged; they are counted beside every verdict."""
    return values[np.isfinite(values)]


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
    """The paired difference between `arms` and `against` lies in [low, high]; intervals hold for all pairs at once."""
    pairs = [
        (first, second)
        for first, second in product(named(arms, reading.arms), named(arms, reading.against))
        if first.name != second.name
    ]
    values = [both_finite(seed_values(a, reading.metric), seed_values(b, reading.metric)) for a, b in pairs]
    if not all(len(a) for a, _ in values):
        raise TooFew("two arms have no seed in common that did not diverge")
    if reading.scale == "relative":
        values = [(a / b.mean(), b / b.mean()) for a, b in values]
    intervals = stats.paired_differences(SEED, values)
    return [
        measured(f"{a.name} - {b.name}", interval, reading.low, reading.high)
        for (a, b), interval in zip(pairs, intervals, strict=True)
    ]


def both_finite(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = np.isfinite(first) & np.isfinite(second)
    return first[kept], second[kept]


def best(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """Among `arms` and `against` together, the arm with the lowest (or highest) mean is one of `arms`.

    A bootstrap probability: confirmed at 0.95 and above, refuted at 0.05 and below.
    """
    contenders = named(arms, [*reading.arms, *reading.against])
    values = np.stack([seed_values(arm, reading.metric) for arm in contenders])
    values = values[:, np.isfinite(values).all(axis=0)]
    sign = -1 if reading.prefers == "highest" else 1
    winner = stats.best_arm(SEED, sign * values)
    favoured = {arm.name for arm in named(arms, reading.arms)}
    chance = sum(p for arm, p in zip(contenders, winner.probability_A, strict=True) if arm.name in favoured)
    interval = Interval(float(chance), float(chance), float(chance), values.shape[1], "bootstrap probability")
    verdict = CONFIRMED if chance >= 0.95 else REFUTED if chance <= 0.05 else UNRESOLVED
    return [Measurement(f"best is {contenders[winner.arm].name}", interval, 0.95, 1.0, verdict)]


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
}


def combined(verdicts: Sequence[str], quantifier: str) -> str:
    """`all` of several: refuted by one that is; `any`: confirmed by one that is; of none: unresolved."""
    if not verdicts:
        return UNRESOLVED
    decisive, other = (REFUTED, CONFIRMED) if quantifier == "all" else (CONFIRMED, REFUTED)
    if decisive in verdicts:
        return decisive
    return other if all(verdict == other for verdict in verdicts) else UNRESOLVED


def measurements_of(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """What the reading's rule measures; nothing where too few runs are left to measure."""
    try:
        return RULES[reading.rule](reading, arms)
    except TooFew:
        return []


def judge(claim: Claim, arms: Sequence[ArmResult]) -> Judgement:
    """The verdict on one statement: that of its readings where they agree, `not-as-stated` where they do not."""
    readings = []
    for reading in claim.readings:
        measurements = measurements_of(reading, arms)
        verdict = combined([m.verdict for m in measurements], reading.quantifier)
        readings.append((reading, verdict, measurements))
    verdicts = {verdict for _, verdict, _ in readings}
    overall = verdicts.pop() if len(verdicts) == 1 else NOT_AS_STATED
    return Judgement(claim, overall, readings, excluded(claim, arms))


def excluded(claim: Claim, arms: Sequence[ArmResult]) -> int:
    patterns = [pattern for reading in claim.readings for pattern in [*reading.arms, *reading.against]]
    return int(sum(np.sum(arm.diverged_at >= 0) for arm in named(arms, patterns)))

"""Rows of intervals on one scale: what a criterion measured beside what confirms it, and arms in order of a metric.

The page draws them without a script: a row is a bar from the interval's low to its high in percent of the scale.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rnnjax.analysis.measurement import CONFIRMED, REFUTED, UNRESOLVED, Measurement
from rnnjax.analysis.verdicts import Judgement
from rnnjax.config.schema import Criterion
from rnnjax.reports.document import IntervalRow, JudgedCriterion
from rnnjax.reports.formatting import format_value
from rnnjax.reports.summary import criterion_text, needed

MOST_ROWS = 8  # of one criterion
MARGIN = 0.04  # of the scale beyond the outermost value
NEAR = 12.0  # percent of the scale: labels that are nearer would overlap


class Mark(NamedTuple):
    """The place of a row's parts in percent of the scale."""

    left: float
    width: float
    center: float
    allowed_left: float
    allowed_width: float  # 0: the row has no range that confirms it


class Tick(NamedTuple):
    """A labelled place of the scale, in percent."""

    at: float
    text: str


class IntervalPlot(NamedTuple):
    """Rows with their marks, and the ticks of their common scale."""

    rows: Sequence[tuple[IntervalRow, Mark]]
    ticks: Sequence[Tick]


def judged_criteria(judgement: Judgement) -> list[JudgedCriterion]:
    """Each criterion of a claim with its measurements."""
    return [judged_criterion(*each) for each in judgement.criteria]


def judged_criterion(criterion: Criterion, verdict: str, measurements: Sequence[Measurement]) -> JudgedCriterion:
    """At most `MOST_ROWS` measurements, first those with the criterion's verdict: they decide it."""
    order = [verdict, REFUTED, UNRESOLVED, CONFIRMED]
    ranked = sorted(measurements, key=lambda each: order.index(each.verdict))
    rows = [IntervalRow(m.what, m.interval, m.low, m.high, m.verdict) for m in ranked[:MOST_ROWS]]
    omitted = max(len(ranked) - MOST_ROWS, 0)
    return JudgedCriterion(criterion_text(criterion), criterion.metric, verdict, needed(measurements), rows, omitted)


def interval_plot(rows: Sequence[IntervalRow]) -> IntervalPlot:
    """The rows on one scale, which contains all intervals, all finite limits, and 0 where it is near."""
    start, end = scale(rows)

    def percent(value: float) -> float:
        return round(100 * min(max((value - start) / (end - start), 0.0), 1.0), 2)

    ticks = [Tick(percent(value), str(format_value(float(f"{value:.3g}")))) for value in tick_values(rows, start, end)]
    return IntervalPlot([(row, row_mark(row, percent)) for row in rows], spread_ticks(ticks))


def scale(rows: Sequence[IntervalRow]) -> tuple[float, float]:
    """Start and end of the scale of some rows."""
    values = [value for row in rows for value in (*row.interval[:3], row.low, row.high) if math.isfinite(value)]
    low, high = min(values, default=0.0), max(values, default=0.0)
    if low > 0 and low < high - low:
        low = 0.0
    elif high < 0 and -high < high - low:
        high = 0.0
    padding = MARGIN * (high - low) or abs(high) or 1.0
    return low - padding, high + padding


def row_mark(row: IntervalRow, percent: Callable[[float], float]) -> Mark:
    """Where the parts of a row are drawn; an estimate without an interval has no width."""
    low, high = (value if math.isfinite(value) else row.interval.estimate for value in row.interval[1:3])
    left, right = percent(low), percent(high)
    limited = math.isfinite(row.low) or math.isfinite(row.high)
    begin, end = (percent(row.low), percent(row.high)) if limited else (0.0, 0.0)
    width = max(round(end - begin, 2), 0.4) if limited else 0.0  # a range of one number is a line
    return Mark(left, round(right - left, 2), percent(row.interval.estimate), begin, width)


def tick_values(rows: Sequence[IntervalRow], start: float, end: float) -> list[float]:
    """The finite limits, 0, and the outermost values, the most important first."""
    limits = [limit for row in rows for limit in (row.low, row.high) if math.isfinite(limit)]
    values = [value for row in rows for value in row.interval[:3] if math.isfinite(value)]
    wanted = [*limits, 0.0, min(values, default=0.0), max(values, default=0.0)]
    return [value for value in dict.fromkeys(wanted) if start <= value <= end]


def spread_ticks(ticks: Sequence[Tick]) -> list[Tick]:
    """Those that do not overlap an earlier one, from left to right."""
    kept: list[Tick] = []
    for tick in ticks:
        if all(abs(tick.at - other.at) >= NEAR for other in kept):
            kept.append(tick)
    return sorted(kept)

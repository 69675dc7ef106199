"""Rows of intervals: their places on a common scale, and what of a judgement they show."""

import math

import numpy as np
import pytest
from finished import grid

from rnnjax.analysis.measurement import CONFIRMED, REFUTED, UNRESOLVED, Measurement
from rnnjax.analysis.statistics import Interval
from rnnjax.analysis.verdicts import judge_claim
from rnnjax.config.schema import Criterion
from rnnjax.reports.document import IntervalRow
from rnnjax.reports.interval_plots import (
    MARGIN,
    MOST_ROWS,
    NEAR,
    interval_plot,
    judged_criteria,
    judged_criterion,
)

CRITERION = Criterion("bound", "final_loss", ["*"], high=2.0, reading="strict", text="all of them")


def _row(estimate: float, low: float, high: float, least: float = -math.inf, most: float = math.inf) -> IntervalRow:
    return IntervalRow(f"{estimate}", Interval(estimate, low, high, 9, "t"), least, most, CONFIRMED)


def _place(value: float, first: float, last: float) -> float:
    """Percent of a scale from `first` to `last` with a margin on both sides."""
    return 100 * (value - first + MARGIN * (last - first)) / ((1 + 2 * MARGIN) * (last - first))


def test_every_part_is_where_its_number_is() -> None:
    plot = interval_plot([_row(-1.0, -2.0, 0.5, most=1.0), _row(2.0, 1.0, 3.0, least=0.0, most=4.0)])
    (_, first), (_, second) = plot.rows
    assert [first.left, first.center, first.left + first.width] == pytest.approx(
        [_place(value, -2, 4) for value in (-2, -1, 0.5)], abs=0.02
    )
    assert first.allowed_left == 0 and first.allowed_width == pytest.approx(_place(1, -2, 4), abs=0.02)
    assert second.allowed_left == pytest.approx(_place(0, -2, 4), abs=0.02)
    assert second.allowed_left + second.allowed_width == pytest.approx(_place(4, -2, 4), abs=0.02)
    texts = {tick.text: tick.at for tick in plot.ticks}
    assert texts == pytest.approx({str(value): _place(value, -2, 4) for value in (-2, 0, 1, 3, 4)}, abs=0.02)


@pytest.mark.parametrize(
    ("values", "has_zero"), [((1.0, 0.9, 1.1), False), ((1.0, 0.1, 1.9), True), ((-5.0, -9.0, -1.0), True)]
)
def test_the_scale_has_zero_where_it_is_near(values: tuple[float, float, float], has_zero: bool) -> None:
    assert ("0" in [tick.text for tick in interval_plot([_row(*values)]).ticks]) == has_zero


@pytest.mark.parametrize("values", [(0.0, 0.0, 0.0), (7.0, math.nan, math.nan), (-3.0, -3.0, -3.0), (1e-7, 0.0, 1e300)])
def test_any_interval_has_a_place(values: tuple[float, float, float]) -> None:
    """Without a width, of one value, and of sizes that a sum rounds away."""
    ((_, mark),) = interval_plot([_row(*values, most=math.inf)]).rows
    assert all(math.isfinite(part) and 0 <= part <= 100 for part in mark) and mark.allowed_width == 0
    assert interval_plot([]).rows == []


def test_a_range_of_one_number_is_seen_and_ticks_do_not_overlap() -> None:
    rows = [
        _row(value, value - 0.1, value + 0.1, 1.12, 1.12 + 0.01 * (value > 1.9)) for value in np.linspace(0.5, 2.0, 30)
    ]
    plot = interval_plot(rows)
    assert all(mark.allowed_width >= 0.4 for _, mark in plot.rows)
    places = [tick.at for tick in plot.ticks]
    assert places == sorted(places) and min(np.diff(places)) >= NEAR and "1.12" in [tick.text for tick in plot.ticks]


def test_the_measurements_that_decide_come_first_and_the_others_are_counted() -> None:
    verdicts = [CONFIRMED] * 9 + [UNRESOLVED] * 2 + [REFUTED] * 3
    found = [Measurement(str(i), Interval(i, i, i, 3, "t"), -math.inf, 2.0, each) for i, each in enumerate(verdicts)]
    shown = judged_criterion(CRITERION, REFUTED, found)
    assert shown.text == "strict: all of them" and shown.needed == "at most 2" and shown.metric == "final_loss"
    assert [row.verdict for row in shown.rows] == [REFUTED] * 3 + [UNRESOLVED] * 2 + [CONFIRMED] * (MOST_ROWS - 5)
    assert shown.omitted == len(verdicts) - MOST_ROWS
    nothing = judged_criterion(CRITERION, UNRESOLVED, [])
    assert nothing.rows == [] and nothing.needed == "more seeds" and nothing.omitted == 0


def test_every_claim_has_its_criteria_with_what_was_measured() -> None:
    study, arms = grid()
    by_name = {arm.name: arm.metrics["final_loss"] for arm in arms}
    for claim in study.file.claims:
        (criterion,) = judged_criteria(judge_claim(claim, arms))
        (row,) = criterion.rows
        names = row.what.split(" - ")
        wanted = by_name[names[0]].mean() - (by_name[names[1]].mean() if len(names) > 1 else 0)
        assert row.interval.estimate == pytest.approx(wanted)
        assert (row.low, row.high) == (claim.criteria[0].low, claim.criteria[0].high)

"""Errors, intervals and comparisons of forecasts against loops, sorted lists and simulations."""

import math

import numpy as np
import pytest

from rnnjax.analysis.conformal import adaptive_bounds, conformal_bounds
from rnnjax.analysis.forecast_comparison import compare_errors, compare_with_level, row_interval
from rnnjax.analysis.forecasts import (
    Forecasts,
    column_errors,
    forecast_metric_info,
    forecast_metrics,
    interval_bounds,
    level_errors,
    measured_coverage,
)
from rnnjax.reports.figures.forecasts import forecast_figure
from rnnjax.reports.forecasts import errors_table, intervals_table, lead_sentence

SEEDS, LEADS, ROWS = 3, 2, 61


def made(rng: np.random.Generator, skill: float = 1.0) -> Forecasts:
    """Two columns; the first is forecast with errors of deviation `skill`, the level with deviation 1."""
    truth_RO = rng.normal(size=(ROWS, 2)).cumsum(axis=0)
    truth_LMO = np.stack([truth_RO[lead : lead + ROWS - LEADS + 1] for lead in range(LEADS)])
    level = truth_LMO + rng.normal(size=truth_LMO.shape)
    said = truth_LMO + np.array([skill, 1.0]) * rng.normal(size=(SEEDS, *truth_LMO.shape))
    labels = tuple(f"2021-{1 + row // 28:02}-{1 + row % 28:02}" for row in range(ROWS))
    path = rng.normal(size=(SEEDS, ROWS, 2))
    return Forecasts(("a", "b"), labels, truth_RO, said, {"last": level}, path, np.array([2.0, 4.0]), 7, "day")


def test_errors_one_by_one() -> None:
    one = made(np.random.default_rng(0))
    truth = one.truth_RO.copy()
    truth[5, 1] = np.nan
    one = one._replace(truth_RO=truth)
    found = column_errors(one.residuals(), one.scale_O)
    for seed in range(SEEDS):
        for lead in (1, 2):
            for column in range(2):
                errors = [
                    one.predictions_nLMO[seed, lead - 1, m, column] - truth[m + lead - 1, column]
                    for m in range(ROWS - LEADS + 1)
                    if not math.isnan(truth[m + lead - 1, column])
                ]
                place = seed, lead - 1, column
                assert found["rmse"][place] == pytest.approx(math.sqrt(sum(e * e for e in errors) / len(errors)))
                mae = sum(map(abs, errors)) / len(errors)
                assert found["mae"][place] == pytest.approx(mae)
                assert found["mase"][place] == pytest.approx(mae / [2.0, 4.0][column])
    metrics = forecast_metrics(one)
    assert metrics.keys() == forecast_metric_info(("a", "b"), LEADS).keys()
    np.testing.assert_array_equal(metrics["rmse[b+2]"], found["rmse"][:, 1, 1])
    level = math.sqrt(np.mean((one.levels["last"] - one.truth_at_leads())[1, :, 0] ** 2))
    assert metrics["skill_last[a+2]"] == pytest.approx(1 - found["rmse"][:, 1, 0] / level)
    assert np.isnan(metrics["skill_linear[a]"]).all()  # it is not among the levels here
    assert level_errors(one)["last"]["rmse"].shape == (LEADS, 2)


def test_a_diverged_run_has_no_errors() -> None:
    one = made(np.random.default_rng(1))
    said = one.predictions_nLMO.copy()
    said[1] = np.nan
    one = one._replace(predictions_nLMO=said)
    assert np.isnan(forecast_metrics(one)["rmse[a]"]).tolist() == [False, True, False]
    assert compare_with_level(one, "last", 1)[1] == "not told apart"
    assert np.isnan(measured_coverage(one, 1)[1]).all()


# Intervals


def test_conformal_bounds_are_order_statistics() -> None:
    ordered = sorted(np.random.default_rng(2).normal(size=39).tolist())
    assert conformal_bounds(ordered, 0.9) == (ordered[1], ordered[37])  # a twentieth of 40 on either side
    assert conformal_bounds(ordered, 0.95) == (ordered[0], ordered[38])
    assert conformal_bounds(ordered, 0.951) == (-math.inf, math.inf)
    assert conformal_bounds([], 0.5) == (-math.inf, math.inf)


def test_intervals_hold_their_share_of_exchangeable_errors() -> None:
    """Skewed errors: both sides miss a twentieth, and the interval is as skewed as they are."""
    rng, inside, below, above = np.random.default_rng(3), 0, 0, 0
    for _ in range(2_000):
        errors = rng.exponential(size=60)
        low, high = conformal_bounds(sorted(errors[:-1]), 0.9)
        inside += low <= errors[-1] <= high
        below, above = below + (errors[-1] < low), above + (errors[-1] > high)
        assert low < 0.4 and high > 1
    assert 0.88 < inside / 2_000 < 0.93
    assert below / 2_000 < 0.065 and above / 2_000 < 0.065


def test_intervals_follow_errors_that_grow() -> None:
    """Where the errors treble halfway, fixed intervals of the first half hold too few; the adaptive ones recover."""
    rng, fixed, adaptive = np.random.default_rng(4), [], []
    for _ in range(60):
        errors = rng.normal(size=240) * np.where(np.arange(240) < 120, 1, 3)
        low, high = conformal_bounds(sorted(errors[:120]), 0.9)
        fixed.append(np.mean((errors[120:] >= low) & (errors[120:] <= high)))
        bounds = adaptive_bounds(errors, 0.9, 1)[0]
        assert np.isnan(bounds[:120]).all() and not np.isnan(bounds[120:]).any()
        adaptive.append(np.mean((errors[120:] >= bounds[120:, 0]) & (errors[120:] <= bounds[120:, 1])))
    assert np.mean(fixed) < 0.5 and 0.85 < np.mean(adaptive) < 0.95


@pytest.mark.parametrize("lead", [1, 3])
def test_an_interval_knows_no_later_errors(lead: int) -> None:
    """The bounds of row m depend on errors of forecasts up to m - lead, which are known there, and on no others."""
    rng = np.random.default_rng(5)
    errors = rng.normal(size=80)
    bounds = adaptive_bounds(errors, 0.8, lead)[0]
    for m in (45, 60, 79):
        other = errors.copy()
        other[m - lead + 1 :] = 100 * rng.normal(size=80 - (m - lead + 1))
        np.testing.assert_array_equal(adaptive_bounds(other, 0.8, lead)[0][: m + 1][-1], bounds[m])
        other = errors.copy()
        other[m - lead] = 1e6
        assert (adaptive_bounds(other, 0.8, lead)[0][m] != bounds[m]).any()
    if lead == 1:  # one row more does not move the half
        more = adaptive_bounds(np.append(errors, 0.0), 0.8, lead)[0]
        np.testing.assert_array_equal(more[-1], adaptive_bounds(errors, 0.8, lead)[1])


def test_coverage_is_counted_on_the_second_half() -> None:
    one = made(np.random.default_rng(6))
    bounds, errors = interval_bounds(one, 1)[0, :, 0], -one.residuals()[0, 0, :, 0]
    half = len(errors) // 2
    inside = [low <= error <= high for (low, high), error in list(zip(bounds, errors, strict=True))[half:]]
    assert measured_coverage(one, 1)[0, 0] == pytest.approx(sum(inside) / len(inside))


# Comparisons


def test_the_interval_over_rows_is_newey_and_west() -> None:
    d = np.random.default_rng(7).normal(size=64) + 0.3
    found = row_interval(d, 1)
    assert found is not None
    rest, reach = d - d.mean(), 4
    total = sum(
        (1 - abs(i - j) / (reach + 1)) * rest[i] * rest[j] for i in range(64) for j in range(64) if abs(i - j) <= reach
    )
    b = 5 / 64
    critical = 1.96 + 2.9694 * b + 0.416 * b**2 - 0.5324 * b**3
    margin = critical * 1.9983405425 / 1.9599639845 * math.sqrt(total / 64 / 64)  # t of 63 degrees over a normal
    assert (found.low, found.high) == pytest.approx((d.mean() - margin, d.mean() + margin))
    assert row_interval(d[:9], 1) is None


def test_comparisons_err_seldom() -> None:
    """Of forecasts with errors of one size, few are told apart; of half the size nearly all are."""
    rng, wrong, right = np.random.default_rng(8), 0, 0
    for _ in range(300):
        level = rng.normal(size=100) ** 2
        own = rng.normal(size=100) + 0.05 * rng.normal(size=(4, 100))
        wrong += compare_errors(own**2, level, 1) != "not told apart"
        right += compare_errors((0.5 * own) ** 2, level, 1) == "better"
    assert wrong / 300 < 0.08 and right / 300 > 0.95
    assert compare_errors(9 * own**2, level, 1) == "worse"
    assert compare_errors((0.5 * own[:1]) ** 2, level, 1) == "better"
    assert compare_errors(np.full((2, 100), np.nan), level, 1) == "not told apart"
    assert compare_errors(np.stack([0 * level, 0.9 * level]), level, 1) == "not told apart"  # seeds that disagree
    assert compare_errors(np.stack([0.1 * level, 0.11 * level]), level, 1) == "better"


# The report


def test_a_sentence_says_what_is_beaten_column_by_column() -> None:
    one = made(np.random.default_rng(9), skill=0.3)
    assert compare_with_level(one, "last", 1) == ["better", "not told apart"]
    sentence = lead_sentence([one], 1)
    assert sentence.startswith("Next row, on 61 held-out rows: a (RMSE 0.") and sentence.endswith(
        "is forecast not told apart from the last value."
    )
    assert "is forecast better than by the last value; b (RMSE" in sentence
    both = lead_sentence([one, one], 2)
    assert both.startswith("2 rows ahead, on 61 held-out rows in each of 2 arms: a is forecast better than by the last")


def test_tables_have_each_column_lead_and_predictor() -> None:
    one = made(np.random.default_rng(10), skill=0.3)
    table = errors_table({"base": one})
    assert [row[:3] for row in table.rows] == [
        [column, lead, name] for lead in (1, 2) for column in "ab" for name in ("base", "the last value")
    ]
    assert [row[-1] for row in table.rows][:4] == ["", "better", "", "not told apart"]
    level = level_errors(one)["last"]
    assert table.rows[1][3:6] == [float(level[error][0, 0]) for error in ("rmse", "mae", "mase")]
    coverage = intervals_table({"base": one})
    assert len(coverage.rows) == 4
    assert coverage.rows[0][3].estimate == pytest.approx(measured_coverage(one, 1)[:, 0].mean())


def test_a_figure_draws_truth_predictions_and_the_free_forecast() -> None:
    one = made(np.random.default_rng(11))
    drawn = forecast_figure(one, 1)
    lines = {trace.name: trace for trace in drawn.figure.data if trace.showlegend}
    assert list(lines) == ["measured", "one row ahead", "free forecast"]
    np.testing.assert_allclose(lines["measured"].y, one.truth_RO[:, 1], rtol=1e-6)
    np.testing.assert_allclose(lines["one row ahead"].y, one.predictions_nLMO[:, 0, :, 1].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(lines["free forecast"].y, one.path_nPO[:, :, 1].mean(axis=0), rtol=1e-6)
    assert list(lines["measured"].x) == list(range(ROWS)) and list(lines["measured"].customdata) == list(one.labels)
    bands = [trace for trace in drawn.figure.data if trace.fill]
    np.testing.assert_allclose(bands[1].y, one.path_nPO[:, :, 1].max(axis=0), rtol=1e-6)
    assert len(bands[0].y) == ROWS - LEADS + 1 - (ROWS - LEADS + 1) // 2
    axis = drawn.figure.layout.xaxis
    assert list(axis.ticktext) == [one.labels[place] for place in axis.tickvals] and axis.tickvals[-1] == ROWS - 1

"""Oracles: closed forms on small numbers, exhaustive search, and the coverage of simulated samples."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from rnnjax.analysis import statistics as stats

# 3, 1, 2: mean 2, standard deviation 1, t(2 degrees of freedom, 97.5%) = 4.302653 from the printed tables.
SMALL = np.array([3.0, 1.0, 2.0])
T2 = 4.302653
SAMPLES = 400  # of a coverage test: 0.95 has a binomial deviation of 0.011
ROW = np.arange(12.0)


def coverage(intervals: list[stats.Interval], truths: np.ndarray) -> float:
    return float(np.mean([i.low <= truth <= i.high for i, truth in zip(intervals, truths, strict=True)]))


def test_mean_over_seeds_is_the_textbook_one() -> None:
    interval = stats.mean_over_seeds(SMALL)
    assert interval[:2] == pytest.approx((2.0, 2.0 - T2 / np.sqrt(3)), rel=1e-6)
    assert interval[2:] == (pytest.approx(2.0 + T2 / np.sqrt(3), rel=1e-6), 3, "t, 95%")


def test_prediction_interval_is_the_textbook_one() -> None:
    interval = stats.prediction_interval(SMALL)
    assert interval[:3] == pytest.approx((2.0, 2.0 - T2 * np.sqrt(4 / 3), 2.0 + T2 * np.sqrt(4 / 3)), rel=1e-6)


def test_prediction_interval_covers_one_new_seed() -> None:
    rng = np.random.default_rng(0)
    intervals = [stats.prediction_interval(rng.normal(3.0, 2.0, 5)) for _ in range(SAMPLES)]
    assert coverage(intervals, rng.normal(3.0, 2.0, SAMPLES)) == pytest.approx(0.95, abs=0.035)


def test_mean_over_seeds_covers_with_five_seeds() -> None:
    rng = np.random.default_rng(1)
    intervals = [stats.mean_over_seeds(rng.normal(3.0, 2.0, 5), confidence=0.8) for _ in range(SAMPLES)]
    assert coverage(intervals, np.full(SAMPLES, 3.0)) == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 2, 3, 4], 2.5), ([100, 2, 4, -50], 3.0), ([7], 7.0), ([0, 1, 2, 3, 4, 5, 6, 900], 3.5), ([0, 5, 1], 2.0)],
)
def test_iqm_drops_a_quarter_on_each_side(values: list[float], expected: float) -> None:
    assert stats.iqm(np.array(values)) == pytest.approx(expected)


def test_iqm_reduces_the_axis_it_is_given() -> None:
    table = np.random.default_rng(2).normal(size=(3, 8))
    assert stats.iqm(table, axis=0) == pytest.approx([float(stats.iqm(column)) for column in table.T])


@given(st.integers(1, 200), st.floats(0, 1))
def test_share_interval_ends_where_the_binomial_test_rejects(n: int, share: float) -> None:
    """At the lower end so many successes or more have a chance of 2.5%, at the upper end so many or fewer."""
    successes = round(share * n)
    interval = stats.share_interval(successes, n)
    if successes:
        assert scipy.stats.binom.sf(successes - 1, n, interval.low) == pytest.approx(0.025, abs=1e-6)
    if successes < n:
        assert scipy.stats.binom.cdf(successes, n, interval.high) == pytest.approx(0.025, abs=1e-6)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1


@pytest.mark.parametrize(("successes", "n"), [(3, 2), (-1, 2), (0, 0)])
def test_share_interval_refuses_impossible_counts(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        stats.share_interval(successes, n)


def test_paired_p_value_is_that_of_the_paired_t_test() -> None:
    first, second = np.random.default_rng(9).normal(size=(2, 7))
    expected = scipy.stats.ttest_rel(first, second).pvalue
    assert stats.paired_p_value(first, second) == pytest.approx(expected)
    assert stats.paired_p_value(second, first) == pytest.approx(expected)


def test_p_values_of_equal_differences_are_their_limits() -> None:
    assert stats.paired_p_value(SMALL, SMALL) == 1
    assert stats.paired_p_value(SMALL + 1, SMALL) == 0
    assert stats.equivalence_p_value(SMALL, SMALL, 0.5) == 0
    assert stats.equivalence_p_value(SMALL + 1, SMALL, 0.5) == 1


@pytest.mark.parametrize("shift", [-0.7, -0.1, 0.0, 0.3, 2.0])
def test_equivalence_is_shown_where_the_90_percent_interval_is_inside_the_margin(shift: float) -> None:
    first = np.random.default_rng(10).normal(shift, 0.5, 12)
    bounds = scipy.stats.t.interval(0.90, 11, first.mean(), scipy.stats.sem(first))
    reach = max(np.abs(bounds))
    p_values = [stats.equivalence_p_value(first, np.zeros(12), margin) for margin in (0.999 * reach, 1.001 * reach)]
    assert p_values[1] < 0.05 < p_values[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("values", stats.mean_over_seeds),
        ("values", stats.prediction_interval),
        ("values", stats.iqm),
        ("first", lambda row: stats.paired_p_value(row, ROW)),
        ("second", lambda row: stats.equivalence_p_value(ROW, row, 1.0)),
    ],
)
def test_a_diverged_run_is_refused_by_name(name: str, call: Callable[..., object], bad: float) -> None:
    call(ROW)
    with pytest.raises(ValueError, match=f"^{name} must be finite, got 1 "):
        call(np.where(ROW == 5, bad, ROW))


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("at least 2", lambda: stats.mean_over_seeds(np.ones(1))),
        ("at least 2", lambda: stats.prediction_interval(np.ones(1))),
        ("one row", lambda: stats.mean_over_seeds(np.ones((3, 3)))),
        ("paired", lambda: stats.paired_p_value(ROW, ROW[1:])),
        ("margin", lambda: stats.equivalence_p_value(ROW, ROW, 0.0)),
    ],
)
def test_bad_arguments_are_refused(message: str, call: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("shape", [(5,), (3, 30), (4, 2, 7), (1,)])
def test_average_ranks_are_scipys_to_the_last_bit(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 6, shape).astype(float)
    assert np.array_equal(stats.average_ranks(values), scipy.stats.rankdata(values, axis=-1))
    values.flat[0] = np.nan
    ranks = stats.average_ranks(values)
    assert np.array_equal(ranks, scipy.stats.rankdata(values, axis=-1, nan_policy="propagate"), equal_nan=True)


def test_iqm_and_students_t_are_scipys_to_the_last_bit() -> None:
    rng = np.random.default_rng(1)
    for n in (2, 3, 8, 17):
        first, second = rng.normal(size=(2, n))
        assert stats.iqm(first) == scipy.stats.trim_mean(first, 0.25)
        gap = first - second
        statistic = gap.mean() / (gap.std(ddof=1) / np.sqrt(n))
        assert stats.paired_p_value(first, second) == 2 * scipy.stats.t.sf(abs(statistic), n - 1)
        assert stats._student_quantile(0.95, n) == scipy.stats.t.ppf(0.975, n)

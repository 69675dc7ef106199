"""The interval of the rules: textbook values, an independent inversion of its definitions, and simulated coverage."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from rnnjax.analysis.intervals import (
    intervals_together,
    not_told_apart,
    ratio_over_seeds,
    statistic_over_seeds,
    together,
)
from rnnjax.analysis.statistics import TooFew, mean_over_seeds, skewness

RNG = np.random.default_rng(21)
NORMAL, SKEWED = RNG.normal(3.0, 2.0, 16), np.exp(RNG.normal(size=16))
REPETITIONS = 1_500  # a rate of 0.05 has a binomial deviation of 0.006


def hall_pivot(sample: np.ndarray, mean: float) -> float:
    """Hall's cubic in (m - mean) / s, written down as in the article; about t / sqrt(n) where nothing is skewed."""
    n, x = sample.size, (sample.mean() - mean) / sample.std(ddof=1)
    g = 2 * scipy.stats.skew(sample, bias=False)
    return float(x + g * x**2 / 3 + g**2 * x**3 / 27 + g / (6 * n))


@pytest.mark.parametrize("n", [2, 3, 7])
def test_few_seeds_have_student_s_interval(n: int) -> None:
    sample = NORMAL[:n]
    expected = scipy.stats.t.interval(0.95, n - 1, sample.mean(), scipy.stats.sem(sample))
    found = mean_over_seeds(sample)
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.method == "t, 95%"


@pytest.mark.parametrize("sample", [NORMAL, SKEWED, -SKEWED], ids=["normal", "right", "left"])
@pytest.mark.parametrize("confidence", [0.95, 0.995])
def test_the_interval_is_the_wider_of_student_s_and_the_inverse_of_hall_s_cubic(
    sample: np.ndarray, confidence: float
) -> None:
    student = scipy.stats.t.interval(confidence, 15, sample.mean(), scipy.stats.sem(sample))
    reach = scipy.stats.t.ppf((1 + confidence) / 2, 15) / 4  # sqrt(n) = 4
    hall = [
        scipy.optimize.brentq(lambda mean, end=end: hall_pivot(sample, mean) - end, -1e3, 1e3)
        for end in (reach, -reach)
    ]
    found = mean_over_seeds(sample, confidence)
    assert (found.low, found.high) == pytest.approx((min(hall[0], student[0]), max(hall[1], student[1])))
    assert found.method.startswith("skewness-corrected t, ")


def test_the_long_tail_gets_the_wider_side() -> None:
    found = mean_over_seeds(SKEWED)
    assert found.high - found.estimate > 1.5 * (found.estimate - found.low)
    mirrored = mean_over_seeds(-SKEWED)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


def test_skewness_is_scipy_s() -> None:
    assert skewness(SKEWED) == pytest.approx(scipy.stats.skew(SKEWED, bias=False))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_constants_have_a_point(value: float) -> None:
    assert mean_over_seeds(np.full(16, value))[:3] == pytest.approx((value, value, value))


@pytest.mark.parametrize("n", [8, 16])
def test_one_sided_errors_for_skewed_seeds(n: int) -> None:
    """Student's t has 14 to 17% on the side of the tail; this interval at most 8, with two deviations of chance."""
    rng = np.random.default_rng(22)
    samples = np.exp(rng.normal(size=(REPETITIONS, n))) - np.exp(0.5)
    too_low = np.mean([mean_over_seeds(sample).high < 0 for sample in samples])
    assert too_low < 0.08 + 0.014
    student = samples.mean(axis=1) + scipy.stats.t.ppf(0.975, n - 1) * scipy.stats.sem(samples, axis=1)
    assert np.mean(student < 0) > 0.11, "the seeds are those that Student's t fails for"


def test_a_family_holds_together() -> None:
    rng = np.random.default_rng(23)
    misses = [
        any(not one.low <= 0 <= one.high for one in intervals_together(list(rng.normal(size=(8, 16)))))
        for _ in range(400)
    ]
    assert np.mean(misses) < 0.05 + 0.022
    assert together(8) == pytest.approx(1 - 0.05 / 8)
    pair = intervals_together([NORMAL, SKEWED])
    assert pair[0][:3] == mean_over_seeds(NORMAL, 0.975)[:3]
    assert pair[0].method == "skewness-corrected t, 97.5%, together 95% over 2"
    assert intervals_together([]) == []


def test_the_ratio_of_normal_means_is_fieller_s() -> None:
    """Below 8 seeds the interval is Student's, and its ratio the closed form of a quadratic."""
    above, below = RNG.normal(3, 0.5, 6), RNG.normal(2, 0.3, 6)
    q2 = scipy.stats.t.ppf(0.975, 5) ** 2 / 6
    covariance = np.cov(above, below)
    square = below.mean() ** 2 - q2 * covariance[1, 1]
    middle = above.mean() * below.mean() - q2 * covariance[0, 1]
    last = above.mean() ** 2 - q2 * covariance[0, 0]
    expected = sorted(np.roots([square, -2 * middle, last]))
    found = ratio_over_seeds(above, below)
    assert (found.low, found.high) == pytest.approx(expected)
    turned = ratio_over_seeds(-above, -below)
    assert turned[:3] == pytest.approx(found[:3])


def test_a_ratio_of_what_may_be_zero_is_unbounded() -> None:
    found = ratio_over_seeds(NORMAL, NORMAL - NORMAL.mean() + 0.01)
    assert (found.low, found.high) == (-np.inf, np.inf)
    with pytest.raises(TooFew):
        ratio_over_seeds(NORMAL, np.zeros(16))


def test_the_ratio_of_proportional_values_is_a_point() -> None:
    assert ratio_over_seeds(3 * SKEWED, SKEWED)[:3] == pytest.approx((3, 3, 3))


def test_the_jackknife_of_a_mean_is_its_interval() -> None:
    """The pseudo-values of a mean are the values."""

    def same(value: float) -> float:
        return value

    found = statistic_over_seeds(lambda places: SKEWED[places].mean(), 16, same, same)
    assert found[:3] == pytest.approx(mean_over_seeds(SKEWED)[:3])
    with pytest.raises(TooFew, match="8 seeds, got 7"):
        statistic_over_seeds(lambda places: 0.0, 7, same, same)


@pytest.mark.parametrize(
    "call",
    [mean_over_seeds, lambda row: ratio_over_seeds(row, NORMAL), lambda row: ratio_over_seeds(NORMAL, row)],
)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_diverged_run_is_refused(call: Callable[[np.ndarray], object], bad: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        call(np.where(np.arange(16) == 5, bad, NORMAL))


# Ties


@pytest.mark.parametrize("arms", [2, 4])
@pytest.mark.parametrize("side", [-1, 1])
def test_arms_are_told_apart_where_the_paired_test_of_all_together_says_so(arms: int, side: int) -> None:
    """At gaps just inside and just outside of the critical one of A - 1 two-sided paired t-tests after Bonferroni."""
    noise_n = np.random.default_rng(22).normal(size=7)
    shared_n, noise_n = 100 * np.arange(7.0), noise_n - noise_n.mean()
    critical = scipy.stats.t.ppf(1 - 0.025 / (arms - 1), 6) * scipy.stats.sem(noise_n)
    others = [shared_n + noise_n + side * factor * critical for factor in (0.99, 1.01, 3.0)][: arms - 1]
    assert not_told_apart(np.stack([*others, shared_n]), arms - 1) == [*[True, False, False][: arms - 1], True]


def test_arms_with_the_same_values_are_not_told_apart() -> None:
    assert not_told_apart(np.stack([SKEWED] * 30), 3) == [True] * 30


def test_the_lowest_arm_is_seldom_told_apart_from_the_one_that_looks_lowest() -> None:
    """Of four arms with one mean each is the lowest: at most 2.5% for any one of them, within two deviations."""
    rng, lost = np.random.default_rng(23), 0
    for _ in range(REPETITIONS):
        values_An = rng.normal(size=(4, 16))
        lost += not not_told_apart(values_An, int(values_An.mean(axis=1).argmin()))[0]
    assert lost / REPETITIONS < 0.025 + 2 * (0.025 / REPETITIONS) ** 0.5


def test_ties_need_two_seeds() -> None:
    with pytest.raises(TooFew, match="at least 2"):
        not_told_apart(np.ones((2, 1)), 0)

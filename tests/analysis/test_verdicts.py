"""The judge on made-up arms whose verdicts are plain: each rule confirms, refutes and cannot tell."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from rnnjax.analysis import statistics as stats
from rnnjax.analysis.measurement import CONFIRMED, REFUTED, UNRESOLVED, Measurement, interval_verdict
from rnnjax.analysis.results import ArmResult
from rnnjax.analysis.rules import FEWEST_SEEDS, RULES
from rnnjax.analysis.statistics import Interval, mean_over_seeds
from rnnjax.analysis.verdicts import (
    DEFINITION,
    DEPENDS,
    DOCUMENTED,
    PARTLY_CONFIRMED,
    PARTLY_REFUTED,
    Judgement,
    combine_readings,
    combine_verdicts,
    judge_claim,
)
from rnnjax.config.schema import Claim, Criterion
from rnnjax.reports.summary import reasons
from rnnjax.settings.metrics import Metric

N = 40
ONES = np.linspace(0.9, 1.1, N)  # mean 1; the 95% interval of the mean is 1 +- 0.019, of a new seed 1 +- 0.121
NOISE = 0.02 * np.random.default_rng(0).normal(size=N)
NAN = np.full(N, np.nan)


def arm(
    name: str, values: Sequence[float] | np.ndarray, axes: dict[str, Any] | None = None, **metrics: Any
) -> ArmResult:
    """An arm with the metric m; a value that is NaN belongs to a run that diverged."""
    found = np.asarray(values, float)
    return ArmResult(
        name=name,
        axes=axes or {},
        seeds=np.arange(len(found)),
        row_steps=np.array([1]),
        rows={},
        probe_steps=np.array([0]),
        probes={},
        diverged_at=np.where(np.isnan(found), 7, -1),
        metrics={"m": found} | {key: np.asarray(value, float) for key, value in metrics.items()},
    )


def criterion(rule: str, **fields: Any) -> Criterion:
    return Criterion(**{"rule": rule, "metric": "m", "arms": ["a"]} | fields)


def judged(arms: Sequence[ArmResult], *criteria: Criterion) -> Judgement:
    return judge_claim(Claim("id", "says", list(criteria)), arms)


HALF = (np.arange(N) % 2).astype(float)
FEW = np.linspace(0.9, 1.1, 3)
CENTRED = NOISE - NOISE.mean()
SIZES = (1, 2, 4, 8)


def along(slope: float) -> list[ArmResult]:
    """Four arms whose metric changes by `slope` with each doubling of x."""
    return [arm(f"x={x}", ONES + slope * np.log2(x) + CENTRED * x, {"x": x}) for x in SIZES]


def grid(interaction: float, noise: np.ndarray = CENTRED) -> list[ArmResult]:
    """Nine arms x, y of which log x * log y has a share of its own."""
    return [
        arm(
            f"x={x},y={y}",
            5 - 0.2 * np.log(x) - 0.1 * np.log(y) + interaction * np.log(x / 2) * np.log(y / 2) + x * y * noise,
            {"x": x, "y": y},
        )
        for x in SIZES[:3]
        for y in SIZES[:3]
    ]


def factors(wide: float, narrow: float, noise: np.ndarray = CENTRED) -> list[ArmResult]:
    names = ["a", "a+", "b+"]
    return [
        arm(name, ONES + gap + noise * k) for k, (name, gap) in enumerate(zip(names, [0, wide, narrow], strict=True))
    ]


X = np.geomspace(0.1, 10, N)
ROUND = np.arange(N) // 4.0
CASES: dict[str, tuple[dict[str, Any], dict[str, tuple[dict[str, Any], list[ArmResult]]]]] = {
    # rule: (fields of the criterion, verdict: (further fields, arms))
    "bound": (
        {"low": 0.5, "high": 1.5},
        {
            CONFIRMED: ({}, [arm("a", ONES)]),
            REFUTED: ({}, [arm("a", ONES + 1)]),
            UNRESOLVED: ({"low": 1.0}, [arm("a", ONES)]),
        },
    ),
    "exact": (
        {"expected": 1.0},
        {
            CONFIRMED: ({"tolerance": 0.11}, [arm("a", ONES)]),
            REFUTED: ({"tolerance": 0.5}, [arm("a", ONES + 1)]),
            UNRESOLVED: ({"tolerance": 0.05}, [arm("a", ONES)]),
        },
    ),
    "number": (
        {"expected": 1.11, "tolerance": 0.12},
        {
            CONFIRMED: ({}, [arm("a", ONES)]),  # one seed could well give 1.11, and the mean is near
            REFUTED: ({"tolerance": 0.1}, [arm("a", ONES)]),
            UNRESOLVED: ({}, [arm("a", ONES[:1])]),  # two seeds are needed, and then it is one or the other
        },
    ),
    "difference": (
        {"compared_to": ["b"], "high": 0.0},
        {
            CONFIRMED: ({}, [arm("a", ONES - 0.1 + NOISE), arm("b", ONES)]),
            REFUTED: ({}, [arm("a", ONES + 0.1 + NOISE), arm("b", ONES)]),
            UNRESOLVED: ({}, [arm("a", ONES + NOISE), arm("b", ONES)]),
        },
    ),
    "best": (
        {"compared_to": ["b"]},
        {
            CONFIRMED: ({}, [arm("a", ONES - 0.1 + NOISE), arm("b", ONES)]),
            REFUTED: ({}, [arm("a", ONES + 0.1 + NOISE), arm("b", ONES)]),
            UNRESOLVED: ({}, [arm("a", ONES + NOISE - NOISE.mean()), arm("b", ONES)]),
        },
    ),
    "equal": (
        {"compared_to": ["b"], "tolerance": 0.05},
        {
            CONFIRMED: ({}, [arm("a", ONES + NOISE), arm("b", ONES)]),
            REFUTED: ({}, [arm("a", ONES + 0.1 + NOISE), arm("b", ONES)]),
            UNRESOLVED: ({}, [arm("a", ONES + 0.05 + CENTRED), arm("b", ONES)]),
        },
    ),
    "share": (
        {"expected": 0.5, "low": 0.7, "high": 1.0},
        {
            CONFIRMED: ({}, [arm("a", np.ones(N))]),
            REFUTED: ({}, [arm("a", np.zeros(N))]),
            UNRESOLVED: ({"low": 0.5}, [arm("a", HALF)]),
        },
    ),
    "explained": (
        {"explained_by": "x", "low": 0.8},
        {
            CONFIRMED: ({}, [arm("a", np.log(X) + NOISE, x=X)]),
            REFUTED: ({}, [arm("a", HALF, x=X)]),
            UNRESOLVED: ({"low": 0.001, "high": 0.1}, [arm("a", HALF, x=X)]),
        },
    ),
    "contrast": (
        {"arms": ["a", "b", "c"], "weights": [1, -0.5, -0.5], "low": 0.5},
        {
            CONFIRMED: ({}, [arm("a", ONES + 1), arm("b", ONES), arm("c", ONES + CENTRED)]),
            REFUTED: ({}, [arm("a", ONES), arm("b", ONES), arm("c", ONES + CENTRED)]),
            UNRESOLVED: ({"low": 0.0}, [arm("a", ONES + CENTRED), arm("b", ONES), arm("c", ONES)]),
        },
    ),
    "trend": (
        {"arms": ["x=*"], "axes": ["x"], "low": 0.1},
        {
            CONFIRMED: ({}, along(0.2)),
            REFUTED: ({}, along(0.05)),
            UNRESOLVED: ({}, along(0.1)),
        },
    ),
    "interaction": (
        {"arms": ["x=*"], "axes": ["x", "y"], "low": 0.1},
        {
            CONFIRMED: ({}, grid(0.3)),
            REFUTED: ({}, grid(0.0)),
            UNRESOLVED: ({}, grid(0.1)),
        },
    ),
    "spread": (
        {"low": 0.04, "high": 0.07},
        {
            CONFIRMED: ({"high": 0.1}, [arm("a", ONES)]),  # a deviation of 0.060 [0.053, 0.073]
            REFUTED: ({"low": 0.08, "high": 0.1}, [arm("a", ONES)]),
            UNRESOLVED: ({"low": 0.06}, [arm("a", ONES)]),
        },
    ),
    "widest": (
        {"factors": {"first": ["a", "a+"], "second": ["a", "b+"]}},
        {
            CONFIRMED: ({}, factors(0.5, 0.3)),
            REFUTED: ({}, factors(0.3, 0.5)),
            UNRESOLVED: ({}, factors(0.3, 0.3)),
        },
    ),
    "additive": (
        {"arms": ["x=*"], "compared_to": ["x=1,y=1"], "axes": ["x", "y"]},
        {
            CONFIRMED: ({}, grid(0.0)),
            REFUTED: ({}, grid(0.6)),
            UNRESOLVED: ({}, grid(0.2, CENTRED * 8)),
        },
    ),
    "correlation": (
        {"explained_by": "x", "low": 0.5},
        {
            CONFIRMED: ({}, [arm("a", np.exp(X) + NOISE, x=X)]),
            REFUTED: ({"controlling_for": "z"}, [arm("a", ROUND + NOISE, x=ROUND - NOISE, z=ROUND)]),
            UNRESOLVED: ({"low": 0.0}, [arm("a", HALF, x=X)]),
        },
    ),
    "variance_share": (
        {"arms": ["a", "b"], "other_metrics": ["x"], "low": 0.5},
        {
            CONFIRMED: ({}, [arm("a", ONES, x=ONES + 1), arm("b", ONES + 0.1, x=ONES + 1)]),
            REFUTED: ({}, [arm("a", ONES, x=ONES + 0.1), arm("b", ONES + 1, x=ONES + 1)]),
            UNRESOLVED: ({"share_of": "arms"}, [arm("a", ONES, x=ONES), arm("b", ONES + 0.118, x=ONES + 0.118)]),
        },
    ),
}


def case(rule: str, verdict: str) -> tuple[Criterion, list[ArmResult]]:
    fields, verdicts = CASES[rule]
    further, arms = verdicts[verdict]
    return criterion(rule, **(fields | further)), arms


def test_every_rule_has_cases() -> None:
    assert CASES.keys() == RULES.keys()


@pytest.mark.parametrize("verdict", [CONFIRMED, REFUTED, UNRESOLVED])
@pytest.mark.parametrize("rule", CASES)
def test_every_rule_has_every_verdict(rule: str, verdict: str) -> None:
    asked, arms = case(rule, verdict)
    judgement = judged(arms, asked)
    assert judgement.verdict == verdict
    assert [(found, one) for found, one, _ in judgement.criteria] == [(asked, verdict)]
    assert judgement.excluded == 0


@pytest.mark.parametrize("rule", CASES)
def test_runs_that_diverged_are_left_out_and_counted(rule: str) -> None:
    """A third of the seeds diverges in every arm; the verdict stands on the others."""
    asked, arms = case(rule, CONFIRMED)
    lost = np.arange(N) % 3 == 0
    holed = [
        one._replace(
            metrics={name: np.where(lost, np.nan, values) for name, values in one.metrics.items()},
            diverged_at=np.where(lost, 5, -1),
        )
        for one in arms
    ]
    judgement = judged(holed, asked)
    assert judgement.verdict == CONFIRMED
    assert judgement.excluded == lost.sum() * len(arms)
    measured = [measurement for _, _, measurements in judgement.criteria for measurement in measurements]
    assert {measurement.interval.n for measurement in measured} == {N - lost.sum()}


@pytest.mark.parametrize("verdict", [CONFIRMED, REFUTED])
@pytest.mark.parametrize("rule", CASES)
@pytest.mark.parametrize("seeds", [0, 1, 2, 7, 8])
def test_too_few_seeds_are_a_verdict_and_no_exception(rule: str, verdict: str, seeds: int) -> None:
    """The rules that look at single seeds can judge one; a mean needs two; a jackknife eight."""
    asked, arms = case(rule, verdict)
    few = [
        one._replace(metrics={k: v[:seeds] for k, v in one.metrics.items()}, diverged_at=one.diverged_at[:seeds])
        for one in arms
    ]
    judgement = judged(few, asked)
    if seeds < FEWEST_SEEDS[rule]:
        assert judgement.verdict == UNRESOLVED
        assert [(one, measurements) for _, one, measurements in judgement.criteria] == [(UNRESOLVED, [])]
    else:
        assert all(measurements for _, _, measurements in judgement.criteria)


@pytest.mark.parametrize("scale", ["difference", "relative"])
@pytest.mark.parametrize("rule", CASES)
def test_arms_of_which_every_run_diverged_are_unresolved(rule: str, scale: str) -> None:
    asked, arms = case(rule, CONFIRMED)
    gone = [arm(one.name, NAN, one.axes, **dict.fromkeys(one.metrics, NAN)) for one in arms]
    judgement = judged(gone, Criterion(**vars(asked) | {"scale": scale}))
    assert judgement.verdict == UNRESOLVED
    assert judgement.excluded == N * len(arms)


def test_two_arms_that_never_survive_the_same_seed_cannot_be_compared() -> None:
    arms = [arm("a", np.where(HALF > 0, ONES, np.nan)), arm("b", np.where(HALF > 0, np.nan, ONES))]
    for rule in ("difference", "best"):
        assert judged(arms, criterion(rule, compared_to=["b"], high=0.0, scale="relative")).verdict == UNRESOLVED


def test_what_cannot_be_explained_is_unresolved() -> None:
    """A constant metric, or an explaining one with too few values for a cubic or without a logarithm."""
    rounded = 1 + 1e-12 * HALF
    for values, x in ((np.ones(N), X), (rounded, X), (HALF, np.ones(N)), (ONES, np.zeros(N))):
        assert judged([arm("a", values, x=x)], criterion("explained", explained_by="x", low=0.5)).verdict == UNRESOLVED


def test_explained_keeps_to_the_range_of_its_expectation() -> None:
    """A parabola in log x over all runs, and nothing but noise where x is near 1."""
    values = np.where(np.abs(np.log(X)) > 1, np.log(X) ** 2, 10 * (HALF - 0.5))
    arms = [arm("a", values, x=X)]
    near = criterion("explained", explained_by="x", low=0.8, expected=1.5, tolerance=1.1)
    ((_, _, (measurement,)),) = judged(arms, near).criteria
    assert measurement.interval.n == np.sum((X >= 0.4) & (X <= 2.6))


def test_a_relative_difference_is_as_sure_as_the_ratio_of_means() -> None:
    """What is always three times another differs by 200% for certain; else the interval is that of resampled ratios."""
    rng = np.random.default_rng(3)
    b = rng.normal(5, 1, 60)
    noisy = 2 * b + rng.normal(0, 1, 60)
    arms = [arm("a", 3 * b), arm("b", b), arm("c", noisy)]
    ((_, _, found),) = judged(arms, criterion("difference", compared_to=["b"], scale="relative")).criteria
    assert found[0].interval[:3] == pytest.approx((2, 2, 2))
    ((_, _, found),) = judged(arms, criterion("difference", arms=["c"], compared_to=["b"], scale="relative")).criteria
    places = rng.integers(60, size=(20_000, 60))
    ratios = noisy[places].mean(axis=1) / b[places].mean(axis=1) - 1
    expected = (noisy.mean() / b.mean() - 1, *np.quantile(ratios, [0.025, 0.975]))
    assert found[0].interval[:3] == pytest.approx(expected, abs=0.008)


def test_differences_are_paired_and_may_be_relative() -> None:
    arms = [arm("a", 2 * ONES), arm("b", ONES), arm("c", 4 * ONES)]
    ((_, _, found),) = judged(arms, criterion("difference", arms=["a", "b"], compared_to=["b", "c"])).criteria
    assert [(m.what, round(m.interval.estimate, 9)) for m in found] == [("a - b", 1), ("a - c", -2), ("b - c", -3)]
    ((_, _, found),) = judged(arms, criterion("difference", compared_to=["c"], scale="relative")).criteria
    assert found[0].interval.estimate == pytest.approx(-0.5), "in units of the mean of what is compared with"


def test_an_arm_against_itself_alone_is_unresolved() -> None:
    assert judged([arm("a", ONES)], criterion("difference", compared_to=["a"], low=5.0)).verdict == UNRESOLVED


def measurement_of(arms: Sequence[ArmResult], asked: Criterion) -> Measurement:
    ((_, _, (found,)),) = judged(arms, asked).criteria
    return found


def test_best_names_the_best_arm_and_the_rival_that_decides() -> None:
    arms = [arm("a", ONES - 0.1 + NOISE), arm("b", ONES), arm("c", ONES - 0.05)]
    found = measurement_of(arms, criterion("best", compared_to=["b", "c"]))
    assert (found.verdict, found.what) == (CONFIRMED, "a better than c; best is a")
    assert found.interval[:3] == pytest.approx(mean_over_seeds(0.05 - NOISE, 0.975)[:3])
    found = measurement_of(arms, criterion("best", arms=["b"], compared_to=["a", "c"]))
    assert (found.verdict, found.what) == (REFUTED, "b better than a; best is a")


@pytest.mark.parametrize(
    ("tolerance", "verdict"), [(0.0, CONFIRMED), (0.08, CONFIRMED), (0.1, UNRESOLVED), (0.12, REFUTED)]
)
def test_best_by_at_least_a_tolerance(tolerance: float, verdict: str) -> None:
    """The advantage is 0.1 +- 0.007."""
    arms = [arm("a", ONES - 0.1 + CENTRED), arm("b", ONES)]
    assert judged(arms, criterion("best", compared_to=["b"], tolerance=tolerance)).verdict == verdict


def test_an_arm_that_trains_as_another_is_not_the_best() -> None:
    """A clip that never fires: norm=5 and norm=10 differ by rounding, and a third arm is worse."""
    arms = [arm("a", ONES), arm("b", ONES + 1e-8 * HALF), arm("c", ONES + 1)]
    found = measurement_of(arms, criterion("best", compared_to=["b", "c"]))
    assert (found.verdict, found.what) == (REFUTED, "a better than b; best is a")
    both = criterion("best", arms=["a", "b"], compared_to=["c"])
    assert judged(arms, both).verdict == CONFIRMED, "one of the two is"
    assert judged(arms, criterion("equal", compared_to=["b"], tolerance=1e-3)).verdict == CONFIRMED
    assert judged(arms, criterion("equal", compared_to=["b"], tolerance=1e-3, scale="relative")).verdict == CONFIRMED


def test_of_several_favoured_arms_one_must_beat_all_rivals() -> None:
    """a beats b, c beats d, but neither beats both: unresolved or refuted, never confirmed."""
    arms = [arm("a", ONES + 0.2 + NOISE), arm("c", ONES + 0.1), arm("b", ONES + 0.3), arm("d", ONES + CENTRED)]
    assert judged(arms, criterion("best", arms=["a", "c"], compared_to=["b", "d"])).verdict == REFUTED
    close = [*arms[:2], arms[2], arm("d", ONES + 0.1 + CENTRED)]
    assert judged(close, criterion("best", arms=["a", "c"], compared_to=["b", "d"])).verdict == UNRESOLVED


def test_equal_compares_every_two_arms_and_shows_the_interval_that_decides() -> None:
    arms = [arm("a", ONES + NOISE), arm("b", ONES), arm("c", ONES + 0.1 + NOISE)]
    asked = criterion("equal", arms=["*"], tolerance=0.05)
    ((_, verdict, found),) = judged(arms, asked).criteria
    assert verdict == REFUTED
    assert [(m.what, m.verdict) for m in found] == [("a - b", CONFIRMED), ("a - c", REFUTED), ("b - c", REFUTED)]
    assert found[0].interval[:3] == pytest.approx(mean_over_seeds(NOISE, 0.95)[:3])
    assert found[2].interval[:3] == pytest.approx(mean_over_seeds(-0.1 - NOISE, 1 - 0.05 / 3)[:3])
    assert judged(arms, Criterion(**vars(asked) | {"tolerance": 0.2})).verdict == CONFIRMED


def test_more_arms_do_not_make_a_factor_the_widest() -> None:
    """The range of many arms of one mean is wide by chance; its lower bound is 0."""
    rng = np.random.default_rng(5)
    many = {f"f{i}": rng.normal(size=16) for i in range(6)}
    few = {"g0": rng.normal(size=16), "g1": rng.normal(size=16)}
    arms = [arm(name, values) for name, values in (many | few).items()]
    asked = criterion("widest", arms=["f*"], factors={"many": ["f*"], "few": ["g*"]})
    found = measurement_of(arms, asked)
    spread = [np.ptp([values.mean() for values in group.values()]) for group in (many, few)]
    assert found.interval.estimate == pytest.approx(spread[0] - spread[1])
    assert found.verdict == UNRESOLVED
    each = 1 - 0.05 / (6 * 5 // 2 + 1)
    pairs = [mean_over_seeds(one - other, each) for one, other in combinations(many.values(), 2)]
    (pair,) = [mean_over_seeds(one - other, each) for one, other in combinations(few.values(), 2)]
    assert all(one.low < 0 < one.high for one in [*pairs, pair]), "so that the least range of both is 0"
    assert found.interval.low == pytest.approx(-max(pair.high, -pair.low))
    assert found.interval.high == pytest.approx(max(max(one.high, -one.low) for one in pairs))


def test_spread_is_the_deviation_with_the_jackknife_of_its_logarithm() -> None:
    values = np.exp(np.random.default_rng(6).normal(size=20))
    found = measurement_of([arm("a", values)], criterion("spread", high=1.0)).interval
    without = np.array([np.log(np.delete(values, i).std(ddof=1)) for i in range(20)])
    pseudo = 20 * np.log(values.std(ddof=1)) - 19 * without
    expected = mean_over_seeds(pseudo)
    assert (found.low, found.high) == pytest.approx((np.exp(expected.low), np.exp(expected.high)))
    assert found.estimate == pytest.approx(values.std(ddof=1))
    assert measurement_of([arm("a", np.ones(20))], criterion("spread", high=1.0)).interval[:3] == pytest.approx(
        (0, 0, 0)
    )


def test_several_arms_are_bounded_together() -> None:
    arms = [arm(name, ONES) for name in "abc"]
    ((_, _, found),) = judged(arms, criterion("bound", arms=["*"], low=0.5)).criteria
    assert {m.interval.method for m in found} == {"skewness-corrected t, 98.333%, together 95% over 3"}
    ((_, _, found),) = judged(arms, criterion("share", arms=["*"], expected=0.5, low=0.5)).criteria
    assert found[0].interval[:3] == stats.share_interval(N, N, 1 - 0.05 / 3)[:3]


def test_best_may_prefer_the_highest_and_a_set_of_arms() -> None:
    arms = [arm("a", ONES), arm("b", ONES + 0.5 + NOISE), arm("c", ONES + 0.5)]
    assert judged(arms, criterion("best", arms=["b", "c"], compared_to=["a"], prefers="highest")).verdict == CONFIRMED
    assert judged(arms, criterion("best", arms=["b", "c"], compared_to=["a"])).verdict == REFUTED


def test_an_arm_that_always_diverges_is_not_the_best_and_hides_no_seed_of_the_others() -> None:
    arms = [arm("a", ONES), arm("b", ONES + 1), arm("gone", np.full_like(ONES, np.nan))]
    assert judged(arms, criterion("best", arms=["a"], compared_to=["b", "gone"])).verdict == CONFIRMED
    assert judged(arms, criterion("best", arms=["gone"], compared_to=["a", "b"])).verdict == REFUTED
    assert judged(arms[2:], criterion("best", arms=["gone"], compared_to=["gone"])).verdict == UNRESOLVED


@pytest.mark.parametrize(
    ("expected", "tolerance", "verdict"),
    [
        (1.1, 0.09, REFUTED),  # likely for one seed, but not near the mean
        (1.5, 0.51, REFUTED),  # near the mean, but not likely
        (1.1, 0.11, CONFIRMED),
        (1.0, 0.0, CONFIRMED),  # the mean itself, up to rounding
    ],
)
def test_a_number_must_be_likely_and_near(expected: float, tolerance: float, verdict: str) -> None:
    """The mean is 1, and a new seed lies in 1 +- 0.121."""
    judgement = judged([arm("a", ONES)], criterion("number", expected=expected, tolerance=tolerance))
    assert judgement.verdict == verdict
    assert f"Needed a mean within {tolerance:.4g} of {expected:.4g}" in reasons(judgement)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.0, 2.0, CONFIRMED),
        (0.0, 3.0, CONFIRMED),
        (2.1, 9.0, REFUTED),
        (0.0, 0.9, REFUTED),
        (1.5, 9.0, UNRESOLVED),
        (0.0, 1.5, UNRESOLVED),
        (1.4, 1.6, UNRESOLVED),
        (2.0, 3.0, UNRESOLVED),
    ],
)
def test_place_of_the_interval_from_1_to_2(low: float, high: float, verdict: str) -> None:
    assert interval_verdict(Interval(1.5, 1.0, 2.0, 9, ""), low, high) == verdict


C, R, U = CONFIRMED, REFUTED, UNRESOLVED


@pytest.mark.parametrize(
    ("verdicts", "of_all", "of_any"),
    [
        ([], U, U),
        ([C], C, C),
        ([R], R, R),
        ([U], U, U),
        ([C, C], C, C),
        ([C, R], R, C),
        ([C, U], U, C),
        ([R, U], R, U),
        ([R, R], R, R),
        ([C, R, U], R, C),
    ],
)
def test_combined(verdicts: list[str], of_all: str, of_any: str) -> None:
    assert (combine_verdicts(verdicts, "all"), combine_verdicts(verdicts, "any")) == (of_all, of_any)
    assert (combine_verdicts(verdicts[::-1], "all"), combine_verdicts(verdicts[::-1], "any")) == (of_all, of_any)


def test_the_quantifier_of_a_reading_counts() -> None:
    arms = [arm("a1", ONES), arm("a2", ONES + 5)]
    asked = {"arms": ["a*"], "low": 0.5, "high": 1.5}
    assert judged(arms, criterion("bound", **asked)).verdict == REFUTED
    assert judged(arms, criterion("bound", **asked, quantifier="any")).verdict == CONFIRMED


@pytest.mark.parametrize(
    ("readings", "verdict"),
    [
        ([C], C),
        ([R, R], R),
        ([U, U], U),
        ([C, R], DEPENDS),
        ([C, R, U], DEPENDS),
        ([C, U], PARTLY_CONFIRMED),
        ([C, U, U, C], PARTLY_CONFIRMED),
        ([R, U], PARTLY_REFUTED),
    ],
)
def test_the_verdict_of_several_readings(readings: list[str], verdict: str) -> None:
    assert combine_readings(readings) == combine_readings(readings[::-1]) == verdict


def test_a_statement_depends_on_the_reading_only_where_one_is_confirmed_and_another_refuted() -> None:
    arms = [arm("a", ONES)]
    yes, no, open_ = (criterion("bound", low=low, high=9.0) for low in (0.5, 2.0, 1.0))
    assert judged(arms, yes, no).verdict == DEPENDS
    assert judged(arms, yes, open_).verdict == PARTLY_CONFIRMED
    assert judged(arms, no, open_).verdict == PARTLY_REFUTED
    assert judged(arms, yes, yes).verdict == CONFIRMED
    assert judge_claim(Claim("id", "says", [yes], definition=True), arms).verdict == DEFINITION


def test_a_judgement_is_made_again_to_the_last_digit() -> None:
    for rule in CASES:
        asked, arms = case(rule, UNRESOLVED)
        assert judged(arms, asked) == judged(arms, asked)


def test_a_value_that_was_looked_up_is_told_with_its_source() -> None:
    """Its verdict is computed by the same rule, but nobody measured it here."""
    metric = Metric("1 if accepted", source="documentation of torch 2.13", looked_up=True)
    documented, measured = arm("a", np.ones(N))._replace(info={"m": metric}), arm("a", np.ones(N))
    rule = criterion("exact", expected=1.0)
    found = judged([documented], rule)
    assert found.verdict == DOCUMENTED
    assert found.looked_up == ("documentation of torch 2.13",)
    assert reasons(found) == (
        "m: confirmed. Needed 1 to 1; measured a 1, looked up. Looked up, not measured: documentation of torch 2.13."
    )
    assert judged([documented], criterion("exact", expected=0.0)).verdict == REFUTED
    assert judged([measured], rule).verdict == CONFIRMED
    assert judged([measured], rule).looked_up == () and "ooked up" not in reasons(judged([measured], rule))
    of_both = judged([documented, arm("b", ONES)], rule, criterion("bound", arms=["b"], low=0.5))
    assert of_both.verdict == CONFIRMED, "in part measured"


def test_reasons_do_not_cut_off_the_measurement_that_decides() -> None:
    """Eight arms, one of which decides: the confirmed one of `any`, the refuted one of `all`."""
    arms = [arm(f"a{i}", ONES + 5) for i in range(7)] + [arm("b", ONES)]
    found = judged(arms, criterion("bound", arms=["*"], high=2.0, quantifier="any"))
    assert found.verdict == CONFIRMED
    assert "measured b 1.0" in reasons(found) and reasons(found).endswith("; and 2 more.")
    found = judged(arms, criterion("bound", arms=["*"], low=2.0))
    assert found.verdict == REFUTED
    assert "measured b 1.0" in reasons(found)


def test_the_parts_of_a_reading_hold_together() -> None:
    """A reading with a refuted part is refuted, whatever its other parts are; other readings stand by themselves."""
    arms = [arm("a", ONES)]

    def part(reading: str, **limits: float) -> Criterion:
        return criterion("bound", reading=reading, **limits)

    yes, no, open_ = {"low": 0.5}, {"low": 2.0}, {"low": 1.0}
    assert judged(arms, part("one", **yes), part("one", **no)).verdict == REFUTED
    assert judged(arms, part("", **yes), part("", **no)).verdict == DEPENDS
    assert judged(arms, part("one", **yes), part("one", **open_)).verdict == UNRESOLVED
    assert judged(arms, part("one", **yes), part("one", **no), part("two", **yes)).verdict == DEPENDS
    assert judged(arms, part("one", **yes), part("one", **open_), part("two", **no)).verdict == PARTLY_REFUTED
    assert "one: m" not in reasons(judged(arms, part("", **yes))) and "one: " in reasons(
        judged(arms, part("one", **yes))
    )


def at_end(losses_S: Sequence[float], noise: float = 0.01, seeds: int = 8) -> ArmResult:
    """An arm with a training loss of 20 rows of 50 steps, the same for all seeds but for noise."""
    rng, curve_S = np.random.default_rng(1), np.asarray(losses_S, float)
    loss_nS = curve_S + noise * rng.normal(size=(seeds, len(curve_S)))
    found = arm("a", loss_nS[:, -2:].mean(axis=1))
    found = found._replace(rows={"loss": loss_nS}, row_steps=np.arange(50, 50 * len(curve_S) + 1, 50))
    return found._replace(metrics={"final_loss": found.metrics["m"], "m": found.metrics["m"]})


FLAT = [1.0] * 20


@pytest.mark.parametrize(
    ("losses", "more", "falling"),
    [
        (FLAT, {}, ()),
        ([*FLAT[:18], 0.9, 0.9], {}, ("a by 10.0%",)),  # the two rows of the last tenth against the two before
        ([*FLAT[:18], 0.9, 0.9], {"noise": 1.0}, ()),  # too noisy to tell
        ([*FLAT[:18], 0.99, 0.99], {}, ()),  # less than 2%
        ([*FLAT[:18], 1.2, 1.2], {}, ()),  # it rises
        (FLAT[:14] + [0.5] * 6, {}, ()),  # it has fallen before
        ([*FLAT[:18], 0.9, 0.9], {"seeds": 1}, ("a by 10.0%",)),
        ([*FLAT[:10], *[0.0] * 10], {}, ()),  # learned to the last digit: nothing is left to fall
        ([1.0], {}, ()),  # one row: nothing to compare with
    ],
)
def test_a_claim_on_a_loss_that_still_falls_says_so(
    losses: list[float], more: dict[str, Any], falling: tuple[str, ...]
) -> None:
    one = at_end(losses, **{"noise": 0.0} | more)
    claim = judged([one], criterion("bound", metric="final_loss", high=2.0))
    assert claim.falling == falling
    assert ("still falling" in reasons(claim)) == bool(falling)
    assert judged([one], criterion("bound", high=2.0)).falling == (), "of another metric"

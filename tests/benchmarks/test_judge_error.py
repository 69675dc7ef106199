"""The rules keep the error rates that results/judge/judge_error.md states: its simulation in short."""

import json
from pathlib import Path

import pytest

from benchmarks.judge import simulate
from benchmarks.judge.cases import CASES, Case
from benchmarks.judge.samples import DISTRIBUTIONS
from rnnjax.analysis.measurement import CONFIRMED, REFUTED
from rnnjax.analysis.rules import RULES

ROOT = Path(__file__).parents[2]
REPETITIONS, SEEDS = 240, (16,)
STANDARD_ERRORS = 3.0  # of 120 rates none leaves its bound by chance


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_rule_errs_more_often_than_stated(case: Case) -> None:
    rates = simulate.simulate([case], SEEDS, DISTRIBUTIONS, REPETITIONS)
    assert [rate for rate in rates if rate.leaves_bound(STANDARD_ERRORS)] == []


def test_every_rule_is_simulated() -> None:
    random_free = {"exact"}  # no interval: it looks at every single value
    assert {case.criterion.rule for case in CASES} == RULES.keys() - random_free
    assert len({case.name for case in CASES}) == len(CASES)


def rate(error: float, bound: float | None) -> simulate.Rate:
    return simulate.Rate("c", "bound", "normal", 16, 1_000, error, 0.0, error, 0.007, bound)


def test_a_rate_leaves_its_bound_beyond_its_standard_error() -> None:
    assert rate(0.08, 0.05).leaves_bound() and not rate(0.06, 0.05).leaves_bound()
    assert not rate(0.9, None).leaves_bound()
    text = simulate.to_markdown([rate(0.08, 0.05)._replace(case=CASES[0].name, distribution=d) for d in DISTRIBUTIONS])
    assert text.endswith("| 16 | either | " + "**8.0 / 0.0 (0.7)** | " * 3 + "1000 |\n")


def test_a_broken_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Student's t alone confirms one-sided skewed means too often."""
    case = next(case for case in CASES if case.name == "difference, one arm varies")
    monkeypatch.setattr("rnnjax.analysis.statistics.FEWEST_FOR_SKEWNESS", 1_000)
    found = simulate.measure(case, "lognormal", 16, 1_000)
    assert found.leaves_bound(STANDARD_ERRORS)
    assert found.confirmed > 0.1 > 10 * found.refuted


def test_a_rate_is_made_again_to_the_last_digit() -> None:
    case = CASES[0]
    first = simulate.measure(case, "t3", 8, 100)
    assert first == simulate.measure(case, "t3", 8, 100)
    assert first.error == pytest.approx(first.confirmed + first.refuted)
    assert case.bound("t3", 8) is None and case.bound("t3", 16) == 0.08 and case.bound("normal", 8) == 0.05


def test_the_committed_rates_are_within_their_bounds() -> None:
    rates = [simulate.Rate(**each) for each in json.loads((ROOT / "results/judge/judge_error.json").read_text())]
    assert {each.case for each in rates} == {case.name for case in CASES}
    assert [each for each in rates if each.leaves_bound(STANDARD_ERRORS)] == []
    assert {CONFIRMED, REFUTED} >= {verdict for case in CASES for verdict in case.wrong}

"""Criteria that are refused before training: they could not hold, could not fail, or have too few seeds."""

import math
from pathlib import Path
from typing import Any

import pytest

from rnnjax.config.load import load_study
from rnnjax.config.schema import Criterion, Study
from rnnjax.errors import BadInput
from rnnjax.settings.metrics import CORRELATION, SHARE
from rnnjax.studies.criteria import ATTAINED, INTERVAL_RULES, check_metric_range, check_share
from rnnjax.studies.prepare import prepare_study
from rnnjax.studies.validation import check_criterion, check_names

FILE = """
question = "q"
seeds = 16
[base]
steps = 100
hidden = 4
[[axes]]
window = [5, 10, 25]
[[axes]]
window = [50]
seeds = 4
"""
ALL = ["window=5", "window=10", "window=25"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    path: Path = tmp_path_factory.mktemp("study") / "study.toml"
    path.write_text(FILE)
    return load_study(path)


def criterion(rule: str, **fields: Any) -> Criterion:
    return Criterion(**{"rule": rule, "metric": "final_loss", "arms": ["window=5"]} | fields)


NUMBER = {"rule": "number", "expected": 1.0, "tolerance": 0.1}
EQUAL = {"rule": "equal", "arms": ALL, "tolerance": 0.1}
BEST = {"rule": "best", "compared_to": ALL}
CORRELATION_OF = {"rule": "correlation", "explained_by": "x"}
RANKED = {"rule": "trend", "arms": ALL, "axes": ["window"], "scale": "rank"}
SHARE_OF = {"rule": "share", "expected": 0.5}
WIDEST = {"rule": "widest", "factors": {"a": ["window=5", "window=10"], "b": ["window=5", "window=25"]}}
ACCEPTED: list[dict[str, Any]] = [
    {"rule": "bound", "low": 0.5},
    {"rule": "exact", "expected": 0.0, "tolerance": 0.1},
    NUMBER,
    NUMBER | {"arms": ALL},
    NUMBER | {"quantifier": "any"},
    EQUAL,
    EQUAL | {"scale": "relative"},
    EQUAL | {"arms": ALL[:2], "quantifier": "any"},
    BEST | {"tolerance": 0.1},
    CORRELATION_OF | {"low": -1.0, "high": 0.5},
    RANKED | {"low": 0.9},
    SHARE_OF | {"low": 0.75},
    WIDEST,
    {"rule": "bound", "arms": ["window=50"], "low": 0.5},
]
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("got low = 2 and high = 1; expected low <= high", {"rule": "bound", "low": 2.0, "high": 1.0}),
    ("expected low <= high", {"rule": "bound", "low": math.nan, "high": 1.0}),
    ("without a limit the rule 'share' always holds", SHARE_OF),
    ("the rule 'best' has no such limits", BEST | {"low": 0.5}),
    ("the rule 'number' has no such limits", NUMBER | {"high": 2.0}),
    ("tolerance: got 1; expected less than the number itself (|expected| = 1)", NUMBER | {"tolerance": 1.0}),
    ("(|expected| = 1)", NUMBER | {"expected": -1.0, "tolerance": 1.5}),
    ("for 0 use the rule 'bound' or 'exact'", NUMBER | {"expected": 0.0}),
    ("tolerance: got 0; expected a number > 0", NUMBER | {"tolerance": 0.0}),
    ("tolerance: got inf; expected a finite number", {"rule": "exact", "expected": 1.0, "tolerance": math.inf}),
    ("tolerance: got 0; expected a number > 0", EQUAL | {"tolerance": 0.0}),
    ("the rule 'number' with 3 chances to hold", NUMBER | {"arms": ALL, "quantifier": "any"}),
    ("the rule 'equal' with 3 chances to hold", EQUAL | {"quantifier": "any"}),
    ("arms: got one arm; expected two or more that are equal", EQUAL | {"arms": ALL[:1]}),
    ("compared_to: got no other arm than in 'arms'", BEST | {"compared_to": ["window=5"]}),
    ("factors: got {'a': 2}; expected two factors", WIDEST | {"factors": {"a": ALL[:2]}}),
    ("each with two arms or more", WIDEST | {"factors": {"a": ALL[:2], "b": ALL[:1]}}),
    ("low: got -1.5; expected a number from -1 to 1", CORRELATION_OF | {"low": -1.5}),
    ("high: got 2; expected a number from -1 to 1", RANKED | {"high": 2.0}),
    ("-1 to 1 cannot fail", CORRELATION_OF | {"low": -1.0, "high": 1.0}),
    ("0 to 1 cannot fail", SHARE_OF | {"low": 0.0, "high": 1.0}),
    ("0 to inf cannot fail", SHARE_OF | {"low": 0.0}),
    ("0.8 to inf cannot hold: no number of successes of 16 seeds", SHARE_OF | {"low": 0.8}),
    ("arm window=50 has 4 seeds; the rule 'spread' needs 8", {"rule": "spread", "arms": ["window=50"], "high": 1.0}),
    ("has 4 seeds; the rule 'correlation' needs 8", CORRELATION_OF | {"arms": ["*"], "low": 0.5}),
]


@pytest.mark.parametrize("fields", ACCEPTED)
def test_what_can_hold_and_can_fail_is_accepted(study: Study, fields: dict[str, Any]) -> None:
    check_criterion("claims.c", criterion(**fields), study)


@pytest.mark.parametrize(("words", "fields"), REFUSED)
def test_what_cannot_is_refused_in_one_line(study: Study, words: str, fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as refusal:
        check_criterion("claims.c", criterion(**fields), study)
    text = str(refusal.value)
    assert text.startswith("claims.c") and words in text and "\n" not in text


def test_a_short_run_with_few_seeds_is_not_refused(study: Study) -> None:
    few = criterion("spread", arms=["window=50"], high=1.0)
    check_criterion("claims.c", few, study._replace(overrides="seeds 2 (file: 16)"))


def test_a_share_of_few_seeds_is_checked_by_counting() -> None:
    check_share("c", criterion("share", low=0.79), 16, 1)  # 0.025^(1/16) = 0.794
    with pytest.raises(BadInput, match="cannot hold"):
        check_share("c", criterion("share", low=0.8), 16, 1)
    with pytest.raises(BadInput, match="cannot hold"):
        check_share("c", criterion("share", low=0.79), 16, 8)  # eight shares together
    with pytest.raises(BadInput, match="cannot hold"):
        check_share("c", criterion("share", low=0.4, high=0.6), 16, 1)


SHARE_CASES: list[tuple[str, dict[str, Any]]] = [
    ("cannot fail", {"rule": "bound", "low": 0.0}),
    ("cannot fail", {"rule": "bound", "low": -1.0, "high": 1.0}),
    ("cannot hold", {"rule": "bound", "low": 1.5}),
    ("cannot fail", {"rule": "exact", "expected": 0.5, "tolerance": 0.5}),
    ("cannot hold", {"rule": "number", "expected": 3.0, "tolerance": 1.0}),
    ("cannot fail", {"rule": "difference", "compared_to": ["b"], "high": 1.0}),
    ("cannot hold", {"rule": "difference", "compared_to": ["b"], "low": 1.2}),
    ("cannot hold", {"rule": "difference", "compared_to": ["b"], "high": -1.5, "scale": "relative"}),
    ("cannot fail", {"rule": "equal", "tolerance": 1.0}),
    ("cannot hold", {"rule": "contrast", "weights": [1.0, -0.5, -0.5], "low": 1.1}),
    ("cannot hold", {"rule": "spread", "low": 0.8}),
    ("", {"rule": "bound", "low": 0.9}),
    ("", {"rule": "difference", "compared_to": ["b"], "high": 0.0}),
    ("", {"rule": "difference", "compared_to": ["b"], "high": 3.0, "scale": "relative"}),
    ("", {"rule": "difference", "compared_to": ["b"], "compared_metric": "other", "high": 1.0}),
    ("", {"rule": "contrast", "weights": [1.0, -1.0], "divided_by": [0.0, 1.0], "low": 2.0}),
    ("", {"rule": "trend", "axes": ["window"], "low": 2.0}),
]


@pytest.mark.parametrize(("words", "fields"), SHARE_CASES)
def test_limits_against_the_range_of_a_share(words: str, fields: dict[str, Any]) -> None:
    if not words:
        return check_metric_range("c", criterion(**fields), SHARE)
    with pytest.raises(BadInput, match=words):
        check_metric_range("c", criterion(**fields), SHARE)
    return None


def test_a_range_may_have_negative_values() -> None:
    check_metric_range("c", criterion("bound", low=0.0), CORRELATION)
    with pytest.raises(BadInput, match="-1 to 1"):
        check_metric_range("c", criterion("bound", low=-1.0), CORRELATION)


def test_every_rule_on_a_mean_knows_its_range() -> None:
    assert ATTAINED.keys() >= {"bound", "difference", "contrast", "spread", "number", "exact", "equal"}
    assert set(INTERVAL_RULES) - ATTAINED.keys() == {
        *("share", "explained", "correlation", "variance_share"),  # with a range of their own
        *("trend", "interaction"),
    }


@pytest.mark.parametrize(("limits", "refused"), [("low = 0.0", True), ("high = 0.5", False), ("low = 1.01", True)])
def test_the_range_of_a_probe_s_metric_is_known_before_training(tmp_path: Path, limits: str, refused: bool) -> None:
    path = tmp_path / "study.toml"
    claim = "[[claims]]\nid = 'c'\ntext = 's'\n[[claims.criteria]]\nrule = 'bound'\narms = ['*']\n"
    path.write_text(f"{FILE}[probes]\nunits = 1\n{claim}metric = 'saturated_share'\n{limits}\n")
    study = load_study(path)
    check_names(study)
    if refused:
        with pytest.raises(BadInput, match="^claims.c: .* cannot (fail|hold): possible are only values from 0 to 1$"):
            prepare_study(study)
    else:
        prepare_study(study)

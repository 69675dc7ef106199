"""Effects of remedies are computed from results, never typed in."""

import json
from pathlib import Path

import numpy as np
import pytest

from rnnjax.analysis.statistics import Interval
from rnnjax.config.load import load_study
from rnnjax.doctor.conditions import CONDITIONS, NAMES, Condition
from rnnjax.doctor.remedies import (
    FILE,
    Effect,
    from_json,
    load_effects,
    paired_values,
    remedy_effects,
    write_effects,
)
from rnnjax.storage.files import read_json

ROOT = Path(__file__).parents[2]
NAMED = [condition for condition in CONDITIONS if condition.comparison.treated]


def test_the_packages_file_says_what_the_results_say(tmp_path: Path) -> None:
    folders = [path.parent for path in (ROOT / "results").glob("*/summary.json")]
    write_effects(tmp_path / FILE, remedy_effects(folders))
    assert read_json(tmp_path / FILE) == read_json(ROOT / "rnnjax" / "doctor" / FILE), "scripts/report.py --remedies"


def test_every_condition_has_its_remedys_effect() -> None:
    effects = load_effects()
    assert tuple(effects) == NAMES
    assert sum(effect.difference is not None for effect in effects.values()) >= 5
    assert Effect("identical", "", None).text == "not measured yet (study identical)"
    assert Effect("", "", None).text == "not measured: no study contains this fault"


@pytest.mark.parametrize("condition", NAMED, ids=[condition.name for condition in NAMED])
def test_the_arms_that_are_compared_are_those_of_a_study(condition: Condition) -> None:
    path = ROOT / "configs" / "studies" / f"{condition.comparison.study}.toml"
    known = [arm.name for arm in load_study(path).arms]
    assert {condition.comparison.treated, condition.comparison.untreated} <= set(known)


def test_values_are_paired_where_both_are_there() -> None:
    comparison = NAMED[0].comparison
    arms = {
        comparison.treated: {comparison.metric: {"values": [1.0, None, 3.0]}},
        comparison.untreated: {comparison.metric: {"values": [2.0, 2.0, 5.0, 9.0]}},
    }
    treated, untreated = paired_values(arms, comparison)
    assert (treated - untreated).tolist() == [-1, -2]


def test_an_effect_in_words() -> None:
    effect = Effect("clip", "final loss", Interval(-0.5, -0.75, -0.25, 32, "t"), 2.0)
    assert effect.text == "final loss: -0.5 [-0.75, -0.25] from 2, n = 32 (study clip)"
    assert np.isfinite(effect.difference.estimate)  # type: ignore[union-attr]


def test_an_effect_survives_json() -> None:
    for difference in (None, Interval(-0.5, -0.75, -0.25, 32, "t")):
        effect = Effect("clip", "final loss", difference, 2.0)
        assert from_json(json.loads(json.dumps(effect.to_json()))) == effect

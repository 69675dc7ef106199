"""What of another config a run folder can take: by hand, on small configs."""

from typing import Any

import pytest

from rnnjax.storage.config_changes import TABLE_DEFAULTS, compare_configs


def config(**changes: Any) -> dict[str, Any]:
    arm = {"hidden": 4, "steps": 100, "seeds": 2, "task": {"name": "series"}}
    return {"arms": {"a": arm, "b": {**arm, "hidden": 5}}, "seeds": [1, 2], "probes": {"text": 3}} | changes


def arms(**changes: Any) -> dict[str, Any]:
    """Both arms with other settings."""
    return {name: {**settings, **changes} for name, settings in config()["arms"].items()}


@pytest.mark.parametrize(
    ("new", "added"),
    [
        (config(), []),
        (config(arms=arms(steps=200)), ["steps 200 (from 100)"]),
        (config(arms=arms(seeds=3), seeds=[1, 2, 3]), ["3 seeds (from 2)"]),
        (config(arms=arms(seeds=3), seeds=[7, 1, 2]), ["3 seeds (from 2)"]),
        (config(arms=arms() | {"c": config()["arms"]["a"] | {"hidden": 6}}), ["1 more arm"]),
        (config(arms=dict(reversed(arms().items()))), ["another order of arms"]),
        (
            config(arms=arms(steps=200, seeds=3) | {"c": {}, "d": {}}, seeds=[1, 2, 3]),
            ["steps 200 (from 100)", "3 seeds (from 2)", "2 more arms"],
        ),
    ],
)
def test_what_is_added(new: dict[str, Any], added: list[str]) -> None:
    assert compare_configs(config(), new) == (added, {})


@pytest.mark.parametrize(
    ("new", "others"),
    [
        (config(arms=arms(steps=50)), {"arms.a.steps": ("100", "50"), "arms.b.steps": ("100", "50")}),
        (config(seeds=[1, 3]), {"seeds": ("[1, 2]", "[1, 3]")}),
        (config(probes={"text": 4}), {"probes.text": ("3", "4")}),
        (config(own="x"), {"own": ("nothing", '"x"')}),
        (config(arms={"a": arms()["a"]}), {"arm b": ("trained", "nothing")}),
        (config(arms=arms(task={"name": "text"})), {f"arms.{a}.task.name": ('"series"', '"text"') for a in "ab"}),
    ],
)
def test_what_is_not(new: dict[str, Any], others: dict[str, tuple[str, str]]) -> None:
    assert compare_configs(config(), new).others == others


def test_more_steps_and_another_setting_are_told_apart() -> None:
    changes = compare_configs(config(), config(arms=arms(steps=200, hidden=7)))
    assert changes.added == ["steps 200 (from 100)"]
    assert changes.others == {"arms.a.hidden": ("4", "7"), "arms.b.hidden": ("5", "7")}


def test_fields_that_are_left_out_where_all_have_the_default() -> None:
    """An arm with a setting of tables makes them appear in all arms."""
    full = {name: {**settings, "task": {**settings["task"], **TABLE_DEFAULTS}} for name, settings in arms().items()}
    other = {**full["a"], "task": {**full["a"]["task"], "missing": "drop"}}
    assert compare_configs(config(), config(arms=full)) == ([], {})
    assert compare_configs(config(), config(arms=full | {"c": other})) == (["1 more arm"], {})
    changed = full | {"a": other}
    assert compare_configs(config(), config(arms=changed)).others == {"arms.a.task.missing": ('"refuse"', '"drop"')}


def test_configs_without_arms_are_compared_field_by_field() -> None:
    assert compare_configs({"x": {"y": 1}}, {"x": {"y": 2}}) == ([], {"x.y": ("1", "2")})

"""How a config that is asked for differs from that of a run folder, and what of it the folder can take.

Runs do not depend on each other, so a study with more steps, seeds or arms is the same study for the runs that are
there; every other setting stays as it is. Configs are plain trees, as JSON holds them.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.settings.later_fields import CELL_FIELDS, NETWORK_FIELDS, TABLE_FIELDS

Config = Mapping[str, Any]

ADDABLE = "more steps, seeds or arms can be added; --resume with the folder alone keeps its settings"
TABLE_DEFAULTS = {field.name: field.default for field in fields(TaskSpec) if field.name in TABLE_FIELDS}
DECAYING = ("step", "exponential", "cosine")  # schedules that read decay_steps
NETWORK_DEFAULTS = {name: getattr(Spec, name) for name in NETWORK_FIELDS}
NETWORK_DEFAULTS |= {name: HParams._field_defaults[name] for name in CELL_FIELDS}


class Changes(NamedTuple):
    """The two kinds of difference between the config of a folder and another one."""

    added: list[str]  # in words, as "steps 200 (from 100)"
    others: dict[str, tuple[str, str]]  # dotted field -> both values as JSON; no folder takes these


def compare_configs(old: Config, new: Config) -> Changes:
    """The additions to a config, and all other differences."""
    old, new = with_table_defaults(old), with_table_defaults(new)
    grown = adopt_additions(old, new)
    missing = [name for name in old.get("arms", {}) if name not in new.get("arms", {})]
    others = config_differences({**grown, "arms": without(grown.get("arms", {}), missing)}, {"arms": {}, **new})
    others |= {f"arm {name}": ("trained", "nothing") for name in missing}
    return Changes(describe_additions(old, grown), others)


def without(table: Config, names: list[str]) -> dict[str, Any]:
    """The items of a table but for some."""
    return {name: value for name, value in table.items() if name not in names}


def adopt_additions(old: Config, new: Config) -> dict[str, Any]:
    """The old config with the steps, seeds and arms that the new one has more."""
    old_arms, new_arms = old.get("arms", {}), new.get("arms", {})
    complete = all(set(seeds_of(old, arm)) <= set(seeds_of(new, arm)) for arm in old_arms if arm in new_arms)
    if not old_arms or not complete:  # a seed that is there is not asked for
        return dict(old)
    arms = {name: adopt_growth(old_arms.get(name, settings), settings) for name, settings in new_arms.items()}
    return {**old, "arms": arms | without(old_arms, list(new_arms)), "seeds": new["seeds"]}


def adopt_growth(old: Config, new: Config) -> dict[str, Any]:
    """The settings of an arm with its new number of seeds, and with more steps where there are more."""
    steps = {"steps": max(old["steps"], new["steps"])} if {"steps"} <= old.keys() & new.keys() else {}
    seeds = {"seeds": new["seeds"]} if "seeds" in new else {}
    return {**old, **steps, **seeds}


def seeds_of(config: Config, arm: str) -> list[int]:
    """The seeds of an arm: all of the study's, or its first ones."""
    seeds: list[int] = config["seeds"]
    return seeds[: config["arms"][arm].get("seeds", len(seeds))]


def describe_additions(old: Config, new: Config) -> list[str]:
    """A phrase for each kind of addition."""
    old_arms, new_arms = old.get("arms", {}), new.get("arms", {})
    steps = dict.fromkeys(
        (new_arms[name]["steps"], settings["steps"], ends_with_decay(settings))
        for name, settings in old_arms.items()
        if new_arms[name].get("steps") != settings.get("steps")
    )
    decay = "; the decay of the learning rate stays that of {:,} steps"
    found = [f"steps {now:,} (from {was:,}{decay.format(was) if decays else ''})" for now, was, decays in steps]
    seeds = [len(seeds_of(config, name)) for config in (new, old) for name in list(old_arms)[:1]]
    found += [f"{seeds[0]} seeds (from {seeds[1]})"] if seeds and seeds[0] != seeds[1] else []
    arms = len(new_arms) - len(old_arms)
    found += [f"{arms} more arm{'s' if arms > 1 else ''}"] if arms else []
    reordered = [name for name in new_arms if name in old_arms] != list(old_arms)  # and so are the runs of a checkpoint
    return found + (["another order of arms"] if reordered else [])


def ends_with_decay(settings: Config) -> bool:
    """Whether the decay of an arm's learning rate ends with its training, as with decay_steps = 0."""
    end: float = settings.get("decay_steps", 0) + settings.get("warmup_steps", 0)
    return end == settings["steps"] and settings.get("schedule") in DECAYING


def with_table_defaults(config: Config) -> dict[str, Any]:
    """A config with the fields of tables and networks that are left out where all arms have the default."""
    arms = {
        name: {**NETWORK_DEFAULTS, **settings, "task": TABLE_DEFAULTS | settings["task"]}
        if "task" in settings
        else settings
        for name, settings in config.get("arms", {}).items()
    }
    return {**config, **({"arms": arms} if arms else {})}


def config_differences(old: Config, new: Config) -> dict[str, tuple[str, str]]:
    """The fields, as dotted paths, in which two plain trees differ, with both values as JSON (`nothing` if absent)."""
    old_fields, new_fields = _fields(old), _fields(new)
    names = sorted(old_fields.keys() | new_fields.keys())
    pairs = {name: (old_fields.get(name, "nothing"), new_fields.get(name, "nothing")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _fields(tree: Config, above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            found |= _fields(value, f"{above}{name}.")
        else:
            found[above + name] = canonical_json(value)
    return found


def canonical_json(value: Any) -> str:
    """The one JSON text of a plain value."""
    return json.dumps(value, sort_keys=True, allow_nan=False)

"""What the studies measured of each remedy: read from their summaries, kept with the package, never typed in."""

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnjax.analysis import bootstrap
from rnnjax.analysis.statistics import Interval
from rnnjax.doctor.conditions import CONDITIONS, Comparison, Condition
from rnnjax.errors import DamagedState
from rnnjax.storage.files import read_json, write_json

FILE = "remedies.json"
SEED = 0  # of the bootstrap
NOT_YET = "not measured yet"
NEVER = "not measured: no study has this fault in it"
RENAMED_VALUES = {"right": "time", "swapped": "batch"}  # of task.time_axis, in the arm names of older summaries


class Effect(NamedTuple):
    """Mean of treated - untreated over the seeds that both arms have."""

    study: str
    says: str
    difference: Interval | None  # None: the study has no results yet
    untreated: float | None = None  # the mean without the remedy

    @property
    def words(self) -> str:
        """In one line."""
        if self.difference is None or self.untreated is None:
            return f"{NOT_YET} (study {self.study})" if self.study else NEVER
        low, high = self.difference.low, self.difference.high
        change = f"{self.difference.estimate:+.3g} [{low:+.3g}, {high:+.3g}] from {self.untreated:.3g}"
        return f"{self.says}: {change}, n = {self.difference.n} (study {self.study})"


def measured_effects(folders: Sequence[Path]) -> dict[str, Effect]:
    """The effect of every condition's remedy, from the folders of finished studies; their names are the studies'."""
    known = {folder.resolve().name: folder for folder in folders}
    return {condition.name: effect_of(condition, known) for condition in CONDITIONS}


def effect_of(condition: Condition, folders: dict[str, Path]) -> Effect:
    asked = condition.measured
    path = folders[asked.study] / "summary.json" if asked.study in folders else None
    if path is None or not asked.treated or not path.is_file():
        return Effect(asked.study, asked.says, None)
    tree = read_json(path)
    try:
        arms = {upgrade_arm_name(arm["name"]): arm["metrics"] for arm in tree["arms"]}
        pair = paired(arms, asked)
    except (KeyError, TypeError) as error:
        raise DamagedState(f"cannot read {path}: it has not measured what {condition.name} asks ({error})") from error
    difference = bootstrap.paired_difference(SEED, *pair) if len(pair[0]) > 1 else None
    return Effect(asked.study, asked.says, difference, float(np.mean(pair[1])) if difference else None)


def upgrade_arm_name(name: str) -> str:
    """An arm name as an older rnnjax may have written it, with the current words for its settings."""
    return ",".join(RENAMED_VALUES.get(part, part) for part in name.split(","))


def paired(arms: dict[str, Any], asked: Comparison) -> tuple[np.ndarray, np.ndarray]:
    """The values of both arms at the seeds at which both are numbers; seeds stand in the same order in all arms."""
    metrics = asked.metric, asked.untreated_metric or asked.metric
    names = asked.treated, asked.untreated
    values = [np.array(arms[name][metric]["values"], float) for name, metric in zip(names, metrics, strict=True)]
    both = [of_arm[: min(map(len, values))] for of_arm in values]
    kept = np.isfinite(both[0]) & np.isfinite(both[1])
    return both[0][kept], both[1][kept]


def write_effects(path: Path, effects: dict[str, Effect]) -> None:
    """Raises StorageFailed."""
    plain = {
        name: {
            "study": effect.study,
            "says": effect.says,
            "estimate": effect.difference and round(effect.difference.estimate, 6),
            "ci95": effect.difference and [round(effect.difference.low, 6), round(effect.difference.high, 6)],
            "n": effect.difference and effect.difference.n,
            "method": effect.difference and effect.difference.method,
            "untreated": None if effect.untreated is None else round(effect.untreated, 6),
        }
        for name, effect in effects.items()
    }
    write_json(path, plain)


def known_effects() -> dict[str, Effect]:
    """The effects that come with the package."""
    tree = json.loads(resources.files("rnnjax.doctor").joinpath(FILE).read_text("utf-8"))
    return {name: revived(each) for name, each in tree.items()}


def revived(each: dict[str, Any]) -> Effect:
    if each["estimate"] is None:
        return Effect(each["study"], each["says"], None)
    low, high = each["ci95"]
    interval = Interval(each["estimate"], low, high, each["n"], each["method"])
    return Effect(each["study"], each["says"], interval, each["untreated"])

"""Measured effects of remedies: computed from the summaries of studies and stored with the package."""

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnjax.analysis.statistics import Interval, mean_over_seeds
from rnnjax.doctor.conditions import CONDITIONS, Comparison, Condition
from rnnjax.errors import DamagedState
from rnnjax.storage.files import write_json
from rnnjax.storage.sealed import read_sealed_json

FILE = "remedies.json"
DIGITS = 6  # of the stored numbers
NOT_MEASURED = "not measured yet"
NO_STUDY = "not measured: no study contains this fault"


class Effect(NamedTuple):
    """Mean of treated - untreated over the seeds that both arms have."""

    study: str
    description: str
    difference: Interval | None  # None: the study has no results yet
    untreated: float | None = None  # the mean without the remedy

    @property
    def text(self) -> str:
        """One line."""
        if self.difference is None or self.untreated is None:
            return f"{NOT_MEASURED} (study {self.study})" if self.study else NO_STUDY
        low, high = self.difference.low, self.difference.high
        change = f"{self.difference.estimate:+.3g} [{low:+.3g}, {high:+.3g}] from {self.untreated:.3g}"
        return f"{self.description}: {change}, n = {self.difference.n} (study {self.study})"

    def to_json(self) -> dict[str, Any]:
        """Its fields as JSON values."""
        return self._asdict() | {"difference": self.difference and self.difference.to_json()}


def from_json(values: dict[str, Any]) -> Effect:
    """The inverse of `Effect.to_json`."""
    difference = values["difference"]
    return Effect(**values | {"difference": difference and Interval.from_json(difference)})


def remedy_effects(folders: Sequence[Path]) -> dict[str, Effect]:
    """The effect of every condition's remedy, from the folders of finished studies, which are named as these."""
    by_study = {folder.resolve().name: folder for folder in folders}
    return {condition.name: remedy_effect(condition, by_study) for condition in CONDITIONS}


def remedy_effect(condition: Condition, folders: dict[str, Path]) -> Effect:
    """The effect of one remedy. Raises DamagedState if the study's summary lacks an arm or the metric."""
    comparison = condition.comparison
    path = folders[comparison.study] / "summary.json" if comparison.study in folders else None
    if path is None or not comparison.treated or not path.is_file():
        return Effect(comparison.study, comparison.description, None)
    tree = read_sealed_json(path)
    try:
        arms = {arm["name"]: arm["metrics"] for arm in tree["arms"]}
        treated, untreated = paired_values(arms, comparison)
    except (KeyError, TypeError) as error:
        raise DamagedState(f"cannot read {path}: no values for the remedy of {condition.name} ({error})") from error
    difference = mean_over_seeds(treated - untreated) if len(treated) > 1 else None
    mean = float(np.mean(untreated)) if difference else None
    return Effect(comparison.study, comparison.description, difference, mean)


def paired_values(arms: dict[str, Any], comparison: Comparison) -> tuple[np.ndarray, np.ndarray]:
    """The finite values of both arms at common seeds; seeds are in the same order in all arms."""
    metrics = comparison.metric, comparison.untreated_metric or comparison.metric
    names = comparison.treated, comparison.untreated
    values = [np.array(arms[name][metric]["values"], float) for name, metric in zip(names, metrics, strict=True)]
    treated, untreated = (each[: min(map(len, values))] for each in values)
    finite = np.isfinite(treated) & np.isfinite(untreated)
    return treated[finite], untreated[finite]


def write_effects(path: Path, effects: dict[str, Effect]) -> None:
    """Raises StorageFailed."""
    write_json(path, {name: round_effect(effect).to_json() for name, effect in effects.items()})


def round_effect(effect: Effect) -> Effect:
    """An effect with all numbers rounded to 6 decimal places."""
    if effect.difference is None or effect.untreated is None:
        return effect
    numbers = {name: round(getattr(effect.difference, name), DIGITS) for name in ("estimate", "low", "high")}
    return effect._replace(difference=effect.difference._replace(**numbers), untreated=round(effect.untreated, DIGITS))


def load_effects() -> dict[str, Effect]:
    """The effect of every condition: those that are stored with the package, and none of the others."""
    tree = json.loads(resources.files("rnnjax.doctor").joinpath(FILE).read_text("utf-8"))
    missing = {one.name: Effect(one.comparison.study, one.comparison.description, None) for one in CONDITIONS}
    return missing | {name: from_json(values) for name, values in tree.items()}

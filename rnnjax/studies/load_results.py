"""The results of a finished study from what it stored: its curves and probes are kept, whatever is said of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.analysis.results import ArmResult, arm_result, sizes
from rnnjax.config.schema import Arm, Study
from rnnjax.errors import BadInput, DamagedState
from rnnjax.settings import TaskSpec
from rnnjax.storage.files import read_npz
from rnnjax.storage.manifest import as_config, in_words, read_manifest
from rnnjax.training.losses import UNITS
from rnnjax.training.step import Row
from rnnjax.types import Task

ABOUT = ("arm", "seed", "row_steps", "probe_steps", "diverged_at")  # arrays of a metrics file that are no curves


def finished_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a study that has come to its end. Raises BadInput, DamagedState."""
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None or manifest["state"] != "done":
        raise BadInput(f"{folder}: expected the run folder of a finished study")
    return manifest


def stored_results(folder: Path, study: Study, tasks: dict[TaskSpec, Task]) -> list[ArmResult]:
    """Every arm of the study, in its order, out of metrics/*.npz.

    Raises:
        BadInput: the folder holds no finished study, or one with other arms, settings or seeds. DamagedState.
    """
    config = finished_manifest(folder)["config"]
    refuse_other_study(folder, config, study)
    arms, found = {arm.name: arm for arm in study.arms}, {}
    for path in sorted((folder / "metrics").glob("*.npz")):
        for name, arrays in of_arms(read_npz(path), list(config["arms"])):
            found[name] = stored_result(arms[name], arrays, tasks[arms[name].spec.task])
    missing = arms.keys() - found.keys()
    if missing:
        raise DamagedState(f"{folder / 'metrics'}: has no curves of {', '.join(sorted(missing))}")
    return [found[name] for name in arms]


def refuse_other_study(folder: Path, config: dict[str, Any], study: Study) -> None:
    """Raises BadInput where the runs of a folder are not those of the study; settings may have come since."""
    asked = as_config(study.config)
    if config["seeds"] != asked["seeds"] or config["arms"].keys() != asked["arms"].keys():
        raise BadInput(f"{folder}: its arms and seeds are not those of the study {study.name}")
    for name, was in config["arms"].items():
        now = asked["arms"][name]
        changed = [field for field, value in flat(was).items() if field != "block" and flat(now).get(field) != value]
        if changed:
            raise BadInput(f"{folder}: arm {name} was run with other settings than in the study: {', '.join(changed)}")


def flat(settings: dict[str, Any]) -> dict[str, Any]:
    """An arm's settings with those of its task beside the others."""
    task = {f"task.{name}": value for name, value in in_words(settings["task"]).items()}
    return {name: value for name, value in settings.items() if name != "task"} | task


def of_arms(arrays: dict[str, np.ndarray], names: list[str]) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """The arrays [R, ...] of a group, arm by arm [n, ...]."""
    shared = ("row_steps", "probe_steps")
    for arm in np.unique(arrays["arm"]):
        members = arrays["arm"] == arm
        yield names[arm], {name: a if name in shared else a[members] for name, a in arrays.items()}


def stored_result(arm: Arm, arrays: dict[str, np.ndarray], task: Task) -> ArmResult:
    """One arm over its seeds."""
    return arm_result(
        task.levels,
        sizes(arm.spec),
        name=arm.name,
        axes=arm.axes,
        seeds=arrays["seed"],
        row_steps=arrays["row_steps"],
        rows={name: arrays[name] for name in Row._fields if name in arrays},  # an older folder has fewer
        probe_steps=arrays["probe_steps"],
        probes={name: a for name, a in arrays.items() if name not in ABOUT and name not in Row._fields},
        diverged_at=arrays["diverged_at"],
        loss_unit=UNITS[arm.spec.loss],
    )

"""The results of a finished study from what it stored: its curves and probes are kept, whatever is said of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.analysis.results import ArmResult, arm_result, network_sizes
from rnnjax.config.schema import Arm, Study
from rnnjax.errors import BadInput, DamagedState
from rnnjax.settings import LOSS_UNITS, TaskSpec
from rnnjax.storage.files import read_npz
from rnnjax.storage.manifest import read_manifest, to_config_json
from rnnjax.training.state import StepMetrics
from rnnjax.types import Task

INDEX_ARRAYS = ("arm", "seed", "row_steps", "probe_steps", "diverged_at")  # arrays of a metrics file that are no curves


def read_finished_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a study that has come to its end. Raises BadInput, DamagedState."""
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None or manifest["state"] != "done":
        raise BadInput(f"{folder}: expected the run folder of a finished study")
    return manifest


def load_arms(folder: Path, study: Study, tasks: dict[TaskSpec, Task]) -> list[ArmResult]:
    """Every arm of the study, in its order, out of metrics/*.npz.

    Raises:
        BadInput: the folder holds no finished study, or one with other arms, settings or seeds. DamagedState.
    """
    config = read_finished_manifest(folder)["config"]
    check_same_study(folder, config, study)
    arms, found = {arm.name: arm for arm in study.arms}, {}
    for path in sorted((folder / "metrics").glob("*.npz")):
        for name, arrays in split_by_arm(read_npz(path), list(config["arms"])):
            found[name] = load_arm(arms[name], arrays, tasks[arms[name].spec.task])
    missing = arms.keys() - found.keys()
    if missing:
        raise DamagedState(f"{folder / 'metrics'}: has no curves of {', '.join(sorted(missing))}")
    return [found[name] for name in arms]


def check_same_study(folder: Path, config: dict[str, Any], study: Study) -> None:
    """Raises BadInput where the runs of a folder are not those of the study; settings may have come since."""
    asked = to_config_json(study.config)
    if config["seeds"] != asked["seeds"] or config["arms"].keys() != asked["arms"].keys():
        raise BadInput(f"{folder}: its arms and seeds are not those of the study {study.name}")
    for name, was in config["arms"].items():
        now = asked["arms"][name]
        changed = [
            field
            for field, value in flatten_arm(was).items()
            if field != "block" and flatten_arm(now).get(field) != value
        ]
        if changed:
            raise BadInput(f"{folder}: arm {name} was run with other settings than in the study: {', '.join(changed)}")


def flatten_arm(settings: dict[str, Any]) -> dict[str, Any]:
    """An arm's settings with those of its task beside the others."""
    task = {f"task.{name}": value for name, value in settings["task"].items()}
    return {name: value for name, value in settings.items() if name != "task"} | task


def split_by_arm(arrays: dict[str, np.ndarray], names: list[str]) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """The arrays [R, ...] of a group, arm by arm [n, ...]."""
    shared = ("row_steps", "probe_steps")
    for arm in np.unique(arrays["arm"]):
        members = arrays["arm"] == arm
        yield names[arm], {name: a if name in shared else a[members] for name, a in arrays.items()}


def load_arm(arm: Arm, arrays: dict[str, np.ndarray], task: Task) -> ArmResult:
    """One arm over its seeds."""
    return arm_result(
        task.reference_losses,
        network_sizes(arm.spec),
        name=arm.name,
        axes=arm.axes,
        seeds=arrays["seed"],
        row_steps=arrays["row_steps"],
        rows={name: arrays[name] for name in StepMetrics._fields if name in arrays},  # an older folder has fewer
        probe_steps=arrays["probe_steps"],
        probes={name: a for name, a in arrays.items() if name not in INDEX_ARRAYS and name not in StepMetrics._fields},
        diverged_at=arrays["diverged_at"],
        loss_unit=LOSS_UNITS[arm.spec.loss],
    )

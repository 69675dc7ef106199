"""Examine the networks of a run folder, with their training curves and windows."""

from fnmatch import fnmatchcase
from pathlib import Path

import jax
import jax.numpy as jnp

from rnnjax.config.study_json import STUDY_FILE
from rnnjax.doctor.diagnosis import Diagnosis
from rnnjax.doctor.examine import diagnose
from rnnjax.doctor.from_training import build_curves, build_input
from rnnjax.doctor.inputs import observe
from rnnjax.doctor.training_curves import TrainingCurves
from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.storage.manifest import read_manifest
from rnnjax.storage.sealed import read_sealed_json
from rnnjax.studies.datasets import data_hash, load_tasks
from rnnjax.studies.load_networks import LoadedNetwork, load_networks
from rnnjax.studies.load_results import read_arms
from rnnjax.training.parallel import Run, init_states
from rnnjax.types import Task

MAX_NETWORKS = 8  # of an arm; more seeds take longer and only narrow the intervals


def examine_folder(folder: Path, arm: str | None = None) -> tuple[str, Diagnosis]:
    """Examine the networks of an arm, by default the study's baseline. Returns: the name of the arm, and the diagnosis.

    Raises:
        BadInput: no such run or arm, or data that differ from those of the training. DamagedState.
    """
    networks = load_networks(folder, baseline_arm(folder) if arm is None else arm)[:MAX_NETWORKS]
    first = networks[0]
    task = load_task(folder, first)
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(network.params for network in networks))
    runs = [Run(0, network.spec, network.hp) for network in networks]
    setup = build_input(first.spec, first.hp, task, params, init_states(runs).params)
    curves = load_curves(folder, first, [network.hp.seed for network in networks])
    return first.arm, diagnose(setup, observe(setup), curves)


def baseline_arm(folder: Path) -> str | None:
    """The arm that a study compares the others with; None if it names none, or there is no study in the folder."""
    tree = read_sealed_json(folder / STUDY_FILE) if (folder / STUDY_FILE).is_file() else {}
    pattern = tree.get("file", {}).get("baseline", "")
    names = [arm["name"] for arm in tree.get("arms", [])]
    return next((name for name in names if fnmatchcase(name, pattern)), None)


def load_task(folder: Path, network: LoadedNetwork) -> Task:
    """The task that a network was trained on. Raises BadInput if its data have changed."""
    settings = network.spec.task
    task = load_tasks([settings])[0][settings]
    stored, current = (network.vocabulary, network.columns), (task.vocabulary, tuple(task.columns))
    sizes_differ = (task.inputs, task.outputs) != (network.spec.inputs, network.spec.outputs)
    if stored != current or sizes_differ or (settings.path and data_changed(folder)):
        source = settings.path or settings.name
        raise BadInput(f"{source}: differs from the data that the network was trained on; expected the same data")
    return task


def data_changed(folder: Path) -> bool:
    """Whether the data of a study have changed since it was run; its sha256 is that of all arms together."""
    manifest = read_manifest(folder)
    arms = manifest["config"]["arms"].values() if manifest else []
    specs = (TaskSpec(**values["task"]) for values in arms)
    return manifest is not None and data_hash(load_tasks(specs)[0]) != manifest["data_sha256"]


def load_curves(folder: Path, network: LoadedNetwork, seeds: list[int]) -> TrainingCurves | None:
    """The training curves of an arm's runs; None if the study is not finished."""
    manifest = read_manifest(folder)
    for name, recorded in read_arms(folder, list(manifest["config"]["arms"]) if manifest else []):
        if name == network.arm:
            rows = [recorded.seeds.tolist().index(seed) for seed in seeds]
            curves = {key: recorded.rows[key][rows] for key in ("loss", "gradient_norm", "clip_share", "update_norm")}
            diverged_at = recorded.diverged_at[rows]
            return build_curves(network.spec, network.hp, curves, recorded.row_steps, diverged_at)
    return None

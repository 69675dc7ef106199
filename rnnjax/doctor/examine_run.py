"""The networks of an arm out of a run folder, with their curves and the windows that they were trained on."""

from pathlib import Path

import jax
import jax.numpy as jnp

from rnnjax.doctor.diagnosis import Examination
from rnnjax.doctor.examine import diagnosis
from rnnjax.doctor.from_training import patient_of, record_of
from rnnjax.doctor.inputs import seen
from rnnjax.doctor.training_curves import Record
from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.storage.manifest import read_manifest
from rnnjax.studies.datasets import data_hash, load_tasks
from rnnjax.studies.load_networks import LoadedNetwork, load_networks
from rnnjax.studies.load_results import read_arms
from rnnjax.training import parallel as sweep
from rnnjax.types import Task

MOST = 8  # networks of an arm: more seeds make an interval narrower and take longer


def examine_folder(folder: Path, arm: str | None = None) -> tuple[str, Examination]:
    """What is wrong with the networks of an arm (the first by default); its name and what was found.

    Raises:
        BadInput: no such run or arm, or a text that is no longer the one of the training. DamagedState.
    """
    networks = load_networks(folder, arm)[:MOST]
    first = networks[0]
    task = task_of(folder, first)
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(network.params for network in networks))
    runs = [sweep.Run(0, network.spec, network.hp) for network in networks]
    patient = patient_of(first.spec, first.hp, task, params, sweep.init_states(runs).params)
    record = stored_record(folder, first, [network.hp.seed for network in networks])
    return first.arm, diagnosis(patient, seen(patient), record)


def task_of(folder: Path, network: LoadedNetwork) -> Task:
    """What a network was trained on. Raises BadInput where the file is another now."""
    settings = network.spec.task
    task = load_tasks([settings])[0][settings]
    was, now = (network.vocabulary, network.columns), (task.vocabulary, tuple(task.columns))
    sizes_differ = (task.inputs, task.outputs) != (network.spec.inputs, network.spec.outputs)
    if was != now or sizes_differ or (settings.path and data_changed(folder)):
        what = settings.path or settings.name
        raise BadInput(f"{what}: is no longer what the network was trained on; expected the same data")
    return task


def data_changed(folder: Path) -> bool:
    """Whether the data of a study are others than when it was run; its sha256 is of those of all arms together."""
    manifest = read_manifest(folder)
    arms = manifest["config"]["arms"].values() if manifest else []
    specs = (TaskSpec(**values["task"]) for values in arms)
    return manifest is not None and data_hash(load_tasks(specs)[0]) != manifest["data_sha256"]


def stored_record(folder: Path, network: LoadedNetwork, seeds: list[int]) -> Record | None:
    """The curves of an arm's runs; None for a study that has not come to its end."""
    manifest = read_manifest(folder)
    for name, recorded in read_arms(folder, list(manifest["config"]["arms"]) if manifest else []):
        if name == network.arm:
            rows = [recorded.seeds.tolist().index(seed) for seed in seeds]
            curves = {key: recorded.rows[key][rows] for key in ("loss", "gradient_norm", "clip_share", "update_norm")}
            return record_of(
                network.spec, network.hp, curves, recorded.row_steps, jnp.asarray(recorded.diverged_at[rows])
            )
    return None

"""The networks of an arm out of a run folder, with their curves and the windows that they were trained on."""

import os
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax import sweep
from rnnjax.corpora import read_source
from rnnjax.doctor.examine import diagnosis
from rnnjax.doctor.patient import seen
from rnnjax.doctor.record import Record
from rnnjax.doctor.trainees import patient_of, record_of
from rnnjax.doctor.verdict import Examination
from rnnjax.errors import BadInput
from rnnjax.files import read_npz
from rnnjax.manifest import read_manifest
from rnnjax.stored import of_arms
from rnnjax.tasks import TASKS
from rnnjax.trained import Network, load_networks
from rnnjax.types import Task

MOST = 8  # networks of an arm: more seeds make an interval narrower and take longer


def examine_folder(folder: Path, arm: str | None = None) -> tuple[str, Examination]:
    """What is wrong with the networks of an arm (the first by default); its name and what was found.

    Raises:
        BadInput: no such run or arm, or a text that is no longer the one of the training. DamagedState.
    """
    networks = load_networks(folder, arm)[:MOST]
    first = networks[0]
    task = task_of(first)
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(network.params for network in networks))
    runs = [sweep.Run(0, network.spec, network.hp) for network in networks]
    patient = patient_of(first.spec, first.hp, task, params, sweep.start(runs).params)
    record = stored_record(folder, first, [network.hp.seed for network in networks])
    return first.arm, diagnosis(patient, seen(patient), record)


def task_of(network: Network) -> Task:
    """What a network was trained on. Raises BadInput where the file is another now."""
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    settings = network.spec.task
    source = read_source(settings, available)
    task = TASKS[settings.name](settings, source and source.text)
    was, now = (network.vocabulary, network.columns), (task.vocabulary, tuple(task.columns))
    if was != now or (task.inputs, task.outputs) != (network.spec.inputs, network.spec.outputs):
        raise BadInput(f"{settings.path}: is no longer what the network was trained on; expected the same file")
    return task


def stored_record(folder: Path, network: Network, seeds: list[int]) -> Record | None:
    """The curves of an arm's runs; None for a study that has not come to its end."""
    manifest = read_manifest(folder)
    for path in sorted((folder / "metrics").glob("*.npz")):
        for name, arrays in of_arms(read_npz(path), list(manifest["config"]["arms"]) if manifest else []):
            if name == network.arm:
                rows = [list(arrays["seed"]).index(seed) for seed in seeds]
                curves = {key: arrays[key][rows] for key in ("loss", "gradient_norm", "clip_share", "update_norm")}
                taken = partial(np.take, indices=rows)
                return record_of(network.spec, network.hp, curves, arrays["row_steps"], taken(arrays["diverged_at"]))
    return None

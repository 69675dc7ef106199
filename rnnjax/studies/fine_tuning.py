"""Runs that start from the trained parameters of another run folder (`init_from`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rnnjax.config.schema import Arm, Study
from rnnjax.errors import BadInput
from rnnjax.networks.model import build_network
from rnnjax.settings import TaskSpec
from rnnjax.storage.manifest import read_manifest
from rnnjax.studies.load_networks import LoadedNetwork, choose, read_config, read_networks, seed_counts
from rnnjax.training.parallel import Run
from rnnjax.types import Params, Task

KIND = ("cell", "activation", "hidden", "layers", "bidirectional", "layer_norm")  # settings that must agree
FIRST_LAYERS = ("layer_0", "backward_layer_0")  # whose kernels have a row for each input
READOUT = "readout"  # whose leaves have a column for each output
MOST_NAMED = 8  # characters in a message


def with_source(study: Study) -> Study:
    """The study with the hashes of the networks that it starts from in its config. Raises BadInput."""
    if not study.file.init_from or "init_from" in study.config:  # a run folder knows them already
        return study
    return study._replace(config=study.config | {"init_from": source_hashes(Path(study.file.init_from))})


def source_hashes(folder: Path) -> dict[str, str]:
    """The sha256 of the final states of a finished study. Raises BadInput."""
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None or manifest.get("state") != "done":
        raise BadInput(f"init_from: got {str(folder)!r}; expected the run folder of a finished study")
    hashes: dict[str, str] = manifest["state_sha256"]
    return hashes


def check_source(study: Study, tasks: Mapping[TaskSpec, Task]) -> list[str]:
    """Raises BadInput where an arm cannot start from the networks of `init_from`. Returns: remarks."""
    if not study.file.init_from or not Path(study.file.init_from).is_dir():
        return []
    remarks = [f"every run starts from the parameters of {study.file.init_from}"]
    for arm in study.arms:
        source = source_networks(Path(study.file.init_from), arm.name, arm.seeds(study.seeds))[0]
        task, fresh = tasks[arm.spec.task], fresh_parameters(Run(0, arm.spec, arm.hp))
        check_alike(arm, source, task)
        adopt_parameters(fresh, source, task, arm.name)
        new = [character for character in task.vocabulary if character not in source.vocabulary]
        named = ", ".join(map(repr, new[:MOST_NAMED]))
        remarks += [f"{len(new)} characters are new to these networks and start afresh: {named}"] if new else []
    return list(dict.fromkeys(remarks))


def check_alike(arm: Arm, source: LoadedNetwork, task: Task) -> None:
    """Raises BadInput where the networks of an arm and of the source are not of one kind."""
    pairs = {name: (getattr(source.spec, name), getattr(arm.spec, name)) for name in KIND}
    pairs["a text"] = bool(source.vocabulary), bool(task.vocabulary)
    for name, (there, here) in pairs.items():
        if there != here:
            raise BadInput(f"init_from: arm {arm.name}: {name} is {there!r} there; expected {here!r}, a network alike")


def source_parameters(study: Study, runs: Sequence[Run], fresh: Params, task: Task) -> Params:
    """The parameters [R, ...] that runs start from. Args: fresh: [R, ...] those of new networks.

    Raises: BadInput where the folder is gone or holds other networks than when the study was begun.
    """
    folder, names = Path(study.file.init_from), [study.arms[run.arm].name for run in runs]
    if source_hashes(folder) != study.config["init_from"]:
        raise BadInput(f"init_from: {folder} holds other networks than when this study was begun")
    by_arm = {name: [run.hp.seed for run, own in zip(runs, names, strict=True) if own == name] for name in names}
    sources = {
        (name, seed): network
        for name, seeds in by_arm.items()
        for seed, network in zip(seeds, source_networks(folder, name, seeds), strict=True)
    }
    rows = [
        adopt_parameters(jax.tree.map(lambda leaf, r=r: leaf[r], fresh), sources[name, run.hp.seed], task, name)
        for r, (name, run) in enumerate(zip(names, runs, strict=True))
    ]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def source_networks(folder: Path, arm: str, seeds: Sequence[int]) -> list[LoadedNetwork]:
    """The networks that an arm's seeds start from: of the same arm or the only one, of the same seed or the only one.

    Raises BadInput.
    """
    config = read_config(folder)
    arms = list(config["arms"])
    source = arms[0] if len(arms) == 1 else choose(f"init_from {folder}: arm", arm, arms)
    known = config["seeds"][: seed_counts(config)[source]]
    wanted = [known[0] if len(known) == 1 else choose(f"init_from {folder}: seed", seed, known) for seed in seeds]
    networks = {network.hp.seed: network for network in read_networks(folder, source, list(dict.fromkeys(wanted)))}
    return [networks[seed] for seed in wanted]


def fresh_parameters(run: Run) -> Params:
    """The parameters of a run as shapes."""
    found: Params = jax.eval_shape(build_network(run.spec, run.hp).init, jax.random.key(0))
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), found)


def adopt_parameters(fresh: Params, source: LoadedNetwork, task: Task, arm: str) -> Params:
    """The parameters of a source; for tokens that it does not know, those of a fresh network.

    Raises: BadInput where the two networks have other layers or sizes.
    """
    places = {token: place for place, token in enumerate(source.vocabulary)}
    known = [places.get(token, -1) for token in task.vocabulary]
    rows = (np.array(known) if task.vocabulary != source.vocabulary else None) if task.vocabulary else None
    named, trained = leaves_by_path(fresh), leaves_by_path(source.params)
    found = {path: adopt_leaf(path, leaf, trained.get(path), rows) for path, leaf in named.items()}
    wrong = [path for path, leaf in found.items() if leaf is None] + [path for path in trained if path not in named]
    if wrong:
        shapes = [str(tree[wrong[0]].shape) if wrong[0] in tree else "nothing" for tree in (trained, named)]
        raise BadInput(f"init_from: arm {arm}: {wrong[0]} is {shapes[0]} there; expected {shapes[1]}, a network alike")
    return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(fresh), list(found.values()))


def leaves_by_path(tree: Any) -> dict[str, np.ndarray]:
    """The leaves of a tree by their path, in the order of the tree."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}


def adopt_leaf(path: str, fresh: np.ndarray, trained: np.ndarray | None, rows: np.ndarray | None) -> np.ndarray | None:
    """A trained leaf, by characters where the vocabularies differ; None where it does not fit.

    Args: rows: for each character of the fresh network its id in the trained one, -1 for none; None: the same ids.
    """
    first = path.split("/")[0]
    axis = {**dict.fromkeys(FIRST_LAYERS, 0), READOUT: -1}.get(first)
    if trained is None or rows is None or axis is None or not fresh.ndim or fresh.shape[axis] != len(rows):
        return trained if trained is not None and trained.shape == fresh.shape else None
    if np.delete(fresh.shape, axis).tolist() != np.delete(trained.shape, axis).tolist():
        return None
    taken = np.moveaxis(np.take(trained, np.maximum(rows, 0), axis=axis), axis, -1)
    own = np.moveaxis(fresh, axis, -1)
    return np.moveaxis(np.where(rows >= 0, taken, own), -1, axis)

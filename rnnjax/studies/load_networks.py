"""Networks out of a run folder: read-only, from the newest checkpoint that verifies."""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.config.study_json import STUDY_FILE, parse_settings
from rnnjax.errors import BadInput, DamagedState
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec
from rnnjax.settings.vocabulary import Vocabulary, parse_vocabulary
from rnnjax.storage.checkpoints import Checkpoints
from rnnjax.storage.manifest import read_manifest
from rnnjax.storage.run_folder import is_finished
from rnnjax.storage.sealed import read_sealed_json
from rnnjax.studies.parts import Part, stored_parts
from rnnjax.studies.series_files import read_series
from rnnjax.types import Params, SeriesLayout, SeriesRows

PARAMETERS = "state/params/"
IMPORTED = "imported"  # the arm, and where it reads no text the task, of a network of another library
BEST_PARAMETERS = "state/early_stopping/best_params/"  # of the best validation check


class LoadedNetwork(NamedTuple):
    """One trained network: an arm with one seed."""

    arm: str
    step: int
    spec: Spec
    hp: HParams
    params: Params
    vocabulary: Vocabulary  # of a text, else empty
    columns: tuple[str, ...] = ()  # of a series, else empty: the names of the outputs
    target_mean_O: tuple[float, ...] = ()  # of a series: outputs are (target - mean) / scale
    target_scale_O: tuple[float, ...] = ()
    rows: SeriesRows | None = None  # of a series: all its rows
    layout: SeriesLayout | None = None  # of a series: how the network reads them
    prompt: tuple[int, ...] = ()  # of a text: ids of the start of its held-out part; empty in older runs


def load_network(folder: Path, arm: str | None, seed: int | None, step: int | None = None) -> LoadedNetwork:
    """The network of an arm (the first by default) and a seed (its first by default).

    Args: step: of a run that keeps all checkpoints; None = the last one, or with keep = "best" the best parameters.

    Raises: BadInput where there is no such run, arm, seed or step; DamagedState.
    """
    config = read_config(folder)
    name = choose("--arm", arm, list(config["arms"]))
    seed = choose("--seed", seed, config["seeds"][: seed_counts(config)[name]])
    [network] = read_networks(folder, name, [seed], step)
    return network


def load_networks(folder: Path, arm: str | None) -> list[LoadedNetwork]:
    """The networks of an arm (the first by default), one of each seed. Raises: as `load_network`."""
    config = read_config(folder)
    name = choose("--arm", arm, list(config["arms"]))
    return read_networks(folder, name, config["seeds"][: seed_counts(config)[name]])


def read_config(folder: Path) -> dict[str, Any]:
    """The settings and groups of a run folder, from its manifest. Raises: BadInput where there is no run."""
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None or "groups" not in manifest:
        raise BadInput(f"{folder}: no trained network here; expected the run folder of a study")
    parts = [part for parts in stored_parts(manifest).values() for part in parts]
    known = {"groups": manifest["groups"], "parts": parts, "series": manifest.get("series", [])}
    return known | manifest["config"]


def seed_counts(config: dict[str, Any]) -> dict[str, int]:
    """How many seeds each arm has."""
    return {name: values.get("seeds", len(config["seeds"])) for name, values in config["arms"].items()}


def keeps_best(folder: Path) -> bool:
    """Whether readers of a run folder take the best parameters."""
    tree = read_sealed_json(folder / STUDY_FILE) if (folder / STUDY_FILE).is_file() else {}
    return bool(tree.get("file", {}).get("keep") == "best")


def read_networks(folder: Path, name: str, seeds: Sequence[int], step: int | None = None) -> list[LoadedNetwork]:
    """The networks of an arm and some of its seeds, out of one reading of their checkpoint."""
    config, best = read_config(folder), keeps_best(folder)
    entry = next((value for value in config["groups"].values() if name in value["arms"]), None)
    if entry is None:
        raise BadInput(f"{folder}: arm {name} has no checkpoint yet")
    series = read_series(folder, config, name)
    if entry["columns"] and series is None:
        raise BadInput(f"{folder}: was written by an older rnnjax; expected a run folder of this one")
    last = config["arms"][name]["steps"] if is_finished(folder) else None
    saved = read_checkpoints(folder, config["parts"], name, seeds, step, last)
    known = (
        parse_vocabulary(entry["vocabulary"]),
        tuple(entry["columns"]),
        tuple(entry["target_mean"]),
        tuple(entry["target_scale"]),
    )
    prompt = tuple(entry.get("prompt", ()))
    rows, layout = series or (None, None)
    networks = []
    for seed in seeds:
        spec, hp = parse_settings(config["arms"][name])
        hp = hp._replace(seed=seed)
        sized = replace(spec, inputs=entry["inputs"], outputs=entry["outputs"], loss=entry["loss"])
        at, leaves, row = saved[seed]
        params = select_parameters(sized, hp, leaves, row, best and step is None)
        networks.append(LoadedNetwork(name, at, sized, hp, params, *known, rows, layout, prompt))
    return networks


def read_checkpoints(
    folder: Path, parts: Sequence[Part], arm: str, seeds: Sequence[int], step: int | None, last: int | None
) -> dict[int, tuple[int, dict[str, np.ndarray], int]]:
    """Seed -> (step, leaves, row) of its checkpoint, each read once.

    Args: last: the step that the newest one must have; None = any, of a run that goes on.

    Raises: BadInput where a seed has none. DamagedState, also where an older one would take the place of the last.
    """
    found: dict[int, tuple[int, dict[str, np.ndarray], int]] = {}
    for part in parts:
        rows = part.rows(arm) if arm in part.runs else {}
        wanted = [seed for seed in seeds if seed in rows]
        with Checkpoints(folder / "checkpoints" / part.folder) as checkpoints:
            saved = checkpoints.read(step) if wanted else None
            known = checkpoints.steps() if wanted else []
        if wanted and saved is None and step is not None:
            raise BadInput(f"{folder}: step {step:,}: got no such checkpoint; expected one of: {known}")
        if saved is not None and step is None and saved[0] != (last or saved[0]):
            raise DamagedState(
                f"{folder}: the last checkpoint, of step {last:,}, is damaged or missing; "
                f"the newest good one is of step {saved[0]:,}"
            )
        found |= {seed: (*saved, rows[seed]) for seed in wanted} if saved is not None else {}
    if missing := [seed for seed in seeds if seed not in found]:
        raise BadInput(f"{folder}: arm {arm}, seed {missing[0]}, has no checkpoint yet")
    return found


def select_parameters(spec: Spec, hp: HParams, leaves: dict[str, np.ndarray], row: int, best: bool = False) -> Params:
    """The parameters of one run out of a checkpoint's leaves [R, ...]; the network says which it has."""
    prefix = BEST_PARAMETERS if best else PARAMETERS

    def found(path: Any, _: Any) -> Array:
        return jnp.asarray(leaves[prefix + jax.tree_util.keystr(path, simple=True, separator="/")][row])

    like = jax.eval_shape(build_network(spec, hp).init, jax.random.key(0))
    return jax.tree_util.tree_map_with_path(found, like)


def choose(option: str, value: Any, known: list[Any]) -> Any:
    """The value if it is known, the first that is known if none was asked for."""
    if value is None:
        return known[0]
    if value not in known:
        close = difflib.get_close_matches(str(value), map(str, known), 3, 0.3) or [str(item) for item in known[:6]]
        raise BadInput(f"{option}: got {value!r}; expected one of {len(known)}, nearest: {', '.join(close)}")
    return value

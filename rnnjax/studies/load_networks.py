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

from rnnjax.config.study_json import parse_settings
from rnnjax.errors import BadInput
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec
from rnnjax.storage.checkpoints import Checkpoints
from rnnjax.storage.manifest import read_manifest
from rnnjax.studies.series_files import read_series
from rnnjax.types import Params, SeriesLayout, SeriesRows

PARAMETERS = "state/params/"


class LoadedNetwork(NamedTuple):
    """One trained network: an arm with one seed."""

    arm: str
    step: int
    spec: Spec
    hp: HParams
    params: Params
    vocabulary: str  # of a text, else empty
    columns: tuple[str, ...] = ()  # of a series, else empty: the names of the outputs
    target_mean_O: tuple[float, ...] = ()  # of a series: outputs are (target - mean) / scale
    target_scale_O: tuple[float, ...] = ()
    rows: SeriesRows | None = None  # of a series: all its rows
    layout: SeriesLayout | None = None  # of a series: how the network reads them


def load_network(folder: Path, arm: str | None, seed: int | None) -> LoadedNetwork:
    """The network of an arm (the first by default) and a seed (its first by default).

    Raises: BadInput where there is no such run, arm or seed; DamagedState.
    """
    config = read_config(folder)
    name = choose("--arm", arm, list(config["arms"]))
    seed = choose("--seed", seed, config["seeds"][: seed_counts(config)[name]])
    [network] = read_networks(folder, name, [seed])
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
    return {"groups": manifest["groups"], "series": manifest.get("series", [])} | manifest["config"]


def seed_counts(config: dict[str, Any]) -> dict[str, int]:
    """How many seeds each arm has."""
    return {name: values.get("seeds", len(config["seeds"])) for name, values in config["arms"].items()}


def read_networks(folder: Path, name: str, seeds: Sequence[int]) -> list[LoadedNetwork]:
    """The networks of an arm and some of its seeds, out of one reading of their checkpoint."""
    config = read_config(folder)
    group = next((key for key, value in config["groups"].items() if name in value["arms"]), None)
    with Checkpoints(folder / "checkpoints" / str(group)) as checkpoints:
        found = checkpoints.read() if group else None
    if group is None or found is None:
        raise BadInput(f"{folder}: arm {name} has no checkpoint yet")
    step, leaves = found
    entry = config["groups"][group]
    series = read_series(folder, config, name)
    if entry["columns"] and series is None:
        raise BadInput(f"{folder}: was written by an older rnnjax; expected a run folder of this one")
    first = sum(seed_counts(config)[one] for one in entry["arms"][: entry["arms"].index(name)])
    known = entry["vocabulary"], tuple(entry["columns"]), tuple(entry["target_mean"]), tuple(entry["target_scale"])
    networks = []
    for seed in seeds:
        spec, hp = parse_settings(config["arms"][name])
        hp = hp._replace(seed=seed)
        sized = replace(spec, inputs=entry["inputs"], outputs=entry["outputs"], loss=entry["loss"])
        params = select_parameters(sized, hp, leaves, first + config["seeds"].index(seed))
        networks.append(LoadedNetwork(name, step, sized, hp, params, *known, *(series or ())))
    return networks


def select_parameters(spec: Spec, hp: HParams, leaves: dict[str, np.ndarray], row: int) -> Params:
    """The parameters of one run out of a checkpoint's leaves [R, ...]; the network says which it has."""

    def found(path: Any, _: Any) -> Array:
        return jnp.asarray(leaves[PARAMETERS + jax.tree_util.keystr(path, simple=True, separator="/")][row])

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

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

from rnnjax.errors import BadInput
from rnnjax.networks.model import network
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.storage.checkpoints import Checkpoints
from rnnjax.storage.manifest import in_words, read_manifest
from rnnjax.types import Params

PARAMETERS = "state/params/"


class Network(NamedTuple):
    """One trained network: an arm with one seed."""

    arm: str
    step: int
    spec: Spec
    hp: HParams
    params: Params
    vocabulary: str  # of a text, else empty
    columns: tuple[str, ...] = ()  # of a series, else empty, and so are the others
    mean_O: tuple[float, ...] = ()  # what the network says is mean + unit * y in the series' own units
    unit_O: tuple[float, ...] = ()
    last: tuple[tuple[float, ...], ...] = ()  # rows of the end of the training part, as the network sees them


def load_network(folder: Path, arm: str | None, seed: int | None) -> Network:
    """The network of an arm (the first by default) and a seed (its first by default).

    Raises: BadInput where there is no such run, arm or seed; DamagedState.
    """
    config = config_of(folder)
    name = one_of("--arm", arm, list(config["arms"]))
    seed = one_of("--seed", seed, config["seeds"][: counts(config)[name]])
    [network] = loaded(folder, name, [seed])
    return network


def load_networks(folder: Path, arm: str | None) -> list[Network]:
    """The networks of an arm (the first by default), one of each seed. Raises: as `load_network`."""
    config = config_of(folder)
    name = one_of("--arm", arm, list(config["arms"]))
    return loaded(folder, name, config["seeds"][: counts(config)[name]])


def config_of(folder: Path) -> dict[str, Any]:
    """What a run folder was run with. Raises: BadInput where there is no run."""
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None or "groups" not in manifest:
        raise BadInput(f"{folder}: no trained network here; expected the run folder of a study")
    return {"groups": manifest["groups"]} | manifest["config"]


def counts(config: dict[str, Any]) -> dict[str, int]:
    """How many seeds each arm has."""
    return {name: values.get("seeds", len(config["seeds"])) for name, values in config["arms"].items()}


def loaded(folder: Path, name: str, seeds: Sequence[int]) -> list[Network]:
    """The networks of an arm and some of its seeds, out of one reading of their checkpoint."""
    config = config_of(folder)
    group = next((key for key, value in config["groups"].items() if name in value["arms"]), None)
    with Checkpoints(folder / "checkpoints" / str(group)) as checkpoints:
        found = checkpoints.read() if group else None
    if group is None or found is None:
        raise BadInput(f"{folder}: arm {name} has no checkpoint yet")
    step, leaves = found
    entry = config["groups"][group]
    if "last" not in entry:
        raise BadInput(f"{folder}: was written by an older rnnjax; expected a run folder of this one")
    first = sum(counts(config)[one] for one in entry["arms"][: entry["arms"].index(name)])
    known = entry["vocabulary"], tuple(entry["columns"]), tuple(entry["mean"]), tuple(entry["unit"])
    last = tuple(map(tuple, entry["last"]))
    networks = []
    for seed in seeds:
        values = {field: value for field, value in config["arms"][name].items() if field != "seeds"}
        spec, hp = settings_of(values, seed)
        sized = replace(spec, inputs=entry["inputs"], outputs=entry["outputs"], loss=entry["loss"])
        params = parameters_of(sized, hp, leaves, first + config["seeds"].index(seed))
        networks.append(Network(name, step, sized, hp, params, *known, last))
    return networks


def parameters_of(spec: Spec, hp: HParams, leaves: dict[str, np.ndarray], row: int) -> Params:
    """The parameters of one run out of a checkpoint's leaves [R, ...]; the network says which it has."""

    def found(path: Any, _: Any) -> Array:
        return jnp.asarray(leaves[PARAMETERS + jax.tree_util.keystr(path, simple=True, separator="/")][row])

    like = jax.eval_shape(network(spec, hp).init, jax.random.key(0))
    return jax.tree_util.tree_map_with_path(found, like)


def one_of(option: str, value: Any, known: list[Any]) -> Any:
    """The value if it is known, the first that is known if none was asked for."""
    if value is None:
        return known[0]
    if value not in known:
        close = difflib.get_close_matches(str(value), map(str, known), 3, 0.3) or [str(item) for item in known[:6]]
        raise BadInput(f"{option}: got {value!r}; expected one of {len(known)}, nearest: {', '.join(close)}")
    return value


def settings_of(values: dict[str, Any], seed: int) -> tuple[Spec, HParams]:
    """Spec and hyperparameters as the manifest keeps them, where infinity is a word."""
    plain: dict[str, Any] = {name: float(value) if value == "inf" else value for name, value in values.items()}
    hp = HParams(**{name: plain.pop(name) for name in HParams._fields if name in plain})._replace(seed=seed)
    return Spec(**plain | {"task": TaskSpec(**in_words(plain["task"]))}), hp

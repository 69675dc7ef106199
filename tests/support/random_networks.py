"""Networks from here with random parameters; nothing is compiled."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import rnnjax as rj
from rnnjax.networks.model import build_network
from rnnjax.studies.load_networks import LoadedNetwork


def make_network(scale: float = 1.0, **settings: Any) -> rj.Network:
    """A network from here with random parameters. Args: scale: their deviation."""
    spec = rj.Spec(**({"inputs": 3, "outputs": 2, "hidden": 4, "loss": "squared_error"} | settings))
    like = jax.eval_shape(build_network(spec, rj.HParams()).init, jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(scale * rng.normal(size=leaf.shape), jnp.float32), like)
    vocabulary = "abcdefg"[: spec.inputs] if spec.loss == "cross_entropy" else ""
    return rj.Network(LoadedNetwork("", 0, spec, rj.HParams(), params, vocabulary))

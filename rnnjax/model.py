"""A network: symbols in, a recurrent cell, a linear readout, logits out."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.cells import CELLS
from rnnjax.initializers import INITIALIZERS
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Params
from rnnjax.unroll import unroll


class Model(NamedTuple):
    """Pure functions of a network for B parallel streams."""

    init: Callable[[Array], Params]  # key -> {"cell": ..., "readout": {"kernel": [H, O], "bias": [O]}}
    carry: Callable[[int], Carry]  # B -> the carry before the first symbol, leaves [B, ...]
    apply: Callable[[Params, Carry, Array], tuple[Carry, Array, Array]]  # ids_TB -> carry, logits_TBO, h_TBH


def network(spec: Spec, hp: HParams) -> Model:
    """The network of a spec: symbols as one-hot vectors, its cell, and logits_t = h_t W_hy + b_y."""
    cell = CELLS[spec.cell](spec, hp)

    def init(key: Array) -> Params:
        cell_key, readout_key = jax.random.split(key)
        kernel = INITIALIZERS[spec.kernel_initializer](
            readout_key, (spec.hidden, spec.outputs), jnp.asarray(hp.kernel_gain)
        )
        return {"cell": cell.init(cell_key), "readout": {"kernel": kernel, "bias": jnp.zeros(spec.outputs)}}

    def carry(streams: int) -> Carry:
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (streams, *leaf.shape)), cell.carry())

    def apply(params: Params, carry: Carry, ids_TB: Array) -> tuple[Carry, Array, Array]:
        carry, h_TBH = unroll(cell, params["cell"], carry, ids_TB)
        logits_TBO = jax.vmap(jax.vmap(partial(readout, params["readout"])))(h_TBH)
        return carry, logits_TBO, h_TBH

    return Model(init, carry, apply)


def readout(params: Params, h: Array) -> Array:
    """h [H] -> logits [O]."""
    return h @ params["kernel"] + params["bias"]

"""Recurrent cells: each is a linear recurrence and an elementwise gate, see `types.Cell`."""

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.activations import ACTIVATIONS
from rnnjax.initializers import INITIALIZERS
from rnnjax.settings import HParams, Spec
from rnnjax.types import Cell, Params


def elman(spec: Spec, hp: HParams) -> Cell:
    """Elman cell: h' = phi(x W_xh + h W_hh + b); G = 1 and the carry is h [H].

    Source: Elman 1990, Cognitive Science 14:179.
    """
    phi = ACTIVATIONS[spec.activation]
    kernel_start, recurrent_start = INITIALIZERS[spec.kernel_initializer], INITIALIZERS[spec.recurrent_initializer]

    def init(key: Array) -> Params:
        kernel_key, recurrent_key = jax.random.split(key)
        return {
            "kernel": kernel_start(kernel_key, (spec.inputs, spec.hidden), jnp.asarray(hp.kernel_gain)),
            "recurrent_kernel": recurrent_start(
                recurrent_key, (spec.hidden, spec.hidden), jnp.asarray(hp.recurrent_gain)
            ),
            "bias": jnp.zeros(spec.hidden),
        }

    def carry() -> Array:
        return jnp.zeros(spec.hidden)

    def drive(params: Params, x: Array) -> Array:
        return project(params["kernel"], x) + params["bias"]

    def gate(h: Array, u: Array, r: Array) -> Array:
        return phi(u + r)

    def output(h: Array) -> Array:
        return h

    return Cell(init, carry, drive, gate, output)


def project(kernel_DG: Array, x: Array) -> Array:
    """x W for a vector x [D]; for an id, an integer scalar, the row that its one-hot vector would pick."""
    if jnp.issubdtype(x.dtype, jnp.integer):
        return kernel_DG.at[x].get(mode="promise_in_bounds")
    return x @ kernel_DG


CELLS = {"elman": elman}

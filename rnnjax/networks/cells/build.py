"""The parts of cells: kernels and biases by gate, the input projection, layer normalisation."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.initializers import ALL_GATES, INITIALIZERS, RECURRENT_INITIALIZERS
from rnnjax.networks.products import PRODUCTS, select_row
from rnnjax.settings import HParams, Spec
from rnnjax.settings.checks import lookup
from rnnjax.types import Carry, Cell, Params

LAYER_NORM_EPSILON = 1e-6  # as in Flax; inside the root, so that a constant vector becomes 0


def build_cell(
    spec: Spec,
    hp: HParams,
    gates: tuple[str, ...],
    gate: Callable[[Params, Carry, Array, Array], Carry],
    gate_init: Callable[[], Params] = dict,
) -> Cell:
    """A cell whose carry is h [H], from its gate; each block [., H] of a kernel is drawn by the initializer on its own.

    Args:
        gates: the names of the G blocks.
        gate: (params of the gate, h [H], u [G*H], r [G*H]) -> h' [H].
        gate_init: the gate's own parameters before training.

    Raises:
        BadInput: an unknown initializer.
    """
    kernel_start = lookup(INITIALIZERS, spec.kernel_initializer, "kernel_initializer")
    recurrent_start = lookup(INITIALIZERS | RECURRENT_INITIALIZERS, spec.recurrent_initializer, "recurrent_initializer")
    blocks = partial(draw_blocks, len(gates), spec.hidden)

    def init(key: Array) -> Params:
        kernel_key, recurrent_key = jax.random.split(key)
        return {
            "kernel": blocks(
                kernel_start, kernel_key, spec.inputs, hp.kernel_gain, spec.kernel_initializer in ALL_GATES
            ),
            "recurrent_kernel": blocks(
                recurrent_start, recurrent_key, spec.hidden, hp.recurrent_gain, spec.recurrent_initializer in ALL_GATES
            ),
            "bias": jnp.zeros(len(gates) * spec.hidden),
            "gate": gate_init(),
        }

    def carry() -> Array:
        return jnp.zeros(spec.hidden)

    def project_input(params: Params, x: Array) -> Array:
        return input_projection(params["kernel"], x, spec.dtype) + params["bias"]

    def hidden_state(h: Array) -> Array:
        return h

    return Cell(gates, init, carry, project_input, gate, hidden_state, product=PRODUCTS[spec.dtype])


def draw_blocks(
    count: int, hidden: int, start: Callable[..., Array], key: Array, rows: int, gain: Any, at_once: bool = False
) -> Array:
    """A kernel [rows, count*H], each block of H columns from an initializer and a key of its own.

    Args: at_once: all columns from one draw, see `initializers.ALL_GATES`.
    """
    if at_once:
        return start(key, (rows, count * hidden), jnp.asarray(gain))
    keys = jax.random.split(key, count) if count > 1 else [key]
    return jnp.concatenate([start(block_key, (rows, hidden), jnp.asarray(gain)) for block_key in keys], axis=1)


def init_projection(spec: Spec, hp: HParams, blocks: int, key: Array) -> Params:
    """The kernel [D, blocks*H] and bias [blocks*H] of an input projection, drawn by `kernel_initializer`."""
    start = lookup(INITIALIZERS, spec.kernel_initializer, "kernel_initializer")
    at_once = spec.kernel_initializer in ALL_GATES
    kernel = draw_blocks(blocks, spec.hidden, start, key, spec.inputs, hp.kernel_gain, at_once)
    return {"kernel": kernel, "bias": jnp.zeros(blocks * spec.hidden)}


def with_forget_bias(hp: HParams, gates: tuple[str, ...], params: Params) -> Params:
    """The parameters of a cell with `forget_bias` in the block of the forget gate of its bias [G*H]."""
    is_forget = jnp.arange(params["bias"].size) // (params["bias"].size // len(gates)) == gates.index("forget")
    return params | {"bias": jnp.where(is_forget, hp.forget_bias, params["bias"])}


def input_projection(kernel_DG: Array, x: Array, dtype: str = "float32") -> Array:
    """x W for a vector x [D]; for an id, an integer scalar, the row of W with that number.

    Args: dtype: of the operands, see `products`.
    """
    if jnp.issubdtype(x.dtype, jnp.integer):
        return select_row(kernel_DG, x, dtype)
    return PRODUCTS[dtype](x, kernel_DG)


def with_layer_norm(cell: Cell, dtype: str = "float32") -> Cell:
    """The cell with u = g_u * standard(x W) + b and r = g_r * standard(h R), each block of a gate on its own.

    standard(v) has mean 0 and variance 1 over the H units; the scales g and the bias b are learned.
    Source: Ba et al. 2016, arXiv:1607.06450.
    """

    def standard(values_G: Array) -> Array:
        blocks_GH = values_G.reshape(len(cell.gates), -1)
        centred_GH = blocks_GH - jnp.mean(blocks_GH, axis=1, keepdims=True)
        variance_G1 = jnp.mean(centred_GH**2, axis=1, keepdims=True)
        return (centred_GH * jax.lax.rsqrt(variance_G1 + LAYER_NORM_EPSILON)).ravel()

    def init(key: Array) -> Params:
        params = cell.init(key)
        bias = params.pop("bias")  # it is added after u is brought to mean 0, so it belongs to the gate
        scales = {"input_scale": jnp.ones_like(bias), "recurrent_scale": jnp.ones_like(bias), "input_bias": bias}
        return params | {"gate": params["gate"] | scales}

    def project_input(params: Params, x: Array) -> Array:
        return input_projection(params["kernel"], x, dtype)

    def gate(params: Params, carry: Carry, u: Array, r: Array) -> Carry:
        u = params["input_scale"] * standard(u) + params["input_bias"]
        return cell.gate(params, carry, u, params["recurrent_scale"] * standard(r))

    return cell._replace(init=init, project_input=project_input, gate=gate)

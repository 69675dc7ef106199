"""Windows of elman, gru and lstm as one call of compiled C++, `window.cpp`, forward and backward.

A scan calls XLA's kernels at every step; here a run's kernel stays in the cache of its core for the whole window. It is
compiled when it is first used (`devices.load_targets`) and rounds otherwise than the scan, its reference.
May import: as the package `networks`.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax import devices
from rnnjax.errors import BadInput
from rnnjax.settings import Spec
from rnnjax.types import Carry, Params

ACTIVATIONS = ("tanh", "relu", "sigmoid", "softsign", "identity")  # of elman, in the order of window.cpp's kinds
KINDS = {f"elman_{name}": i for i, name in enumerate(ACTIVATIONS)} | {"gru": 5, "lstm": 6}
CELLS = ("elman", "gru", "lstm")
LANES = 16  # the number of units is filled up to a multiple of it
STORED = {"gru": 4, "lstm": 4}  # blocks of H that the way forward keeps beside the states
FORWARD, BACKWARD = "rnnjax_forward", "rnnjax_backward"


def fused_kind(spec: Spec) -> str:
    """The kind of a spec's cell in window.cpp. Raises BadInput where it has none."""
    if reason := unfused_reason(spec):
        raise BadInput(f"recurrence: got 'fused'; expected 'scan': {reason}")
    return f"elman_{spec.activation}" if spec.cell == "elman" else spec.cell


def unfused_reason(spec: Spec) -> str:
    """Why windows of a spec cannot be fused; "" where they can."""
    if spec.cell not in CELLS:
        return f"'{spec.cell}' is none of {', '.join(CELLS)}"
    if spec.cell == "elman" and spec.activation not in ACTIVATIONS:
        return f"activation '{spec.activation}' is none of {', '.join(ACTIVATIONS)}"
    if spec.layer_norm:
        return "layer_norm is on"
    return "" if spec.dtype == "float32" else f"dtype is '{spec.dtype}'"


class Window(NamedTuple):
    """The arguments of a window as window.cpp takes them: H a multiple of `LANES`, absent arrays of size 0."""

    kernel: Array  # [H, G*H]
    bias: Array  # [H] of a gru
    input_TBG: Array
    c: Array  # [B, H] of an lstm, before the window
    h: Array  # [B, H], before the window
    valid: Array  # [T, B], 1 or 0
    keep: Array  # [B, H], factors on h before the product


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def fused_window(kind: str, window: Window) -> tuple[Array, Array]:
    """The state c [B, H] after the window, absent but for an lstm, and the states h_TBH after each step."""
    return fused_forward(kind, window)[0]


def fused_forward(kind: str, window: Window) -> Any:
    steps, streams, _ = window.input_TBG.shape
    hidden = window.h.shape[1]
    states = (steps, streams, hidden)
    outputs: list[tuple[int, ...]] = [states if window.c.size else (0,), states]
    outputs.append((steps, streams, STORED.get(kind, 0) * hidden))
    c, h, stored = call(FORWARD, kind, outputs, window)
    return (c[-1] if window.c.size else c, h), (window, c, h, stored)


def fused_backward(kind: str, residuals: Any, gradients: tuple[Array, Array]) -> tuple[Window]:
    window, c, h, stored = residuals
    d_c_end, d_h = gradients
    read = window.kernel, window.c, window.h, window.valid, window.keep, c, h, stored, d_h, d_c_end
    wanted = window.kernel, window.bias, window.input_TBG, window.c, window.h
    found = call(BACKWARD, kind, [leaf.shape for leaf in wanted], read)
    d_kernel, d_bias, d_input, d_c, d_h = found
    zeros = jnp.zeros_like(window.valid), jnp.zeros_like(window.keep)
    return (Window(d_kernel, d_bias, d_input, d_c, d_h, *zeros),)


fused_window.defvjp(fused_forward, fused_backward)


def call(target: str, kind: str, shapes: Sequence[tuple[int, ...]], arguments: Any) -> Any:
    """Call a function of window.cpp; under `vmap` its arrays have a further leading axis."""
    devices.load_targets("rnnjax.networks.fused", "window.cpp", (FORWARD, BACKWARD))
    outputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.ffi.ffi_call(target, outputs, vmap_method="broadcast_all")(*arguments, kind=np.int64(KINDS[kind]))


def fused_recurrence(
    kind: str,
    learned: Params,
    carry: Carry,
    input_TBG: Array,
    mask_TB: Array | None = None,
    dropout_BH: Array | None = None,
) -> tuple[Carry, Array]:
    """`unroll.recurrence` of a window without restarts: the same arguments and results."""
    hidden = learned["kernel"].shape[0]
    fill = partial(fill_units, hidden=hidden)
    kernel = jnp.pad(fill(learned["kernel"]), ((0, -hidden % LANES), (0, 0)))
    c, h = carry if kind == "lstm" else (None, carry)
    absent = jnp.zeros(0, jnp.float32)
    bias = fill(learned["gate"]["bias"]) if kind == "gru" else absent
    states = absent if c is None else fill(c), fill(h)
    valid = absent if mask_TB is None else mask_TB.astype(jnp.float32)
    keep = absent if dropout_BH is None else fill(dropout_BH)
    c_BH, h_TBH = fused_window(kind, Window(kernel, bias, fill(input_TBG), *states, valid, keep))
    h_TBH = h_TBH[..., :hidden]
    after = (c_BH[:, :hidden], h_TBH[-1]) if kind == "lstm" else h_TBH[-1]
    return after, h_TBH if mask_TB is None else jnp.where(mask_TB[..., None], h_TBH, 0)


def fill_units(leaf: Array, hidden: int) -> Array:
    """Each block [..., H] of a gate with zeros up to a multiple of `LANES`. Such a unit is never read: its row is 0."""
    missing = -hidden % LANES
    if not missing:
        return leaf
    blocks = leaf.reshape(*leaf.shape[:-1], -1, hidden)
    return jnp.pad(blocks, [(0, 0)] * (blocks.ndim - 1) + [(0, missing)]).reshape(*leaf.shape[:-1], -1)

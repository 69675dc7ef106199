"""Scan of a cell over a window, with a custom backward pass.

Reverse mode through a plain scan adds an [H, G*H] outer product to the recurrent kernel's gradient at every step. Here
the reverse scan differentiates the elementwise gate only and stacks the gradients of r = h W; the kernel's gradient is
then ONE matrix product over all T*B steps.
"""

import operator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.fused import fused_recurrence
from rnnjax.networks.linear_recurrence import select_leaves, unroll_linear
from rnnjax.types import Carry, Cell, OpaqueCell, Params


def unroll(
    cell: Cell | OpaqueCell,
    params: Params,
    carry: Carry,
    x: Array,
    mask_TB: Array | None = None,
    dropout_BH: Array | None = None,
    starts_TB: Array | None = None,
    start: Carry = None,
) -> tuple[Carry, Array]:
    """Run a cell over a window for B streams.

    Args:
        params: of the cell. carry: leaves [B, ...], the state before the window.
        x: inputs x_TBD, or ids [T, B] of symbols.
        mask_TB: false where a sequence has ended: its carry is kept and its output 0.
        dropout_BH: multiplies h before the recurrent product, the same at every step; none for an opaque cell.
        starts_TB: true at the first step of a sequence, before which the carry is replaced by `start`.
        start: leaves [B, ...], the state before the first step of a sequence.

    Returns:
        The carry after the window and the outputs h_TBH.

    Raises:
        ValueError: a mask or starts of another shape than [T, B].
    """
    for name, flags_TB in (("mask", mask_TB), ("starts", starts_TB)):
        if flags_TB is not None and flags_TB.shape != x.shape[:2]:
            raise ValueError(f"{name}: got shape {flags_TB.shape}; expected [T, B] = {x.shape[:2]}")
    if isinstance(cell, OpaqueCell) and cell.linear:
        return unroll_linear(cell, cell.linear, params, carry, x, mask_TB, starts_TB, start)
    if isinstance(cell, OpaqueCell):
        return scan_opaque_cell(cell, params, carry, x, mask_TB, starts_TB, start)
    input_TBG = jax.vmap(jax.vmap(partial(cell.project_input, params)))(x)
    learned = {"kernel": cell.recurrent_kernel(params), "gate": params["gate"]}
    if cell.fused and starts_TB is None and input_TBG.dtype == jnp.float32:
        return fused_recurrence(cell.fused, learned, carry, input_TBG, mask_TB, dropout_BH)
    return recurrence(cell, learned, carry, start, input_TBG, mask_TB, dropout_BH, starts_TB)


def unroll_segments(
    cell: Cell | OpaqueCell,
    params: Params,
    carry: Carry,
    x: Array,
    mask_TB: Array | None = None,
    dropout_BH: Array | None = None,
    starts_TB: Array | None = None,
    start: Carry = None,
    segment: int = 1,
) -> tuple[Carry, Array]:
    """`unroll` that keeps the carries between segments of some steps, and computes a segment again on the way back.

    Of T steps T / segment + segment carries are in memory, instead of T. The gradient of the parameters is summed
    segment by segment.

    Source: Chen et al. 2016, arXiv:1604.06174.
    """

    def run_segment(carry: Carry, steps: tuple[Array, Array | None, Array | None]) -> tuple[Carry, Array]:
        return unroll(cell, params, carry, steps[0], steps[1], dropout_BH, steps[2], start)

    steps_T, whole = (x, mask_TB, starts_TB), len(x) // segment * segment
    parts_ST = jax.tree.map(lambda leaf: leaf[:whole].reshape(len(x) // segment, segment, *leaf.shape[1:]), steps_T)
    carry, outputs_STBH = jax.lax.scan(jax.checkpoint(run_segment), carry, parts_ST)
    outputs_TBH = outputs_STBH.reshape(whole, *outputs_STBH.shape[2:])
    if whole == len(x):
        return carry, outputs_TBH
    carry, rest_TBH = jax.checkpoint(run_segment)(carry, jax.tree.map(lambda leaf: leaf[whole:], steps_T))
    return carry, jnp.concatenate([outputs_TBH, rest_TBH])


def flip_sequences(x: Array, mask_TB: Array | None, starts_TB: Array | None = None) -> Array:
    """Each stream [T, B, ...] with the steps where its mask is true in reverse order; the steps after these stay.

    Args: starts_TB: true at the first step of a sequence; each sequence of a stream is reversed in its place.
    """
    if starts_TB is not None:
        return x[mirrored_steps(mask_TB, starts_TB), jnp.arange(x.shape[1])[None, :]]
    if mask_TB is None:
        return x[::-1]
    step_TB = jnp.broadcast_to(jnp.arange(x.shape[0])[:, None], mask_TB.shape)
    length_1B = jnp.sum(mask_TB, axis=0, keepdims=True)
    mirrored_TB = jnp.where(step_TB < length_1B, length_1B - 1 - step_TB, step_TB)
    return x[mirrored_TB, jnp.arange(x.shape[1])[None, :]]


def mirrored_steps(mask_TB: Array | None, starts_TB: Array) -> Array:
    """For each step t of a sequence at steps a ... b of its stream the step a + b - t; steps outside stay."""
    step_TB = jnp.broadcast_to(jnp.arange(starts_TB.shape[0])[:, None], starts_TB.shape)
    valid_TB = jnp.ones_like(starts_TB) if mask_TB is None else mask_TB
    first_TB = jax.lax.cummax(jnp.where(starts_TB, step_TB, 0), axis=0)
    ends_TB = valid_TB & ~jnp.concatenate([valid_TB[1:] & ~starts_TB[1:], jnp.zeros_like(starts_TB[:1])])
    last_TB = jax.lax.cummin(jnp.where(ends_TB, step_TB, starts_TB.shape[0]), axis=0, reverse=True)
    return jnp.where(valid_TB, first_TB + last_TB - step_TB, step_TB)


def scan_opaque_cell(
    cell: OpaqueCell,
    params: Params,
    carry: Carry,
    x: Array,
    mask_TB: Array | None,
    starts_TB: Array | None = None,
    start: Carry = None,
) -> tuple[Carry, Array]:
    """`unroll` of a cell that cannot be taken apart: a scan of its step, differentiated by JAX; the same shapes."""

    def step(carry: Carry, inputs: tuple[Array, Array | None, Array | None]) -> tuple[Carry, Array]:
        x_B, mask_B, starts_B = inputs
        carry = restart(starts_B, start, carry)
        carry = where_valid(mask_B, jax.vmap(partial(cell.step, params))(carry, x_B), carry)
        return carry, mask_outputs(mask_B, jax.vmap(cell.hidden_state)(carry))

    return jax.lax.scan(step, carry, (x, mask_TB, starts_TB))


def where_valid(mask_B: Array | None, new: Any, old: Any) -> Any:
    """`new` where the mask is true, `old` where a sequence has ended; leaves [B, ...]."""
    return new if mask_B is None else select_leaves(mask_B, new, old)


def restart(starts_B: Array | None, start: Carry, carry: Carry) -> Carry:
    """`start` where a sequence starts, else the carry; leaves [B, ...]."""
    return carry if starts_B is None else where_valid(starts_B, start, carry)


def mask_outputs(mask_B: Array | None, h_BH: Array) -> Array:
    """h_BH, and 0 in the streams where a sequence has ended."""
    return where_valid(mask_B, h_BH, jnp.zeros_like(h_BH))


def gated_step(cell: Cell, gate: Params, carry: Carry, u_BG: Array, r_BG: Array, mask_B: Array | None) -> Carry:
    """carry' = gate(carry, u, r) of B streams: one step without its matrix product; u and r are [B, G*H]."""
    return where_valid(mask_B, jax.vmap(partial(cell.gate, gate))(carry, u_BG, r_BG), carry)


def recurrent_input(cell: Cell, kernel_HG: Array, carry: Carry, dropout_BH: Array | None) -> Array:
    """r = (dropout * h) W, [B, G*H], of the outputs h [B, H] of a carry and W [H, G*H]."""
    h_BH = jax.vmap(cell.hidden_state)(carry)
    return cell.product(h_BH if dropout_BH is None else h_BH * dropout_BH, kernel_HG)


def hidden_states(cell: Cell, carry_TB: Carry) -> Array:
    """h_TBH of carries [T, B, ...]."""
    return jax.vmap(jax.vmap(cell.hidden_state))(carry_TB)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def recurrence(
    cell: Cell,
    learned: Params,
    carry: Carry,
    start: Carry,
    input_TBG: Array,
    mask_TB: Array | None,
    dropout_BH: Array | None,
    starts_TB: Array | None,
) -> tuple[Carry, Array]:
    """carry_t = gate(carry_{t-1}, u_t, r_t) with r_t = (dropout * output(carry_{t-1})) W, for t = 1..T.

    Where `starts_TB` is true `start` stands for carry_{t-1}.

    Args:
        learned: {"kernel": W [H, G*H], "gate": the gate's own parameters}. carry: carry_0, leaves [B, ...].
        input_TBG: u [T, B, G*H]. mask_TB, dropout_BH: as in `unroll`.

    Returns:
        carry_T and the outputs h_TBH.
    """
    return recurrence_forward(cell, learned, carry, start, input_TBG, mask_TB, dropout_BH, starts_TB)[0]


def recurrence_forward(
    cell: Cell,
    learned: Params,
    carry: Carry,
    start: Carry,
    input_TBG: Array,
    mask_TB: Array | None,
    dropout_BH: Array | None,
    starts_TB: Array | None,
) -> tuple[Any, Any]:
    """The scan, and the residuals of the backward pass: every carry and every recurrent input."""

    def step(carry: Carry, inputs: tuple[Array, Array | None, Array | None]) -> tuple[Carry, tuple[Carry, Array]]:
        carry = restart(inputs[2], start, carry)
        r_BG = recurrent_input(cell, learned["kernel"], carry, dropout_BH)
        carry = gated_step(cell, learned["gate"], carry, inputs[0], r_BG, inputs[1])
        return carry, (carry, r_BG)

    end, (after_TB, r_TBG) = jax.lax.scan(step, carry, (input_TBG, mask_TB, starts_TB))
    h_TBH = hidden_states(cell, after_TB)
    if mask_TB is not None:
        h_TBH = jnp.where(mask_TB[..., None], h_TBH, 0)
    return (end, h_TBH), (learned, carry, start, after_TB, input_TBG, r_TBG, mask_TB, dropout_BH, starts_TB)


def recurrence_backward(cell: Cell, residuals: Any, gradients: tuple[Carry, Array]) -> tuple[Any, ...]:
    """Reverse scan over the gates, then one product for the recurrent kernel.

    Gates are recomputed in the backward pass: their elementwise work costs less than storing their derivatives. The
    gradient of a carry that `start` replaced goes to `start`.
    """
    learned, carry, start, after_TB, input_TBG, r_TBG, mask_TB, dropout_BH, starts_TB = residuals
    d_end, d_h_TBH = gradients
    if mask_TB is not None:
        d_h_TBH = jnp.where(mask_TB[..., None], d_h_TBH, 0)
    (d_after_TB,) = jax.vjp(partial(hidden_states, cell), after_TB)[1](d_h_TBH)
    before_TB = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest[:-1]]), carry, after_TB)
    if starts_TB is not None:
        before_TB = jax.vmap(lambda starts_B, before: restart(starts_B, start, before))(starts_TB, before_TB)
    through = partial(recurrent_input, cell, learned["kernel"], dropout_BH=dropout_BH)
    zero = None if starts_TB is None else jax.tree.map(jnp.zeros_like, start)

    def step(state: tuple[Carry, Params, Carry], inputs: Any) -> Any:
        (d_carry, d_gate, d_start), (d_after, before, u_BG, r_BG, mask_B, starts_B) = state, inputs
        gate_vjp = jax.vjp(partial(gated_step, cell, mask_B=mask_B), learned["gate"], before, u_BG, r_BG)[1]
        d_gate_now, d_carry, d_u_BG, d_r_BG = gate_vjp(jax.tree.map(jnp.add, d_carry, d_after))
        (d_recurrent,) = jax.vjp(through, before)[1](d_r_BG)
        stacked = (d_u_BG,) if d_u_BG is d_r_BG else (d_u_BG, d_r_BG)  # the same array where the gate adds u and r
        d_carry, d_gate = jax.tree.map(jnp.add, (d_carry, d_gate), (d_recurrent, d_gate_now))
        if starts_B is not None:
            d_start = jax.tree.map(jnp.add, d_start, where_valid(starts_B, d_carry, zero))
            d_carry = where_valid(starts_B, zero, d_carry)
        return (d_carry, d_gate, d_start), stacked

    first = d_end, jax.tree.map(jnp.zeros_like, learned["gate"]), zero
    inputs_T = d_after_TB, before_TB, input_TBG, r_TBG, mask_TB, starts_TB
    (d_carry, d_gate, d_start), stacked = jax.lax.scan(step, first, inputs_T, reverse=True)
    d_u_TBG, d_r_TBG = stacked[0], stacked[-1]
    h_TBH = hidden_states(cell, before_TB)
    h_TBH = h_TBH if dropout_BH is None else h_TBH * dropout_BH[None]
    d_learned = {"kernel": kernel_gradient(cell, learned["kernel"], h_TBH, d_r_TBG), "gate": d_gate}
    return d_learned, d_carry, d_start, d_u_TBG, None, None, None


def kernel_gradient(cell: Cell, kernel: Array, h_TBH: Array, d_r_TBG: Array) -> Array:
    """The gradient of the recurrent kernel, one product over all steps."""
    if cell.product is operator.matmul:
        return jnp.einsum("tbh,tbg->hg", h_TBH, d_r_TBG)
    (d_kernel,) = jax.vjp(lambda one: cell.product(h_TBH, one), kernel)[1](d_r_TBG)
    return d_kernel


recurrence.defvjp(recurrence_forward, recurrence_backward)

"""Scan of a cell over a window, with a custom backward pass.

Reverse mode through a plain scan adds an [H, G*H] outer product to the recurrent kernel's gradient at every step. Here
the reverse scan differentiates the elementwise gate only and stacks the gradients of r = h W; the kernel's gradient is
then ONE matrix product over all T*B steps.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.types import Carry, Cell, OpaqueCell, Params


def unroll(
    cell: Cell | OpaqueCell,
    params: Params,
    carry: Carry,
    x: Array,
    mask_TB: Array | None = None,
    dropout_BH: Array | None = None,
) -> tuple[Carry, Array]:
    """Run a cell over a window for B streams.

    Args:
        params: of the cell. carry: leaves [B, ...], the state before the window.
        x: inputs x_TBD, or ids [T, B] of symbols.
        mask_TB: false where a sequence has ended: its carry is kept and its output 0.
        dropout_BH: multiplies h before the recurrent product, the same at every step; none for an opaque cell.

    Returns:
        The carry after the window and the outputs h_TBH.

    Raises:
        ValueError: a mask of another shape than [T, B].
    """
    if mask_TB is not None and mask_TB.shape != x.shape[:2]:
        raise ValueError(f"mask: got shape {mask_TB.shape}; expected [T, B] = {x.shape[:2]}")
    if isinstance(cell, OpaqueCell):
        return scan_opaque_cell(cell, params, carry, x, mask_TB)
    input_TBG = jax.vmap(jax.vmap(partial(cell.project_input, params)))(x)
    learned = {"kernel": params["recurrent_kernel"], "gate": params["gate"]}
    return recurrence(cell, learned, carry, input_TBG, mask_TB, dropout_BH)


def flip_sequences(x: Array, mask_TB: Array | None) -> Array:
    """Each stream [T, B, ...] with the steps where its mask is true in reverse order; the steps after these stay."""
    if mask_TB is None:
        return x[::-1]
    step_TB = jnp.broadcast_to(jnp.arange(x.shape[0])[:, None], mask_TB.shape)
    length_1B = jnp.sum(mask_TB, axis=0, keepdims=True)
    mirrored_TB = jnp.where(step_TB < length_1B, length_1B - 1 - step_TB, step_TB)
    return x[mirrored_TB, jnp.arange(x.shape[1])[None, :]]


def scan_opaque_cell(
    cell: OpaqueCell, params: Params, carry: Carry, x: Array, mask_TB: Array | None
) -> tuple[Carry, Array]:
    """`unroll` of a cell that cannot be taken apart: a scan of its step, differentiated by JAX; the same shapes."""

    def step(carry: Carry, inputs: tuple[Array, Array | None]) -> tuple[Carry, Array]:
        x_B, mask_B = inputs
        carry = where_valid(mask_B, jax.vmap(partial(cell.step, params))(carry, x_B), carry)
        return carry, mask_outputs(mask_B, jax.vmap(cell.hidden_state)(carry))

    return jax.lax.scan(step, carry, (x, mask_TB))


def where_valid(mask_B: Array | None, new: Any, old: Any) -> Any:
    """`new` where the mask is true, `old` where a sequence has ended; leaves [B, ...]."""
    if mask_B is None:
        return new
    return jax.tree.map(lambda a, b: jnp.where(mask_B.reshape(-1, *[1] * (a.ndim - 1)), a, b), new, old)


def mask_outputs(mask_B: Array | None, h_BH: Array) -> Array:
    """h_BH, and 0 in the streams where a sequence has ended."""
    return where_valid(mask_B, h_BH, jnp.zeros_like(h_BH))


def gated_step(cell: Cell, gate: Params, carry: Carry, u_BG: Array, r_BG: Array, mask_B: Array | None) -> Carry:
    """carry' = gate(carry, u, r) of B streams: one step without its matrix product; u and r are [B, G*H]."""
    return where_valid(mask_B, jax.vmap(partial(cell.gate, gate))(carry, u_BG, r_BG), carry)


def recurrent_input(cell: Cell, kernel_HG: Array, carry: Carry, dropout_BH: Array | None) -> Array:
    """r = (dropout * h) W, [B, G*H], of the outputs h [B, H] of a carry and W [H, G*H]."""
    h_BH = jax.vmap(cell.hidden_state)(carry)
    return (h_BH if dropout_BH is None else h_BH * dropout_BH) @ kernel_HG


def hidden_states(cell: Cell, carry_TB: Carry) -> Array:
    """h_TBH of carries [T, B, ...]."""
    return jax.vmap(jax.vmap(cell.hidden_state))(carry_TB)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def recurrence(
    cell: Cell, learned: Params, carry: Carry, input_TBG: Array, mask_TB: Array | None, dropout_BH: Array | None
) -> tuple[Carry, Array]:
    """carry_t = gate(carry_{t-1}, u_t, r_t) with r_t = (dropout * output(carry_{t-1})) W, for t = 1..T.

    Args:
        learned: {"kernel": W [H, G*H], "gate": the gate's own parameters}. carry: carry_0, leaves [B, ...].
        input_TBG: u [T, B, G*H]. mask_TB, dropout_BH: as in `unroll`.

    Returns:
        carry_T and the outputs h_TBH.
    """
    return recurrence_forward(cell, learned, carry, input_TBG, mask_TB, dropout_BH)[0]


def recurrence_forward(
    cell: Cell, learned: Params, carry: Carry, input_TBG: Array, mask_TB: Array | None, dropout_BH: Array | None
) -> tuple[Any, Any]:
    """The scan, and the residuals of the backward pass: every carry and every recurrent input."""

    def step(carry: Carry, inputs: tuple[Array, Array | None]) -> tuple[Carry, tuple[Carry, Array]]:
        r_BG = recurrent_input(cell, learned["kernel"], carry, dropout_BH)
        carry = gated_step(cell, learned["gate"], carry, inputs[0], r_BG, inputs[1])
        return carry, (carry, r_BG)

    end, (after_TB, r_TBG) = jax.lax.scan(step, carry, (input_TBG, mask_TB))
    h_TBH = hidden_states(cell, after_TB)
    if mask_TB is not None:
        h_TBH = jnp.where(mask_TB[..., None], h_TBH, 0)
    return (end, h_TBH), (learned, carry, after_TB, input_TBG, r_TBG, mask_TB, dropout_BH)


def recurrence_backward(cell: Cell, residuals: Any, gradients: tuple[Carry, Array]) -> tuple[Any, ...]:
    """Reverse scan over the gates, then one product for the recurrent kernel.

    Gates are recomputed in the backward pass: their elementwise work costs less than storing their derivatives.
    """
    learned, carry, after_TB, input_TBG, r_TBG, mask_TB, dropout_BH = residuals
    d_end, d_h_TBH = gradients
    if mask_TB is not None:
        d_h_TBH = jnp.where(mask_TB[..., None], d_h_TBH, 0)
    (d_after_TB,) = jax.vjp(partial(hidden_states, cell), after_TB)[1](d_h_TBH)
    before_TB = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest[:-1]]), carry, after_TB)
    through = partial(recurrent_input, cell, learned["kernel"], dropout_BH=dropout_BH)

    def step(state: tuple[Carry, Params], inputs: Any) -> Any:
        (d_carry, d_gate), (d_after, before, u_BG, r_BG, mask_B) = state, inputs
        gate_vjp = jax.vjp(partial(gated_step, cell, mask_B=mask_B), learned["gate"], before, u_BG, r_BG)[1]
        d_gate_now, d_carry, d_u_BG, d_r_BG = gate_vjp(jax.tree.map(jnp.add, d_carry, d_after))
        (d_recurrent,) = jax.vjp(through, before)[1](d_r_BG)
        stacked = (d_u_BG,) if d_u_BG is d_r_BG else (d_u_BG, d_r_BG)  # the same array where the gate adds u and r
        return jax.tree.map(jnp.add, (d_carry, d_gate), (d_recurrent, d_gate_now)), stacked

    start = d_end, jax.tree.map(jnp.zeros_like, learned["gate"])
    inputs_T = d_after_TB, before_TB, input_TBG, r_TBG, mask_TB
    (d_carry, d_gate), stacked = jax.lax.scan(step, start, inputs_T, reverse=True)
    d_u_TBG, d_r_TBG = stacked[0], stacked[-1]
    h_TBH = hidden_states(cell, before_TB)
    d_kernel_HG = jnp.einsum("tbh,tbg->hg", h_TBH if dropout_BH is None else h_TBH * dropout_BH[None], d_r_TBG)
    return {"kernel": d_kernel_HG, "gate": d_gate}, d_carry, d_u_TBG, None, None


recurrence.defvjp(recurrence_forward, recurrence_backward)

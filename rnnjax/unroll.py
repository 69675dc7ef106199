"""The one place where time passes: a cell is scanned over a window, forwards and, by hand, backwards.

Reverse-mode through a plain scan adds an [H, G*H] outer product to the recurrent kernel's gradient at every step. Here
the reverse scan only walks the elementwise gate back and stacks the gradients of r = h W; the kernel's gradient is then
ONE matrix product over all T*B steps.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.types import Carry, Cell, Params


def unroll(cell: Cell, params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
    """Run a cell over a window for B streams.

    Args:
        params: of the cell. carry: leaves [B, ...], the state before the window.
        x: inputs x_TBD, or ids [T, B] of symbols.

    Returns:
        The carry after the window and the outputs h_TBH.
    """
    drive_TBG = jax.vmap(jax.vmap(partial(cell.drive, params)))(x)
    return recurrence(cell, params["recurrent_kernel"], carry, drive_TBG)


def advance(cell: Cell, carry: Carry, u: Array, r: Array) -> tuple[Carry, Array]:
    """One step of one example without its matrix product: the new carry and its output."""
    carry = cell.gate(carry, u, r)
    return carry, cell.output(carry)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def recurrence(cell: Cell, kernel_HG: Array, carry: Carry, drive_TBG: Array) -> tuple[Carry, Array]:
    """h_t = output(gate(carry, u_t, h_{t-1} W)) for t = 1..T."""

    def step(state: tuple[Carry, Array], u_BG: Array) -> tuple[tuple[Carry, Array], Array]:
        carry, h_BH = state
        carry, h_BH = jax.vmap(partial(advance, cell))(carry, u_BG, h_BH @ kernel_HG)
        return (carry, h_BH), h_BH

    h0_BH = jax.vmap(cell.output)(carry)
    (carry, _), h_TBH = jax.lax.scan(step, (carry, h0_BH), drive_TBG)
    return carry, h_TBH


def recurrence_forward(cell: Cell, kernel_HG: Array, carry: Carry, drive_TBG: Array) -> tuple[Any, Any]:
    """The same walk, keeping what each step started from."""

    def step(state: tuple[Carry, Array], u_BG: Array) -> Any:
        carry, h_BH = state
        r_BG = h_BH @ kernel_HG
        new_carry, new_h_BH = jax.vmap(partial(advance, cell))(carry, u_BG, r_BG)
        return (new_carry, new_h_BH), (new_h_BH, (carry, u_BG, r_BG))

    h0_BH = jax.vmap(cell.output)(carry)
    (end, _), (h_TBH, starts_T) = jax.lax.scan(step, (carry, h0_BH), drive_TBG)
    return (end, h_TBH), (kernel_HG, carry, h0_BH, h_TBH, starts_T)


def recurrence_backward(cell: Cell, residuals: Any, gradients: tuple[Carry, Array]) -> tuple[Array, Carry, Array]:
    """Reverse scan over the gates, then one product for the recurrent kernel.

    A gate is computed again on the way back: its elementwise work costs less than storing and reading its derivatives.
    """
    kernel_HG, carry, h0_BH, h_TBH, starts_T = residuals
    d_end, d_h_TBH = gradients

    def step(state: tuple[Carry, Array], inputs: Any) -> Any:
        d_carry, d_h_BH = state
        d_output_BH, start = inputs
        back = jax.vjp(jax.vmap(partial(advance, cell)), *start)[1]
        d_carry, d_u_BG, d_r_BG = back((d_carry, d_output_BH + d_h_BH))
        stacked = (d_u_BG,) if d_u_BG is d_r_BG else (d_u_BG, d_r_BG)  # one and the same where the gate adds u and r
        return (d_carry, d_r_BG @ kernel_HG.T), stacked

    (d_carry, d_h0_BH), stacked = jax.lax.scan(step, (d_end, jnp.zeros_like(h0_BH)), (d_h_TBH, starts_T), reverse=True)
    d_u_TBG, d_r_TBG = stacked[0], stacked[-1]
    (d_carry_of_output,) = jax.vjp(jax.vmap(cell.output), carry)[1](d_h0_BH)
    previous_TBH = jnp.concatenate([h0_BH[None], h_TBH[:-1]])
    d_kernel_HG = jnp.einsum("tbh,tbg->hg", previous_TBH, d_r_TBG)
    return d_kernel_HG, jax.tree.map(jnp.add, d_carry, d_carry_of_output), d_u_TBG


recurrence.defvjp(recurrence_forward, recurrence_backward)

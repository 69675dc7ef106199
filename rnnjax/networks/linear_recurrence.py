"""Cells that are linear in their state: s_t = a_t * s_{t-1} + b_t elementwise, where a_t and b_t depend on x_t alone.

All a and b of a window are computed at once. The recurrence itself is solved step by step, or by an associative scan
in about 2 log2 T rounds of elementwise work over whole windows; both have the same backward pass, a linear recurrence
that runs from the end to the start.
Source: Blelloch 1990, CMU-CS-90-190; Martin and Cundy 2018, arXiv:1709.04057.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.types import Carry, LinearRecurrence, OpaqueCell, Params


def linear_cell(
    init: Callable[[Array], Params],
    carry: Callable[[], Carry],
    linear: LinearRecurrence,
    hidden_state: Callable[[Carry], Array],
    activation: str = "tanh",
) -> OpaqueCell:
    """The cell of a linear recurrence; its step is s' = a * s + b. The arguments are the fields of `OpaqueCell`."""

    def step(params: Params, carry: Carry, x: Array) -> Carry:
        a, b = linear.coefficients(params, x)
        return linear.output(params, a * linear.state(carry) + b, x)

    return OpaqueCell(init, carry, step, hidden_state, activation, linear=linear)


def unroll_linear(
    cell: OpaqueCell,
    linear: LinearRecurrence,
    params: Params,
    carry: Carry,
    x: Array,
    mask_TB: Array | None,
    starts_TB: Array | None = None,
    start: Carry = None,
) -> tuple[Carry, Array]:
    """`unroll` of a cell that is linear in its state; the same arguments and shapes.

    A step whose mask is false has a = 1 and b = 0, one that starts a sequence reads the state of `start`.
    """
    a, b = over_window(partial(linear.coefficients, params), x)
    s_start = None if starts_TB is None else jax.vmap(linear.state)(start)
    a, b = with_flags(a, b, mask_TB, starts_TB, s_start)
    s = linear_scan(linear.parallel, a, b, jax.vmap(linear.state)(carry))
    after_TB = over_window(partial(linear.output, params), s, x)
    h_TBH = over_window(cell.hidden_state, after_TB)
    if mask_TB is None:
        return jax.tree.map(lambda leaf: leaf[-1], after_TB), h_TBH
    return last_carry(carry, after_TB, mask_TB, starts_TB, start), jnp.where(mask_TB[..., None], h_TBH, 0)


def over_window(function: Callable[..., Any], *leaves_TB: Any) -> Any:
    """A function of one example at every step of every stream; leaves [T, B, ...]."""
    return jax.vmap(jax.vmap(function))(*leaves_TB)


def with_flags(
    a: Array, b: Array, mask_TB: Array | None, starts_TB: Array | None, s_start: Array | None
) -> tuple[Array, Array]:
    """The coefficients [T, B, ...] with those of steps without an input and of steps that start a sequence."""

    keep, add = jnp.ones_like(a), jnp.zeros_like(b)
    if starts_TB is not None and s_start is not None:
        s_TB = jnp.broadcast_to(s_start[None], b.shape)
        restart = jnp.zeros_like(a), a * s_start[None] + b, jnp.zeros_like(a), s_TB
        a, b, keep, add = select_leaves(starts_TB, restart, (a, b, keep, add))
    return (a, b) if mask_TB is None else select_leaves(mask_TB, (a, b), (keep, add))


def select_leaves(flags: Array, new: Any, old: Any) -> Any:
    """The leaves of `new` where the flags are true, else those of `old`; the first axes are those of the flags."""
    return jax.tree.map(
        lambda x, y: jnp.where(flags.reshape(*flags.shape, *[1] * (y.ndim - flags.ndim)), x, y), new, old
    )


def last_carry(carry: Carry, after_TB: Carry, mask_TB: Array, starts_TB: Array | None, start: Carry) -> Carry:
    """The carry of each stream after its last step with an input or a start; `carry` where it has none."""
    changes_TB = mask_TB if starts_TB is None else mask_TB | starts_TB
    last_B = jnp.max(jnp.where(changes_TB, jnp.arange(len(mask_TB))[:, None], -1), axis=0)
    streams = jnp.arange(mask_TB.shape[1])

    found = jax.tree.map(lambda leaf: leaf[jnp.maximum(last_B, 0), streams], after_TB)
    if starts_TB is not None:
        found = select_leaves(mask_TB[jnp.maximum(last_B, 0), streams], found, start)
    return select_leaves(last_B >= 0, found, carry)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def linear_scan(parallel: bool, a: Array, b: Array, first: Array) -> Array:
    """s_1 ... s_T of s_t = a_t * s_{t-1} + b_t.

    Args: a, b: [T, ...], real or complex. first: s_0. parallel: by an associative scan.
    """
    if not parallel:
        return jax.lax.scan(lambda s, ab: (ab[0] * s + ab[1],) * 2, first, (a, b))[1]
    b = b.at[0].add(a[0] * first)
    return jax.lax.associative_scan(compose_steps, (a, b))[1]


def compose_steps(earlier: tuple[Array, Array], later: tuple[Array, Array]) -> tuple[Array, Array]:
    """(a, b) of the step that does two steps s -> a s + b after each other."""
    return earlier[0] * later[0], earlier[1] * later[0] + later[1]


def linear_scan_forward(parallel: bool, a: Array, b: Array, first: Array) -> tuple[Array, Any]:
    s = linear_scan(parallel, a, b, first)
    return s, (a, first, s)


def linear_scan_backward(parallel: bool, residuals: Any, d_s: Array) -> tuple[Array, Array, Array]:
    """d_b_t = d_s_t + a_{t+1} d_b_{t+1}: the same recurrence in the other direction."""
    a, first, s = residuals
    later = jnp.concatenate([a[1:], jnp.zeros_like(a[:1])])
    d_b = linear_scan(parallel, later[::-1], d_s[::-1], jnp.zeros_like(first))[::-1]
    before = jnp.concatenate([first[None], s[:-1]])
    return d_b * before, d_b, a[0] * d_b[0]


linear_scan.defvjp(linear_scan_forward, linear_scan_backward)

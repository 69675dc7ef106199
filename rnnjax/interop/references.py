"""A network here against the outputs of its source: how far they are apart, and which slip explains it."""

from collections.abc import Callable, Mapping
from itertools import permutations
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from rnnjax.interop.form import GATES, WITH_GATE_BIAS
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Params

SMALLEST = 1e-3  # of the variation of the reference: a smaller difference is rounding
MOST_BIASES = 256  # that are fitted
STEPS = 12  # of Gauss-Newton
NUDGE = 1e-2  # of its differences


class SourceDifference(NamedTuple):
    """How a network differs from its source."""

    error: float  # root mean square of the difference, over that of the reference about its mean
    explained: Mapping[str, float]  # slip -> the largest share of the error that undoing it removes, 0 to 1
    remarks: Mapping[str, str]  # slip -> what undoes it


def compare_outputs(
    spec: Spec, params: Params, carry: Carry, fresh: Carry, inputs: Any, reference: Any
) -> SourceDifference:
    """The difference of a network to the outputs [T, B, O] of its source on the same inputs, and its likely cause.

    Args: carry: the state before the inputs, as the source was told it. fresh: the initial state.
    """
    x, truth = jnp.asarray(inputs), jnp.asarray(reference)
    scale = jnp.maximum(jnp.std(truth), 1e-6)
    model = build_network(spec, HParams())

    @jax.jit
    def error(params: Params, carry: Carry) -> Array:
        return jnp.sqrt(jnp.mean((model.apply(params, carry, x)[1] - truth) ** 2)) / scale

    def share(left: float) -> float:
        return float(np.clip(1 - left / base, 0, 1)) if np.isfinite(left) else 0.0

    base = float(error(params, carry))
    if not base > SMALLEST:
        return SourceDifference(base, {}, {})
    found = {
        "permuted_blocks": best_order(spec, params, lambda changed: error(changed, carry)),
        "transposed_kernels": best_transpose(spec, params, lambda changed: error(changed, carry)),
        "uncarried_state": best_state(model.apply, params, carry, fresh, x, truth, scale),
        "summed_biases": best_split(spec, params, lambda changed: model.apply(changed, carry, x)[1], truth, scale),
    }
    explained = {name: share(left) for name, (left, _) in found.items()}
    return SourceDifference(base, explained, {name: remark for name, (_, remark) in found.items()})


def layer_names(params: Params) -> list[str]:
    return [name for name in params if "layer_" in name]


def change_layers(params: Params, change: Callable[[Params], Params]) -> Params:
    """The parameters with every layer changed in the same way."""
    return params | {name: change(params[name]) for name in layer_names(params)}


def best_order(spec: Spec, params: Params, error: Callable[[Params], Array]) -> tuple[float, str]:
    """The smallest error over all orders of the gate blocks, and that order."""
    gates = GATES.get(spec.cell, ())
    orders = [order for order in permutations(range(len(gates))) if list(order) != sorted(order)]
    if not orders:
        return np.inf, ""

    def reordered(order: Array) -> Array:
        def blocks(array: Array) -> Array:
            return array.reshape(*array.shape[:-1], len(gates), -1)[..., order, :].reshape(array.shape)

        names = ("kernel", "recurrent_kernel", "bias")
        return error(change_layers(params, lambda layer: layer | {name: blocks(layer[name]) for name in names}))

    errors = np.asarray(jax.lax.map(reordered, jnp.asarray(orders)))
    best = int(np.nanargmin(errors)) if np.isfinite(errors).any() else 0
    names = ", ".join(gates[i] for i in orders[best])
    return float(errors[best]), f"its blocks were taken for {', '.join(gates)}, and are those of {names}"


def best_transpose(spec: Spec, params: Params, error: Callable[[Params], Array]) -> tuple[float, str]:
    """The smallest error over transposed square blocks: of the recurrent kernels, of square input kernels, of both."""
    gates = GATES.get(spec.cell, ())
    if not gates:
        return np.inf, ""

    def turned(array: Array) -> Array:
        blocks = array.reshape(len(array), len(gates), -1)
        return jnp.swapaxes(blocks, 0, 2).reshape(array.shape) if blocks.shape[0] == blocks.shape[2] else array

    def transposed(names: tuple[str, ...]) -> Params:
        return change_layers(params, lambda layer: layer | {name: turned(layer[name]) for name in names})

    sets = (("recurrent_kernel",), ("kernel",), ("kernel", "recurrent_kernel"))
    found = [(float(error(transposed(names))), f"transposed: {' and '.join(names)}") for names in sets]
    return min(found)


def best_state(
    apply: Callable[..., Any], params: Params, carry: Carry, fresh: Carry, x: Array, truth: Array, scale: Array
) -> tuple[float, str]:
    """The smallest error over sources without memory: between windows, or between steps."""

    def error(start: Carry, every_step: bool) -> float:
        starts_TB = jnp.ones(x.shape[:2], bool) if every_step else None
        outputs = jax.jit(apply)(params, start, x, None, None, starts_TB, fresh if every_step else None)[1]
        return float(jnp.sqrt(jnp.mean((outputs - truth) ** 2)) / scale)

    moved = any(not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(carry), jax.tree.leaves(fresh), strict=True))
    between = (error(fresh, False), "the source begins the window at its initial state") if moved else (np.inf, "")
    return min(between, (error(fresh, True), "the source begins every step at its initial state"))


def best_split(
    spec: Spec, params: Params, outputs: Callable[[Params], Array], truth: Array, scale: Array
) -> tuple[float, str]:
    """The error after moving a part of the bias of the new gate inside the reset, fitted by Gauss-Newton.

    A GRU whose two biases were added up has none inside; which part belongs there is not known, but is of H numbers.
    """
    names = layer_names(params)
    empty = spec.cell in WITH_GATE_BIAS and not any(np.asarray(params[n]["gate"]["bias"]).any() for n in names)
    if not empty or len(names) * spec.hidden > MOST_BIASES:
        return np.inf, ""
    start, unflatten = ravel_pytree({name: jnp.zeros_like(params[name]["gate"]["bias"]) for name in names})

    def residual(moved: Array) -> Array:
        changed = params | {
            name: params[name] | {"bias": params[name]["bias"].at[-spec.hidden :].add(-part), "gate": {"bias": part}}
            for name, part in unflatten(moved).items()
        }
        return (outputs(changed) - truth).ravel() / scale

    @jax.jit
    def linear(moved: Array) -> tuple[Array, Array]:
        steps = NUDGE * jnp.eye(len(moved), dtype=moved.dtype)  # the recurrence has no forward-mode derivative
        slopes = jax.lax.map(lambda step: residual(moved + step) - residual(moved - step), steps)
        return residual(moved), slopes.T / (2 * NUDGE)

    moved, least = np.asarray(start), np.inf
    for _ in range(STEPS):
        rest, slope = (np.asarray(part, float) for part in linear(jnp.asarray(moved, start.dtype)))
        least = min(least, float(np.sqrt(np.mean(rest**2))))
        if not np.isfinite(rest).all() or not np.isfinite(slope).all():
            break
        damped = slope.T @ slope + 1e-6 * np.eye(len(moved)) * max(np.trace(slope.T @ slope) / len(moved), 1e-12)
        moved = moved - np.linalg.solve(damped, slope.T @ rest)
    return least, "b_hn belongs inside the reset gate, and was added to the bias outside it"

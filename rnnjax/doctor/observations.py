"""Measurements of one network on one batch, compiled together: outputs, gradients and dependence on inputs.

Every value has an axis of streams [B], of steps and streams [T, B], or none. Limits are applied in `diagnosis`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.doctor.adapters import ModelAdapter, apply_batch, is_float
from rnnjax.doctor.batch import Batch, batch_step_losses, masked_mean, predictions, stream_losses
from rnnjax.probes.dynamics.units import SATURATED
from rnnjax.training.norms import row_norms
from rnnjax.types import Carry, Params

Objective = Callable[[Array, Batch], Array]  # outputs_TBO, batch -> the training loss, a scalar
TINY = 1e-30
ELSEWHERE = 1e-2  # of the largest gradient, which a step has that only other outputs give one
NEARLY_0 = 1e-6  # of the largest gradient
SHOWN_STREAMS = 4  # of a held-out batch without sequences, whose outputs are kept


def measure_network(
    adapter: ModelAdapter,
    steps: bool,
    objective: Objective | None,
    batch: Batch,
    held_out: Batch | None,
    params: Params,
    carry: Carry,
    fresh: Carry,
    fresh_held_out: Carry,
) -> dict[str, Any]:
    """All measurements except free-running generation.

    Args:
        steps: whether `adapter.step` can be used. carry: the state before the batch. fresh: the initial carry.
    """
    outputs_TBO = apply_batch(adapter, params, carry, batch)[1]
    values = {
        "loss": stream_losses(batch, outputs_TBO),
        "fresh_loss": stream_losses(batch, apply_batch(adapter, params, fresh, batch)[1]),
        "spread": spread(batch, outputs_TBO),
        "outputs": outputs_TBO,
        "gradients": largest_gradients(adapter, objective, batch, params, carry),
        "finite": jnp.all(jnp.isfinite(outputs_TBO)) & all_finite(params),
        "params_finite": all_finite(params),
        "objective": jnp.zeros(()) if objective is None else objective(outputs_TBO, batch),
        **output_changes(adapter, params, carry, batch, outputs_TBO),
    }
    if objective is not None:
        values["coverage"] = gradient_coverage(objective, batch, outputs_TBO)
    if steps:
        values |= state_statistics(adapter, batch, params, carry)
    if held_out is not None:
        held_out_TBO = apply_batch(adapter, params, fresh_held_out, held_out)[1]
        values["held_out_loss"] = stream_losses(held_out, held_out_TBO)
        shown = SHOWN_STREAMS if held_out.segments_TB is None else None
        values["held_out_outputs"] = held_out_TBO[:, :shown]
    return values


def gradient_coverage(objective: Objective, batch: Batch, outputs_TBO: Array) -> Array:
    """The norm [T, B] of the objective's gradient by the outputs of each step.

    Where it is nearly 0, a small share of that at random outputs: a margin loss has none where its margin is kept, and
    a cross-entropy hardly any where a class is certain.
    """
    own_TB = jnp.linalg.norm(jax.grad(objective)(outputs_TBO, batch), axis=-1)
    random_TBO = jax.random.normal(jax.random.key(0), outputs_TBO.shape)
    other_TB = jnp.linalg.norm(jax.grad(objective)(random_TBO, batch), axis=-1)
    share_TB = ELSEWHERE * jnp.max(own_TB) * other_TB / jnp.maximum(jnp.max(other_TB), TINY)
    return jnp.where((own_TB > NEARLY_0 * jnp.max(own_TB)) | ~jnp.isfinite(other_TB), own_TB, share_TB)


def all_finite(tree: Any) -> Array:
    """Whether every floating number in a tree is finite."""
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree) if is_float(leaf)]))


def spread(batch: Batch, outputs_TBO: Array) -> Array:
    """sqrt(variance of the predictions / variance of the targets) [B], each about its mean over all steps that count.

    Of ids: of softmax(outputs) and of the one-hot targets, summed over the symbols.
    """
    targets, outputs_TBO = jnp.asarray(batch.targets), predictions(batch, outputs_TBO)
    if batch.kind == "cross_entropy":
        outputs_TBO, targets = jax.nn.softmax(outputs_TBO), jax.nn.one_hot(targets, outputs_TBO.shape[-1])

    def variance(values_TBO: Array) -> Array:
        mean_O = jax.vmap(lambda values_TB: jnp.mean(masked_mean(batch, values_TB)), in_axes=-1)(values_TBO)
        return masked_mean(batch, jnp.sum((values_TBO - mean_O[None, None]) ** 2, axis=-1))

    return jnp.sqrt(variance(outputs_TBO) / jnp.maximum(jnp.mean(variance(targets)), TINY))


def largest_gradients(
    adapter: ModelAdapter, objective: Objective | None, batch: Batch, params: Params, carry: Carry
) -> Any:
    """max |d objective / d leaf| of every parameter array, as a tree; without an objective, of the mean loss.

    Arrays of integers have no gradient: None.
    """

    def loss(params: Params) -> Array:
        outputs_TBO = apply_batch(adapter, params, carry, batch)[1]
        return jnp.mean(stream_losses(batch, outputs_TBO)) if objective is None else objective(outputs_TBO, batch)

    def largest(leaf: Array) -> Array | None:
        return jnp.max(jnp.abs(leaf)) if is_float(leaf) else None

    return jax.tree.map(largest, adapter.mask_gradient(jax.grad(loss, allow_int=True)(params)))


def output_changes(
    adapter: ModelAdapter, params: Params, carry: Carry, batch: Batch, outputs_TBO: Array
) -> dict[str, Array]:
    """Changes of the outputs, relative to their standard deviation, when some inputs are replaced.

    changed_by_row [T, B]   the inputs of the middle stream are replaced
    changed_by_time [T, B]  the inputs of the middle step of all streams are replaced

    NaN if no other input exists, as for ids of a single symbol.
    """
    inputs = jnp.asarray(batch.inputs)
    steps, streams = inputs.shape[:2]
    others = replacement_inputs(inputs)
    size = jnp.maximum(jnp.std(outputs_TBO), 1e-3 * jnp.max(jnp.abs(outputs_TBO)) + TINY)

    def change(at: Any) -> Array:
        replaced_TBO = apply_batch(adapter, params, carry, batch, inputs.at[at].set(others[at]))[1]
        change_TB = jnp.max(jnp.abs(replaced_TBO - outputs_TBO), axis=-1) / size
        return jnp.where(jnp.any(others[at] != inputs[at]), change_TB, jnp.nan)

    return {"changed_by_row": change((slice(None), streams // 2)), "changed_by_time": change(steps // 2)}


def replacement_inputs(inputs: Array) -> Array:
    """A different input of the same kind in every place: the next id, or a number one standard deviation away."""
    if jnp.issubdtype(inputs.dtype, jnp.integer):
        low, high = jnp.min(inputs), jnp.max(inputs)
        return low + (inputs - low + 1) % (high - low + 1)
    deviation = jnp.std(inputs, axis=(0, 1), keepdims=True)
    return inputs + jnp.where(deviation > 0, deviation, 1.0)


def state_statistics(adapter: ModelAdapter, batch: Batch, params: Params, carry: Carry) -> dict[str, Array]:
    """Statistics of the hidden units, and state_gradients [T, B]: |d l_T / d c_t|, l_T the loss of the last step.

    T is the last step of each stream that counts. The gradient by the carry before each step is that by a perturbation
    of 0 added to it.
    """
    inputs = jnp.asarray(batch.inputs)
    last_steps_TB = last_steps(batch, len(inputs))
    leaves = [leaf for leaf in jax.tree.leaves(carry) if is_float(leaf)]
    zeros = [jnp.zeros((len(inputs), *leaf.shape), leaf.dtype) for leaf in leaves]

    def last_loss(perturbations: list[Array]) -> tuple[Array, Array]:
        def step(carry: Carry, step_inputs: Any) -> Any:
            x, perturbation = step_inputs
            carry, outputs_BO = adapter.step(params, perturb(carry, perturbation), x)  # type: ignore[misc]
            return carry, (outputs_BO, adapter.units(carry))

        _, (outputs_TBO, h_TBH) = jax.lax.scan(step, carry, (inputs, perturbations))
        losses_TB = batch_step_losses(batch, outputs_TBO)
        return jnp.sum(jnp.where(last_steps_TB, losses_TB, 0.0)), h_TBH

    gradients, h_TBH = jax.grad(last_loss, has_aux=True)(zeros)
    return observe_units(h_TBH, adapter.activation) | {"state_gradients": stream_norms(gradients)}


def last_steps(batch: Batch, steps: int) -> Array:
    """True at the last step of each stream that counts [T, B]; at the last of all in a stream without one."""
    steps_T1 = jnp.arange(steps)[:, None]
    if batch.loss_mask_TB is None:
        return steps_T1 == steps - 1
    counted_TB = jnp.asarray(batch.loss_mask_TB) > 0
    last_B = jnp.where(counted_TB.any(axis=0), jnp.max(jnp.where(counted_TB, steps_T1, -1), axis=0), steps - 1)
    return steps_T1 == last_B[None]


def perturb(carry: Carry, perturbations: Sequence[Array]) -> Carry:
    """The carry with a perturbation added to each of its floating leaves."""
    leaves, tree = jax.tree.flatten(carry)
    remaining = iter(perturbations)
    return jax.tree.unflatten(tree, [leaf + next(remaining) if is_float(leaf) else leaf for leaf in leaves])


def stream_norms(gradients: Sequence[Array]) -> Array:
    """The norm [T, B] over all other axes and leaves."""
    return jax.vmap(row_norms)([leaf.reshape(*leaf.shape[:2], -1) for leaf in gradients])


def observe_units(h_TBH: Array, activation: str) -> dict[str, Array]:
    """saturated [B]: share of states within 0.05 of a bound; dead []: share of units that are 0 at every step.

    If the activation is unknown, a unit is taken for tanh if it stays within -1 and 1 and is negative somewhere, for a
    sigmoid if it stays within 0 and 1 and is rarely exactly 0, else for an unbounded one.
    """
    zeros_H = jnp.mean(h_TBH == 0, axis=(0, 1))
    like_H = guess_bounds(h_TBH, zeros_H)
    if activation != "":
        like_H = {kind: jnp.full(h_TBH.shape[2], kind == activation) for kind in SATURATED}
    saturated = sum(SATURATED[kind](h_TBH) & like_H[kind][None, None] for kind in like_H)
    dead_H = (zeros_H == 1) & ~like_H["sigmoid"]
    return {"saturated": jnp.mean(saturated, axis=(0, 2), dtype=float), "dead": jnp.mean(dead_H, dtype=float)}


def guess_bounds(h_TBH: Array, zeros_H: Array) -> dict[str, Array]:
    """Which units [H] behave like tanh or a sigmoid. Args: zeros_H: share of exact zeros."""
    bounded_H = jnp.max(jnp.abs(h_TBH), axis=(0, 1)) <= 1
    signed_H = jnp.min(h_TBH, axis=(0, 1)) < 0
    return {"tanh": bounded_H & signed_H, "sigmoid": bounded_H & ~signed_H & (zeros_H < 0.01)}

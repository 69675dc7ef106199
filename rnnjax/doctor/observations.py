"""The looks at one network on one batch: its outputs, its gradients, and what its outputs depend on; compiled together.

Every value has an axis of streams [B], of steps and streams [T, B], or none. Nothing here judges.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.doctor.adapters import Subject, is_float
from rnnjax.doctor.batch import Batch, mean_counted, step_losses, stream_losses
from rnnjax.probes.dynamics.units import SATURATED
from rnnjax.types import Carry, Params

Objective = Callable[[Array, Batch], Array]  # outputs_TBO, batch -> what training makes small, a scalar
TINY = 1e-30


def looks(
    subject: Subject,
    steps: bool,
    objective: Objective | None,
    batch: Batch,
    held_out: Batch | None,
    params: Params,
    carry: Carry,
    fresh: Carry,
    fresh_held_out: Carry,
) -> dict[str, Any]:
    """All looks that need no free running.

    Args:
        steps: whether `subject.step` can be used. carry: the state before the batch. fresh: the start state.
    """
    inputs = jnp.asarray(batch.inputs)
    outputs_TBO = subject.read(params, carry, inputs)[1]
    found = {
        "loss": stream_losses(batch, outputs_TBO),
        "fresh_loss": stream_losses(batch, subject.read(params, fresh, inputs)[1]),
        "spread": spread(batch, outputs_TBO),
        "distribution": distribution(batch, outputs_TBO),
        "gradients": gradients(subject, objective, batch, params, carry),
        "finite": jnp.all(jnp.isfinite(outputs_TBO)) & all_finite(params),
        **dependence(subject, params, carry, inputs, outputs_TBO),
    }
    if objective is not None:
        found["coverage"] = jnp.linalg.norm(jax.grad(objective)(outputs_TBO, batch), axis=-1)
    if steps:
        found |= states(subject, batch, params, carry)
    if held_out is not None:
        read = subject.read(params, fresh_held_out, jnp.asarray(held_out.inputs))[1]
        found["held_out_loss"] = stream_losses(held_out, read)
    return found


def all_finite(tree: Any) -> Array:
    """Whether every number in a tree is finite."""
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree) if is_float(leaf)]))


def spread(batch: Batch, outputs_TBO: Array) -> Array:
    """sqrt(variance of the prediction / variance of the target) [B], each about its mean over all that counts.

    Of ids: of softmax(outputs) and of the one-hot target, summed over the symbols.
    """
    targets = jnp.asarray(batch.targets)
    if batch.kind == "cross_entropy":
        outputs_TBO, targets = jax.nn.softmax(outputs_TBO), jax.nn.one_hot(targets, outputs_TBO.shape[-1])

    def variance(values_TBO: Array) -> Array:
        mean_O = jax.vmap(lambda values_TB: jnp.mean(mean_counted(batch, values_TB)), in_axes=-1)(values_TBO)
        return mean_counted(batch, jnp.sum((values_TBO - mean_O[None, None]) ** 2, axis=-1))

    return jnp.sqrt(variance(outputs_TBO) / jnp.maximum(jnp.mean(variance(targets)), TINY))


def distribution(batch: Batch, outputs_TBO: Array) -> Array:
    """Share [B] of what counts where the outputs are no logits but probabilities: none below 0, and 1 in sum."""
    whole = jnp.abs(jnp.sum(outputs_TBO, axis=-1) - 1) < 1e-3
    return mean_counted(batch, whole & jnp.all(outputs_TBO >= 0, axis=-1))


def gradients(subject: Subject, objective: Objective | None, batch: Batch, params: Params, carry: Carry) -> Any:
    """max |d objective / d leaf| of every array of parameters, as a tree; of the mean loss where none is given.

    None in the place of an array of integers, which has no gradient.
    """

    def value(params: Params) -> Array:
        outputs_TBO = subject.read(params, carry, jnp.asarray(batch.inputs))[1]
        return jnp.mean(stream_losses(batch, outputs_TBO)) if objective is None else objective(outputs_TBO, batch)

    def largest(leaf: Array) -> Array | None:
        return jnp.max(jnp.abs(leaf)) if is_float(leaf) else None

    return jax.tree.map(largest, subject.trained(jax.grad(value, allow_int=True)(params)))


def dependence(subject: Subject, params: Params, carry: Carry, inputs: Array, outputs_TBO: Array) -> dict[str, Array]:
    """How much the outputs change, relative to their own size, where some inputs are others.

    changed_by_row [T, B]   the inputs of the middle stream
    changed_by_time [T, B]  those of the middle step of all streams

    NaN where there are no others to put there, as of ids that are all one symbol.
    """
    steps, streams = inputs.shape[:2]
    others = other(inputs)
    size = jnp.maximum(jnp.std(outputs_TBO), 1e-3 * jnp.max(jnp.abs(outputs_TBO)) + TINY)

    def changed(at: Any) -> Array:
        replaced = subject.read(params, carry, inputs.at[at].set(others[at]))[1]
        change = jnp.max(jnp.abs(replaced - outputs_TBO), axis=-1) / size
        return jnp.where(jnp.any(others[at] != inputs[at]), change, jnp.nan)

    return {"changed_by_row": changed((slice(None), streams // 2)), "changed_by_time": changed(steps // 2)}


def other(inputs: Array) -> Array:
    """For every input another one of the same kind: the next id, or a number one deviation away."""
    if jnp.issubdtype(inputs.dtype, jnp.integer):
        low, high = jnp.min(inputs), jnp.max(inputs)
        return low + (inputs - low + 1) % (high - low + 1)
    deviation = jnp.std(inputs, axis=(0, 1), keepdims=True)
    return inputs + jnp.where(deviation > 0, deviation, 1.0)


def states(subject: Subject, batch: Batch, params: Params, carry: Carry) -> dict[str, Array]:
    """Units h [T, B, H] and fading [T, B], |d l_T / d c_t|: the last step's loss by the carry before each step."""
    inputs = jnp.asarray(batch.inputs)
    floating = [is_float(leaf) for leaf in jax.tree.leaves(carry)]
    leaves = [leaf for leaf, has in zip(jax.tree.leaves(carry), floating, strict=True) if has]
    nudges = [jnp.zeros((len(inputs), *leaf.shape), leaf.dtype) for leaf in leaves]

    def nudged(carry: Carry, nudges: list[Array]) -> Carry:
        leaves, tree = jax.tree.flatten(carry)
        left = iter(nudges)
        moved = [leaf + next(left) if has else leaf for leaf, has in zip(leaves, floating, strict=True)]
        return jax.tree.unflatten(tree, moved)

    def last_loss(nudges: list[Array]) -> tuple[Array, Array]:
        def step(carry: Carry, given: Any) -> Any:
            x, nudge = given
            carry, said = subject.step(params, nudged(carry, nudge), x)  # type: ignore[misc]
            return carry, (said, subject.units(carry))

        _, (outputs_TBO, h_TBH) = jax.lax.scan(step, carry, (inputs, nudges))
        return jnp.sum(step_losses(batch, outputs_TBO)[-1]), h_TBH

    found, h_TBH = jax.grad(last_loss, has_aux=True)(nudges)
    flat = [leaf.reshape(*leaf.shape[:2], -1) for leaf in found]
    largest = jnp.maximum(jnp.max(jnp.stack([jnp.max(jnp.abs(leaf), axis=-1) for leaf in flat]), axis=0), TINY)
    norms = largest * jnp.sqrt(sum(jnp.sum((leaf / largest[..., None]) ** 2, axis=-1) for leaf in flat))
    return unit_looks(h_TBH, subject.activation) | {"fading": norms}


def unit_looks(h_TBH: Array, activation: str) -> dict[str, Array]:
    """saturated [B]: share of states within 0.05 of a bound; dead []: share of units that are 0 at every step.

    Of a unit whose activation is not known: bounded as tanh where it stays within -1 and 1 and is negative somewhere,
    as a sigmoid where it stays within 0 and 1 and is hardly ever exactly 0, else unbounded.
    """
    bounded_H = jnp.max(jnp.abs(h_TBH), axis=(0, 1)) <= 1
    signed_H, zeros_H = jnp.min(h_TBH, axis=(0, 1)) < 0, jnp.mean(h_TBH == 0, axis=(0, 1))
    like_H = {"tanh": bounded_H & signed_H, "sigmoid": bounded_H & ~signed_H & (zeros_H < 0.01)}
    if activation != "":
        like_H = {kind: jnp.full_like(bounded_H, kind == activation) for kind in SATURATED}
    saturated = sum(SATURATED[kind](h_TBH) & like_H[kind][None, None] for kind in like_H)
    dead_H = (zeros_H == 1) & ~like_H["sigmoid"]
    return {"saturated": jnp.mean(saturated, axis=(0, 2), dtype=float), "dead": jnp.mean(dead_H, dtype=float)}

"""Dependence of outputs on padding and on the other sequences of a packed row, measured by changing these inputs."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.doctor.adapters import ModelAdapter, apply_batch
from rnnjax.doctor.batch import Batch, boolean_mask
from rnnjax.doctor.observations import replacement_inputs
from rnnjax.doctor.segments import has_padding, is_packed, sequence_orders
from rnnjax.types import Carry, Params

MORE_STEPS = 8  # of padding
TINY = 1e-30


def measure_padding(adapter: ModelAdapter, batch: Batch, params: Params, carry: Carry) -> dict[str, np.ndarray]:
    """Changes of the outputs that count, in their standard deviation, when only padding changes: [R].

    padding_read   the padding holds other inputs. A network that is given no segments may know padding by its value, so
                   it is measured only where more padding cannot be given to it.
    padding_added  there are 8 more steps of padding
    state_read     as the first, of the carry after the batch

    Args: params, carry: [R, ...].
    """
    if not has_padding(batch.segments_TB) or is_empty(batch):
        return {}
    read, counted_TB = compile_apply(adapter, batch, params, carry), counted_steps(batch)
    state, outputs_RTBO = read(batch)
    changed_state, changed_RTBO = read(batch._replace(inputs=other_padding(batch)))
    found = {"state_read": state_change(state, changed_state)}
    longer = longer_batch(batch)
    try:
        added_RTBO = read(longer)[1]
        steps = slice(None, len(counted_TB)) if pads_at_end(batch) else slice(MORE_STEPS, None)
        found["padding_added"] = change(outputs_RTBO, added_RTBO[:, steps], counted_TB)
    except Exception:  # a user's function may be written for one length
        pass
    if adapter.reads_segments or "padding_added" not in found:
        found["padding_read"] = change(outputs_RTBO, changed_RTBO, counted_TB)
    return found


def measure_packing(adapter: ModelAdapter, batch: Batch, params: Params, carry: Carry) -> dict[str, np.ndarray]:
    """other_sequence [R]: the largest change of outputs when the inputs of the other sequences of their row change.

    As a share of the largest change of any output; absent unless a row holds several sequences.
    """
    if not is_packed(batch.segments_TB):
        return {}
    read, order_TB = compile_apply(adapter, batch, params, carry), sequence_orders(batch.segments_TB)
    outputs_RTBO, others = read(batch)[1], np.asarray(replacement_inputs(jnp.asarray(batch.inputs)))
    outside, inside = [], []
    for side in (0, 1):
        replaced_TB = (order_TB > 0) & (order_TB % 2 == side)
        inputs = np.where(spread_mask(replaced_TB, others), others, np.asarray(batch.inputs))
        changed_RTBO = read(batch._replace(inputs=inputs))[1]
        outside.append(change(outputs_RTBO, changed_RTBO, (order_TB > 0) & ~replaced_TB))
        inside.append(change(outputs_RTBO, changed_RTBO, replaced_TB))
    largest_R = np.maximum(np.max(inside, axis=0), np.max(outside, axis=0))
    return {"other_sequence": np.where(largest_R > TINY, np.max(outside, axis=0) / np.maximum(largest_R, TINY), np.nan)}


def compile_apply(adapter: ModelAdapter, batch: Batch, params: Params, carry: Carry) -> Any:
    """The carry after a batch and its outputs, of R networks."""
    apply = jax.jit(jax.vmap(partial(apply_batch, adapter), in_axes=(0, 0, None)))
    return lambda other: jax.device_get(apply(params, carry, other._replace(given_targets=None)))


def is_empty(batch: Batch) -> bool:
    """Whether nothing counts inside of sequences."""
    return not counted_steps(batch).any()


def counted_steps(batch: Batch) -> np.ndarray:
    """True [T, B] at the steps of sequences at which the loss counts."""
    return boolean_mask(batch) & (np.asarray(batch.segments_TB) > 0)


def spread_mask(mask_TB: np.ndarray, values: Any) -> np.ndarray:
    """A mask [T, B] with the rank of values [T, B, ...]."""
    return mask_TB.reshape(*mask_TB.shape, *[1] * (np.ndim(values) - 2))


def other_padding(batch: Batch) -> np.ndarray:
    """The inputs with other ones in the place of padding."""
    inputs = np.asarray(batch.inputs)
    others = np.asarray(replacement_inputs(jnp.asarray(inputs)))
    return np.where(spread_mask(np.asarray(batch.segments_TB) == 0, inputs), others, inputs)


def pads_at_end(batch: Batch) -> bool:
    """Whether padding stands at the end of rows rather than at their start."""
    padding_TB = np.asarray(batch.segments_TB) == 0
    return bool(padding_TB[-1].sum() >= padding_TB[0].sum())


def longer_batch(batch: Batch) -> Batch:
    """The batch with more padding at the side where it has some, as it has there."""
    at_end = pads_at_end(batch)

    def extend(leaf: Any, fill: Any = 0) -> Any:
        if leaf is None:
            return None
        values = np.asarray(leaf)
        more = np.broadcast_to(np.asarray(fill, values.dtype), (MORE_STEPS, *values.shape[1:]))
        return np.concatenate([values, more] if at_end else [more, values])

    padding_TB, inputs = np.asarray(batch.segments_TB) == 0, np.asarray(batch.inputs)
    rows, counts = np.unique(inputs[padding_TB], axis=0, return_counts=True)
    return batch._replace(
        inputs=extend(inputs, rows[np.argmax(counts)]),
        targets=extend(batch.targets),
        loss_mask_TB=extend(batch.loss_mask_TB),
        segments_TB=extend(batch.segments_TB),
    )


def change(before_RTBO: np.ndarray, after_RTBO: np.ndarray, steps_TB: np.ndarray) -> np.ndarray:
    """The largest change [R] at some steps, in standard deviations of the outputs there; NaN without finite ones."""
    if not steps_TB.any():
        return np.full(len(before_RTBO), np.nan)
    before_RNO, after_RNO = (np.asarray(each, float)[:, steps_TB] for each in (before_RTBO, after_RTBO))
    size_R = np.maximum(before_RNO.std(axis=(1, 2)), 1e-3 * np.abs(before_RNO).max(axis=(1, 2)) + TINY)
    return np.asarray(np.abs(after_RNO - before_RNO).max(axis=(1, 2)) / size_R)


def state_change(before: Any, after: Any) -> np.ndarray:
    """The largest change [R] of a carry, in the units of its numbers."""
    changes = [
        np.abs(np.asarray(a, float) - np.asarray(b, float)).reshape(len(a), -1).max(axis=1, initial=0)
        for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    ]
    return np.max(changes, axis=0) if changes else np.zeros(0)

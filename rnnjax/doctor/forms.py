"""One form for all examinations: one-hot arrays become ids, and probabilities logits, as the objective reads them."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.doctor.adapters import ModelAdapter
from rnnjax.doctor.batch import Batch, boolean_mask, is_ids
from rnnjax.doctor.distances import LINKS, is_cross_entropy_of_probabilities
from rnnjax.doctor.sequences.data import predicted_kind

Reading = Literal[
    "logits", "probabilities", "log_probabilities", "binary_logits", "binary_probabilities", "numbers"
]  # fmt: skip
Objective = Callable[[Array, Batch], Array]
TINY = 1e-30  # probabilities below it are 0
LARGE = 1e3  # a logit at which a logistic loss has no gradient left
TOLERANCE = 1e-3


def is_one_hot(values: Any) -> bool:
    """Whether numbers [T, B, D] are codes: a single 1 and else 0 at every step, not always in the same place."""
    values = np.asarray(values)
    if is_ids(values) or values.shape[-1] < 2:
        return False
    coded = np.isin(values, (0, 1)).all() and (values.sum(axis=-1) == 1).all()
    return bool(coded and len(np.unique(values.argmax(axis=-1))) > 1)


def read_objective(objective: Objective | None, batch: Batch, width: int) -> Reading | None:
    """The kind of outputs that an objective expects, from its change when they are shifted or scaled; None without one.

    logits             adding one number to all outputs of a step changes nothing
    probabilities      scaling by 2 adds the same as scaling from 2 to 4: -log of them
    log_probabilities  it is proportional to the outputs
    binary_logits      targets of two values, with no gradient left at a large output of the right sign: logistic losses
                       of one column or of several labels, and margins
    binary_probabilities  cross-entropy of targets 0 and 1 and their probability
    numbers            anything else
    """
    if objective is None:
        return None
    if not is_ids(np.asarray(batch.targets)) and is_margin_loss(objective, batch, width):
        return "binary_logits"
    if has_labels(batch, width) and is_cross_entropy_of_probabilities(objective, batch, width):
        return "binary_probabilities"
    steps, streams = np.shape(batch.targets)[:2]
    key = jax.random.key(0)
    outputs = jax.random.uniform(key, (steps, streams, width), minval=0.1, maxval=0.9)

    def value(outputs: Array) -> float:
        return float(objective(outputs, batch))

    base = value(outputs)
    scale = TOLERANCE * max(abs(base), abs(value(2 * outputs)), 1e-6)
    if width > 1 and abs(value(outputs + 3.0) - base) < scale:
        return "logits"
    twice, fourfold = value(2 * outputs), value(4 * outputs)
    if width > 1 and abs((fourfold - twice) - (twice - base)) < scale and abs(twice - base) > scale:
        return "probabilities"
    if width > 1 and abs(twice - 2 * base) < scale and abs(base) > 1e-6:
        return "log_probabilities"
    return "numbers"


def has_labels(batch: Batch, width: int) -> bool:
    """Whether targets are 0 and 1, one column for each output, and no codes of classes."""
    targets = np.asarray(batch.targets)
    same = not is_ids(targets) and targets.shape[-1] == width
    return bool(same and np.isin(targets, (0, 1)).all() and np.ptp(targets) > 0 and not is_one_hot(targets))


def is_margin_loss(objective: Objective, batch: Batch, width: int) -> bool:
    """Whether targets have two values, and the objective no gradient where the outputs have the right sign."""
    targets = np.asarray(batch.targets, float)
    known = np.unique(targets)
    if len(known) != 2 or targets.shape[-1] != width or is_one_hot(targets):
        return False
    signs = jnp.asarray(np.where(targets == known[1], 1.0, -1.0))
    gradient = jax.grad(lambda outputs: objective(outputs, batch))
    right, wrong = (np.abs(gradient(sign * LARGE * signs)).sum() for sign in (1.0, -1.0))
    return bool(np.isfinite(right) and right < TOLERANCE * wrong)


def one_form(
    adapter: ModelAdapter, objective: Objective | None, batches: list[Batch | None], width: int
) -> tuple[ModelAdapter, Objective | None, list[Batch | None]]:
    """The same examination with ids for one-hot arrays and logits for probabilities.

    The objective still gets the outputs and targets that it was written for. Args: width: of the outputs.
    """
    first = batches[0]
    assert first is not None
    reading = read_objective(objective, first, width)
    if all(batch is None or is_one_hot(batch.inputs) for batch in batches):
        adapter, batches = with_id_inputs(adapter, batches)
    if reading in ("binary_logits", "binary_probabilities"):
        return with_binary_targets(adapter, objective, batches, reading == "binary_probabilities", width)
    is_code = is_distribution if reading in ("logits", "probabilities", "log_probabilities") else is_one_hot
    if reading != "numbers" and all(batch is None or is_code(batch.targets) for batch in batches):
        batches = [batch and with_id_targets(batch) for batch in batches]
    assert batches[0] is not None
    if reading == "probabilities" and is_ids(np.asarray(batches[0].targets)):
        return with_log_outputs(adapter), None if objective is None else exponential(objective), batches
    return adapter, objective, batches


def is_distribution(values: Any) -> bool:
    """Whether numbers [T, B, D] are probabilities of D classes at every step: codes, or codes that were smoothed."""
    values = np.asarray(values)
    if is_ids(values) or values.shape[-1] < 2 or values.min() < 0:
        return False
    return bool(np.allclose(values.sum(axis=-1), 1, atol=1e-3) and len(np.unique(values.argmax(axis=-1))) > 1)


def with_binary_targets(
    adapter: ModelAdapter, objective: Objective | None, batches: list[Batch | None], probabilities: bool, width: int
) -> tuple[ModelAdapter, Objective | None, list[Batch | None]]:
    """One column of two values as two classes; several labels as numbers, which are predicted by probabilities."""
    if width > 1:
        return (adapter, objective, batches) if probabilities else with_link(adapter, objective, "sigmoid", batches)
    if probabilities:
        adapter, objective, batches = with_logits(adapter, objective, batches)
    return with_two_logits(adapter, objective, batches)


def with_logits(
    adapter: ModelAdapter, objective: Objective | None, batches: list[Batch | None]
) -> tuple[ModelAdapter, Objective | None, list[Batch | None]]:
    """Probabilities y as logits log(y / (1 - y)); the objective gets the probabilities."""

    def logit(outputs: Array) -> Array:
        inside = jnp.clip(outputs, TINY, 1 - 1e-7)
        return jnp.log(inside) - jnp.log1p(-inside)

    read = None if objective is None else lambda outputs, batch: objective(jax.nn.sigmoid(outputs), batch)
    return map_outputs(adapter, logit), read, batches


def with_link(
    adapter: ModelAdapter, objective: Objective | None, name: str, batches: list[Batch | None]
) -> tuple[ModelAdapter, Objective | None, list[Batch | None]]:
    """Outputs as predictions of the targets, see `distances.LINKS`; the objective gets the outputs."""
    link, inverse = LINKS[name]

    def read(outputs: Array, batch: Batch) -> Array:
        assert objective is not None
        near = jnp.clip(outputs, TINY, 1 - 1e-7) if name == "sigmoid" else outputs
        return objective(inverse(near), batch)

    return map_outputs(adapter, link), None if objective is None else read, batches


def map_outputs(adapter: ModelAdapter, function: Callable[[Array], Array]) -> ModelAdapter:
    """The adapter of a network with a function behind it."""
    apply, step = adapter.apply, adapter.step

    def after(result: tuple[Any, Array]) -> tuple[Any, Array]:
        return result[0], function(result[1])

    return adapter._replace(
        apply=lambda *inputs: after(apply(*inputs)),
        step=None if step is None else lambda *inputs: after(step(*inputs)),
    )


def with_id_inputs(adapter: ModelAdapter, batches: list[Batch | None]) -> tuple[ModelAdapter, list[Batch | None]]:
    """One-hot inputs as ids, from which the adapter makes them again."""
    width, dtype = next((batch.inputs.shape[-1], batch.inputs.dtype) for batch in batches if batch is not None)
    code = partial(jax.nn.one_hot, num_classes=width, dtype=dtype)
    step, start = adapter.step, adapter.initial_carry
    coded = adapter._replace(
        apply=lambda params, carry, ids, *segments: adapter.apply(params, carry, code(ids), *segments),
        step=None if step is None else lambda params, carry, ids: step(params, carry, code(ids)),
        initial_carry=None if start is None else lambda params, ids: start(params, code(ids)),
    )
    ids = [batch and batch._replace(inputs=to_ids(batch.inputs)) for batch in batches]
    return coded, ids


def to_ids(one_hot: Any) -> np.ndarray:
    return np.asarray(one_hot).argmax(axis=-1).astype(np.int32)


def with_id_targets(batch: Batch) -> Batch:
    """One-hot targets as ids; the objective still reads what was given."""
    return batch._replace(targets=to_ids(batch.targets), given_targets=batch.targets, target_scale_O=None)


def with_two_logits(
    adapter: ModelAdapter, objective: Objective | None, batches: list[Batch | None]
) -> tuple[ModelAdapter, Objective | None, list[Batch | None]]:
    """A logistic output y as the logits (0, y) of two classes: softmax of them is the sigmoid of y."""

    largest = max(np.asarray(batch.targets).max() for batch in batches if batch is not None)

    def two_classes(batch: Batch) -> Batch:
        targets = (np.asarray(batch.targets)[..., 0] == largest).astype(np.int32)
        return batch._replace(targets=targets, given_targets=batch.targets, target_scale_O=None)

    read = None if objective is None else lambda outputs, batch: objective(outputs[..., 1:], batch)
    adapter = map_outputs(adapter, lambda outputs: jnp.concatenate([jnp.zeros_like(outputs), outputs], axis=-1))
    return adapter, read, [batch and two_classes(batch) for batch in batches]


def with_log_outputs(adapter: ModelAdapter) -> ModelAdapter:
    """Probabilities as logits: their logarithms."""
    return map_outputs(adapter, lambda outputs: jnp.log(jnp.maximum(outputs, TINY)))


def nearest_columns(outputs_TBO: np.ndarray, batch: Batch) -> list[int]:
    """The columns of the outputs: first the nearest to each target by mean square, then all others."""
    mask_TB, left, order = boolean_mask(batch), list(range(outputs_TBO.shape[-1])), []
    for target_N in np.asarray(batch.targets, float)[mask_TB].T:
        errors = {column: float(np.mean((outputs_TBO[mask_TB][:, column] - target_N) ** 2)) for column in left}
        order.append(min(errors, key=lambda column: errors[column] if np.isfinite(errors[column]) else np.inf))
        left.remove(order[-1])
    return order + left


def in_order(adapter: ModelAdapter, objective: Objective, order: list[int]) -> tuple[ModelAdapter, Objective]:
    """The columns of the outputs in another order; the objective still gets them in their own."""
    columns, back = jnp.asarray(order), jnp.argsort(jnp.asarray(order))
    return map_outputs(adapter, lambda outputs: outputs[..., columns]), lambda outputs, batch: objective(
        outputs[..., back], batch
    )


def exponential(objective: Objective) -> Objective:
    """An objective of probabilities as one of their logarithms; a probability of 0 stays 0."""
    lowest = jnp.log(jnp.float32(TINY)) + 1e-3
    return lambda outputs, batch: objective(jnp.where(outputs > lowest, jnp.exp(outputs), 0.0), batch)


def with_counted_steps(batch: Batch, objective: Objective, width: int) -> Batch:
    """A batch without a loss mask with the mask that the objective implies: where the outputs have a gradient.

    Left as it is if the objective uses only the last step, or leaves out whole streams: these are faults of their own.
    """
    if batch.loss_mask_TB is not None:
        return batch
    steps, streams = np.shape(batch.targets)[:2]
    outputs = 0.1 * jax.random.normal(jax.random.key(0), (steps, streams, width)) + 0.5
    gradient = jax.grad(lambda outputs: objective(outputs, batch))(outputs)
    sizes_TB = np.linalg.norm(np.asarray(gradient), axis=-1)
    counted_TB = sizes_TB > 1e-6 * sizes_TB.max(initial=0.0)
    whole = batch.segments_TB is not None and predicted_kind(batch) in ("label", "values")
    implied = np.isfinite(sizes_TB).all() and counted_TB.any(axis=0).all() and (counted_TB[:-1].any() or whole)
    if not implied or counted_TB.all():
        return batch
    return batch._replace(loss_mask_TB=counted_TB.astype(np.float32), mask_given=False)


def with_valid_steps(batch: Batch) -> Batch:
    """A batch with segments whose loss counts at steps of sequences alone.

    A mask of one step in each stream stays: a network may keep its output at padding, of which the last step is read.
    """
    if batch.segments_TB is None:
        return batch
    valid_TB = (np.asarray(batch.segments_TB) > 0).astype(np.float32)
    if batch.loss_mask_TB is None:
        return batch._replace(loss_mask_TB=valid_TB, mask_given=False)
    mask_TB = np.asarray(batch.loss_mask_TB)
    return batch if (mask_TB > 0).sum(axis=0).max() <= 1 else batch._replace(loss_mask_TB=mask_TB * valid_TB)


def empty_streams(batch: Batch, objective: Objective | None, width: int) -> np.ndarray:
    """The streams [B] without a step whose loss counts: by the mask, else by the gradient of the objective.

    Args: width: of the outputs.
    """
    steps, streams = np.shape(batch.targets)[:2]
    if batch.segments_TB is None:
        return np.zeros(streams, bool)
    counted_B = boolean_mask(batch).any(axis=0)
    if batch.loss_mask_TB is None and objective is not None:
        outputs = 0.1 * jax.random.normal(jax.random.key(0), (steps, streams, width)) + 0.5
        gradient = np.asarray(jax.grad(lambda outputs: objective(outputs, batch))(outputs))
        counted_B = np.abs(gradient).max(axis=(0, 2)) > 0
    return np.asarray(~(np.asarray(batch.segments_TB) > 0).any(axis=0) & counted_B)

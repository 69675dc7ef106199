"""A window of B streams for the examination, and its losses."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.doctor.segments import continued_steps, read_segments
from rnnjax.errors import BadInput
from rnnjax.settings import LOSS_UNITS
from rnnjax.training.losses import LOSSES

MIN_STEPS, MIN_STREAMS = 4, 2
PARTS = ("inputs", "targets", "loss_mask", "target_scale", "lengths", "segments")  # of a batch that is a table
MOST_OUTPUTS = 3  # for each target: mean and deviation, or three quantiles


class Batch(NamedTuple):
    """One window of B streams; arrays of JAX or NumPy."""

    inputs: Any  # [T, B] integer ids, or [T, B, D]
    targets: Any  # [T, B] integer ids, or [T, B, O]
    loss_mask_TB: Any = None  # 1 where the loss counts, else 0; None = everywhere
    target_scale_O: Any = None  # predictions times this are in the units of the data; None = 1
    given_targets: Any = None  # as the objective reads them, if they were given in another form than `targets`
    mask_given: bool = True  # False: the loss mask is where the objective has a gradient
    segments_TB: Any = None  # which sequence each step belongs to, see `segments`; None = one in each stream

    @property
    def kind(self) -> str:
        """cross_entropy where the targets are ids, else squared_error."""
        return "cross_entropy" if is_ids(self.targets) else "squared_error"

    @property
    def objective_targets(self) -> Any:
        """The targets as they were given."""
        return self.targets if self.given_targets is None else self.given_targets

    @property
    def unit(self) -> str:
        return LOSS_UNITS[self.kind]

    @property
    def predicts_next_input(self) -> bool:
        """Whether each target is the next input, so that the network can generate from its own outputs."""
        if self.inputs.shape != self.targets.shape:
            return False
        within = continued_steps(self.segments_TB, self.inputs.shape[:2])
        return bool(np.array_equal(np.asarray(self.inputs[1:])[within], np.asarray(self.targets[:-1])[within]))


def is_ids(values: Any) -> bool:
    return bool(jnp.issubdtype(values.dtype, jnp.integer))


def validate_batch(name: str, given: Any) -> Batch:
    """A user's batch: (inputs, targets[, loss_mask[, target_scale]]), or a table of `PARTS`. Raises BadInput."""
    parts, spans = batch_parts(name, given)
    try:
        inputs, targets, *rest = (None if part is None else np.asarray(part) for part in parts)
        finite = all(np.isfinite(part).all() for part in (inputs, targets, *rest) if part is not None)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name}: got values that are not numbers ({error}); expected arrays") from error
    batch = Batch(inputs, targets, **dict(zip(("loss_mask_TB", "target_scale_O"), rest, strict=False)))  # type: ignore[arg-type]
    if inputs is None or targets is None:
        raise BadInput(f"{name}: got no inputs or no targets; expected both")
    check_shapes(name, batch)
    if not finite:
        raise BadInput(
            f"{name}: got values that are not finite; expected finite numbers; mask missing values with loss_mask = 0"
        )
    if any(is_ids(each) and each.min() < 0 for each in (inputs, targets)):
        raise BadInput(f"{name}: got ids below 0; expected ids from 0; mask missing ones with loss_mask = 0")
    steps, streams = inputs.shape[:2]
    return batch._replace(segments_TB=read_segments(name, *spans, (steps, streams)))


def batch_parts(name: str, given: Any) -> tuple[list[Any], tuple[Any, Any]]:
    """Inputs, targets, loss mask and target scale of a user's batch; and lengths and segments. Raises BadInput."""
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in PARTS]
        if unknown or "inputs" not in given or "targets" not in given:
            got = ", ".join(map(repr, unknown or given)) or "nothing"
            raise BadInput(f"{name}: got {got}; expected 'inputs', 'targets' and any of {', '.join(PARTS[2:])}")
        return [given.get(part) for part in PARTS[:4]], (given.get("lengths"), given.get("segments"))
    if not isinstance(given, tuple | list) or not 2 <= len(given) <= 4:
        what = f"{len(given)} parts" if isinstance(given, tuple | list) else type(given).__name__
        raise BadInput(f"{name}: got {what}; expected a tuple (inputs, targets[, loss_mask[, target_scale]])")
    return [*given], (None, None)


def check_shapes(name: str, batch: Batch) -> None:
    """Raises BadInput unless the shapes of all parts agree."""
    values = batch.inputs, batch.targets
    shapes = " and ".join(str(each.shape) for each in values)
    check_targets(name, *values)
    rank_right = all(each.ndim == (2 if is_ids(each) else 3) for each in values)
    if not rank_right or values[0].shape[:2] != values[1].shape[:2]:
        raise BadInput(f"{name}: got shapes {shapes}; expected ids [T, B] or numbers [T, B, D], time first")
    steps, streams = values[0].shape[:2]
    if steps < MIN_STEPS or streams < MIN_STREAMS or 0 in (*values[0].shape, *values[1].shape):
        raise BadInput(f"{name}: got shapes {shapes}; expected T >= {MIN_STEPS} steps of B >= {MIN_STREAMS} streams")
    if batch.loss_mask_TB is not None and (
        np.shape(batch.loss_mask_TB) != (steps, streams) or not boolean_mask(batch).any()
    ):
        got = "only 0" if np.shape(batch.loss_mask_TB) == (steps, streams) else f"shape {np.shape(batch.loss_mask_TB)}"
        raise BadInput(f"{name}: got a loss mask of {got}; expected ({steps}, {streams}), 1 where the loss counts")
    if batch.target_scale_O is not None and np.shape(batch.target_scale_O) not in ((), batch.targets.shape[2:]):
        raise BadInput(
            f"{name}: got a target scale of shape {np.shape(batch.target_scale_O)}; expected {batch.targets.shape[2:]}"
        )


def check_targets(name: str, inputs: np.ndarray, targets: np.ndarray) -> None:
    """Raises BadInput, with the way to the expected form, for one target a sequence and for ids with an axis of 1."""
    for what, each in (("inputs", inputs), ("targets", targets)):
        if is_ids(each) and each.ndim == 3 and each.shape[-1] == 1:
            raise BadInput(f"{name}: got ids {each.shape} as {what}; expected [T, B]: {what}[..., 0]")
    steps, streams = inputs.shape[:2] if inputs.ndim > 1 else (0, 0)
    if targets.ndim in (1, 2) and targets.shape[:1] == (streams,) and targets.shape != (steps, streams):
        form = "targets" if is_ids(targets) or targets.ndim == 2 else "targets[:, None]"
        raise BadInput(
            f"{name}: got targets {targets.shape}, one for each of {streams} sequences; expected them at every step, "
            f"np.broadcast_to({form}, (T, *{form}.shape)), with a loss mask [T, B] that is 1 at the last step"
        )


def check_ids(name: str, batch: Batch, symbols: int | None) -> None:
    """Raises BadInput for input ids outside the vocabulary, which JAX would silently clip to the last symbol."""
    if symbols is not None and is_ids(batch.inputs) and batch.inputs.max() >= symbols:
        raise BadInput(f"{name}: got ids up to {batch.inputs.max()} in the inputs; expected 0 to {symbols - 1}")


def check_outputs(name: str, batch: Batch, width: int, own_objective: bool = False) -> None:
    """Raises BadInput unless outputs of some width can be compared with the targets.

    Args: own_objective: the user's, which may read up to 3 outputs for each target, such as a mean and a deviation.
    """
    if is_ids(batch.targets):
        if batch.targets.max() >= width:
            raise BadInput(f"{name}: got ids up to {batch.targets.max()} in the targets; expected 0 to {width - 1}")
        return
    columns = batch.targets.shape[-1]
    if columns != width and not (own_objective and columns < width <= MOST_OUTPUTS * columns):
        raise BadInput(
            f"{name}: got targets of {columns} columns; expected {width}, the width of the outputs (with an objective "
            f"of your own, outputs may have up to {MOST_OUTPUTS} columns for each of the targets)"
        )


def predictions(batch: Batch, outputs_TBO: Any) -> Any:
    """The outputs that are compared with the targets: of numbers the first ones, as many as there are targets."""
    return outputs_TBO if is_ids(batch.targets) else outputs_TBO[..., : batch.targets.shape[-1]]


def batch_step_losses(batch: Batch, outputs_TBO: Array) -> Array:
    """The loss of every step and stream [T, B], in nats or squared units of the target."""
    targets, outputs_TBO = jnp.asarray(batch.targets), predictions(batch, outputs_TBO)
    if batch.target_scale_O is not None:
        target_scale_11O = jnp.asarray(batch.target_scale_O)[None, None]
        outputs_TBO, targets = outputs_TBO * target_scale_11O, targets * target_scale_11O
    return jax.vmap(jax.vmap(LOSSES[batch.kind]))(outputs_TBO, targets)


def stream_losses(batch: Batch, outputs_TBO: Array) -> Array:
    """The mean loss of each stream [B] over the steps that count."""
    losses_TB = batch_step_losses(batch, outputs_TBO)
    if batch.loss_mask_TB is None:
        return jnp.mean(losses_TB, axis=0)
    loss_mask_TB = jnp.asarray(batch.loss_mask_TB)
    return jnp.sum(losses_TB * loss_mask_TB, axis=0) / jnp.maximum(jnp.sum(loss_mask_TB, axis=0), 1e-6)


def masked_mean(batch: Batch, values_TB: Array) -> Array:
    """Masked means [B], weighted so that their mean over the streams is the mean over all steps that count."""
    if batch.loss_mask_TB is None:
        return jnp.mean(values_TB, axis=0, dtype=float)
    loss_mask_TB = jnp.asarray(batch.loss_mask_TB)
    return jnp.sum(values_TB * loss_mask_TB, axis=0) / jnp.mean(jnp.sum(loss_mask_TB, axis=0))


def batch_chance_loss(batch: Batch) -> float:
    """The loss of the best constant prediction: the entropy of the target frequencies, or the target variance."""
    targets = np.asarray(batch.targets)[boolean_mask(batch)]
    if is_ids(targets):
        share = np.unique(targets, return_counts=True)[1] / len(targets)
        return float(-np.sum(share * np.log(share)))
    target_scale_O = 1.0 if batch.target_scale_O is None else np.asarray(batch.target_scale_O)
    return float(np.mean(np.var(targets * target_scale_O, axis=0)))


def boolean_mask(batch: Batch) -> np.ndarray:
    """The loss mask as bool [T, B]."""
    if batch.loss_mask_TB is None:
        return np.ones(np.shape(batch.targets)[:2], bool)
    return np.asarray(batch.loss_mask_TB) > 0


def last_counted(batch: Batch) -> np.ndarray:
    """The last step [B] that counts in each stream; the last of all in a stream without one."""
    mask_TB = boolean_mask(batch)
    steps = len(mask_TB)
    return np.where(mask_TB.any(axis=0), steps - 1 - mask_TB[::-1].argmax(axis=0), steps - 1)

"""What a network is examined on: a window of B streams, and its loss there."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import BadInput
from rnnjax.losses import LOSSES, UNITS

FEWEST_STEPS, FEWEST_STREAMS = 4, 2


class Batch(NamedTuple):
    """One window of B streams; arrays of JAX or NumPy."""

    inputs: Any  # [T, B] integer ids, or [T, B, D]
    targets: Any  # [T, B] integer ids, or [T, B, O]
    counted_TB: Any = None  # 1 where the loss counts, else 0; None = everywhere
    unit_O: Any = None  # a prediction times this is in the target's own unit; None = it already is

    @property
    def kind(self) -> str:
        """cross_entropy where the targets are ids, else squared_error."""
        return "cross_entropy" if is_ids(self.targets) else "squared_error"

    @property
    def unit(self) -> str:
        return UNITS[self.kind]

    @property
    def said_next(self) -> bool:
        """Whether what is to be said at each step is what is read at the next one, so that it can run free."""
        same = self.inputs.shape == self.targets.shape
        return same and bool(np.array_equal(self.inputs[1:], self.targets[:-1]))


def is_ids(values: Any) -> bool:
    return bool(jnp.issubdtype(values.dtype, jnp.integer))


def checked(name: str, given: Any) -> Batch:
    """A batch as the user gave it: (inputs, targets), or with what counts. Raises BadInput."""
    batch = Batch(*given)
    values = [np.asarray(each) for each in batch[:2]]
    shapes = " and ".join(str(each.shape) for each in values)
    rank_right = all(each.ndim == (2 if is_ids(each) else 3) for each in values)
    if not rank_right or values[0].shape[:2] != values[1].shape[:2]:
        raise BadInput(f"{name}: got shapes {shapes}; expected ids [T, B] or numbers [T, B, D], time first")
    if values[0].shape[0] < FEWEST_STEPS or values[0].shape[1] < FEWEST_STREAMS:
        raise BadInput(
            f"{name}: got shapes {shapes}; expected T >= {FEWEST_STEPS} steps of B >= {FEWEST_STREAMS} streams"
        )
    return batch._replace(inputs=values[0], targets=values[1])


def step_losses(batch: Batch, outputs_TBO: Array) -> Array:
    """Nats, or squared units of the target, of every step and stream [T, B]."""
    targets = jnp.asarray(batch.targets)
    if batch.unit_O is not None:
        unit_11O = jnp.asarray(batch.unit_O)[None, None]
        outputs_TBO, targets = outputs_TBO * unit_11O, targets * unit_11O
    return jax.vmap(jax.vmap(LOSSES[batch.kind]))(outputs_TBO, targets)


def stream_losses(batch: Batch, outputs_TBO: Array) -> Array:
    """The mean loss of each stream [B] over what counts."""
    losses_TB = step_losses(batch, outputs_TBO)
    if batch.counted_TB is None:
        return jnp.mean(losses_TB, axis=0)
    counted_TB = jnp.asarray(batch.counted_TB)
    return jnp.sum(losses_TB * counted_TB, axis=0) / jnp.maximum(jnp.sum(counted_TB, axis=0), 1e-6)


def chance(batch: Batch) -> float:
    """The loss of the best constant on a batch: the entropy of its targets' counts, or their variance."""
    targets = np.asarray(batch.targets)[counts(batch)]
    if is_ids(targets):
        share = np.unique(targets, return_counts=True)[1] / len(targets)
        return float(-np.sum(share * np.log(share)))
    unit_O = 1.0 if batch.unit_O is None else np.asarray(batch.unit_O)
    return float(np.mean(np.var(targets * unit_O, axis=0)))


def counts(batch: Batch) -> np.ndarray:
    """Where the loss counts: bool [T, B]."""
    if batch.counted_TB is None:
        return np.ones(np.shape(batch.targets)[:2], bool)
    return np.asarray(batch.counted_TB) > 0

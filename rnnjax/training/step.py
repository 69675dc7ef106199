"""One optimizer step of one run, and chunks of steps, as pure functions of its state.

`train_chunk` takes a state some steps further; `parallel` adds the run axis with `vmap`.
"""

from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jax import Array

from rnnjax.networks.keys import key_for
from rnnjax.settings import HParams, Spec
from rnnjax.training.batching import WINDOW_ORDERS
from rnnjax.training.clipping import clip_gradient
from rnnjax.training.loss import window_loss
from rnnjax.training.norms import ScaledNorm, scaled_norm
from rnnjax.training.optimizers import build_optimizer
from rnnjax.training.scheduled_sampling import scheduled_sampling_window
from rnnjax.training.schedules import learning_rate_at
from rnnjax.training.shuffling import sequence_batch
from rnnjax.training.state import StepMetrics, TrainState
from rnnjax.types import RECURRENT_PARAMETERS, Carry, Params, SequencePool, WindowData

TrainingData = WindowData | SequencePool


class WindowGradient(NamedTuple):
    """The gradient of the next window of a run, and what was computed on the way."""

    gradient: Params  # of the optimised loss, before the clips; 0 for frozen parameters
    carry: Carry  # after the window
    loss: Array  # reported
    objective: Array  # optimised


def train_step(
    spec: Spec, hp: HParams, data: TrainingData, state: TrainState, number: Array | None = None
) -> tuple[TrainState, StepMetrics]:
    """One optimizer step of one run. A step that is not finite is not taken, and no step after it.

    Args: number: `state.step`, as a value that all runs of a block share.
    """
    return apply_gradient(spec, hp, state, compute_gradient(spec, hp, data, state, number))


def compute_gradient(
    spec: Spec, hp: HParams, data: TrainingData, state: TrainState, number: Array | None = None
) -> WindowGradient:
    """The first half of a step: g = dL/dparams on the next window; the state does not change."""
    key = jax.random.fold_in(key_for(hp, "noise"), state.step)
    if isinstance(data, SequencePool):
        return pool_gradient(spec, hp, data, state, key, state.step if number is None else number)
    window, restarts = WINDOW_ORDERS[spec.window_order](hp, data, state.step)
    reset_state = restarts | (spec.carry == "reset")
    if spec.scheduled_sampling != "teacher":
        window = scheduled_sampling_window(spec, hp, state, reset_state, key, window)
    return window_gradient(spec, hp, state, reset_state, key, window)


def pool_gradient(
    spec: Spec, hp: HParams, pool: SequencePool, state: TrainState, key: Array, number: Array
) -> WindowGradient:
    """The gradient of the next batch of sequences, from the set of rows that the plan has for this step.

    Where `number` is the same for all runs of a block, only that set is read; else all sets are, and one is selected.
    """
    cycle = len(pool.plan_S)
    chosen = jnp.asarray(pool.plan_S)[number % cycle]
    taken = jnp.bincount(jnp.asarray(pool.plan_S), length=len(pool.sets))[chosen]
    draw = (number // cycle) * taken + jnp.asarray(pool.rank_S)[number % cycle]

    def from_set(index: int) -> WindowGradient:
        window = sequence_batch(hp, pool, index, spec.batch, draw)
        return window_gradient(spec, hp, state, jnp.bool_(True), key, window)

    branches = [partial(from_set, index) for index in range(len(pool.sets))]
    return branches[0]() if len(branches) == 1 else jax.lax.switch(chosen, branches)


def window_gradient(
    spec: Spec, hp: HParams, state: TrainState, reset_state: Array, key: Array, window: WindowData
) -> WindowGradient:
    """The gradient of one window."""
    loss = partial(window_loss, spec, hp, state.carry, reset_state, key, window)
    (objective, (carry, reported)), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
    return WindowGradient(mask_frozen(hp, gradient), carry, reported, objective)


def mask_frozen(hp: HParams, gradient: Params) -> Params:
    """The gradient with 0 for frozen parameters, which then count in no norm either."""

    def share(path: tuple[Any, ...]) -> Array | float:
        names = [getattr(entry, "key", "") for entry in path]  # the initial state of a cell is a tuple
        if names[0] == "readout":
            return hp.readout_trainable
        return hp.recurrent_trainable if names[-1] in RECURRENT_PARAMETERS else hp.kernel_trainable

    return jax.tree_util.tree_map_with_path(lambda path, leaf: share(path) * leaf, gradient)


def apply_gradient(
    spec: Spec, hp: HParams, state: TrainState, window: WindowGradient
) -> tuple[TrainState, StepMetrics]:
    """The second half of a step: params' = params - rate * optimizer(clip(g)), the new state and its metrics.

    A step whose loss, gradient or update is not finite changes nothing but `step`, `alive` and `diverged_at`; its
    metrics are NaN.
    """
    scale = 1 if state.early_stopping is None else state.early_stopping.lr_scale
    rate = learning_rate_at(spec.schedule, hp, state.step) * scale
    hp = hp._replace(clip_norm=cast(float, jnp.where(state.step < hp.clip_steps, hp.clip_norm, jnp.inf)))
    norm = scaled_norm(window.gradient)
    clipped, clipped_norm = clip_gradient(spec, hp, window.gradient, norm)
    direction, opt_state = build_optimizer(spec, hp).update(clipped, state.opt_state, state.params)
    update = jax.tree.map(lambda leaf: -rate * leaf, direction)
    # Gradient descent moves along the clipped gradient itself, whose norm is known.
    update_norm = ScaledNorm(rate * clipped_norm, jnp.float32(1)) if direction is clipped else scaled_norm(update)

    # Finite parameters plus a finite update are finite, so the parameters need no check.
    alive = state.alive & jnp.isfinite(window.loss) & jnp.isfinite(norm.length) & jnp.isfinite(update_norm.length)
    params = optax.apply_updates(state.params, update)
    new = state.replace(params=params, opt_state=opt_state, carry=window.carry)
    state = jax.tree.map(partial(jnp.where, alive), new, state).replace(
        step=state.step + 1,
        alive=alive,
        diverged_at=jnp.where(state.alive & ~alive, state.step, state.diverged_at),
    )
    fired = (norm.value > hp.clip_norm).astype(norm.length.dtype)
    row = StepMetrics(window.loss, norm.value, fired, update_norm.value, window.objective)
    return state, jax.tree.map(lambda value: jnp.where(alive, value, jnp.nan), row)


def averaged_steps(
    spec: Spec, hp: HParams, data: TrainingData, state: TrainState, steps: Array, first: Array | None = None
) -> tuple[TrainState, StepMetrics]:
    """`steps` >= 1 optimizer steps, and the mean of each of their metrics: one row of the log, scalars.

    Args: first: as in `train_chunk`.
    """

    def body(i: Array, carried: tuple[TrainState, StepMetrics]) -> tuple[TrainState, StepMetrics]:
        state, row = train_step(spec, hp, data, carried[0], None if first is None else first + i)
        return state, jax.tree.map(jnp.add, carried[1], row)

    state, row = jax.lax.fori_loop(0, steps, body, (state, StepMetrics(*[jnp.float32(0)] * len(StepMetrics._fields))))
    return state, jax.tree.map(lambda total: total / steps, row)


def train_chunk(
    spec: Spec,
    rows: int,
    hp: HParams,
    data: TrainingData,
    state: TrainState,
    steps: Array,
    first: Array | None = None,
) -> tuple[TrainState, StepMetrics]:
    """`steps` more optimizer steps.

    Args:
        rows: length of the record that is returned; static, at least ceil(steps / log_every).
        steps: traced, so that one compiled program serves chunks of every length.
        first: `state.step`, as a value that all runs of a block share; needed for several sets of sequences.

    Returns:
        The state, and a record whose leaves are [rows]: row i is the mean over the i-th `log_every` steps of the
        chunk (the last row may be shorter); rows that were not reached are NaN.
    """

    def body(i: Array, carried: tuple[TrainState, StepMetrics]) -> tuple[TrainState, StepMetrics]:
        left = jnp.minimum(spec.log_every, steps - i * spec.log_every)
        number = None if first is None else first + i * spec.log_every
        state, row = averaged_steps(spec, hp, data, carried[0], left, number)
        return state, jax.tree.map(lambda record, value: record.at[i].set(value), carried[1], row)

    record = StepMetrics(*[jnp.full(rows, jnp.nan)] * len(StepMetrics._fields))
    return jax.lax.fori_loop(0, -(-steps // spec.log_every), body, (state, record))

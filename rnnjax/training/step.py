"""Training as two pure functions of one run: `init_state` makes its state, `train_chunk` takes it some optimizer
steps further.

The state is what the next step needs; the record is what the reader needs. Nothing here knows of other runs: `sweep`
adds the run axis with `vmap`.
"""

from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array

from rnnjax.checks import lookup
from rnnjax.networks.generation import sample_inputs
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model, build_network
from rnnjax.settings import HParams, Spec
from rnnjax.training.batching import WINDOW_ORDERS, select_window
from rnnjax.training.losses import LOSSES, REDUCTIONS
from rnnjax.training.optimizers import build_optimizer
from rnnjax.training.schedules import learning_rate_at, sampling_probability_at
from rnnjax.types import Carry, Params, WindowData


class EarlyStopping(struct.PyTreeNode):
    """What looks at the held-out loss have found."""

    best_loss: Array  # inf before the first look
    best_params: Params
    bad_checks: Array  # int32, looks since the best
    bad_checks_since_decay: Array  # int32, looks since the best or since the rate last fell
    lr_scale: Array  # multiplies the learning rate; 0 once the run has stopped
    stopped_at: Array  # int32, the step; -1 = not


class TrainState(struct.PyTreeNode):
    """All that the next optimizer step depends on besides the settings and the data."""

    params: Params
    opt_state: Any
    carry: Carry
    step: Array  # int32, optimizer steps done
    alive: Array  # bool: false once a loss, a gradient or a parameter was not finite; the state is then frozen
    diverged_at: Array  # int32, the step that was not finite; -1 = none
    early_stopping: EarlyStopping | None  # None where `validate_every` is 0


class StepMetrics(NamedTuple):
    """One optimizer step as the reader sees it, or the mean of several; a leaf per scalar."""

    loss: Array  # nats per character, or squared units of the target: mean over what counts in the window
    gradient_norm: Array  # of the whole gradient, before the clips
    clip_share: Array  # share of steps on which the norm was above clip_norm
    update_norm: Array  # of what was added to the parameters
    objective: Array  # what is optimised: the loss after its reduction over the window


def init_state(spec: Spec, hp: HParams) -> TrainState:
    """The state of a run before its first step."""
    model = build_network(spec, hp)
    params = model.init(key_for(hp, "start"))
    nothing = EarlyStopping(jnp.float32(jnp.inf), params, jnp.int32(0), jnp.int32(0), jnp.float32(1), jnp.int32(-1))
    return TrainState(
        params=params,
        opt_state=build_optimizer(spec, hp, 0).init(params),
        carry=model.carry(params, key_for(hp, "noise"), spec.batch),
        step=jnp.int32(0),
        alive=jnp.bool_(True),
        diverged_at=jnp.int32(-1),
        early_stopping=nothing if spec.validate_every else None,
    )


def window_loss(
    spec: Spec, hp: HParams, carried: Carry, reset_state: Array, key: Array, window: WindowData, params: Params
) -> tuple[Array, tuple[Carry, Array]]:
    """(loss to optimise, (carry after the window, loss to report)).

    Args:
        carried: the state after the window before. reset_state: true where the start state takes its place.
    """
    model = build_network(spec, hp)
    start_key, dropout_key = jax.random.split(key)
    carry = initial_or_carried(
        spec, model, carried, reset_state, start_key, params
    )  # here, so that a learned start gets its gradient
    carry, outputs_TBO = apply_truncated(spec, model, params, carry, window, dropout_key)
    optimised, reported = window_losses(spec, outputs_TBO, window)
    return optimised, (carry, reported)


def apply_truncated(
    spec: Spec, model: Model, params: Params, carry: Carry, window: WindowData, dropout_key: Array
) -> tuple[Carry, Array]:
    """The carry after a window and its outputs; no gradient passes from one piece of `gradient_window` to the last."""
    steps = spec.gradient_window or spec.window
    pieces = []
    for first in range(0, spec.window, steps):
        within = slice(first, first + steps)
        mask_TB = None if window.valid_WTB is None else window.valid_WTB[within]
        carry = jax.lax.stop_gradient(carry) if first else carry
        carry, outputs_TBO, _ = model.apply(params, carry, window.inputs_WTB[within], mask_TB, dropout_key)
        pieces.append(outputs_TBO)
    return carry, jnp.concatenate(pieces) if len(pieces) > 1 else pieces[0]


def mask_frozen(hp: HParams, gradient: Params) -> Params:
    """The gradient of what is to be trained: what is frozen has none, so it counts in no norm either."""

    def share(path: tuple[Any, ...]) -> Array | float:
        names = [getattr(entry, "key", "") for entry in path]  # a cell's start state is a tuple
        if names[0] == "readout":
            return hp.readout_trainable
        return hp.recurrent_trainable if names[-1] == "recurrent_kernel" else hp.kernel_trainable

    return jax.tree_util.tree_map_with_path(lambda path, leaf: share(path) * leaf, gradient)


def initial_or_carried(
    spec: Spec, model: Model, carried: Carry, reset_state: Array, key: Array, params: Params
) -> Carry:
    """The state before a window: the start state where `reset_state` is true, the one carried to it where it is not."""
    return jax.tree.map(partial(jnp.where, reset_state), model.carry(params, key, spec.batch), carried)


SAMPLING_TEMPERATURES = {"sampled": 1.0, "greedy": 0.0}


def scheduled_sampling_window(
    spec: Spec, hp: HParams, state: TrainState, reset_state: Array, key: Array, window: WindowData
) -> WindowData:
    """The window as scheduled sampling reads it: each input is, with probability sampling_probability, what the
    network said.

    x_t = own_t ? s_t : text_t with own_t ~ Bernoulli(sampling_probability(step)) and s_t drawn from (`sampled`), or
    the best guess
    of (`greedy`), p(. | x_1 ... x_{t-1}); the targets stay those of the text. Where a state is carried to the window
    the first input too may be the network's own, so that the ends of windows make no difference; where the text starts
    anew it is the text's.

    A choice has no gradient, so choosing here, in a walk of its own, and learning from the window that comes out gives
    exactly the gradient of a scan that chooses on its way.

    Source: Bengio et al. 2015, arXiv:1506.03099.
    """
    model = build_network(spec, hp)
    carry = initial_or_carried(spec, model, state.carry, reset_state, jax.random.split(key)[0], state.params)
    text_TB = jnp.asarray(window.inputs_WTB)
    chances_TB, uniforms_TB = jax.random.uniform(jax.random.fold_in(key, 2), (2, *text_TB.shape))
    given_T1 = reset_state & (jnp.arange(len(text_TB)) == 0)[:, None]
    own_TB = (chances_TB < sampling_probability_at(spec.sampling_schedule, hp, state.step)) & ~given_T1
    temperature = SAMPLING_TEMPERATURES[spec.scheduled_sampling]
    read_TB: Any = sample_inputs(model, state.params, carry, text_TB, own_TB, temperature, uniforms_TB)
    return window._replace(inputs_WTB=read_TB)


def window_losses(spec: Spec, outputs_TBO: Array, window: WindowData) -> tuple[Array, Array]:
    """(the reduction that is optimised, the mean in the target's own unit) of one window's outputs."""
    loss_mask_TB = window.loss_mask_WTB

    def per_step(outputs_TBO: Array, targets: Any) -> Array:
        losses_TB = jax.vmap(jax.vmap(lookup(LOSSES, spec.loss, "loss")))(outputs_TBO, targets)
        return jnp.mean(losses_TB if loss_mask_TB is None else losses_TB * loss_mask_TB, axis=1)

    loss_mask_T = None if loss_mask_TB is None else jnp.mean(loss_mask_TB, axis=1)
    losses_T = own_T = per_step(outputs_TBO, window.targets_WTB)
    if window.target_scale_O is not None:
        target_scale_11O = jnp.asarray(window.target_scale_O)[None, None]
        own_T = per_step(outputs_TBO * target_scale_11O, window.targets_WTB * target_scale_11O)
    return REDUCTIONS[spec.reduction](losses_T, loss_mask_T), REDUCTIONS["mean"](own_T, loss_mask_T)


class WindowGradient(NamedTuple):
    """What a run takes from the window of its next step."""

    gradient: Params  # of the optimised loss, before the clips; 0 of what is frozen
    carry: Carry  # after the window
    loss: Array  # to report
    objective: Array  # to optimise


def train_step(spec: Spec, hp: HParams, data: WindowData, state: TrainState) -> tuple[TrainState, StepMetrics]:
    """One optimizer step of one run. A step that is not finite is not taken, and none after it."""
    return apply_gradient(spec, hp, state, compute_gradient(spec, hp, data, state))


def compute_gradient(spec: Spec, hp: HParams, data: WindowData, state: TrainState) -> WindowGradient:
    """The first half of a step: the window is read, nothing changes."""
    window, starts_anew = WINDOW_ORDERS[spec.window_order](hp, data, state.step)
    reset_state, key = starts_anew | (spec.carry == "reset"), jax.random.fold_in(key_for(hp, "noise"), state.step)
    if spec.scheduled_sampling != "teacher":
        window = scheduled_sampling_window(spec, hp, state, reset_state, key, window)
    loss_of = partial(window_loss, spec, hp, state.carry, reset_state, key, window)
    (objective, (carry, loss)), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    return WindowGradient(mask_frozen(hp, gradient), carry, loss, objective)


def apply_gradient(spec: Spec, hp: HParams, state: TrainState, seen: WindowGradient) -> tuple[TrainState, StepMetrics]:
    """The second half: the clips, the optimizer, the new state and what the reader sees of it."""
    scale = 1 if state.early_stopping is None else state.early_stopping.lr_scale
    hp = hp._replace(clip_norm=cast(float, jnp.where(state.step < hp.clip_steps, hp.clip_norm, jnp.inf)))
    optimizer = build_optimizer(spec, hp, learning_rate_at(spec.schedule, hp, state.step) * scale)
    update, opt_state = optimizer.update(seen.gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, update)

    # Finite parameters plus a finite update are finite, so the parameters need no look of their own.
    norm, update_norm = optax.tree.norm(seen.gradient), optax.tree.norm(update)
    alive = state.alive & jnp.isfinite(seen.loss) & jnp.isfinite(norm) & jnp.isfinite(update_norm)
    new = state.replace(params=params, opt_state=opt_state, carry=seen.carry)
    state = jax.tree.map(partial(jnp.where, alive), new, state).replace(
        step=state.step + 1,
        alive=alive,
        diverged_at=jnp.where(state.alive & ~alive, state.step, state.diverged_at),
    )
    row = StepMetrics(seen.loss, norm, (norm > hp.clip_norm).astype(norm.dtype), update_norm, seen.objective)
    return state, jax.tree.map(lambda value: jnp.where(alive, value, jnp.nan), row)


def evaluate_loss(spec: Spec, hp: HParams, params: Params, held_out: WindowData) -> Array:
    """The mean loss on data that is one window, [1, T, B, ...], read from the start state."""
    model, window = build_network(spec, hp), select_window(held_out, jnp.int32(0))
    carry = model.carry(params, key_for(hp, "evaluation"), held_out.inputs_WTB.shape[2])
    _, outputs_TBO, _ = model.apply(params, carry, window.inputs_WTB, window.valid_WTB)
    return window_losses(spec, outputs_TBO, window)[1]


def early_stopping_check(spec: Spec, hp: HParams, held_out: WindowData, state: TrainState) -> TrainState:
    """A look at the held-out loss: the best parameters are kept, the rate may fall (`plateau`), the run may stop.

    A run stops after `patience` looks without a better loss. It then has its best parameters, and rate 0: it goes on
    reading, so that its record is that of the network it has become. A run that never stops takes its best parameters
    at the end of training.
    """
    assert state.early_stopping is not None, "validate_every is 0"
    seen, loss = state.early_stopping, evaluate_loss(spec, hp, state.params, held_out)
    better = loss < seen.best_loss
    best_params = jax.tree.map(partial(jnp.where, better), state.params, seen.best_params)
    waited, at_rate = (jnp.where(better, 0, count + 1) for count in (seen.bad_checks, seen.bad_checks_since_decay))

    falls = (at_rate >= hp.plateau_checks) & (spec.schedule == "plateau")
    stops = (waited >= hp.patience) & (seen.stopped_at < 0)
    scale = seen.lr_scale * jnp.where(falls, hp.decay_factor, 1) * jnp.where(stops, 0, 1)
    patience = EarlyStopping(
        best_loss=jnp.minimum(loss, seen.best_loss),
        best_params=best_params,
        bad_checks=waited,
        bad_checks_since_decay=jnp.where(falls, 0, at_rate),
        lr_scale=scale,
        stopped_at=jnp.where(stops, state.step, seen.stopped_at),
    )
    takes_best = stops | ((state.step >= spec.steps) & jnp.isfinite(hp.patience))
    params = jax.tree.map(partial(jnp.where, takes_best), best_params, state.params)
    new = state.replace(params=params, early_stopping=patience)
    return jax.tree.map(partial(jnp.where, state.alive), new, state)


def averaged_steps(
    spec: Spec, hp: HParams, data: WindowData, state: TrainState, steps: Array
) -> tuple[TrainState, StepMetrics]:
    """`steps` optimizer steps and the mean of what they show."""

    def body(_: Array, carried: tuple[TrainState, StepMetrics]) -> tuple[TrainState, StepMetrics]:
        state, row = train_step(spec, hp, data, carried[0])
        return state, jax.tree.map(jnp.add, carried[1], row)

    state, row = jax.lax.fori_loop(0, steps, body, (state, StepMetrics(*[jnp.float32(0)] * len(StepMetrics._fields))))
    return state, jax.tree.map(lambda total: total / steps, row)


def train_chunk(
    spec: Spec, rows: int, hp: HParams, data: WindowData, state: TrainState, steps: Array
) -> tuple[TrainState, StepMetrics]:
    """`steps` optimizer steps further.

    Args:
        rows: length of the record that is returned; static, at least ceil(steps / log_every).
        steps: traced, so that one compiled program serves chunks of every length.

    Returns:
        The state, and a record whose leaves are [rows]: row i is the mean over the i-th `log_every` steps of the
        chunk (the last row may be shorter); rows that were not reached are NaN.
    """

    def body(i: Array, carried: tuple[TrainState, StepMetrics]) -> tuple[TrainState, StepMetrics]:
        left = jnp.minimum(spec.log_every, steps - i * spec.log_every)
        state, row = averaged_steps(spec, hp, data, carried[0], left)
        return state, jax.tree.map(lambda record, value: record.at[i].set(value), carried[1], row)

    record = StepMetrics(*[jnp.full(rows, jnp.nan)] * len(StepMetrics._fields))
    return jax.lax.fori_loop(0, -(-steps // spec.log_every), body, (state, record))

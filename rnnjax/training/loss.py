"""The loss of a window and of held-out data, as functions of the parameters of one run."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model, build_network
from rnnjax.settings import HParams, Spec
from rnnjax.settings.checks import lookup
from rnnjax.training.batching import select_window
from rnnjax.training.losses import LOSSES, REDUCTIONS
from rnnjax.types import Carry, Params, WindowData


def window_loss(
    spec: Spec, hp: HParams, carried: Carry, reset_state: Array, key: Array, window: WindowData, params: Params
) -> tuple[Array, tuple[Carry, Array]]:
    """(loss to optimise, (carry after the window, loss to report)), both losses scalars.

    The first is the reduction `spec.reduction` of the losses l_t of the window, in the unit of the loss; the second
    always their mean, in nats per symbol or squared units of the target.

    Args:
        carried: the state after the window before, leaves [B, ...]. reset_state: true where the initial state takes
            its place. key: of dropout and of a random initial state. window: inputs [T, B, ...] and targets.
    """
    model = build_network(spec, hp)
    start_key, dropout_key = jax.random.split(key)
    # Chosen inside the loss, so that a learned initial state gets its gradient.
    carry = initial_or_carried(spec, model, carried, reset_state, start_key, params)
    start = None if window.starts_WTB is None else model.carry(params, start_key, spec.batch)
    carry, outputs_TBO = apply_truncated(spec, model, params, carry, window, dropout_key, start)
    optimised, reported = window_losses(spec, outputs_TBO, window)
    return optimised, (carry, reported)


def initial_or_carried(
    spec: Spec, model: Model, carried: Carry, reset_state: Array, key: Array, params: Params
) -> Carry:
    """The state before a window, leaves [B, ...]: the initial state if `reset_state` (scalar), else the carried."""
    return jax.tree.map(partial(jnp.where, reset_state), model.carry(params, key, spec.batch), carried)


def apply_truncated(
    spec: Spec,
    model: Model,
    params: Params,
    carry: Carry,
    window: WindowData,
    dropout_key: Array,
    start: Carry = None,
) -> tuple[Carry, Array]:
    """The carry after a window and its outputs_TBO, by truncated back-propagation through time.

    The window is read in pieces of `gradient_window` steps; no gradient passes from one piece to the one before.

    Args: start: the state before each sequence that begins inside the window.
    """
    length = window.inputs_WTB.shape[0]
    steps = spec.gradient_window or length
    pieces = []
    for first in range(0, length, steps):
        within = slice(first, first + steps)
        mask_TB, starts_TB = (
            None if flags is None else flags[within] for flags in (window.valid_WTB, window.starts_WTB)
        )
        carry = jax.lax.stop_gradient(carry) if first else carry
        read = params, carry, window.inputs_WTB[within], mask_TB, dropout_key
        carry, outputs_TBO, _ = model.apply(*read, starts_TB=starts_TB, start=start)
        pieces.append(outputs_TBO)
    return carry, jnp.concatenate(pieces) if len(pieces) > 1 else pieces[0]


def window_losses(spec: Spec, outputs_TBO: Array, window: WindowData) -> tuple[Array, Array]:
    """(the optimised reduction, the mean in the unit of the target) of the losses of one window, both scalars.

    l_t = mean over streams of mask_tb * loss(y_tb, target_tb); a series is optimised in standardised units and
    reported in those of the target, y and the target multiplied by `target_scale_O`. Class weights w count in the
    first one alone: a mean is then sum(w * loss) / sum(w).
    """
    loss_mask_TB = window.loss_mask_WTB

    def per_step(outputs_TBO: Array, targets: Any, mask_TB: Any = loss_mask_TB) -> Array:
        losses_TB = jax.vmap(jax.vmap(lookup(LOSSES, spec.loss, "loss")))(outputs_TBO, targets)
        return jnp.mean(losses_TB if mask_TB is None else losses_TB * mask_TB, axis=1)

    loss_mask_T = None if loss_mask_TB is None else jnp.mean(loss_mask_TB, axis=1)
    losses_T = reported_T = per_step(outputs_TBO, window.targets_WTB)
    if window.class_weights_O is not None:
        weights_TB = jnp.asarray(window.class_weights_O)[window.targets_WTB] * jnp.asarray(loss_mask_TB)
        losses_T = per_step(outputs_TBO, window.targets_WTB, weights_TB)
        optimised = REDUCTIONS[spec.reduction](losses_T, jnp.mean(weights_TB, axis=1))
        return optimised, REDUCTIONS["mean"](reported_T, loss_mask_T)
    if window.target_scale_O is not None:
        target_scale_11O = jnp.asarray(window.target_scale_O)[None, None]
        reported_T = per_step(outputs_TBO * target_scale_11O, window.targets_WTB * target_scale_11O)
    return REDUCTIONS[spec.reduction](losses_T, loss_mask_T), REDUCTIONS["mean"](reported_T, loss_mask_T)


def evaluate_loss(spec: Spec, hp: HParams, params: Params, held_out: WindowData) -> Array:
    """The mean loss on data that is one window [1, T, B, ...], from the initial state.

    Of several windows, which are sets of sequences, the loss is the mean over all that counts in them.

    Returns: a scalar, in nats per symbol or squared units of the target.
    """
    if held_out.inputs_WTB.shape[0] > 1:
        return evaluate_windows(spec, hp, params, held_out)
    model, window = build_network(spec, hp), select_window(held_out, jnp.int32(0))
    carry = model.carry(params, key_for(hp, "evaluation"), held_out.inputs_WTB.shape[2])
    flags = {} if window.starts_WTB is None else {"starts_TB": window.starts_WTB, "start": carry}
    _, outputs_TBO, _ = model.apply(params, carry, window.inputs_WTB, window.valid_WTB, **flags)
    return window_losses(spec, outputs_TBO, window)[1]


def evaluate_windows(spec: Spec, hp: HParams, params: Params, held_out: WindowData) -> Array:
    """The mean loss over all that counts in windows [W, T, B, ...], each read from the initial state."""
    model, key = build_network(spec, hp), key_for(hp, "evaluation")

    def window_sum(window: WindowData) -> tuple[Array, Array]:
        window = window._replace(target_scale_O=held_out.target_scale_O)
        carry = model.carry(params, key, window.inputs_WTB.shape[1])
        _, outputs_TBO, _ = model.apply(params, carry, window.inputs_WTB, window.valid_WTB)
        mask_TB, (steps, streams) = window.loss_mask_WTB, window.inputs_WTB.shape[:2]
        count = jnp.float32(steps * streams) if mask_TB is None else jnp.sum(jnp.asarray(mask_TB))
        return window_losses(spec, outputs_TBO, window)[1] * count, count

    losses_W, counts_W = jax.lax.map(window_sum, jax.tree.map(jnp.asarray, held_out._replace(target_scale_O=None)))
    return jnp.sum(losses_W) / jnp.maximum(jnp.sum(counts_W), 1)

"""The loss of a window and of held-out data, as functions of the parameters of one run."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.checks import lookup
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model, build_network
from rnnjax.settings import HParams, Spec
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
    carry, outputs_TBO = apply_truncated(spec, model, params, carry, window, dropout_key)
    optimised, reported = window_losses(spec, outputs_TBO, window)
    return optimised, (carry, reported)


def initial_or_carried(
    spec: Spec, model: Model, carried: Carry, reset_state: Array, key: Array, params: Params
) -> Carry:
    """The state before a window, leaves [B, ...]: the initial state if `reset_state` (scalar), else the carried."""
    return jax.tree.map(partial(jnp.where, reset_state), model.carry(params, key, spec.batch), carried)


def apply_truncated(
    spec: Spec, model: Model, params: Params, carry: Carry, window: WindowData, dropout_key: Array
) -> tuple[Carry, Array]:
    """The carry after a window and its outputs_TBO, by truncated back-propagation through time.

    The window is read in pieces of `gradient_window` steps; no gradient passes from one piece to the one before.
    """
    steps = spec.gradient_window or spec.window
    pieces = []
    for first in range(0, spec.window, steps):
        within = slice(first, first + steps)
        mask_TB = None if window.valid_WTB is None else window.valid_WTB[within]
        carry = jax.lax.stop_gradient(carry) if first else carry
        carry, outputs_TBO, _ = model.apply(params, carry, window.inputs_WTB[within], mask_TB, dropout_key)
        pieces.append(outputs_TBO)
    return carry, jnp.concatenate(pieces) if len(pieces) > 1 else pieces[0]


def window_losses(spec: Spec, outputs_TBO: Array, window: WindowData) -> tuple[Array, Array]:
    """(the optimised reduction, the mean in the unit of the target) of the losses of one window, both scalars.

    l_t = mean over streams of mask_tb * loss(y_tb, target_tb); a series is optimised in standardised units and
    reported in those of the target, y and the target multiplied by `target_scale_O`.
    """
    loss_mask_TB = window.loss_mask_WTB

    def per_step(outputs_TBO: Array, targets: Any) -> Array:
        losses_TB = jax.vmap(jax.vmap(lookup(LOSSES, spec.loss, "loss")))(outputs_TBO, targets)
        return jnp.mean(losses_TB if loss_mask_TB is None else losses_TB * loss_mask_TB, axis=1)

    loss_mask_T = None if loss_mask_TB is None else jnp.mean(loss_mask_TB, axis=1)
    losses_T = reported_T = per_step(outputs_TBO, window.targets_WTB)
    if window.target_scale_O is not None:
        target_scale_11O = jnp.asarray(window.target_scale_O)[None, None]
        reported_T = per_step(outputs_TBO * target_scale_11O, window.targets_WTB * target_scale_11O)
    return REDUCTIONS[spec.reduction](losses_T, loss_mask_T), REDUCTIONS["mean"](reported_T, loss_mask_T)


def evaluate_loss(spec: Spec, hp: HParams, params: Params, held_out: WindowData) -> Array:
    """The mean loss on data that is one window [1, T, B, ...], from the initial state.

    Returns: a scalar, in nats per symbol or squared units of the target.
    """
    model, window = build_network(spec, hp), select_window(held_out, jnp.int32(0))
    carry = model.carry(params, key_for(hp, "evaluation"), held_out.inputs_WTB.shape[2])
    _, outputs_TBO, _ = model.apply(params, carry, window.inputs_WTB, window.valid_WTB)
    return window_losses(spec, outputs_TBO, window)[1]

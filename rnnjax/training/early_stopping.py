"""Checks of the held-out loss: the best parameters, the `plateau` schedule, early stopping."""

from functools import partial

import jax
import jax.numpy as jnp

from rnnjax.settings import HParams, Spec
from rnnjax.training.loss import evaluate_loss
from rnnjax.training.state import EarlyStopping, TrainState
from rnnjax.types import WindowData


def early_stopping_check(spec: Spec, hp: HParams, held_out: WindowData, state: TrainState) -> TrainState:
    """One check of the held-out loss: the best parameters are kept, the rate may fall (`plateau`), the run may stop.

    A run stops after `patience` checks without a better loss. It then takes its best parameters, and rate 0: its steps
    go on without effect, so that its record is that of these parameters. A run that never stops takes its best
    parameters at the end of training.
    """
    assert state.early_stopping is not None, "validate_every is 0"
    before, loss = state.early_stopping, evaluate_loss(spec, hp, state.params, held_out)
    better = loss < before.best_loss
    best_params = jax.tree.map(partial(jnp.where, better), state.params, before.best_params)
    bad_checks, since_decay = (
        jnp.where(better, 0, count + 1) for count in (before.bad_checks, before.bad_checks_since_decay)
    )

    falls = (since_decay >= hp.plateau_checks) & (spec.schedule == "plateau")
    stops = (bad_checks >= hp.patience) & (before.stopped_at < 0)
    scale = before.lr_scale * jnp.where(falls, hp.decay_factor, 1) * jnp.where(stops, 0, 1)
    after = EarlyStopping(
        best_loss=jnp.minimum(loss, before.best_loss),
        best_params=best_params,
        bad_checks=bad_checks,
        bad_checks_since_decay=jnp.where(falls, 0, since_decay),
        lr_scale=scale,
        stopped_at=jnp.where(stops, state.step, before.stopped_at),
    )
    takes_best = stops | ((state.step >= spec.steps) & jnp.isfinite(hp.patience))
    params = jax.tree.map(partial(jnp.where, takes_best), best_params, state.params)
    new = state.replace(params=params, early_stopping=after)
    return jax.tree.map(partial(jnp.where, state.alive), new, state)

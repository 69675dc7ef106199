"""The state of one run, what the next step needs; and the metrics of a step, what the reader needs."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import struct
from jax import Array

from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec
from rnnjax.training.optimizers import build_optimizer
from rnnjax.types import Carry, Params


class EarlyStopping(struct.PyTreeNode):
    """The results of the checks of the held-out loss so far."""

    best_loss: Array  # inf before the first check
    best_params: Params
    bad_checks: Array  # int32, checks since the best
    bad_checks_since_decay: Array  # int32, checks since the best or since the rate last fell
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
    """Metrics of one optimizer step, or their means over several; a leaf per scalar."""

    loss: Array  # nats per character, or squared units of the target: the mean over the loss mask of the window
    gradient_norm: Array  # of the whole gradient, before the clips
    clip_share: Array  # share of steps on which the norm was above clip_norm
    update_norm: Array  # of the change of the parameters
    objective: Array  # the optimised loss, after its reduction over the window


def start_params(spec: Spec, hp: HParams) -> Params:
    """The parameters of a new network."""
    return build_network(spec, hp).init(key_for(hp, "start"))


def init_state(spec: Spec, hp: HParams, params: Params | None = None) -> TrainState:
    """The state of a run before its first step. Args: params: trained ones to start from; None = new ones."""
    model = build_network(spec, hp)
    params = start_params(spec, hp) if params is None else params
    unchecked = EarlyStopping(jnp.float32(jnp.inf), params, jnp.int32(0), jnp.int32(0), jnp.float32(1), jnp.int32(-1))
    return TrainState(
        params=params,
        opt_state=build_optimizer(spec, hp).init(params),
        carry=model.carry(params, key_for(hp, "noise"), spec.batch),
        step=jnp.int32(0),
        alive=jnp.bool_(True),
        diverged_at=jnp.int32(-1),
        early_stopping=unchecked if spec.validate_every else None,
    )

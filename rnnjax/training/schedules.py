"""Schedules of the learning rate and of scheduled sampling: functions of (hp, step) to a factor without a unit.

Steps are optimizer steps, counted from 0; lengths are traced, so that one can be an axis of a study. optax has the same
schedules, but some of their lengths must be Python numbers.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.errors import BadInput
from rnnjax.settings import HParams
from rnnjax.settings.checks import lookup


def constant_rate(hp: HParams, step: Array) -> Array:
    """factor = 1 at every step."""
    return jnp.asarray(1.0)


def decay_length(hp: HParams) -> Any:
    """decay_steps. Raises BadInput for a Python number 0, the length of a training that is not known here."""
    if isinstance(hp.decay_steps, int | float) and not hp.decay_steps:
        raise BadInput("HParams:decay_steps: got 0; expected number > 0 here, or resolve_decay(spec, hp) before")
    return hp.decay_steps


def step_decay(hp: HParams, step: Array) -> Array:
    """factor = decay_factor^floor(step / decay_steps)."""
    return hp.decay_factor ** jnp.floor(step / decay_length(hp))


def exponential_decay(hp: HParams, step: Array) -> Array:
    """factor = decay_factor^(step / decay_steps)."""
    return hp.decay_factor ** (step / decay_length(hp))


def cosine_decay(hp: HParams, step: Array) -> Array:
    """factor = f + (1 - f) (1 + cos(pi min(1, step / decay_steps))) / 2, f = decay_factor: from 1 to f, then constant.

    Source: Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts.
    """
    done = jnp.minimum(step / decay_length(hp), 1)
    return hp.decay_factor + (1 - hp.decay_factor) * (1 + jnp.cos(jnp.pi * done)) / 2


SCHEDULES = {
    "constant": constant_rate,
    "step": step_decay,
    "exponential": exponential_decay,
    "cosine": cosine_decay,
    "plateau": constant_rate,  # its factor is in the state, as it depends on the held-out loss
}


def learning_rate_at(name: str, hp: HParams, step: Array) -> Array:
    """The learning rate of a step, counted from 0: learning_rate * min(1, (step + 1) / warmup_steps) * factor.

    The factor's own steps are counted from the end of the warm-up.
    """
    warm = jnp.minimum(1, (step + 1) / jnp.maximum(hp.warmup_steps, 1))
    return hp.learning_rate * warm * lookup(SCHEDULES, name, "schedule")(hp, jnp.maximum(step - hp.warmup_steps, 0))


def linear_rise(hp: HParams, step: Array) -> Array:
    """factor = min(1, step / sampling_steps)."""
    return jnp.minimum(1, step / hp.sampling_steps)


def exponential_rise(hp: HParams, step: Array) -> Array:
    """factor = 1 - exp(-step / sampling_steps)."""
    return 1 - jnp.exp(-step / hp.sampling_steps)


def inverse_sigmoid_rise(hp: HParams, step: Array) -> Array:
    """factor = 1 - k / (k + exp(step / k)), k = sampling_steps: 1/2 at step k log k, within 1% of 1 about 5 k later."""
    return jax.nn.sigmoid(step / hp.sampling_steps - jnp.log(hp.sampling_steps))


SAMPLING_SCHEDULES = {"linear": linear_rise, "exponential": exponential_rise, "inverse_sigmoid": inverse_sigmoid_rise}


def sampling_probability_at(name: str, hp: HParams, step: Array) -> Array:
    """The probability at a step, counted from 0, that an input is a sample: sampling_probability * factor.

    Source: Bengio et al. 2015, arXiv:1506.03099, section 2.4; its epsilon is 1 - probability, and here falls to
    1 - sampling_probability in every schedule.
    """
    return hp.sampling_probability * SAMPLING_SCHEDULES[name](hp, step)

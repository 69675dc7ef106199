"""How the learning rate changes: factors of it, of traced lengths, so that a length can be an axis of a study.

optax has the same schedules, but some of their lengths must be Python numbers.
"""

import jax.numpy as jnp
from jax import Array

from rnnjax.settings import HParams


def constant(hp: HParams, step: Array) -> Array:
    """1."""
    return jnp.asarray(1.0)


def stairs(hp: HParams, step: Array) -> Array:
    """decay_factor^floor(step / decay_steps)."""
    return hp.decay_factor ** jnp.floor(step / hp.decay_steps)


def exponential(hp: HParams, step: Array) -> Array:
    """decay_factor^(step / decay_steps)."""
    return hp.decay_factor ** (step / hp.decay_steps)


def cosine(hp: HParams, step: Array) -> Array:
    """From 1 to decay_factor along half a cosine of decay_steps, and then no further.

    Source: Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts.
    """
    done = jnp.minimum(step / hp.decay_steps, 1)
    return hp.decay_factor + (1 - hp.decay_factor) * (1 + jnp.cos(jnp.pi * done)) / 2


SCHEDULES = {
    "constant": constant,
    "step": stairs,
    "exponential": exponential,
    "cosine": cosine,
    "plateau": constant,  # the factor is in the state of training: it depends on the held-out loss
}


def rate(name: str, hp: HParams, step: Array) -> Array:
    """The learning rate of a step, counted from 0: learning_rate * min(1, (step + 1) / warmup_steps) * factor.

    The factor's own steps are counted from the end of the warm-up.
    """
    warm = jnp.minimum(1, (step + 1) / jnp.maximum(hp.warmup_steps, 1))
    return hp.learning_rate * warm * SCHEDULES[name](hp, jnp.maximum(step - hp.warmup_steps, 0))

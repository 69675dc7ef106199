"""Gradient transformations, built inside the traced function so that every rate and threshold can be batched."""

import optax
from jax import Array

from rnnjax.checks import lookup
from rnnjax.settings import HParams, Spec


def sgd(hp: HParams) -> optax.GradientTransformation:
    """d = g."""
    return optax.identity()


def momentum(hp: HParams) -> optax.GradientTransformation:
    """v = momentum v + g, d = v. Source: Polyak 1964."""
    return optax.trace(hp.momentum)


def nesterov(hp: HParams) -> optax.GradientTransformation:
    """v = momentum v + g, d = momentum v + g. Source: Sutskever et al. 2013."""
    return optax.trace(hp.momentum, nesterov=True)


def rmsprop(hp: HParams) -> optax.GradientTransformation:
    """v = rms_decay v + (1 - rms_decay) g^2, d = g / sqrt(v + 1e-8). Source: Tieleman and Hinton 2012."""
    return optax.scale_by_rms(hp.rms_decay)


def adagrad(hp: HParams) -> optax.GradientTransformation:
    """v = v + g^2 from 0.1 on, d = g / sqrt(v + 1e-7). Source: Duchi et al. 2011."""
    return optax.scale_by_rss()


def adam(hp: HParams) -> optax.GradientTransformation:
    """d = m / (sqrt(v) + 1e-8), both corrected for their start. Source: Kingma and Ba 2015, arXiv:1412.6980."""
    return optax.scale_by_adam(hp.adam_b1, hp.adam_b2)


def adamw(hp: HParams) -> optax.GradientTransformation:
    """Adam's d + weight_decay * params. Source: Loshchilov and Hutter 2019, arXiv:1711.05101."""
    return optax.chain(adam(hp), optax.add_decayed_weights(hp.weight_decay))


OPTIMIZERS = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "adam": adam,
    "adamw": adamw,
}
"""The direction d of a step from a gradient g that has been clipped; params - rate * d is the next."""


def build_optimizer(spec: Spec, hp: HParams, rate: Array | float) -> optax.GradientTransformation:
    """Clip each element to +-clip_value (optional), scale the whole by min(1, clip_norm / |g|), then -rate * d.

    The first clip is a setting of the program, because turned off by a number it would still cost 5% of a small step.
    Source: Mikolov 2012 for the first clip, Pascanu et al. 2013, arXiv:1211.5063, for the second.
    """
    by_value = optax.clip(hp.clip_value) if spec.clip_elementwise else optax.identity()
    by_norm = optax.clip_by_global_norm(hp.clip_norm)
    return optax.chain(by_value, by_norm, lookup(OPTIMIZERS, spec.optimizer, "optimizer")(hp), optax.scale(-rate))

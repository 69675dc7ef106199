"""Gradient transformations, built inside the traced function so that every rate can be batched.

The optimizers that keep squares of the gradient read elements beyond +-1e16 as +-1e16: the square of 1e20 is infinite
in float32, and an infinite mean square would hold its weight in place for ever, with no NaN to show it.
"""

import optax

from rnnjax.settings import HParams, Spec
from rnnjax.settings.checks import lookup

LARGEST_SQUARED = 1e16  # its square, added up over a million steps, is in the range of float32


def bounded(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    return optax.chain(optax.clip(LARGEST_SQUARED), optimizer)


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
    return bounded(optax.scale_by_rms(hp.rms_decay))


def adagrad(hp: HParams) -> optax.GradientTransformation:
    """v = v + g^2 from 0.1 on, d = g / sqrt(v + 1e-7). Source: Duchi et al. 2011."""
    return bounded(optax.scale_by_rss())


def adam(hp: HParams) -> optax.GradientTransformation:
    """d = m / (sqrt(v) + 1e-8), both corrected for their start. Source: Kingma and Ba 2015, arXiv:1412.6980."""
    return bounded(optax.scale_by_adam(hp.adam_b1, hp.adam_b2))


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


def build_optimizer(spec: Spec, hp: HParams) -> optax.GradientTransformation:
    """The optimizer of a run: from a clipped gradient to a direction."""
    return lookup(OPTIMIZERS, spec.optimizer, "optimizer")(hp)

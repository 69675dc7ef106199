"""Gradient transformations, built inside the traced function so that every rate and threshold can be batched."""

import optax

from rnnjax.settings import HParams


def sgd(hp: HParams) -> optax.GradientTransformation:
    """params - learning_rate * gradient."""
    return optax.sgd(hp.learning_rate)


def adam(hp: HParams) -> optax.GradientTransformation:
    """Source: Kingma and Ba 2015, arXiv:1412.6980."""
    return optax.adam(hp.learning_rate, b1=hp.adam_b1, b2=hp.adam_b2)


OPTIMIZERS = {"sgd": sgd, "adam": adam}


def clipped(name: str, hp: HParams) -> optax.GradientTransformation:
    """The optimizer behind a clip of the whole gradient's norm: g * min(1, clip_norm / |g|). Source: Pascanu 2013."""
    return optax.chain(optax.clip_by_global_norm(hp.clip_norm), OPTIMIZERS[name](hp))

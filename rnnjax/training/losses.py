"""Losses of one prediction, and their reductions over a window.

A window gives one loss per step and stream. The optimised reduction over steps decides the gradient's scale and
coverage; the reported loss is always the mean over the loss mask, in nats per character or squared units of the target,
so that runs with different reductions and windows can be compared.
"""

import jax
import jax.numpy as jnp
from jax import Array


def cross_entropy(logits_V: Array, target: Array) -> Array:
    """-log softmax(logits)[target], in nats; a scalar."""
    return jax.nn.logsumexp(logits_V) - logits_V[target]


def squared_error(prediction_O: Array, target_O: Array) -> Array:
    """Mean over the O outputs of (prediction - target)^2; a scalar."""
    return jnp.mean((prediction_O - target_O) ** 2)


LOSSES = {"cross_entropy": cross_entropy, "squared_error": squared_error}


def sum_loss(losses_T: Array, loss_mask_T: Array | None) -> Array:
    """L = sum_t l_t: the gradient grows with T."""
    return jnp.sum(losses_T)


def mean_loss(losses_T: Array, loss_mask_T: Array | None) -> Array:
    """L = sum_t l_t / sum_t mask_t, without a mask 1/T sum_t l_t: the gradient's scale does not depend on T."""
    return jnp.mean(losses_T) if loss_mask_T is None else jnp.sum(losses_T) / jnp.maximum(jnp.sum(loss_mask_T), 1e-6)


def last_step_loss(losses_T: Array, loss_mask_T: Array | None) -> Array:
    """L = l_T, the last step alone: earlier steps get a gradient only through the state."""
    return losses_T[-1]


REDUCTIONS = {"sum": sum_loss, "mean": mean_loss, "last": last_step_loss}
"""Functions of the losses [T], masked means over streams, and of the loss mask [T], its mean over streams."""

"""What is optimised and what is reported.

A window gives one loss per step. The reduction over steps decides the gradient's scale and coverage; the report is
always the mean, in nats per character, so that runs with different reductions and windows can be compared.
"""

import jax
import jax.numpy as jnp
from jax import Array


def cross_entropy(logits_V: Array, target: Array) -> Array:
    """-log softmax(logits)[target], in nats; a scalar."""
    return jax.nn.logsumexp(logits_V) - logits_V[target]


def total(losses_T: Array) -> Array:
    """The sum over the window: the gradient grows with T."""
    return jnp.sum(losses_T)


def mean(losses_T: Array) -> Array:
    """The mean over the window: the gradient's scale does not depend on T."""
    return jnp.mean(losses_T)


def last(losses_T: Array) -> Array:
    """The last step alone: earlier steps get a gradient only through the state."""
    return losses_T[-1]


REDUCTIONS = {"sum": total, "mean": mean, "last": last}

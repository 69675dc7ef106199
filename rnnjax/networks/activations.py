"""Elementwise nonlinearities of a recurrent cell, by name."""

import jax
import jax.numpy as jnp
from jax import Array


def linear_activation(x: Array) -> Array:
    """y = x, of any shape: the cell is then a linear dynamical system."""
    return x


ACTIVATIONS = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "softsign": jax.nn.soft_sign,  # x / (1 + |x|)
    "identity": linear_activation,
}

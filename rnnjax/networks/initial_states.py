"""Initial states, where no state is carried over: functions of (key, hp, the zero carry of B streams) to a carry.

The leaves of both carries have one shape, [B, H] for every cell of `cells`; numbers are in the unit of the state.
"""

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.keys import key_for
from rnnjax.settings import HParams
from rnnjax.types import Carry


def zero_state(key: Array, hp: HParams, carry: Carry) -> Carry:
    """c_0 = 0: the zero carry of the cell."""
    return carry


def constant_state(key: Array, hp: HParams, carry: Carry) -> Carry:
    """c_0 = initial_state_scale in every element."""
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, 1) * hp.initial_state_scale, carry)


def random_state(key: Array, hp: HParams, carry: Carry) -> Carry:
    """c_0 ~ N(0, initial_state_scale^2) in every element, independent over streams, drawn anew for every key."""
    leaves, structure = jax.tree.flatten(carry)
    keys = jax.random.split(key, len(leaves))
    drawn = [hp.initial_state_scale * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)


def fixed_state(key: Array, hp: HParams, carry: Carry) -> Carry:
    """As `random_state`, but drawn once for a run: from its seed, whatever the key."""
    return random_state(key_for(hp, "fixed start"), hp, carry)


INITIAL_STATES = {
    "zero": zero_state,
    "constant": constant_state,
    "random": random_state,
    "fixed": fixed_state,
    "learned": random_state,  # before training; it is a parameter, the same for every stream
}

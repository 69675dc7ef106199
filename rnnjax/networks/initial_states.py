"""The state of a network where nothing is carried over: each start maps (key, hp, the cell's own start) to a carry."""

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.keys import key_of
from rnnjax.settings import HParams
from rnnjax.types import Carry


def zero(key: Array, hp: HParams, carry: Carry) -> Carry:
    """The cell's own start."""
    return carry


def constant(key: Array, hp: HParams, carry: Carry) -> Carry:
    """Every number of the state is start_scale."""
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, 1) * hp.start_scale, carry)


def random(key: Array, hp: HParams, carry: Carry) -> Carry:
    """Every number of the state is drawn from N(0, start_scale^2), anew for every key."""
    leaves, structure = jax.tree.flatten(carry)
    keys = jax.random.split(key, len(leaves))
    drawn = [hp.start_scale * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)


def fixed(key: Array, hp: HParams, carry: Carry) -> Carry:
    """Drawn as `random`, but once for a run: from its seed, whatever the key."""
    return random(key_of(hp, "fixed start"), hp, carry)


STARTS = {
    "zero": zero,
    "constant": constant,
    "random": random,
    "fixed": fixed,
    "learned": random,  # what it is before it is learned: a parameter, the same for every stream
}

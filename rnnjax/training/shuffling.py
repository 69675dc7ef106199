"""Batches of sequences: every sequence once in each epoch, in an order that follows from the run's seed alone."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.keys import key_for
from rnnjax.settings import HParams
from rnnjax.types import SequencePool, WindowData

ROUNDS = 6  # of the permutation


def permute_positions(key: Array, position_B: Array, count: int) -> Array:
    """The images [B] of some positions under a random permutation of 0 ... count - 1, which is never stored.

    A Feistel network permutes the numbers below the next power of 4; one that lands at `count` or above goes through
    it again, so that those below `count` are permuted among each other. The time does not depend on `count`.

    Args: key: fixes the permutation. position_B: uint32, below `count`.

    Source: Black and Rogaway 2002, Ciphers with arbitrary finite domains.
    """
    half = max((count - 1).bit_length() + 1, 2) // 2
    low = jnp.uint32(2**half - 1)
    keys = jax.random.bits(key, (ROUNDS,))

    def permute(number_B: Array) -> Array:
        left_B, right_B = number_B >> half, number_B & low
        for i in range(ROUNDS):
            left_B, right_B = right_B, left_B ^ (hash_bits(right_B, keys[i]) & low)
        return (left_B << half) | right_B

    def any_outside(number_B: Array) -> Array:
        return jnp.any(number_B >= count)

    def permute_outside(number_B: Array) -> Array:
        return jnp.where(number_B >= count, permute(number_B), number_B)

    return jax.lax.while_loop(any_outside, permute_outside, permute(position_B)).astype(jnp.int32)


def hash_bits(number_B: Array, key: Array) -> Array:
    """A hash of 32 bits. Source: the finaliser of MurmurHash3, by Appleby, keyed before and after."""
    number_B = (number_B + key) * jnp.uint32(0x9E3779B1)
    number_B = (number_B ^ (number_B >> 16)) * jnp.uint32(0x85EBCA6B)
    number_B = (number_B ^ (number_B >> 13) ^ key) * jnp.uint32(0xC2B2AE35)
    return number_B ^ (number_B >> 16)


def epoch_places(batch: int, count: int, draw: Array) -> tuple[Array, Array]:
    """The epoch and the position in it of each row of draw number `draw`, batches of `batch` one after the other.

    Row b of draw n is number n * batch + b of all rows; a batch may end one epoch and begin the next, so that each
    epoch has every row once. Below 2^32 as long as batch * count is.
    """
    draw = draw.astype(jnp.uint32)
    within_B = (draw % count) * jnp.uint32(batch) + jnp.arange(batch, dtype=jnp.uint32)
    return (draw // count) * jnp.uint32(batch) + within_B // count, within_B % count


def draw_rows(key: Array, batch: int, count: int, draw: Array) -> Array:
    """The numbers [B] of the rows of a draw. Args: key: of the run's order. count: how many rows there are."""
    epoch_B, position_B = epoch_places(batch, count, draw)

    def place(epoch: Array, position: Array) -> Array:
        return permute_positions(jax.random.fold_in(key, epoch), position[None], count)[0]

    return jax.vmap(place)(epoch_B, position_B)


def sequence_batch(hp: HParams, pool: SequencePool, number: int, batch: int, draw: Array) -> WindowData:
    """Batch number `draw` of one of the sets of a pool, as a window [T, B, ...]."""
    rows = pool.sets[number]
    key = jax.random.fold_in(key_for(hp, "data"), number)
    drawn_B = draw_rows(key, batch, rows.inputs_MT.shape[0], draw)

    def gather(leaf: Any) -> Any:
        return jnp.asarray(leaf)[drawn_B].swapaxes(0, 1)

    return WindowData(
        gather(rows.inputs_MT),
        gather(rows.targets_MT),
        gather(rows.loss_mask_MT),
        gather(rows.valid_MT),
        pool.target_scale_O,
        starts_WTB=None if rows.starts_MT is None else gather(rows.starts_MT),
        class_weights_O=pool.class_weights_O,
    )

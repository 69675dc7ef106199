"""The window of a training step: each order maps (hp, data, step) to (window, reset_state).

The window is [T, B, ...]. `reset_state` is true where the window does not continue that of the step before, so that no
state may be carried to it. Random windows set it at step 0 only: a state carried between them is a stale one.
"""

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.keys import key_for
from rnnjax.settings import HParams
from rnnjax.types import WindowData


def sequential_window(hp: HParams, data: WindowData, step: Array) -> tuple[WindowData, Array]:
    """Window (r + step) mod W of all streams, r uniform in 0 ... W - 1 by the seed; `reset_state` at window 0.

    Streams are read in order, and a text that has been read to its end begins again.
    """
    windows = data.inputs_WTB.shape[0]
    index = (jax.random.randint(key_for(hp, "data"), (), 0, windows) + step) % windows
    return select_window(data, index), index == 0


def random_window(hp: HParams, data: WindowData, step: Array) -> tuple[WindowData, Array]:
    """T steps of each stream from a position drawn anew, from 0 ... (W - 1) T, for every stream and step."""
    windows, steps, streams = data.inputs_WTB.shape[:3]
    key = jax.random.fold_in(key_for(hp, "data"), step)
    positions_B = jax.random.randint(key, (streams,), 0, (windows - 1) * steps + 1)

    def cut(stream_N: Array, position: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(stream_N, position, steps)

    def cut_streams(leaf: Array) -> Array:
        streams_NB = jnp.asarray(leaf).reshape(windows * steps, *leaf.shape[2:])
        return jax.vmap(cut, in_axes=(1, 0), out_axes=1)(streams_NB, positions_B)

    per_step = data._replace(target_scale_O=None, loss_mask_WTB=None)
    read = jax.tree.map(cut_streams, per_step)._replace(target_scale_O=data.target_scale_O)
    if data.measured_WTB is not None:  # a function of the position
        return read._replace(loss_mask_WTB=read.measured_WTB), step == 0
    # Any other loss mask is a function of the step in a window, not of the position in the text.
    loss_mask_TB = None if data.loss_mask_WTB is None else jnp.asarray(data.loss_mask_WTB)[0]
    return read._replace(loss_mask_WTB=loss_mask_TB), step == 0


def select_window(data: WindowData, index: Array) -> WindowData:
    """The leaves [W, ...] at one window; leaves without a window axis stay."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], data._replace(target_scale_O=None))._replace(
        target_scale_O=data.target_scale_O
    )


WINDOW_ORDERS = {"in_order": sequential_window, "random": random_window}

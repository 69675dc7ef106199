"""Which window of the text a step of training reads: each order maps (hp, data, step) to (window, reset_state).

The window is [T, B, ...]. `reset_state` is true where nothing goes on from the step before, so that a carried state
must not
be carried; a text read anywhere says so at the reset_state step only, and a state that is carried there is a stale one.
"""

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.keys import key_for
from rnnjax.settings import HParams
from rnnjax.types import WindowData


def sequential_window(hp: HParams, data: WindowData, step: Array) -> tuple[WindowData, Array]:
    """The windows one after the other, from a place of the seed's choice; `reset_state` where the text starts anew."""
    windows = data.inputs_WTB.shape[0]
    index = (jax.random.randint(key_for(hp, "data"), (), 0, windows) + step) % windows
    return select_window(data, index), index == 0


def random_window(hp: HParams, data: WindowData, step: Array) -> tuple[WindowData, Array]:
    """T steps of each stream from a place that is drawn anew, from 0 ... (W - 1) T, for every stream and step."""
    windows, steps, streams = data.inputs_WTB.shape[:3]
    key = jax.random.fold_in(key_for(hp, "data"), step)
    places_B = jax.random.randint(key, (streams,), 0, (windows - 1) * steps + 1)

    def piece(stream_N: Array, place: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(stream_N, place, steps)

    def pieces(leaf: Array) -> Array:
        streams_NB = jnp.asarray(leaf).reshape(windows * steps, *leaf.shape[2:])
        return jax.vmap(piece, in_axes=(1, 0), out_axes=1)(streams_NB, places_B)

    whole = data._replace(target_scale_O=None, loss_mask_WTB=None)
    loss_mask_TB = (
        None if data.loss_mask_WTB is None else jnp.asarray(data.loss_mask_WTB)[0]
    )  # by the place in a window
    read = jax.tree.map(pieces, whole)._replace(loss_mask_WTB=loss_mask_TB, target_scale_O=data.target_scale_O)
    return read, step == 0


def select_window(data: WindowData, index: Array) -> WindowData:
    """The leaves [W, ...] at one window; what all windows share stays."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], data._replace(target_scale_O=None))._replace(
        target_scale_O=data.target_scale_O
    )


WINDOW_ORDERS = {"in_order": sequential_window, "random": random_window}

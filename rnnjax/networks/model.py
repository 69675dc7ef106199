"""A network: ids or vectors in, layers of a recurrent cell, a linear readout, logits or predictions out."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.errors import BadInput
from rnnjax.networks.cells import build_spec_cell
from rnnjax.networks.initial_states import INITIAL_STATES
from rnnjax.networks.initializers import INITIALIZERS, READOUT_INITIALIZERS
from rnnjax.networks.products import PRODUCTS
from rnnjax.networks.unroll import flip_sequences, unroll, unroll_segments
from rnnjax.settings import HParams, Spec
from rnnjax.settings.checks import lookup
from rnnjax.types import Carry, Cell, OpaqueCell, Params

FORWARD, BACKWARD = "layer", "backward_layer"  # names of parameters and carries, with the layer's number


class Model(NamedTuple):
    """Pure functions of a network. Parameters and carries are dicts with a name for each layer: `layer_0` and so on."""

    init: Callable[[Array], Params]  # key -> {"layer_0": ..., "readout": {"kernel": [H, O], "bias": [O]}}
    carry: Callable[[Params, Array, int], Carry]  # params, key, B -> the carry before the first step, leaves [B, ...]
    apply: Callable[..., tuple[Carry, Array, Array]]  # a window of B streams, see `build_network`
    step: Callable[[Params, Carry, Array], Carry]  # params, carry, x: one step of ONE stream
    readout: Callable[[Params, Carry], Array]  # params, carry of ONE stream -> y [O]


def build_network(spec: Spec, hp: HParams) -> Model:
    """The network of a spec: its cell in layers, each reading the outputs of the one below, and y_t = h_t W_hy + b_y.

    `apply(params, carry, x, mask_TB=None, dropout_key=None, starts_TB=None, start=None)` reads a window x, ids [T, B]
    or vectors x_TBD, and returns the carry after it, the outputs y_TBO and the last layer's h_TBH ([T, B, 2H] if
    bidirectional). Steps at which the mask is false keep the carry and output 0. Before the steps at which `starts_TB`
    is true the carry becomes `start`, a carry as that before the window. Without a key there is no dropout. `step` and
    `readout` do the same for one stream and one step; a bidirectional network has neither.

    With an embedding ids are read as x = E[id], a row of a learned table; tied, y = h E^T + b. Where one label or
    value is asked of a sequence (`reads_whole_sequences`), the output of its last step is that of the whole sequence.
    """
    cells = build_layers(spec, hp)

    def init(key: Array) -> Params:
        cell_key, readout_key = jax.random.split(key)
        # The first layer has the key itself: its initial kernels do not depend on the number of layers.
        keys = {name: jax.random.fold_in(cell_key, 1 + i) if i else cell_key for i, name in enumerate(cells)}
        params = {name: cell.init(keys[name]) for name, cell in cells.items()}
        params |= init_outside(spec, hp, readout_key, jax.random.fold_in(key, 3))
        if spec.initial_state == "learned":
            params["start"] = initial_states(jax.random.fold_in(key, 2), 1)
        return params

    def initial_states(key: Array, streams: int) -> Carry:
        zero = {name: cell.carry() for name, cell in cells.items()}
        zero = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (streams, *leaf.shape)), zero)
        return lookup(INITIAL_STATES, spec.initial_state, "initial_state")(key, hp, zero)

    def carry(params: Params, key: Array, streams: int) -> Carry:
        if spec.initial_state == "learned":
            return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (streams, *leaf.shape[1:])), params["start"])
        return initial_states(key, streams)

    def apply(
        params: Params,
        carry: Carry,
        x: Array,
        mask_TB: Array | None = None,
        dropout_key: Array | None = None,
        starts_TB: Array | None = None,
        start: Carry = None,
    ) -> tuple[Carry, Array, Array]:
        keep = dropout_masks(spec, hp, list(cells), x.shape[1], dropout_key)
        x = embed(spec, params, x)
        after, h_TBH = apply_layers(spec, cells, params, carry, x, mask_TB, keep, starts_TB, start)
        read = partial(linear_readout, readout_parameters(params), dtype=spec.dtype)
        outputs_TBO = jax.vmap(jax.vmap(read))(h_TBH)
        if spec.task.summary == "mean" and reads_whole_sequences(spec):
            outputs_TBO = running_mean(outputs_TBO, mask_TB, starts_TB)
        return after, outputs_TBO, h_TBH

    def step(params: Params, carry: Carry, x: Array) -> Carry:
        after, layer_input = {}, embed(spec, params, x)
        for name, cell in cells.items():
            after[name] = cell.step(params[name], carry[name], layer_input)
            layer_input = cell.hidden_state(after[name])
        return after

    def readout(params: Params, carry: Carry) -> Array:
        name, cell = list(cells.items())[-1]
        return linear_readout(readout_parameters(params), cell.hidden_state(carry[name]), spec.dtype)

    return Model(init, carry, apply, step, readout)


def apply_layers(
    spec: Spec,
    cells: Mapping[str, Any],
    params: Params,
    carry: Carry,
    x: Array,
    mask_TB: Array | None,
    keep: Any,
    starts_TB: Array | None = None,
    start: Carry = None,
) -> tuple[Carry, Array]:
    """A window through all layers, each reading the h_TBH of the one below.

    Where the state at the end of a sequence is asked for, the backward half of h at its last step is the state after
    the backward direction has read all of it, up to its first step.

    Args:
        cells, params, carry: by the name of a layer and direction. x: inputs_TBD, or ids [T, B].
        mask_TB: false where a sequence has ended. keep: dropout masks m_BH by layer, or None.
        starts_TB: true where a sequence begins, of several in one stream. start: the carry that it begins with.

    Returns:
        The carry of every layer after the window, leaves [B, ...], and the last layer's h_TBH; of a bidirectional
        network both directions side by side, h [T, B, 2 H].
    """
    after, h_TBH = {}, x
    flip = partial(flip_sequences, mask_TB=mask_TB, starts_TB=starts_TB)
    ends = spec.task.summary == "last" and reads_whole_sequences(spec)
    for layer in range(spec.layers):
        directions = []
        for direction in (FORWARD, BACKWARD) if spec.bidirectional else (FORWARD,):
            name = f"{direction}_{layer}"
            backward, before = direction == BACKWARD, None if start is None else start[name]
            read = partial(unroll_segments, segment=spec.remat) if spec.remat else unroll
            arguments = flip(h_TBH) if backward else h_TBH, mask_TB, keep[name], starts_TB, before
            after[name], outputs = read(cells[name], params[name], carry[name], *arguments)
            directions.append(flip(outputs) if backward and not (ends and layer == spec.layers - 1) else outputs)
        h_TBH = jnp.concatenate(directions, axis=-1)
    return after, h_TBH


def reads_whole_sequences(spec: Spec) -> bool:
    """Whether one label, or one vector of values, is asked of each sequence."""
    return spec.task.name == "sequences" and spec.task.predict in ("label", "values")


def running_mean(outputs_TBO: Array, mask_TB: Array | None, starts_TB: Array | None) -> Array:
    """At each step the mean of the outputs since the first step of its sequence, over the valid steps."""
    flags_TB = jnp.zeros(outputs_TBO.shape[:2], bool)
    valid_TB = ~flags_TB if mask_TB is None else mask_TB

    def add(state: tuple[Array, Array], step: Any) -> tuple[tuple[Array, Array], Array]:
        (total_BO, count_B), (outputs_BO, valid_B, starts_B) = state, step
        total_BO = jnp.where(starts_B[:, None], 0, total_BO) + jnp.where(valid_B[:, None], outputs_BO, 0)
        count_B = jnp.where(starts_B, 0, count_B) + valid_B
        return (total_BO, count_B), total_BO / jnp.maximum(count_B, 1)[:, None]

    nothing = jnp.zeros_like(outputs_TBO[0]), jnp.zeros(outputs_TBO.shape[1])
    steps = outputs_TBO, valid_TB, flags_TB if starts_TB is None else starts_TB
    return jax.lax.scan(add, nothing, steps)[1]


def init_outside(spec: Spec, hp: HParams, readout_key: Array, embedding_key: Array) -> Params:
    """The readout, and the table of a vector for each id, drawn from N(0, 1/size), [inputs, embedding]."""
    width = spec.hidden * (1 + spec.bidirectional)
    initializer = lookup(INITIALIZERS | READOUT_INITIALIZERS, spec.kernel_initializer, "kernel_initializer")
    kernel = initializer(readout_key, (width, spec.outputs), jnp.asarray(hp.kernel_gain))
    bias = {"bias": jnp.zeros(spec.outputs)}
    params: Params = {"readout": bias if spec.tied else {"kernel": kernel} | bias}
    if not spec.embedding:
        return params
    table = jax.random.normal(embedding_key, (spec.inputs, spec.embedding)) / spec.embedding**0.5
    return params | {"embedding": {"table": table}}


def embed(spec: Spec, params: Params, x: Array) -> Array:
    """Ids [...] as their vectors [..., embedding]; x itself without an embedding."""
    return params["embedding"]["table"].at[x].get(mode="promise_in_bounds") if spec.embedding else x


def readout_parameters(params: Params) -> Params:
    """The kernel and bias of the readout; the kernel of a tied one is the transposed embedding."""
    readout: Params = params["readout"]
    return readout if "kernel" in readout else readout | {"kernel": params["embedding"]["table"].T}


def build_layers(spec: Spec, hp: HParams) -> dict[str, Cell | OpaqueCell]:
    """The cells of a network by name, each with the number of inputs of its layer."""
    directions, sizes = (FORWARD, BACKWARD) if spec.bidirectional else (FORWARD,), spec.sizes
    widths = [spec.embedding or spec.inputs, *(size * len(directions) for size in sizes)]
    specs = [
        replace(spec, inputs=width, hidden=size, layer_sizes="") for width, size in zip(widths, sizes, strict=False)
    ]
    return {
        f"{direction}_{layer}": build_spec_cell(one, hp) for layer, one in enumerate(specs) for direction in directions
    }


def layer_size(spec: Spec, name: str) -> int:
    """The hidden units H of a layer and direction, such as "layer_0"."""
    return spec.sizes[int(name.rpartition("_")[2])]


def require_unidirectional(spec: Spec) -> None:
    """Raises BadInput for a bidirectional network."""
    if spec.bidirectional:
        raise BadInput("bidirectional: got true; expected false for a network that is run step by step")


def linear_readout(params: Params, h: Array, dtype: str = "float32") -> Array:
    """h [H] -> logits or predictions [O]. Args: dtype: of the operands, see `products`."""
    return PRODUCTS[dtype](h, params["kernel"]) + params["bias"]


def dropout_masks(
    spec: Spec, hp: HParams, names: list[str], streams: int, key: Array | None
) -> dict[str, Array | None]:
    """For each layer m_BH / (1 - rate) with m ~ Bernoulli(1 - rate), one draw for a whole window; None without dropout.

    Source: Gal and Ghahramani 2016, arXiv:1512.05287.
    """
    if not spec.dropout or key is None:
        return dict.fromkeys(names)
    keep = 1 - hp.dropout_rate
    drawn = {name: jax.random.fold_in(key, i) for i, name in enumerate(names)}
    return {
        name: jax.random.bernoulli(layer_key, keep, (streams, layer_size(spec, name))) / keep
        for name, layer_key in drawn.items()
    }

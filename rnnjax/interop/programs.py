"""The neutral form as settings and parameters of a network here, and back; and its states as a carry.

A network here always has a readout: one without becomes the identity, whose outputs are h itself, and an identity is
left out again on the way back.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.flax_trees import form_from_linen
from rnnjax.interop.form import GATES, WITH_ACTIVATION, Layer, NetworkForm, Readout, check_form
from rnnjax.networks.activations import ACTIVATIONS
from rnnjax.networks.model import BACKWARD, FORWARD, layer_size
from rnnjax.settings import Spec
from rnnjax.settings.checks import lookup
from rnnjax.types import Carry, Params

DIRECTIONS = (FORWARD, BACKWARD)
LINEN_CELLS = {
    "flax_simple": "elman",
    "flax_gru": "gru",
    "flax_mgu": "minimal",
    "flax_lstm": "lstm",
    "flax_optimized_lstm": "lstm",
}


def form_to_program(form: NetworkForm, **settings: Any) -> tuple[Spec, Params]:
    """The settings and the parameters, as NumPy arrays, of the network here that computes the same.

    Args: settings: further fields of `Spec`, such as `loss` and `task`.

    Raises: BadInput for arrays that do not fit, or layers of which no single `Spec` can be made.
    """
    first = check_form(form).layers[0]
    check_alike(form)
    sizes = [layer.hidden for layer in form.layers]
    readout = form.readout or identity_readout(form)
    embedding = 0 if form.embedding is None else form.embedding.shape[1]
    spec = Spec(
        cell=first.cell,
        activation=first.activation,
        hidden=sizes[-1],
        layers=len(form.layers),
        layer_sizes=",".join(map(str, sizes)) if len(set(sizes)) > 1 else "",
        bidirectional=first.backward is not None,
        embedding=embedding,
        tied=form.tied,
        inputs=first.inputs if form.embedding is None else len(form.embedding),
        outputs=readout.kernel.shape[1],
    )
    params: Params = {
        f"{name}_{number}": weights
        for number, layer in enumerate(form.layers)
        for name, weights in zip(DIRECTIONS, layer.directions, strict=False)
    }
    bias = {"bias": readout.bias}
    params["readout"] = bias if form.tied else {"kernel": readout.kernel} | bias
    if form.embedding is not None:
        params["embedding"] = {"table": form.embedding}
    return replace(spec, **settings), params


def check_alike(form: NetworkForm) -> None:
    """Raises: BadInput for layers that differ in a way that one `Spec` does not describe."""
    kinds: dict[str, list[Any]] = {
        "cells": [layer.cell for layer in form.layers],
        "activations": [layer.activation for layer in form.layers],
        "numbers of directions": [len(layer.directions) for layer in form.layers],
    }
    for name, values in kinds.items():
        if len(set(values)) > 1:
            listed = ", ".join(map(str, values))
            raise BadInput(f"{form.source or 'network'}: got layers with the {name} {listed}; expected the same in all")
    lookup(ACTIVATIONS, form.layers[0].activation, "activation")
    if form.layers[0].cell not in WITH_ACTIVATION and form.layers[0].activation != "tanh":
        raise BadInput(f"activation: got '{form.layers[0].activation}' of a {form.layers[0].cell}; expected tanh")


def identity_readout(form: NetworkForm) -> Readout:
    """The readout whose outputs are the hidden states of the last layer, of both directions."""
    last = form.layers[-1]
    width, dtype = last.hidden * len(last.directions), last.forward["kernel"].dtype
    return Readout(np.eye(width, dtype=dtype), np.zeros(width, dtype))


def program_to_form(spec: Spec, params: Params) -> NetworkForm:
    """The neutral form of a network here.

    Raises: BadInput for a network that other libraries do not have: another cell, layer normalisation, a learned or
        random initial state.
    """
    if spec.cell in LINEN_CELLS:
        spec, params = with_native_cells(spec, params)
    if spec.cell not in GATES:
        raise BadInput(f"cell: got '{spec.cell}', which no other library has; expected one of: {', '.join(GATES)}")
    if spec.layer_norm:
        raise BadInput(
            "layer_norm: got true, which the recurrent layers of other libraries do not have; expected false"
        )
    if spec.initial_state != "zero":
        raise BadInput(f"initial_state: got '{spec.initial_state}'; expected 'zero', the start in every other library")
    directions = DIRECTIONS if spec.bidirectional else DIRECTIONS[:1]
    activation = spec.activation if spec.cell in WITH_ACTIVATION else "tanh"
    layers = []
    for number in range(spec.layers):
        forward, *backward = (numpy_tree(params[f"{name}_{number}"]) for name in directions)
        layers.append(Layer(spec.cell, forward, backward[0] if backward else None, activation))
    embedding = np.array(params["embedding"]["table"]) if spec.embedding else None
    bias = np.array(params["readout"]["bias"])
    kernel = np.array(embedding.T if spec.tied and embedding is not None else params["readout"]["kernel"])
    is_identity = not bias.any() and np.array_equal(kernel, np.eye(*kernel.shape))
    readout = None if is_identity and not spec.tied else Readout(kernel, bias)
    return check_form(NetworkForm(tuple(layers), embedding, readout, source="network"))


def with_native_cells(spec: Spec, params: Params) -> tuple[Spec, Params]:
    """A network of Flax's cells as one of the cells here that compute the same."""
    cells = {
        name: form_from_linen({"cell": layer}).layers[0].forward for name, layer in params.items() if "layer_" in name
    }
    return replace(spec, cell=LINEN_CELLS[spec.cell], activation="tanh"), params | cells


def numpy_tree(params: Params) -> Params:
    """Parameters as NumPy arrays of their own, which may be written to."""
    return {name: numpy_tree(leaf) if isinstance(leaf, dict) else np.array(leaf) for name, leaf in params.items()}


def states_to_carry(spec: Spec, hidden: Any, cell_state: Any = None) -> Carry:
    """States of another library as a carry here.

    Args:
        hidden: h of every layer and direction, [L, B, H] in the order layer 0, layer 0 backward, layer 1 ...; a list of
            L arrays [B, H] where layers differ in H.
        cell_state: c of an lstm, in the same order and of the same shape.

    Raises: BadInput for another shape, or a cell state that is missing or of no use.
    """
    directions = DIRECTIONS[: 1 + spec.bidirectional]
    names = [f"{name}_{number}" for number in range(spec.layers) for name in directions]
    lstm = spec.cell == "lstm"
    if lstm != (cell_state is not None):
        raise BadInput(f"cell_state: got {'none' if lstm else 'one'} for the cell '{spec.cell}'; expected h and c of "
                       "an lstm, h alone of every other cell")  # fmt: skip
    for name, states in (("hidden", hidden), ("cell_state", cell_state)):
        if states is not None:
            check_states(spec, name, states, names)
    return {
        name: (np.asarray(cell_state[i]), np.asarray(hidden[i])) if lstm else np.asarray(hidden[i])
        for i, name in enumerate(names)
    }


def check_states(spec: Spec, name: str, states: Any, names: Sequence[str]) -> None:
    """Raises: BadInput for states of other shapes. Args: names: of the layers and directions."""
    shapes, sizes = [np.shape(state) for state in states], [layer_size(spec, each) for each in names]
    if [shape[1:] for shape in shapes] != [(size,) for size in sizes]:
        got = f"shape {[len(shapes), *shapes[0]]}" if len(set(shapes)) == 1 else f"shapes {', '.join(map(str, shapes))}"
        raise BadInput(f"{name}: got {got}; expected [{len(names)}, B, {'H' if spec.layer_sizes else spec.hidden}]"
                       + (f" with H = {', '.join(map(str, sizes))}" if spec.layer_sizes else ""))  # fmt: skip


def carry_to_states(spec: Spec, carry: Carry) -> tuple[Any, Any]:
    """The inverse of `states_to_carry`: h [L, B, H] and the c of an lstm, else None."""
    directions = DIRECTIONS[: 1 + spec.bidirectional]
    states = [carry[f"{name}_{number}"] for number in range(spec.layers) for name in directions]
    stack: Any = list if spec.layer_sizes else np.stack
    if spec.cell != "lstm":
        return stack([np.asarray(h) for h in states]), None
    return stack([np.asarray(h) for _, h in states]), stack([np.asarray(c) for c, _ in states])

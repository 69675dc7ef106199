"""Layers of Keras as the neutral form."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.entries import check_one_of
from rnnjax.interop.form import Layer, NetworkForm, Readout
from rnnjax.interop.keras_models import KerasLayer, numbered
from rnnjax.interop.layouts import Weights, import_weights
from rnnjax.types import Params

CELLS = {"SimpleRNN": "elman", "GRU": "gru", "LSTM": "lstm"}
ACTIVATIONS = {"tanh": "tanh", "relu": "relu", "sigmoid": "sigmoid", "softsign": "softsign", "linear": "identity"}
LEFT_OUT = ("Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization")
EXPECTED = "expected an Embedding, SimpleRNN, GRU or LSTM layers, and a Dense"


class KerasForm(NamedTuple):
    """The neutral form of a model, with what it does not hold."""

    form: NetworkForm
    last_only: bool  # the outputs are those of the last step alone
    softmax: bool  # stood behind the readout


class Direction(NamedTuple):
    """A cell with its weights, as one layer and direction of Keras has it."""

    cell: str
    activation: str
    params: Params


def form_from_layers(layers: Sequence[KerasLayer]) -> KerasForm:
    """The neutral form of the layers of a model.

    Raises: BadInput for a layer or a setting that no network here has, with its name and the reason.
    """
    found: list[Layer] = []
    embedding: np.ndarray | None = None
    readout: Readout | None = None
    notes: list[str] = []
    sequences, is_end = True, False
    for layer in layers:
        check_type(layer)
        kind = inner_kind(layer)
        if is_end and layer.kind not in (*LEFT_OUT, "Activation"):
            raise BadInput(f"{layer.name}: got a {layer.kind} behind the readout; {EXPECTED} as the last")
        if kind in CELLS:
            if not sequences:
                raise BadInput(f"{layer.name}: the layer before it has return_sequences=False; expected True")
            found += read_recurrent(layer)
            sequences = bool(recurrent_config(layer).get("return_sequences", False))
            notes += recurrent_notes(layer)
        elif kind == "Embedding" and not found and embedding is None:
            embedding = layer.take("vars/0")
            notes += [f"{layer.name}: mask_zero is left out; steps of id 0 are read"] * bool(
                layer.config.get("mask_zero")
            )
        elif kind == "Dense" and found:
            readout, is_end = read_dense(layer), True
            notes += activation_notes(layer.name, dense_config(layer).get("activation", "linear"))
        elif kind == "Activation":
            notes += activation_notes(layer.name, layer.config.get("activation", "linear"))
        elif kind in LEFT_OUT:
            notes.append(f"{layer.name}: {layer.kind} is left out, as in Keras outside training")
        elif kind == "Masking":
            notes.append(f"{layer.name}: Masking is left out; steps of {layer.config.get('mask_value')} are read")
        elif kind != "InputLayer":
            raise BadInput(f"{layer.name}: got a {kind}, which no network here has in this place; {EXPECTED}")
    form = NetworkForm(tuple(found), embedding, readout, True, "keras", tuple(notes))
    return KerasForm(form, not sequences, any("softmax" in note for note in notes))


def check_type(layer: KerasLayer) -> None:
    """Raises: BadInput for a layer with quantized weights."""
    policy = layer.config.get("dtype")
    if isinstance(policy, Mapping) and str(policy.get("class_name", "")).startswith("Quantized"):
        raise BadInput(f"{layer.name}: got quantized weights; expected float32")


def inner_kind(layer: KerasLayer) -> str:
    """The class of what a wrapper holds: LSTM for Bidirectional(LSTM) and for RNN(LSTMCell)."""
    if layer.kind == "TimeDistributed":
        return str(layer.config["layer"]["class_name"])
    if layer.kind == "Bidirectional":
        inner = layer.config["layer"]
        return inner_kind(KerasLayer(inner["class_name"], inner["config"], layer.take))
    if layer.kind == "RNN":
        return str(cell_entries(layer.config)[0]["class_name"]).removesuffix("Cell")
    return layer.kind


def recurrent_config(layer: KerasLayer) -> Mapping[str, Any]:
    """The settings of a recurrent layer, inside Bidirectional too."""
    config: Mapping[str, Any] = layer.config["layer"]["config"] if layer.kind == "Bidirectional" else layer.config
    return config


def dense_config(layer: KerasLayer) -> Mapping[str, Any]:
    """The settings of a Dense, inside TimeDistributed too."""
    config: Mapping[str, Any] = layer.config["layer"]["config"] if layer.kind == "TimeDistributed" else layer.config
    return config


def read_recurrent(layer: KerasLayer) -> list[Layer]:
    """The layers of a recurrent layer: one, or several of RNN with several cells."""
    if layer.kind != "Bidirectional":
        check_one_of(f"{layer.name}: go_backwards", layer.config.get("go_backwards", False), [False])
        stack = read_direction(layer.name, layer.kind, layer.config, layer.take)
        return [Layer(each.cell, each.params, None, each.activation) for each in stack]
    check_one_of(f"{layer.name}: merge_mode", layer.config.get("merge_mode"), ["concat"])
    stacks = []
    for part, backwards in (("layer", False), ("backward_layer", True)):
        inner = layer.config[part]
        check_one_of(f"{layer.name}: go_backwards", inner["config"].get("go_backwards", False), [backwards])
        place = "backward_layer" if backwards else "forward_layer"

        def take(path: str, place: str = place) -> np.ndarray:
            return layer.take(f"{place}/{path}")

        stacks.append(read_direction(layer.name, inner["class_name"], inner["config"], take))
    forward, backward = stacks
    if (len(forward), len(backward)) != (1, 1) or forward[0][:2] != backward[0][:2]:
        raise BadInput(f"{layer.name}: got directions of several or of different cells; expected one and the same")
    return [Layer(forward[0].cell, forward[0].params, backward[0].params, forward[0].activation)]


def read_direction(
    name: str, kind: str, config: Mapping[str, Any], take: Callable[[str], np.ndarray]
) -> list[Direction]:
    """The cells of one direction of a recurrent layer."""
    if kind in CELLS:
        return [read_cell(name, kind, config, take, "cell/vars")]
    cells = cell_entries(config)
    kinds = [str(cell["class_name"]) for cell in cells]
    alone = config["cell"]["class_name"] != "StackedRNNCells"
    places = ["cell/vars"] if alone else [f"cell/cells/{place}/vars" for place in numbered(kinds)]
    for each in kinds:
        check_one_of(f"{name}: cell", each, [f"{cell}Cell" for cell in CELLS])
    return [
        read_cell(name, each.removesuffix("Cell"), cell["config"], take, place)
        for each, cell, place in zip(kinds, cells, places, strict=True)
    ]


def cell_entries(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The cells of a layer RNN."""
    cell = config["cell"]
    return list(cell["config"]["cells"]) if cell["class_name"] == "StackedRNNCells" else [cell]


def read_cell(
    name: str, kind: str, config: Mapping[str, Any], take: Callable[[str], np.ndarray], place: str
) -> Direction:
    """One cell. Raises: BadInput for an activation that the cell here does not have."""
    cell = CELLS[kind]
    if kind == "GRU" and not config.get("reset_after", True):
        cell = "gru_before"
    known = ACTIVATIONS if cell in ("elman", "gru_before") else {"tanh": "tanh"}
    activation = config.get("activation", "tanh")
    activation = "linear" if activation is None else activation
    check_one_of(f"{name}: activation", activation if isinstance(activation, str) else "a function", known)
    if kind != "SimpleRNN":
        check_one_of(f"{name}: recurrent_activation", config.get("recurrent_activation", "sigmoid"), ["sigmoid"])
    kernel, recurrent = take(f"{place}/0"), take(f"{place}/1")
    bias = take(f"{place}/2") if config.get("use_bias", True) else None
    if cell == "gru" and bias is not None:
        if bias.shape != (2, recurrent.shape[1]):
            raise BadInput(f"{name}: got a bias of shape {list(bias.shape)}; expected {[2, recurrent.shape[1]]}")
        weights = Weights(kernel, recurrent, bias[0], bias[1])
    else:
        weights = Weights(kernel, recurrent, bias)
    return Direction(cell, known[activation], import_weights("keras", cell, weights))


def read_dense(layer: KerasLayer) -> Readout:
    """The readout behind the last recurrent layer."""
    config, place = dense_config(layer), "layer/vars" if layer.kind == "TimeDistributed" else "vars"
    kernel = layer.take(f"{place}/0")
    if kernel.ndim != 2:
        raise BadInput(f"{layer.name}: got a kernel of shape {list(kernel.shape)}; expected [H, O]")
    bias = layer.take(f"{place}/1") if config.get("use_bias", True) else np.zeros(kernel.shape[1], kernel.dtype)
    return Readout(kernel, bias)


def activation_notes(name: str, activation: Any) -> list[str]:
    """What there is to know about the activation of the outputs. Raises: BadInput for one that no readout has."""
    check_one_of(f"{name}: activation", activation if isinstance(activation, str) else "a function",
                 ["linear", "softmax"], "a readout here is linear, and softmax part of its loss")  # fmt: skip
    return [f"{name}: softmax is left out; the outputs are logits"] if activation == "softmax" else []


def recurrent_notes(layer: KerasLayer) -> list[str]:
    """What a recurrent layer does in training, or in its own library alone."""
    config, name = recurrent_config(layer), layer.name
    dropped = [rate for rate in ("dropout", "recurrent_dropout") if config.get(rate)]
    notes = [f"{name}: {rate} {config[rate]} is left out, as in Keras outside training" for rate in dropped]
    stateful = f"{name}: stateful is left out; give the carry to apply"
    return notes + [stateful] * bool(config.get("stateful"))

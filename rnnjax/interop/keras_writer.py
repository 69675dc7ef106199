"""The neutral form as a Sequential model of Keras: its weights in order, a .weights.h5 file or a .keras file."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.form import Layer, NetworkForm
from rnnjax.interop.hdf5_arrays import write_hdf5
from rnnjax.interop.keras_files import CONFIG, WEIGHTS
from rnnjax.interop.keras_layers import ACTIVATIONS
from rnnjax.interop.keras_models import numbered
from rnnjax.interop.layouts import export_weights
from rnnjax.types import Params

KINDS = {"elman": "SimpleRNN", "gru": "GRU", "gru_before": "GRU", "lstm": "LSTM"}
VERSION = "3.15.1"  # of Keras, whose files these are


class Written(NamedTuple):
    """A layer of Keras: its class, its settings, and its arrays by their place below the layer."""

    kind: str
    config: dict[str, Any]
    arrays: dict[str, np.ndarray]


def form_to_layers(form: NetworkForm, last_only: bool = False) -> list[Written]:
    """The layers of a Sequential model. Args: last_only: its outputs are those of the last step.

    Raises: BadInput for a cell or an activation that Keras does not have.
    """
    layers = []
    if form.embedding is not None:
        sizes = dict(zip(("input_dim", "output_dim"), form.embedding.shape, strict=True))
        layers.append(Written("Embedding", sizes, {"vars/0": form.embedding}))
    for number, layer in enumerate(form.layers):
        layers.append(write_recurrent(layer, not (last_only and number == len(form.layers) - 1)))
    if form.readout is not None:
        arrays = {"vars/0": form.readout.kernel, "vars/1": form.readout.bias}
        layers.append(Written("Dense", {"units": len(form.readout.bias)}, arrays))
    names = numbered([layer.kind for layer in layers])
    return [layer._replace(config={"name": name} | layer.config) for name, layer in zip(names, layers, strict=True)]


def write_recurrent(layer: Layer, sequences: bool) -> Written:
    """A recurrent layer, inside Bidirectional where it has two directions."""
    if layer.cell not in KINDS:
        raise BadInput(f"cell: got '{layer.cell}', which Keras does not have; expected one of: {', '.join(KINDS)}")
    names = {ours: theirs for theirs, ours in ACTIVATIONS.items()}
    kind, forward = KINDS[layer.cell], dict(cell_arrays(layer.cell, layer.forward))
    config: dict[str, Any] = {"units": layer.hidden, "activation": names[layer.activation]}
    config |= {"return_sequences": sequences} | ({"reset_after": layer.cell == "gru"} if kind == "GRU" else {})
    if layer.backward is None:
        return Written(kind, config, forward)
    backward = dict(cell_arrays(layer.cell, layer.backward))
    arrays = {f"forward_layer/{place}": array for place, array in forward.items()}
    arrays |= {f"backward_layer/{place}": array for place, array in backward.items()}
    wrapped = {"layer": serialised(kind, {"name": "forward"} | config)}
    wrapped |= {"backward_layer": serialised(kind, {"name": "backward", "go_backwards": True} | config)}
    return Written("Bidirectional", {"merge_mode": "concat"} | wrapped, arrays)


def cell_arrays(cell: str, params: Params) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of a cell by their place below its layer."""
    kernel, recurrent, bias, recurrent_bias = export_weights("keras", cell, params)
    both = bias if recurrent_bias is None or bias is None else np.stack([bias, recurrent_bias])
    for number, array in enumerate((kernel, recurrent, both)):
        assert array is not None
        yield f"cell/vars/{number}", array


def serialised(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """A layer as Keras has it in JSON."""
    return {"module": "keras.layers", "class_name": kind, "config": config, "registered_name": None}


def weights_file(layers: list[Written]) -> bytes:
    """The bytes of a .weights.h5 file of a Sequential model."""
    places = numbered([layer.kind for layer in layers])
    return write_hdf5({
        f"layers/{place}/{path}": array
        for place, layer in zip(places, layers, strict=True)
        for path, array in layer.arrays.items()
    })  # fmt: skip


def model_file(layers: list[Written], form: NetworkForm) -> bytes:
    """The bytes of a .keras file of a Sequential model of any batch and length."""
    width = () if form.embedding is not None else (form.layers[0].inputs,)
    shape = {"batch_shape": [None, None, *width], "name": "inputs"}
    shape["dtype"] = "int32" if form.embedding is not None else "float32"
    entries = [serialised("InputLayer", shape), *(serialised(layer.kind, layer.config) for layer in layers)]
    model = {"module": "keras", "class_name": "Sequential", "config": {"name": "network", "layers": entries}}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        parts: dict[str, str | bytes] = {
            "metadata.json": json.dumps({"keras_version": VERSION}),
            CONFIG: json.dumps(model | {"registered_name": None}),
            WEIGHTS: weights_file(layers),
        }
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return stream.getvalue()

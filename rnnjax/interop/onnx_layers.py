"""The operators RNN, GRU and LSTM of ONNX as layers of the neutral form, and their attributes."""

from typing import Any

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.entries import as_array
from rnnjax.interop.form import GATES, Layer
from rnnjax.interop.layouts import Weights, import_weights
from rnnjax.interop.onnx_models import attributes, describe
from rnnjax.types import Params

OPERATORS = {"RNN": "elman", "GRU": "gru", "LSTM": "lstm"}
ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid", "softsign": "Softsign", "identity": "Affine"}
DIRECTIONS = {"forward": 1, "bidirectional": 2}
KNOWN = {
    *("activations", "activation_alpha", "activation_beta", "direction", "hidden_size"),
    *("input_forget", "layout", "linear_before_reset", "output_sequence"),
}


def read_layer(node: Any, weights: tuple[Any, Any, Any], peepholes: Any) -> Layer:
    """The layer of a node.

    Args: weights: W [dirs, G*H, D], R [dirs, G*H, H] and B [dirs, 2*G*H] or None. peepholes: of LSTM.

    Raises: BadInput for an attribute that no cell here has, or weights of another size.
    """
    place, known = describe(node), attributes(node)
    if "clip" in known:
        raise BadInput(f"{place}: got clip={known['clip']:g}, which no cell here has; expected none")
    for name in known.keys() - KNOWN:
        raise BadInput(f"{place}: got {name}, which no cell here has; expected none")
    if known.get("input_forget"):
        raise BadInput(f"{place}: got input_forget=1, which no cell here has; expected 0")
    if peepholes is not None and not (isinstance(peepholes, np.ndarray) and not peepholes.any()):
        raise BadInput(f"{place}: got peepholes, which no cell here has; expected none")
    direction = known.get("direction", "forward")
    if direction not in DIRECTIONS:
        raise BadInput(f"{place}: got direction={direction}; expected forward or bidirectional")
    cell = OPERATORS[node.op_type]
    if cell == "gru" and not known.get("linear_before_reset", 0):
        cell = "gru_before"
    kernels, recurrent, biases = check_sizes(place, cell, DIRECTIONS[direction], known, weights)
    directions = [
        direction_params(cell, kernel, inner, bias)
        for kernel, inner, bias in zip(kernels, recurrent, biases, strict=True)
    ]
    activation = read_activation(place, cell, len(directions), known)
    return Layer(cell, directions[0], directions[1] if directions[1:] else None, activation)


def direction_params(cell: str, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray | None) -> Params:
    """The parameters of one direction."""
    halves = (None, None) if bias is None else np.split(bias, 2)
    return import_weights("onnx", cell, Weights(kernel, recurrent, *halves))


def check_sizes(place: str, cell: str, directions: int, known: dict[str, Any], weights: Any) -> tuple[Any, Any, Any]:
    """The weights of each direction. Raises: BadInput for weights that are not constant, or of another size."""
    for name, array in zip("WRB", weights, strict=True):
        if array is not None and not isinstance(array, np.ndarray):
            raise BadInput(f"{place}: its {name} is computed when the model runs; expected constant weights")
    kernels, recurrent, biases = (None if array is None else as_array(place, array) for array in weights)
    hidden, gates = int(known.get("hidden_size", 0)), len(GATES[cell])
    if recurrent is None or recurrent.ndim != 3 or kernels is None or kernels.ndim != 3:
        raise BadInput(f"{place}: got W or R without three axes; expected [directions, {gates} x H, D] and H for D")
    hidden = hidden or recurrent.shape[2]
    shapes = {"W": (kernels, (directions, gates * hidden, kernels.shape[2])),
              "R": (recurrent, (directions, gates * hidden, hidden)),
              "B": (biases, (directions, 2 * gates * hidden))}  # fmt: skip
    for name, (array, shape) in shapes.items():
        if array is not None and array.shape != shape:
            raise BadInput(f"{place}: {name} has the shape {list(array.shape)}; expected {list(shape)}")
    return kernels, recurrent, [None] * directions if biases is None else biases


def read_activation(place: str, cell: str, directions: int, known: dict[str, Any]) -> str:
    """The activation of a cell, in the name that it has here. Raises: BadInput for others, or a mixture."""
    default = {"elman": ["Tanh"], "lstm": ["Sigmoid", "Tanh", "Tanh"]}.get(cell, ["Sigmoid", "Tanh"])
    names = [str(name) for name in known.get("activations", default * directions)]
    parts = [names[start : start + len(default)] for start in range(0, len(names), len(default))]
    ours = {theirs.lower(): name for name, theirs in ACTIVATIONS.items()}
    last = ours.get(parts[0][-1].lower(), "") if parts else ""
    free = cell in ("elman", "gru_before")
    expected = [*default[:-1], ACTIVATIONS[last] if free and last else default[-1]]
    alike = all([name.lower() for name in part] == [name.lower() for name in expected] for part in parts)
    is_affine = last == "identity" and (
        set(known.get("activation_alpha", [0.0])) != {1.0} or set(known.get("activation_beta", [0.0])) != {0.0}
    )
    if len(parts) != directions or not alike or not last or is_affine:
        choice = f"{default[:-1]} and one of {', '.join(ACTIVATIONS.values())}" if free else f"{default}"
        raise BadInput(f"{place}: got activations {names}; expected {choice}, the same in each direction")
    return last if free else "tanh"

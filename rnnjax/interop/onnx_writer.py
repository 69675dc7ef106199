"""The neutral form as a model of ONNX with its own recurrent operators, for any number of steps and streams.

Inputs: `x` [T, B, D] or `ids` [T, B]; `initial_h`, and `initial_c` of an lstm, [K, 1 or B, H] with K layers and
directions; `lengths` [1 or B]. All but the first have defaults: the initial state, and no end of a sequence. Outputs:
`y`, `final_h` and `final_c` [K, B, H].
"""

from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.form import Layer, NetworkForm
from rnnjax.interop.layouts import export_weights
from rnnjax.interop.onnx_layers import ACTIVATIONS
from rnnjax.interop.onnx_models import import_onnx

OPERATORS = {"elman": "RNN", "gru": "GRU", "gru_before": "GRU", "lstm": "LSTM"}
OPERATOR_SET, IR_VERSION = 17, 8  # read by every onnxruntime from 1.12 on
NO_END = np.iinfo(np.int32).max  # a length beyond every sequence


class Starts(NamedTuple):
    """The initial states, [K, 1, H] in the order layer 0, layer 0 backward, layer 1 ..."""

    hidden: np.ndarray
    cell_state: np.ndarray | None = None  # of an lstm


class Graph:
    """Nodes and constants of a graph in the making; each `node` gives the name of its first output.

    Args: prefix: of the names of constants; a graph inside a node has names of its own.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix, self.streams = prefix, f"{prefix}streams"  # the name of the number of streams [1]
        self.onnx = import_onnx()
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, name: str, array: Any, dtype: Any = None) -> str:
        """The name of a constant, which is stored once."""
        self.constants.setdefault(self.prefix + name, np.asarray(array, dtype, order="C"))
        return self.prefix + name

    def ints(self, *numbers: int) -> str:
        """A constant of int64, as axes and shapes are."""
        return self.constant("_".join(["ints", *map(str, numbers)]).replace("-", "minus"), numbers, np.int64)

    def node(self, operator: str, inputs: list[str], outputs: list[str] | str, **attributes: Any) -> str:
        """Adds a node; the name of its first output."""
        names = [outputs] if isinstance(outputs, str) else outputs
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, names, name=names[0], **attributes))
        return names[0]

    def graph(self, name: str, inputs: list[Any], outputs: list[Any]) -> Any:
        """The graph, which may be part of a node."""
        constants = [self.onnx.numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        return self.onnx.helper.make_graph(self.nodes, name, inputs, outputs, constants)

    def model(self, inputs: list[Any], outputs: list[Any], version: str) -> Any:
        """The model, checked by onnx."""
        helper = self.onnx.helper
        graph = self.graph("network", inputs, outputs)
        sets = [helper.make_opsetid("", OPERATOR_SET)]
        names = {"producer_name": "rnnjax", "producer_version": version}
        model = helper.make_model(graph, opset_imports=sets, ir_version=IR_VERSION, **names)
        self.onnx.checker.check_model(model, full_check=True)
        return model


def form_to_model(form: NetworkForm, starts: Starts, last_only: bool, version: str) -> Any:
    """The ModelProto of a form.

    Args: last_only: y is that of the end of each sequence, [B, O] instead of [T, B, O]. version: of this package.

    Raises: BadInput for a cell or an activation that ONNX does not have, or weights that are not float32.
    """
    check_form(form)
    graph = Graph()
    data = "ids" if form.embedding is not None else "x"
    write_sizes(graph, data)
    write_states(graph, form, starts)
    hidden = data
    if form.embedding is not None:
        hidden = graph.node("Gather", [graph.constant("embedding", form.embedding), data], "vectors", axis=0)
    for number, layer in enumerate(form.layers):
        hidden = write_layer(graph, number, layer, hidden, last_only and number == len(form.layers) - 1)
    write_final(graph, form)
    write_readout(graph, form, hidden)
    return graph.model(*declared(graph, form, data, last_only), version)


def check_form(form: NetworkForm) -> None:
    """Raises: BadInput for what ONNX or its runtimes do not have."""
    for layer in form.layers:
        if layer.cell not in OPERATORS:
            raise BadInput(
                f"cell: got '{layer.cell}', which is no operator of ONNX; expected one of: {', '.join(OPERATORS)}"
            )
        if layer.forward["kernel"].dtype != np.float32:
            raise BadInput("network: got parameters of float64, which runtimes of ONNX do not read; expected float32")


def write_sizes(graph: Graph, data: str) -> None:
    """The sizes T and B of the input, and `lengths` [B], none of which is beyond T."""
    graph.node("Shape", [data], "shape")
    graph.node("Slice", ["shape", graph.ints(0), graph.ints(1)], "steps")
    graph.node("Slice", ["shape", graph.ints(1), graph.ints(2)], "streams")
    graph.constant("lengths", [NO_END], np.int32)
    graph.node("Cast", ["steps"], "steps_int32", to=graph.onnx.TensorProto.INT32)
    graph.node("Expand", [graph.node("Min", ["lengths", "steps_int32"], "ends"), "streams"], "lengths_of_streams")


def write_states(graph: Graph, form: NetworkForm, starts: Starts) -> None:
    """The initial states of each layer, for all streams."""
    directions, layers = len(form.layers[0].directions), len(form.layers)
    one = graph.ints(1)
    graph.node("Concat", [one, "streams", one], "shape_of_states", axis=0)
    for name, start in zip("hc", starts, strict=True):
        if start is not None:
            graph.constant(f"initial_{name}", start)
            graph.node("Expand", [f"initial_{name}", "shape_of_states"], f"start_{name}")
            parts = [f"start_{name}_{number}" for number in range(layers)]
            graph.node("Split", [f"start_{name}", graph.ints(*[directions] * layers)], parts, axis=0)


def write_layer(graph: Graph, number: int, layer: Layer, hidden: str, end: bool) -> str:
    """A recurrent operator; the name of its outputs [T, B, directions * H], or at the end of sequences [B, ...]."""
    weights = [export_weights("onnx", layer.cell, params) for params in layer.directions]
    biases = [np.concatenate([each.bias, each.recurrent_bias]) for each in weights]  # type: ignore[list-item]
    arrays = {"W": [each.kernel for each in weights], "R": [each.recurrent_kernel for each in weights], "B": biases}
    inputs = [hidden, *(graph.constant(f"{name}_{number}", np.stack(parts)) for name, parts in arrays.items())]
    inputs += ["lengths_of_streams", f"start_h_{number}", *([f"start_c_{number}"] if layer.cell == "lstm" else [])]
    outputs = [f"Y_{number}", f"end_h_{number}", *([f"end_c_{number}"] if layer.cell == "lstm" else [])]
    graph.node(OPERATORS[layer.cell], inputs, outputs, **operator_attributes(layer))
    if end:
        graph.node("Transpose", [outputs[1]], f"transposed_{number}", perm=[1, 0, 2])
        return graph.node("Reshape", [f"transposed_{number}", graph.ints(0, -1)], f"end_{number}")
    if layer.backward is None:
        return graph.node("Squeeze", [outputs[0], graph.ints(1)], f"h_{number}")
    graph.node("Transpose", [outputs[0]], f"transposed_{number}", perm=[0, 2, 1, 3])
    return graph.node("Reshape", [f"transposed_{number}", graph.ints(0, 0, -1)], f"h_{number}")


def operator_attributes(layer: Layer) -> dict[str, Any]:
    """The attributes of a recurrent operator."""
    directions = len(layer.directions)
    known: dict[str, Any] = {"hidden_size": layer.hidden, "direction": ("forward", "bidirectional")[directions - 1]}
    if layer.cell == "gru":
        known["linear_before_reset"] = 1
    if layer.activation != "tanh":
        names = {"elman": [], "gru_before": ["Sigmoid"]}[layer.cell]
        known["activations"] = [*names, ACTIVATIONS[layer.activation]] * directions
    if layer.activation == "identity":
        known |= {"activation_alpha": [1.0] * directions, "activation_beta": [0.0] * directions}
    return known


def write_final(graph: Graph, form: NetworkForm) -> None:
    """The states of all layers at the end; a sequence of no steps keeps its initial state, as a runtime may not."""
    graph.node("Greater", ["lengths_of_streams", graph.constant("zero", 0, np.int32)], "read")
    graph.node("Unsqueeze", ["read", graph.ints(0, 2)], "read_of_states")
    for name in "hc" if form.layers[0].cell == "lstm" else "h":
        ends = [f"end_{name}_{number}" for number in range(len(form.layers))]
        graph.node("Concat", ends, f"end_{name}", axis=0)
        graph.node("Where", ["read_of_states", f"end_{name}", f"start_{name}"], f"final_{name}")


def write_readout(graph: Graph, form: NetworkForm, hidden: str) -> None:
    """y = h W + b, or h."""
    if form.readout is None:
        graph.node("Identity", [hidden], "y")
        return
    kernel = "readout_kernel"
    if form.tied:
        graph.node("Transpose", ["embedding"], kernel, perm=[1, 0])
    else:
        graph.constant(kernel, form.readout.kernel)
    graph.node("MatMul", [hidden, kernel], "y_without_bias")
    graph.node("Add", ["y_without_bias", graph.constant("readout_bias", form.readout.bias)], "y")


def declared(graph: Graph, form: NetworkForm, data: str, last_only: bool) -> tuple[list[Any], list[Any]]:
    """The inputs and the outputs of the model with their types."""
    types, first = graph.onnx.TensorProto, form.layers[0]
    width = first.hidden * len(first.directions)
    states = len(form.layers) * len(first.directions)
    outputs = width if form.readout is None else len(form.readout.bias)

    def value(name: str, shape: list[Any], kind: Any = types.FLOAT) -> Any:
        return graph.onnx.helper.make_tensor_value_info(name, kind, shape)

    x = value("ids", ["T", "B"], types.INT64) if data == "ids" else value("x", ["T", "B", first.inputs])
    names = "hc" if first.cell == "lstm" else "h"
    given = [value(f"initial_{name}", [states, f"streams of initial_{name}", first.hidden]) for name in names]
    y = value("y", ["B", outputs] if last_only else ["T", "B", outputs])
    ends = [value(f"final_{name}", [states, "B", first.hidden]) for name in names]
    return [x, *given, value("lengths", ["streams of lengths"], types.INT32)], [y, *ends]

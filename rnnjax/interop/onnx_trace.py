"""A graph of ONNX as the neutral form: values are followed from the output of a model back to its input."""

from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.form import Layer, NetworkForm, Readout
from rnnjax.interop.onnx_layers import OPERATORS, read_layer
from rnnjax.interop.onnx_models import Model, attributes, describe, fold
from rnnjax.interop.onnx_operators import HANDLERS, stacked
from rnnjax.interop.onnx_values import DIRECTIONS, EXPECTED, FEATURES, Sequence, Sizes, Trace, Value, refuse

MOVING = {  # operators that keep the numbers of a value
    *("Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Concat", "Cast", "Slice", "Gather", "Split"),
    *("Expand", "Tile"),
}
CALCULATING = {"Add", "Sub", "Mul", "Div", "Neg", "Range", "Equal", "Where", "Min", "Max", "ConstantOfShape"}
PASSED = {"Identity", "Cast", "Dropout"}  # what data pass unchanged


class OnnxForm(NamedTuple):
    """The neutral form of a model, with what it does not hold."""

    form: NetworkForm
    last_only: bool  # the output is that of the end of each sequence
    softmax: bool  # stood behind the readout
    starts: tuple[list[np.ndarray], list[np.ndarray] | None] | None  # h and c [1, H] of layers and directions; None = 0


def form_from_graph(model: Model) -> OnnxForm:
    """The neutral form of a model. Raises: BadInput for an operator or a use of one that no network here has."""
    trace = Trace(model)
    check_operators(model)
    results = (value_of(trace, name) for name in model.outputs)
    output = next((each for each in results if isinstance(each, Sequence) and not each.is_state), None)
    if output is None or not trace.layers or output.layer != len(trace.layers):
        raise BadInput(f"{model.source}: got no output of the last recurrent layer; {EXPECTED}")
    recurrent = [node for node in model.nodes if node.op_type in OPERATORS]
    if len(recurrent) != len(trace.layers):
        beside = next(node for node in recurrent if not any(name in trace.values for name in node.output))
        raise BadInput(f"{model.source}: got {describe(beside)} beside the chain of layers; expected one chain")
    kernel, bias = trace.kernel, trace.bias
    readout = None
    if kernel is not None:
        readout = Readout(kernel, np.zeros(kernel.shape[1], kernel.dtype) if bias is None else bias)
    layers, notes = tuple(trace.layers), tuple(trace.notes)
    form = NetworkForm(layers, trace.embedding, readout, trace.time == "1", "onnx", notes)
    return OnnxForm(form, output.last, trace.softmax, joined_starts(trace))


def check_operators(model: Model) -> None:
    """Raises: BadInput for a model without a recurrent operator, with the others that it has."""
    if not any(node.op_type in OPERATORS for node in model.nodes):
        names = ", ".join(dict.fromkeys(node.op_type for node in model.nodes)) or "none"
        raise BadInput(f"{model.source}: got the operators {names[:120]}; expected one of RNN, GRU, LSTM")


def joined_starts(trace: Trace) -> tuple[list[np.ndarray], list[np.ndarray] | None] | None:
    """The initial states [1, H] of all layers and directions, where any is not 0."""
    if not any(array.any() for states in trace.starts for array in states):
        return None
    joined = [[state for part in parts for state in part] for parts in zip(*trace.starts, strict=True)]
    return joined[0], joined[1] if len(joined) > 1 else None


def value_of(trace: Trace, name: str) -> Value:
    """The value of a name; None of an input that a node does not have."""
    if not name:
        return None
    if name not in trace.values:
        if name in trace.model.constants:
            trace.values[name] = trace.model.constants[name]
        elif name in trace.model.inputs:
            trace.values[name] = input_value(trace, name)
        else:
            node = trace.model.producers[name]
            trace.values |= dict(zip(node.output, node_values(trace, node), strict=False))
    return trace.values[name]


def input_value(trace: Trace, name: str) -> Value:
    """An input of the model: data with their axes numbered, or a state that is given."""
    if trace.in_start and name != trace.data_input:
        return Sizes(0.0)
    rank = trace.model.ranks.get(name)
    if rank is None:
        raise BadInput(f"{trace.model.source}: the input '{name}' has no known number of axes; expected one")
    trace.data_input = trace.data_input or name
    if name != trace.data_input:
        raise BadInput(f"{trace.model.source}: got the inputs '{trace.data_input}' and '{name}'; expected one sequence")
    return Sequence(tuple(map(str, range(rank))))


def node_values(trace: Trace, node: Any) -> list[Value]:
    """The outputs of a node. Raises: BadInput for an operator that no network here has."""
    if node.op_type == "Constant":
        return list(fold(trace.model, node, []))
    if node.op_type == "Shape":
        return [Sizes()]
    if node.op_type in OPERATORS and node.domain in ("", "ai.onnx"):
        return recurrent_values(trace, node)
    values = [value_of(trace, name) for name in node.input]
    data = [value for value in values if isinstance(value, Sequence)]
    if not data and node.op_type in MOVING | CALCULATING:
        return size_values(trace, node, values)
    if node.op_type in PASSED and isinstance(values[0], Sequence):
        trace.notes += [f"{describe(node)} is left out"] * (node.op_type == "Dropout")
        return [values[0]]
    if node.op_type == "Concat" and len(data) == len(values) and all(each.is_state for each in data):
        return [stacked(trace, node, data)]
    if len(data) != 1 or node.op_type not in HANDLERS or node.domain not in ("", "ai.onnx"):
        refuse(trace, node)
    return [HANDLERS[node.op_type](trace, node, values)]


def size_values(trace: Trace, node: Any, values: list[Value]) -> list[Value]:
    """The outputs of a node that reads no data: constants, or something of the sizes of the inputs."""
    arrays = [value for value in values if value is None or isinstance(value, np.ndarray)]
    if len(arrays) == len(values) and node.op_type != "ConstantOfShape":
        return list(fold(trace.model, node, arrays))
    if node.op_type == "ConstantOfShape":
        return [Sizes(float(np.ravel(attributes(node).get("value", [0.0]))[0]))]
    if node.op_type == "Expand" and isinstance(values[0], np.ndarray):
        array = values[0]  # with one stream, where it is an initial state
        return [array if array.ndim == 3 else Sizes(float(array.flat[0])) if array.size == 1 else Sizes()]
    moved = values[0].value if node.op_type in MOVING and isinstance(values[0], Sizes) else float("nan")
    return [Sizes(moved)] * len(node.output)


def recurrent_values(trace: Trace, node: Any) -> list[Value]:
    """Y, Y_h and Y_c of a recurrent operator; its layer is noted."""
    inputs = [*node.input, *[""] * (8 - len(node.input))]
    data = value_of(trace, inputs[0])
    layout, place = attributes(node).get("layout", 0), f"{trace.model.source}: {describe(node)}"
    if not isinstance(data, Sequence) or len(data.axes) != 3 or data.last or data.layer != len(trace.layers):
        raise BadInput(f"{place}: reads no sequence of the layer before it; {EXPECTED}")
    steps, streams = data.axes[layout], data.axes[1 - layout]
    trace.time = trace.time or steps
    if steps != trace.time or streams == FEATURES:
        raise BadInput(
            f"{place}: reads the axes of its input in another order than the layer before; expected the same"
        )
    weights = tuple(value_of(trace, name) for name in inputs[1:4])
    lengths = trace.model.constants.get(inputs[4])
    if lengths is not None and inputs[4] not in trace.model.ranks:
        raise BadInput(f"{place}: got constant sequence_lens; expected none, or an input of the model")
    peepholes = value_of(trace, inputs[7]) if node.op_type == "LSTM" else None
    layer = read_layer(node, weights, peepholes)  # type: ignore[arg-type]
    trace.layers.append(layer)
    states = inputs[5:7] if node.op_type == "LSTM" else inputs[5:6]
    trace.starts.append(tuple(start_of(trace, place, name, layer) for name in states))
    number = len(trace.layers)
    order = (steps, DIRECTIONS, streams) if layout == 0 else (streams, steps, DIRECTIONS)
    state_order = (DIRECTIONS, streams) if layout == 0 else (streams, DIRECTIONS)
    state = Sequence((*state_order, FEATURES), number, last=True, is_state=True)
    return [Sequence((*order, FEATURES), number), state, Sizes()]


def start_of(trace: Trace, place: str, name: str, layer: Layer) -> np.ndarray:
    """An initial state [directions, 1, H]: a constant, or 0 where there is none or it is given when the model runs.

    Raises: BadInput for one that depends on the data, or differs from stream to stream.
    """
    zero = np.zeros((len(layer.directions), 1, layer.hidden), layer.forward["kernel"].dtype)
    trace.in_start = True
    value = value_of(trace, name)
    trace.in_start = False
    if value is None:
        return zero
    if isinstance(value, Sizes) and value.value == value.value:
        return np.full_like(zero, value.value)
    if not isinstance(value, np.ndarray):
        raise BadInput(
            f"{place}: its initial state '{name}' is computed; expected a constant, or an input of the model"
        )
    value = np.broadcast_to(value, zero.shape) if value.ndim < 3 or value.size == 1 else value
    if value[:, :1].shape != zero.shape or not np.array_equal(value, np.broadcast_to(value[:, :1], value.shape)):
        raise BadInput(f"{place}: got an initial state of shape {list(value.shape)}; expected one for all streams")
    return np.asarray(value[:, :1], zero.dtype)

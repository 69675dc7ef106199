"""The operators of ONNX that data pass before, between and behind recurrent layers: each a function of its inputs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnjax.interop.onnx_models import attributes, describe
from rnnjax.interop.onnx_values import DIRECTIONS, FEATURES, FLAT, Sequence, Trace, Value, refuse


def transposed(trace: Trace, node: Any, values: list[Any]) -> Value:
    data: Sequence = values[0]
    order = attributes(node).get("perm", range(len(data.axes))[::-1])
    return data._replace(axes=tuple(data.axes[axis] for axis in order))


def squeezed(trace: Trace, node: Any, values: list[Any]) -> Value:
    data: Sequence = values[0]
    axes = values[1] if len(values) > 1 else attributes(node).get("axes")
    places = [] if axes is None else [int(axis) % len(data.axes) for axis in np.ravel(axes)]
    if [data.axes[place] for place in places] != [DIRECTIONS] or data.stacked > 1 or not trace.has_one_direction(data):
        refuse(trace, node)
    return data._replace(axes=tuple(axis for axis in data.axes if axis != DIRECTIONS), is_state=False)


def reshaped(trace: Trace, node: Any, values: list[Any]) -> Value:
    """Directions and features side by side, or steps and streams as one axis and back."""
    data: Sequence = values[0]
    rank = len(values[1]) if isinstance(values[1], np.ndarray) else trace.model.ranks.get(node.output[0])
    axes = data.axes
    if rank == len(axes):
        return data
    if rank == len(axes) - 1 and DIRECTIONS in axes:
        if data.stacked > 1:
            refuse(trace, node)
        if not trace.has_one_direction(data) and axes[axes.index(DIRECTIONS) + 1] != FEATURES:
            refuse(trace, node)
        return data._replace(axes=tuple(axis for axis in axes if axis != DIRECTIONS), is_state=False)
    if rank == 2 and len(axes) == 3 and axes[-1] == FEATURES:
        return data._replace(axes=(FLAT + " ".join(axes[:2]), FEATURES))
    if rank == 3 and axes[0].startswith(FLAT):
        return data._replace(axes=(*axes[0].removeprefix(FLAT).split(" "), FEATURES))
    refuse(trace, node)


def gathered(trace: Trace, node: Any, values: list[Any]) -> Value:
    """An embedding of ids, or the last step."""
    axis = attributes(node).get("axis", 0)
    if isinstance(values[0], np.ndarray) and isinstance(values[1], Sequence):
        data, table = values[1], values[0]
        if axis != 0 or table.ndim != 2 or data.layer or len(data.axes) != 2 or trace.embedding is not None:
            refuse(trace, node)
        trace.embedding = table if table.dtype in (np.float32, np.float64) else table.astype(np.float32)
        return data._replace(axes=(*data.axes, FEATURES))
    data, place = values[0], values[1]
    is_last = isinstance(place, np.ndarray) and place.size == 1 and int(np.ravel(place)[0]) == -1
    axis %= len(data.axes)
    if data.is_state and data.axes[axis] == DIRECTIONS and trace.has_one_direction(data):
        if not isinstance(place, np.ndarray) or place.ndim or int(place) not in (-1, data.stacked - 1):
            refuse(trace, node)
        return data._replace(axes=tuple(each for each in data.axes if each != DIRECTIONS), is_state=False)
    if not is_last or place.ndim or not data.layer or data.axes[axis] != trace.time:
        refuse(trace, node)
    if len(trace.layers[-1].directions) > 1:
        trace.notes.append(f"{describe(node)}: the last step has read one step backwards, as the outputs here have")
    return data._replace(axes=tuple(each for each in data.axes if each != trace.time), last=True)


def stacked(trace: Trace, node: Any, states: list[Sequence]) -> Value:
    """The states of several layers one after the other."""
    axis = attributes(node)["axis"] % len(states[0].axes)
    if any(each.axes[axis] != DIRECTIONS for each in states):
        refuse(trace, node)
    return states[-1]._replace(stacked=sum(each.stacked for each in states))


def multiplied(trace: Trace, node: Any, values: list[Any]) -> Value:
    """A readout: MatMul or Gemm of the outputs of a layer and a constant."""
    data, known = values[0], attributes(node)
    kernel = values[1]
    plain = known.get("alpha", 1.0) == 1 and known.get("beta", 1.0) == 1 and not known.get("transA", 0)
    if not isinstance(data, Sequence) or not isinstance(kernel, np.ndarray) or kernel.ndim != 2 or not plain:
        refuse(trace, node)
    if data.readout or not data.layer or data.axes[-1] != FEATURES or DIRECTIONS in data.axes:
        refuse(trace, node)
    trace.kernel = kernel.T if known.get("transB", 0) else kernel
    bias = values[2] if len(values) > 2 else None
    if bias is not None:
        trace.bias = bias_of(trace, node, bias)
    return data._replace(readout=True)


def added(trace: Trace, node: Any, values: list[Any]) -> Value:
    """The bias of a readout."""
    data, bias = values if isinstance(values[0], Sequence) else values[::-1]
    if not data.readout or trace.bias is not None:
        refuse(trace, node)
    trace.bias = bias_of(trace, node, bias)
    return data


def bias_of(trace: Trace, node: Any, bias: Value) -> np.ndarray:
    """A constant bias [O] of a readout."""
    outputs = trace.kernel.shape[1] if trace.kernel is not None else 0
    if not isinstance(bias, np.ndarray) or bias.size not in (1, outputs) or (bias.ndim and bias.shape[-1] != bias.size):
        refuse(trace, node)
    return np.broadcast_to(np.ravel(bias), (outputs,)).copy()  # type: ignore[arg-type]


def softmaxed(trace: Trace, node: Any, values: list[Any]) -> Value:
    """Softmax of the outputs, which are logits here."""
    data: Sequence = values[0]
    if not data.readout or attributes(node).get("axis", -1) not in (-1, len(data.axes) - 1):
        refuse(trace, node)
    trace.softmax = True
    trace.notes.append(f"{describe(node)} is left out; the outputs are logits")
    return data


HANDLERS: dict[str, Callable[[Trace, Any, list[Any]], Value]] = {
    "Transpose": transposed,
    "Squeeze": squeezed,
    "Reshape": reshaped,
    "Gather": gathered,
    "MatMul": multiplied,
    "Gemm": multiplied,
    "Add": added,
    "Softmax": softmaxed,
    "LogSoftmax": softmaxed,
}

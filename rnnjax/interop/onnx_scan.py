"""A network whose cell is no operator of ONNX, as a Scan of its step over the steps of a window.

Inputs: `x` [T, B, D] or `ids` [T, B]; `initial_` and the place of each leaf of the carry, [1 or B, ...]; `lengths`
[1 or B]. All but the first have defaults. Outputs: `y` [T, B, O], and `final_` and the place of each leaf, [B, ...].
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import export

from rnnjax.interop.onnx_step import write_function
from rnnjax.interop.onnx_writer import Graph, write_sizes
from rnnjax.networks.model import build_network, readout_parameters
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Params

STEPS, STREAMS = "T", "B"


def network_to_scan(
    spec: Spec, hp: HParams, params: Params, start: Carry, table: Any, last_only: bool, version: str
) -> Any:
    """The ModelProto of a network of one direction.

    Args:
        start: the initial carry, leaves [1, ...]. table: [V, E] of a network that reads ids, else None. last_only: y
            is that of the end of each sequence.

    Raises: BadInput for an operation of the step that is not written to ONNX here.
    """
    graph, width = Graph(), spec.inputs if table is None else table.shape[1]
    model = build_network(replace(spec, embedding=0, inputs=width, remat=0, recurrence="scan"), hp)
    named = jax.tree_util.tree_flatten_with_path(start)[0]
    names = [jax.tree_util.keystr(path, simple=True, separator="_") for path, _ in named]
    leaves, data = [np.asarray(leaf) for _, leaf in named], "x" if table is None else "ids"
    write_sizes(graph, data)
    vectors = data if table is None else graph.node("Gather", [graph.constant("embedding", table), data], "vectors")
    for name, leaf in zip(names, leaves, strict=True):
        ones = [graph.ints(1)] * (leaf.ndim - 1)
        shape = graph.node("Concat", ["streams", *ones], f"shape_{name}", axis=0)
        graph.node("Expand", [graph.constant(f"initial_{name}", leaf), shape], f"start_{name}")
    write_valid(graph)
    body = step_graph(model, params, start, width, names)
    starts, ends = ([f"{part}_{name}" for name in names] for part in ("start", "final"))
    graph.node("Scan", [*starts, vectors, "valid"], [*ends, "outputs"], body=body, num_scan_inputs=2)
    if last_only:
        (after,) = write_function(graph, readout(model, params), (carry_types(start),), ends)
        graph.node("Identity", [after], "y")
    else:
        graph.node("Identity", ["outputs"], "y")
    return graph.model(*declared(graph, spec, data, names, leaves, last_only), version)


def write_valid(graph: Graph) -> None:
    """`valid` [T, B, 1]: whether a step is one of its sequence."""
    zero, one = (graph.constant(name, value, np.int32) for name, value in (("zero", 0), ("one", 1)))
    steps = graph.node("Squeeze", ["steps_int32", graph.ints(0)], "steps_scalar")
    places = graph.node("Unsqueeze", [graph.node("Range", [zero, steps, one], "range"), graph.ints(1, 2)], "places")
    lengths = graph.node("Unsqueeze", ["lengths_of_streams", graph.ints(0, 2)], "lengths_TB1")
    graph.node("Less", [places, lengths], "valid")


def readout(model: Any, params: Params) -> Any:
    """carry of B streams -> y [B, O]."""
    return jax.vmap(partial(model.readout, params))


def carry_types(carry: Carry) -> Any:
    """The types of a carry of a symbolic number of streams."""
    (streams,) = export.symbolic_shape(STREAMS)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((streams, *leaf.shape[1:]), leaf.dtype), carry)


def step_graph(model: Any, params: Params, start: Carry, width: int, names: list[str]) -> Any:
    """The body of the Scan: one step; where a sequence has ended the carry stays, and y is that of h = 0."""
    graph, carry = Graph("step_"), carry_types(start)
    leaves = jax.tree.leaves(carry)
    x = jax.ShapeDtypeStruct((leaves[0].shape[0], width), leaves[0].dtype)

    def step(carry: Carry, x: Any) -> tuple[Carry, Any]:
        after = jax.vmap(partial(model.step, params))(carry, x)
        return after, readout(model, params)(after)

    before = [f"before_{name}" for name in names]
    graph.node("Slice", [graph.node("Shape", before[:1], "step_shape"), graph.ints(0), graph.ints(1)], graph.streams)
    *after, y = write_function(graph, step, (carry, x), [*before, "x_step"])
    for name, old, new, leaf in zip(names, before, after, leaves, strict=True):
        axes = list(range(2, len(leaf.shape)))
        valid = graph.node("Unsqueeze", ["valid_step", graph.ints(*axes)], f"valid_{name}") if axes else "valid_step"
        graph.node("Where", [valid, new, old], f"after_{name}")
    bias = graph.constant("readout_bias", readout_parameters(params)["bias"])
    graph.node("Where", ["valid_step", y, bias], "y_step")
    types, value = graph.onnx.TensorProto, graph.onnx.helper.make_tensor_value_info
    states = {part: [value(f"{part}_{name}", types.FLOAT, [STREAMS, *leaf.shape[1:]])
                     for name, leaf in zip(names, leaves, strict=True)] for part in ("before", "after")}  # fmt: skip
    inputs = [value("x_step", types.FLOAT, [STREAMS, width]), value("valid_step", types.BOOL, [STREAMS, 1])]
    outputs = [value("y_step", types.FLOAT, [STREAMS, len(readout_parameters(params)["bias"])])]
    return graph.graph("step", [*states["before"], *inputs], [*states["after"], *outputs])


def declared(
    graph: Graph, spec: Spec, data: str, names: list[str], leaves: list[Any], last_only: bool
) -> tuple[list[Any], list[Any]]:
    """The inputs and the outputs of the model with their types."""
    types, value = graph.onnx.TensorProto, graph.onnx.helper.make_tensor_value_info
    sizes = [STEPS, STREAMS]
    x = value("x", types.FLOAT, [*sizes, spec.inputs]) if data == "x" else value("ids", types.INT64, sizes)
    pairs = list(zip(names, leaves, strict=True))
    starts = [value(f"initial_{n}", types.FLOAT, [f"streams of initial_{n}", *leaf.shape[1:]]) for n, leaf in pairs]
    ends = [value(f"final_{n}", types.FLOAT, [STREAMS, *leaf.shape[1:]]) for n, leaf in pairs]
    y = value("y", types.FLOAT, [*(sizes[1:] if last_only else sizes), spec.outputs])
    return [x, *starts, value("lengths", types.INT32, ["streams of lengths"])], [y, *ends]

"""A network whose cell is no operator of ONNX: a Scan of its step for each layer and direction.

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
from rnnjax.networks.model import BACKWARD, FORWARD, build_layers, readout_parameters
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Params

STEPS, STREAMS = "T", "B"


def network_to_scan(
    spec: Spec, hp: HParams, params: Params, start: Carry, table: Any, last_only: bool, version: str
) -> Any:
    """The ModelProto of a network.

    Args:
        start: the initial carry, leaves [1, ...]. table: [V, E] of a network that reads ids, else None. last_only: y
            is that of the end of each sequence.

    Raises: BadInput for an operation of the step that is not written to ONNX here.
    """
    graph, width = Graph(), spec.inputs if table is None else table.shape[1]
    cells = build_layers(replace(spec, embedding=0, inputs=width, remat=0, recurrence="scan"), hp)
    leaves, data = named_leaves(start), "x" if table is None else "ids"
    write_sizes(graph, data)
    hidden = data if table is None else graph.node("Gather", [graph.constant("embedding", table), data], "vectors")
    for name, leaf in leaves.items():
        ones = [graph.ints(1)] * (leaf.ndim - 1)
        shape = graph.node("Concat", ["streams", *ones], f"shape_{name}", axis=0)
        graph.node("Expand", [graph.constant(f"initial_{name}", leaf), shape], f"start_{name}")
    write_valid(graph)
    for layer in range(spec.layers):
        names = [f"{direction}_{layer}" for direction in (FORWARD, BACKWARD)[: 1 + spec.bidirectional]]
        outputs = [write_layer(graph, name, cells[name], params[name], start[name], hidden, width) for name in names]
        width = spec.sizes[layer] * len(names)
        hidden = joined(graph, f"hidden_{layer}", outputs, axis=2)
        if last_only and layer == spec.layers - 1:
            ends = [end_state(graph, name, cells[name], start[name]) for name in names]
            hidden = joined(graph, "end", ends, axis=1)
    readout = readout_parameters(params)
    graph.node("MatMul", [hidden, graph.constant("readout_kernel", readout["kernel"])], "y_without_bias")
    graph.node("Add", ["y_without_bias", graph.constant("readout_bias", readout["bias"])], "y")
    return graph.model(*declared(graph, spec, data, leaves, last_only), version)


def named_leaves(carry: Carry) -> dict[str, np.ndarray]:
    """The leaves of a carry by their place: layer_0, or layer_0_0 and layer_0_1 of one with two parts."""
    flat = jax.tree_util.tree_flatten_with_path(carry)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="_"): np.asarray(leaf) for path, leaf in flat}


def write_valid(graph: Graph) -> None:
    """`valid` [T, B, 1]: whether a step is one of its sequence; `lengths_int64` [B], for ReverseSequence."""
    zero, one = (graph.constant(name, value, np.int32) for name, value in (("zero", 0), ("one", 1)))
    steps = graph.node("Squeeze", ["steps_int32", graph.ints(0)], "steps_scalar")
    places = graph.node("Unsqueeze", [graph.node("Range", [zero, steps, one], "range"), graph.ints(1, 2)], "places")
    lengths = graph.node("Unsqueeze", ["lengths_of_streams", graph.ints(0, 2)], "lengths_TB1")
    graph.node("Less", [places, lengths], "valid")
    graph.node("Cast", ["lengths_of_streams"], "lengths_int64", to=graph.onnx.TensorProto.INT64)


def write_layer(graph: Graph, name: str, cell: Any, params: Params, start: Carry, hidden: str, width: int) -> str:
    """The Scan of a layer in one direction; the name of its outputs [T, B, H], 0 behind the end of a sequence.

    Args: hidden: the name of its inputs [T, B, width].
    """
    backward = name.startswith(BACKWARD)
    source = flip(graph, hidden, f"flipped_{name}") if backward else hidden
    body = step_graph(name, cell, params, start, width)
    names = list(named_leaves({name: start}))
    states = [[f"{part}_{leaf}" for leaf in names] for part in ("start", "final")]
    outputs = f"outputs_{name}"
    graph.node("Scan", [*states[0], source, "valid"], [*states[1], outputs], body=body, num_scan_inputs=2)
    return flip(graph, outputs, f"ordered_{name}") if backward else outputs


def flip(graph: Graph, data: str, name: str) -> str:
    """Each sequence [T, B, ...] from its own end to its start."""
    return graph.node("ReverseSequence", [data, "lengths_int64"], name, time_axis=0, batch_axis=1)


def joined(graph: Graph, name: str, parts: list[str], axis: int) -> str:
    """Both directions side by side."""
    return parts[0] if len(parts) == 1 else graph.node("Concat", parts, name, axis=axis)


def end_state(graph: Graph, name: str, cell: Any, start: Carry) -> str:
    """h [B, H] of a layer after each sequence."""
    ends = [f"final_{leaf}" for leaf in named_leaves({name: start})]
    return write_function(graph, jax.vmap(cell.hidden_state), (carry_types(start),), ends)[0]


def carry_types(carry: Carry) -> Any:
    """The types of a carry of a symbolic number of streams."""
    (streams,) = export.symbolic_shape(STREAMS)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((streams, *leaf.shape[1:]), leaf.dtype), carry)


def step_graph(name: str, cell: Any, params: Params, start: Carry, width: int) -> Any:
    """The body of the Scan: one step; where a sequence has ended the carry stays, and h is 0."""
    graph, carry = Graph(f"{name}_step_"), carry_types(start)
    names, leaves = list(named_leaves({name: start})), jax.tree.leaves(carry)
    x = jax.ShapeDtypeStruct((leaves[0].shape[0], width), leaves[0].dtype)

    def step(carry: Carry, x: Any) -> tuple[Carry, Any]:
        after = jax.vmap(partial(cell.step, params))(carry, x)
        return after, jax.vmap(cell.hidden_state)(after)

    before, read, flag = [f"before_{each}" for each in names], f"x_{name}", f"valid_{name}"
    graph.node("Slice", [graph.node("Shape", before[:1], f"size_{name}"), graph.ints(0), graph.ints(1)], graph.streams)
    *after, h = write_function(graph, step, (carry, x), [*before, read])
    for each, old, new, leaf in zip(names, before, after, leaves, strict=True):
        axes = list(range(2, len(leaf.shape)))
        valid = graph.node("Unsqueeze", [flag, graph.ints(*axes)], f"valid_of_{each}") if axes else flag
        graph.node("Where", [valid, new, old], f"after_{each}")
    graph.node("Where", [flag, h, graph.constant("nothing", 0.0, np.float32)], f"h_{name}")
    types, value = graph.onnx.TensorProto, graph.onnx.helper.make_tensor_value_info
    states = {part: [value(f"{part}_{each}", types.FLOAT, [STREAMS, *leaf.shape[1:]])
                     for each, leaf in zip(names, leaves, strict=True)] for part in ("before", "after")}  # fmt: skip
    inputs = [value(read, types.FLOAT, [STREAMS, width]), value(flag, types.BOOL, [STREAMS, 1])]
    outputs = [value(f"h_{name}", types.FLOAT, [STREAMS, jax.eval_shape(step, carry, x)[1].shape[1]])]
    return graph.graph(f"step_{name}", [*states["before"], *inputs], [*states["after"], *outputs])


def declared(
    graph: Graph, spec: Spec, data: str, leaves: dict[str, np.ndarray], last_only: bool
) -> tuple[list[Any], list[Any]]:
    """The inputs and the outputs of the model with their types."""
    types, value = graph.onnx.TensorProto, graph.onnx.helper.make_tensor_value_info
    sizes, pairs = [STEPS, STREAMS], leaves.items()
    x = value("x", types.FLOAT, [*sizes, spec.inputs]) if data == "x" else value("ids", types.INT64, sizes)
    starts = [value(f"initial_{n}", types.FLOAT, [f"streams of initial_{n}", *leaf.shape[1:]]) for n, leaf in pairs]
    ends = [value(f"final_{n}", types.FLOAT, [STREAMS, *leaf.shape[1:]]) for n, leaf in pairs]
    y = value("y", types.FLOAT, [*(sizes[1:] if last_only else sizes), spec.outputs])
    return [x, *starts, value("lengths", types.INT32, ["streams of lengths"])], [y, *ends]

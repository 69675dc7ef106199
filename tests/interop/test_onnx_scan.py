"""Cells that are no operator of ONNX, as a Scan of their step; onnxruntime is run, our own outputs are the oracle."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onnx_sessions import largest_difference, random_inputs, session
from random_networks import make_network

import rnnjax as rj
from rnnjax.interop.onnx_step import write_function

onnx = pytest.importorskip("onnx")
NETWORKS = [
    {"cell": "leaky", "layers": 2},
    {"cell": "lstm", "layer_norm": True, "initial_state": "learned"},
    {"cell": "minimal", "inputs": 7, "outputs": 7, "embedding": 4, "tied": True, "loss": "cross_entropy"},
    {"cell": "flax_optimized_lstm", "inputs": 7, "outputs": 7, "loss": "cross_entropy"},
    {"cell": "lru", "inputs": 7, "outputs": 7, "loss": "cross_entropy"},
    {"cell": "s4d", "layers": 2, "bidirectional": True},
]


@pytest.mark.parametrize("settings", NETWORKS)
def test_onnxruntime_gives_our_outputs_and_carries(settings: dict[str, Any]) -> None:
    network = make_network(scale=0.5, **settings)
    run = session(rj.to_onnx(network)).run
    for steps in (1, 9, 50) if settings in NETWORKS[:1] else (9,):
        name, x = random_inputs(network, steps, 3)
        after, y_TBO = network.apply(x)
        assert largest_difference(run(None, {name: x}), [y_TBO, *jax.tree.leaves(after)]) < 1e-5


def test_a_given_carry_and_lengths_are_read() -> None:
    """Each stream alone, cut to its length, is the oracle; behind the end y is that of h = 0, as in a masked window."""
    network = make_network(cell="leaky", scale=0.5)
    run = session(rj.to_onnx(network)).run
    _, x = random_inputs(network, 5, 3)
    start = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    lengths = np.array([5, 2, 0], np.int32)
    y_TBO, end = run(None, {"x": x, "lengths": lengths, "initial_layer_0": start})
    assert np.array_equal(end[2], start[2])
    assert np.array_equal(y_TBO[2:, 1], np.tile(network.params["readout"]["bias"], (3, 1)))
    for stream in (0, 1):
        read, own = int(lengths[stream]), slice(stream, stream + 1)
        after, expected = network.apply(x[:read, own], {"layer_0": start[own]})
        assert largest_difference([y_TBO[:read, own], end[own]], [expected, after["layer_0"]]) < 1e-5


def test_a_classifier_has_one_output_for_a_sequence() -> None:
    task = rj.TaskSpec(name="sequences", predict="label", summary="last")
    network = make_network(cell="minimal", task=task, scale=0.5)
    _, x = random_inputs(network, 9, 3)
    assert np.allclose(session(rj.to_onnx(network)).run(["y"], {"x": x})[0], network(x)[-1], atol=1e-5)


OPERATIONS = [
    lambda x: jnp.log1p(jnp.exp(-jnp.abs(x))) + jnp.maximum(x, 0) ** 3,
    lambda x: jax.nn.softmax(x, axis=-1) - jnp.max(x, axis=-1, keepdims=True),
    lambda x: jax.lax.slice(jnp.where(x > 0.1, jnp.flip(x, 1), jnp.expm1(x)).T.T, (0, 1), x.shape),
    lambda x: jnp.concatenate([x, jax.nn.silu(x)], axis=1).reshape(x.shape[0], 2, -1).sum(1) @ jnp.eye(4, 3),
    lambda x: jax.vmap(partial(jnp.linalg.norm, ord=2))(x)[:, None] + jax.nn.gelu(x),
]


@pytest.mark.parametrize("function", OPERATIONS)
def test_operations_of_a_step_are_those_of_jax(function: Any) -> None:
    """The graph that is written for a function gives its values at 1 and at 3 streams."""
    from rnnjax.interop.onnx_scan import carry_types
    from rnnjax.interop.onnx_writer import Graph

    graph, like = Graph(), jnp.zeros((1, 4))
    graph.node("Slice", [graph.node("Shape", ["x"], "shape"), graph.ints(0), graph.ints(1)], "streams")
    [name] = write_function(graph, function, (carry_types(like),), ["x"])
    graph.node("Identity", [name], "y")
    value = onnx.helper.make_tensor_value_info
    model = graph.model([value("x", 1, ["B", 4])], [value("y", 1, [None, None])], "")
    run = session(model).run
    for streams in (1, 3):
        x = np.random.default_rng(streams).normal(size=(streams, 4)).astype(np.float32)
        assert np.allclose(run(None, {"x": x})[0], function(jnp.asarray(x)), atol=1e-5)


def test_an_operation_that_is_not_written_is_refused_by_name() -> None:
    from rnnjax.interop.onnx_scan import carry_types
    from rnnjax.interop.onnx_writer import Graph

    for function, message in (
        (jnp.sort, "cell: its step has the operation 'sort', which is not written to ONNX here"),
        (lambda x: x.ravel(), "cell: its step has a 'reshape' over several streams"),
    ):
        with pytest.raises(rj.BadInput, match=message):
            write_function(Graph(), function, (carry_types(jnp.zeros((1, 4))),), ["x"])


@pytest.mark.parametrize("summary", ["", "last"])
def test_each_direction_starts_at_the_end_of_its_own_sequence(summary: str) -> None:
    """Each stream alone, cut to its length, is the oracle; a classifier reads the ends of both directions."""
    task = rj.TaskSpec(name="sequences", summary="last") if summary else rj.TaskSpec()
    network = make_network(cell="leaky", bidirectional=True, layers=2, scale=0.5, task=task)
    run = session(rj.to_onnx(network)).run
    _, x = random_inputs(network, 5, 3)
    lengths = np.array([5, 2, 1], np.int32)
    y, *ends = run(None, {"x": x, "lengths": lengths})
    for stream, read in enumerate(lengths):
        own = slice(stream, stream + 1)
        after, expected_TBO = network.apply(x[:read, own])
        outputs, expected = (y[own], expected_TBO[-1]) if summary else (y[:read, own], expected_TBO)
        found = [outputs, *(end[own] for end in ends)]
        assert largest_difference(found, [expected, *(after[name] for name in ENDS)]) < 1e-5


ENDS = sorted(f"{direction}_{layer}" for direction in ("layer", "backward_layer") for layer in (0, 1))

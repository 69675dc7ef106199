"""Flax's own layers at 1, 200 and 1,200 steps, in float64: outputs, last states and gradients to 1e-12."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rnnjax.interop.flax_trees import form_from_linen, form_from_nnx
from rnnjax.interop.programs import form_to_program, numpy_tree
from rnnjax.interop.trees import TreeOptions
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec
from rnnjax.types import Params

B, D, H = 2, 3, 4
LINEN = {
    "elman": nn.SimpleCell,
    "gru": nn.GRUCell,
    "lstm": nn.LSTMCell,
    "optimized_lstm": nn.OptimizedLSTMCell,
    "minimal": nn.MGUCell,
}
NNX = {
    "elman": partial(nnx.SimpleCell, dtype=np.float64),  # it alone of these computes in float32 if nothing is said
    "gru": nnx.GRUCell,
    "lstm": nnx.LSTMCell,
    "optimized_lstm": nnx.OptimizedLSTMCell,
}
QUICK = {("linen", "gru", 200), ("nnx", "elman", 1200)}
CASES = [
    pytest.param(*case, marks=[] if case in QUICK else [pytest.mark.slow, pytest.mark.exhaustive])
    for case in (
        (library, cell, steps)
        for library, cells in (("linen", LINEN), ("nnx", NNX))
        for cell in cells
        for steps in (1, 200, 1200)
    )
]


def random_like(tree: Any) -> Any:
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: 0.5 * rng.normal(size=leaf.shape), tree)


def starts(cell: str) -> Any:
    """The state before the window: h, or (c, h)."""
    h_BH = jnp.linspace(-1.0, 1.0, B * H, dtype=jnp.float64).reshape(B, H)
    return (h_BH / 2, h_BH) if "lstm" in cell else h_BH


def theirs(library: str, cell: str) -> tuple[Any, Any]:
    """Parameters, and the function (parameters, x [T, B, D]) -> (states after the window, outputs)."""
    if library == "linen":
        module = nn.RNN(LINEN[cell](H), time_major=True, return_carry=True)
        init = partial(module.init, initial_carry=starts(cell))
        tree = random_like(jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, B, D))))
        return tree, lambda tree, x: module.apply(tree, x, initial_carry=starts(cell))
    layer = nnx.RNN(NNX[cell](D, H, rngs=nnx.Rngs(0)), time_major=True, return_carry=True)
    graph, state, rest = nnx.split(layer, nnx.Param, ...)

    def apply(tree: Any, x: Any) -> Any:
        nnx.replace_by_pure_dict(state, tree)
        return nnx.merge(graph, state, rest)(x, initial_carry=starts(cell))

    return random_like(nnx.to_pure_dict(state)), apply


def total(function: Any, params: Any, x_TBD: Any) -> Any:
    found = function(params, x_TBD)
    return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(found)), found


def apply_ours(spec: Spec, params: Params, x_TBD: Any) -> Any:
    network = build_network(spec, HParams())
    after, outputs_TBH, _ = network.apply(params, {"layer_0": starts(spec.cell)}, x_TBD)
    return after["layer_0"], outputs_TBH


@pytest.mark.parametrize(("library", "cell", "steps"), CASES)
def test_outputs_states_and_gradients_are_those_of_flax(library: str, cell: str, steps: int) -> None:
    read = form_from_linen if library == "linen" else partial(form_from_nnx, options=TreeOptions("tanh"))
    x_TBD = np.random.default_rng(steps).normal(size=(steps, B, D))
    with jax.enable_x64(True):
        tree, apply = theirs(library, cell)
        spec, params = form_to_program(read(tree))
        runs = ((apply, tree), (partial(apply_ours, spec), params))
        (((_, expected), their_slopes), ((_, found), our_slopes)) = (
            jax.jit(jax.value_and_grad(partial(total, function), has_aux=True))(values, jnp.asarray(x_TBD))
            for function, values in runs
        )
    close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)
    jax.tree.map(close, found, expected)
    slopes = read(jax.tree.map(np.asarray, their_slopes)).layers[0].forward
    ours = numpy_tree(our_slopes["layer_0"])
    if library == "nnx" and cell == "gru":
        slopes["gate"] = ours["gate"] = {}  # nnx has no bias there, so no gradient of one either
    assert np.abs(ours["recurrent_kernel"]).max() > 1e-3
    jax.tree.map(close, ours, slopes)

"""Parameters of Flax's own modules: what Flax computes with them, our network computes too; and there and back."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rnnjax.errors import BadInput
from rnnjax.interop.flax_trees import form_from_linen, form_from_nnx, form_to_linen, form_to_nnx, nnx_tree
from rnnjax.interop.form import NetworkForm
from rnnjax.interop.programs import form_to_program, program_to_form
from rnnjax.interop.trees import TreeOptions
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams

T, B, D, H, SYMBOLS = 9, 2, 3, 4, 5
X_BTD = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)


class Linen(nn.Module):
    """Ids, an embedding, a layer, two directions, a readout."""

    @nn.compact
    def __call__(self, ids_BT: Any) -> Any:
        x = nn.RNN(nn.GRUCell(H))(nn.Embed(SYMBOLS, D)(ids_BT))
        return nn.Dense(SYMBOLS)(nn.RNN(nn.GRUCell(H))(x))


def random_like(tree: Any) -> Any:
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: np.asarray(0.5 * rng.normal(size=leaf.shape), np.float32), tree)


def outputs_of(form: NetworkForm, x_BT: Any) -> Any:
    """[B, T, O] of our network."""
    spec, params = form_to_program(form)
    network = build_network(spec, HParams())
    params = jax.tree.map(jnp.asarray, params)
    carry = network.carry(params, jax.random.key(0), B)
    return jax.jit(network.apply)(params, carry, jnp.asarray(x_BT).swapaxes(0, 1))[1].swapaxes(0, 1)


LINEN = {
    "elman": lambda: nn.SimpleCell(H),
    "gru": lambda: nn.GRUCell(H),
    "lstm": lambda: nn.LSTMCell(H),
    "optimized_lstm": lambda: nn.OptimizedLSTMCell(H),
    "minimal": lambda: nn.MGUCell(H),
}


@pytest.mark.parametrize(
    "cell", [name if name == "gru" else pytest.param(name, marks=pytest.mark.slow) for name in LINEN]
)
def test_linen_cells(cell: str) -> None:
    module = nn.RNN(LINEN[cell]())
    variables = random_like(jax.eval_shape(module.init, jax.random.key(0), X_BTD))
    form = form_from_linen(variables)
    assert form.layers[0].cell == cell.removeprefix("optimized_")
    np.testing.assert_allclose(outputs_of(form, X_BTD), jax.jit(module.apply)(variables, X_BTD), atol=1e-6)
    again = form_to_linen(program_to_form(*form_to_program(form)))["params"]["RNN_0"]["cell"]
    assert jax.tree.all(jax.tree.map(np.array_equal, again, variables["params"]["cell"]))


@pytest.mark.slow
def test_a_linen_model_and_both_directions() -> None:
    ids_BT = np.random.default_rng(2).integers(SYMBOLS, size=(B, T)).astype(np.int32)
    variables = random_like(jax.eval_shape(Linen().init, jax.random.key(0), ids_BT))
    form = form_from_linen(variables)
    np.testing.assert_allclose(outputs_of(form, ids_BT), jax.jit(Linen().apply)(variables, ids_BT), atol=1e-6)
    both = nn.Bidirectional(nn.RNN(nn.LSTMCell(H)), nn.RNN(nn.LSTMCell(H)))
    variables = random_like(jax.eval_shape(both.init, jax.random.key(0), X_BTD))
    form = form_from_linen(variables)
    assert len(form.layers) == 1 and form.layers[0].backward is not None
    np.testing.assert_allclose(outputs_of(form, X_BTD), jax.jit(both.apply)(variables, X_BTD), atol=1e-6)


def nnx_cells() -> dict[str, Any]:
    rngs = nnx.Rngs(0)
    return {
        "elman": nnx.SimpleCell(D, H, activation_fn=nnx.relu, rngs=rngs),
        "gru": nnx.GRUCell(D, H, rngs=rngs),
        "lstm": nnx.LSTMCell(D, H, rngs=rngs),
        "optimized_lstm": nnx.OptimizedLSTMCell(D, H, rngs=rngs),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["elman", "gru", "lstm", "optimized_lstm"])
def test_nnx_cells(name: str) -> None:
    cell = nnx_cells()[name]
    nnx.update(cell, random_like(nnx.to_pure_dict(nnx.state(cell, nnx.Param))))
    tree, activation = nnx_tree(nnx.RNN(cell))
    form = form_from_nnx(tree, TreeOptions(activation or "tanh"))
    assert form.layers[0].activation == ("relu" if name == "elman" else "tanh")
    np.testing.assert_allclose(outputs_of(form, X_BTD), nnx.RNN(cell)(X_BTD), atol=1e-6)
    written = form_to_nnx(program_to_form(*form_to_program(form)), name == "optimized_lstm")["layers"][0]["forward"]
    assert jax.tree.all(jax.tree.map(np.array_equal, written, tree["cell"]))


def test_what_no_cell_here_has_is_refused() -> None:
    rngs = nnx.Rngs(0)
    cells = {
        r"^nnx: 'SimpleCell' has residual=True, which no cell here has$": nnx.SimpleCell(
            D, H, residual=True, rngs=rngs
        ),
        r"^nnx: 'GRUCell' has the gate_fn tanh; expected sigmoid$": nnx.GRUCell(D, H, gate_fn=nnx.tanh, rngs=rngs),
        r"^nnx: 'LSTMCell' has the activation_fn relu; expected tanh$": nnx.LSTMCell(
            D, H, activation_fn=nnx.relu, rngs=rngs
        ),
    }
    for message, cell in cells.items():
        with pytest.raises(BadInput, match=message):
            nnx_tree(cell)
    with pytest.raises(BadInput, match=r"^source: got dict; expected a module of flax.nnx"):
        nnx_tree({})


def test_trees_that_do_not_fit_are_refused() -> None:
    cell = {"i": {"kernel": np.ones((D, H)), "bias": np.ones(H)}, "h": {"kernel": np.ones((H, H))}}
    bad: dict[str, Any] = {
        r"^linen: got str; expected a tree of parameters": "x",
        r"^linen: got no recurrent cell": {"Dense_0": {"kernel": np.ones((2, 2))}},
        r"^linen: got 'LayerNorm_0/scale', which no": {"RNN_0": {"cell": cell}, "LayerNorm_0": {"scale": np.ones(H)}},
        r"^linen: got 2 of the kind dense layer \(a, b\); expected one": {
            "RNN_0": {"cell": cell},
            "a": {"kernel": np.ones((H, 2))},
            "b": {"kernel": np.ones((2, 2))},
        },
        r"^linen: got 2 forward and 1 backward cells": {"r1": cell, "r2": cell, "backward": cell},
    }
    for message, tree in bad.items():
        with pytest.raises(BadInput, match=message):
            form_from_linen(tree)


def test_cells_one_after_the_other_are_two_directions_where_sizes_say_so() -> None:
    def cell(inputs: int) -> Any:
        return {"i": {"kernel": np.ones((inputs, H)), "bias": np.ones(H)}, "h": {"kernel": np.ones((H, H))}}

    by_sizes = form_from_linen({"SimpleCell_0": cell(D), "SimpleCell_1": cell(D)})
    stacked = form_from_linen({"SimpleCell_0": cell(H), "SimpleCell_1": cell(H)})
    asked = form_from_linen({"SimpleCell_0": cell(H), "SimpleCell_1": cell(H)}, TreeOptions(bidirectional=True))
    head = {"Dense_0": {"kernel": np.ones((2 * H, 1))}}
    by_head = form_from_linen({"SimpleCell_0": cell(H), "SimpleCell_1": cell(H)} | head)
    assert [len(form.layers) for form in (by_sizes, stacked, asked, by_head)] == [1, 2, 1, 1]
    many = form_from_linen({f"cell_{i}": cell(D if i == 0 else H) for i in range(11)})
    assert [layer.inputs for layer in many.layers] == [D, *[H] * 10], "cell_10 comes after cell_9"

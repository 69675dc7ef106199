"""Layers of different sizes: a NumPy loop is the oracle; every library's form there and back."""

from typing import Any

import jax
import numpy as np
import pytest
from onnx_sessions import largest_difference, session
from random_networks import make_network

import rnnjax as rj
from rnnjax.api.interop import network_of_form
from rnnjax.interop.flax_trees import form_from_nnx
from rnnjax.interop.programs import carry_to_states, states_to_carry
from rnnjax.networks.model import build_network

SIZES = {"layers": 2, "layer_sizes": "6,4"}  # the last is `hidden` of `make_network`
X_TBD = np.random.default_rng(0).normal(size=(7, 3, 3)).astype(np.float32)


def numpy_elman(params: Any, x_TD: np.ndarray) -> np.ndarray:
    """[T, O] of layers of plain cells, one after the other."""
    rows = x_TD
    for layer in ("layer_0", "layer_1"):
        kernel, recurrent, bias = (np.asarray(params[layer][n]) for n in ("kernel", "recurrent_kernel", "bias"))
        h, outputs = np.zeros(len(recurrent)), []
        for row in rows:
            h = np.tanh(row @ kernel + h @ recurrent + bias)
            outputs.append(h)
        rows = np.array(outputs)
    return rows @ np.asarray(params["readout"]["kernel"]) + np.asarray(params["readout"]["bias"])


def test_layers_of_other_sizes_are_those_of_a_loop() -> None:
    network = make_network(scale=0.5, **SIZES)
    assert network.params["layer_1"]["kernel"].shape == (6, 4) and "6,4" in repr(network)
    expected = [numpy_elman(network.params, X_TBD[:, stream]) for stream in range(3)]
    np.testing.assert_allclose(network(X_TBD), np.stack(expected, axis=1), atol=1e-6)


@pytest.mark.parametrize("both", [False, pytest.param(True, marks=[pytest.mark.slow, pytest.mark.exhaustive])])
def test_every_library_gives_them_back(both: bool) -> None:
    network = make_network(cell="lstm", scale=0.5, bidirectional=both, **SIZES)
    there = {
        "torch": rj.from_torch(rj.to_torch(network)),
        "linen": rj.from_linen(rj.to_linen(network)),
        "nnx": network_of_form(form_from_nnx(rj.to_nnx(network))),
        "haiku": network if both else rj.from_haiku(rj.to_haiku(network)),
    }
    for library, again in there.items():
        assert again.spec.sizes == (6, 4), library
        assert jax.tree.all(jax.tree.map(np.allclose, again.params, network.params)), library
    states = [np.ones((3, size), np.float32) for size in (6, 4) for _ in range(1 + both)]
    carry = states_to_carry(network.spec, states, states)
    assert [state.shape for state in carry_to_states(network.spec, carry)[0]] == [state.shape for state in states]
    with pytest.raises(rj.BadInput, match=r"^hidden: got shape \[.*expected \[., B, H\] with H = 6"):
        states_to_carry(network.spec, [states[0]] * len(states), states)


def test_keras_files_and_onnx(tmp_path: Any) -> None:
    pytest.importorskip("h5py")
    network = make_network(cell="gru", scale=0.5, **SIZES)
    rj.to_keras(network, tmp_path / "a.keras")
    again = rj.from_keras(tmp_path / "a.keras")
    assert again.spec.layer_sizes == "6,4"
    assert jax.tree.all(jax.tree.map(np.array_equal, again.params, network.params))
    outputs = session(rj.to_onnx(network)).run(None, {"x": X_TBD})
    assert largest_difference(outputs[:1], [np.asarray(network(X_TBD))]) < 1e-5


def test_sizes_that_do_not_fit_are_refused_in_one_line() -> None:
    for sizes, message in {
        "6,a": "expected whole numbers >= 1 separated by commas",
        "6,4,4": "expected 2 sizes, as layers = 2",
        "4,6": "expected 4 as the last one, as hidden = 4",
    }.items():
        with pytest.raises(rj.BadInput, match=f"^Spec:layer_sizes: got .*{message}"):
            rj.Spec(hidden=4, layers=2, layer_sizes=sizes)


def test_equal_sizes_are_the_same_program() -> None:
    plain = build_network(rj.Spec(hidden=4, layers=2, inputs=3, outputs=2), rj.HParams())
    named = build_network(rj.Spec(hidden=4, layers=2, inputs=3, outputs=2, layer_sizes="4,4"), rj.HParams())
    first, second = (str(jax.make_jaxpr(each.init)(jax.random.key(0))) for each in (plain, named))
    assert first == second

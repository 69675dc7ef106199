"""The rows of Keras and onnxruntime in the tables of docs/interop.md and docs/deployment.md, against the libraries."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
import pytest
from onnx_sessions import session

import rnnjax as rj
from rnnjax.interop.form import Layer, NetworkForm
from rnnjax.interop.layouts import Weights, import_weights
from rnnjax.interop.programs import form_to_program
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams
from semantics_keras import FILE, LENGTHS, B, D, H, T, record

pytestmark = pytest.mark.slow
MASK_BT = np.arange(T)[None] < LENGTHS[:, None]
X_BTD = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)


@pytest.fixture(scope="module", params=["stored", "live"])
def facts(request: pytest.FixtureRequest) -> Iterator[dict[str, np.ndarray]]:
    """What Keras did when the file was written, and what it does here, where it is installed."""
    if request.param == "stored":
        with np.load(FILE) as stored:
            yield dict(stored)
        return
    with keras_on_jax() as keras:
        yield record(keras)


@contextmanager
def keras_on_jax() -> Iterator[Any]:
    """Keras on JAX, which adds a bias to a matrix as NumPy does."""
    with pytest.MonkeyPatch.context() as patch, jax.numpy_rank_promotion("allow"):
        patch.setenv("KERAS_BACKEND", "jax")
        keras = pytest.importorskip("keras")
        if keras.backend.backend() != "jax":
            pytest.skip("Keras runs on another backend")
        yield keras


def test_keras_repeats_the_last_output_in_the_padding_or_writes_0(facts: dict[str, np.ndarray]) -> None:
    outputs = facts["repeats"]
    assert np.array_equal(outputs[1, 3:], np.tile(outputs[1, 2], (3, 1)))
    assert np.array_equal(outputs[2], np.full((T, H), 0.5)), "an empty sequence shows its initial state"
    assert not facts["zeros"][~MASK_BT].any()
    assert not facts["both"][~MASK_BT].any()


def test_outputs_under_a_mask_are_ours(facts: dict[str, np.ndarray]) -> None:
    """Ours: 0 in the padding, and the initial state after an empty sequence."""
    kernel, recurrent, biases = (facts[f"weight_{number}"] for number in range(3))
    layer = Layer("gru", import_weights("keras", "gru", Weights(kernel, recurrent, *biases)))
    spec, params = form_to_program(NetworkForm((layer,)))
    carry = {"layer_0": np.full((B, H), 0.5, np.float32)}
    x_TBD = np.swapaxes(facts["x"], 0, 1)
    after, outputs, _ = jax.jit(build_network(spec, HParams()).apply)(params, carry, x_TBD, MASK_BT.T)
    np.testing.assert_allclose(np.swapaxes(outputs, 0, 1), facts["zeros"], atol=1e-6)
    np.testing.assert_allclose(after["layer_0"], facts["repeats"][:, -1], atol=1e-6)


def test_the_backward_direction_of_keras_starts_at_the_own_end(facts: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(facts["both"][1, :3], facts["both_alone"][0], atol=1e-6)
    np.testing.assert_allclose(facts["ends"][1], facts["ends_alone"][0], atol=1e-6)


def test_the_state_of_keras_is_kept_in_a_direct_call_and_not_in_predict(facts: dict[str, np.ndarray]) -> None:
    predicted, called = facts["predicted"], facts["called"]
    assert np.allclose(*predicted)
    assert np.allclose(called[0], predicted[0], atol=1e-6) and np.abs(called[1] - predicted[0]).max() > 1e-3


def test_keras_has_one_mask_of_dropout_for_all_steps_and_one_for_each_gate(facts: dict[str, np.ndarray]) -> None:
    """A linear cell shows the mask of each step; of gates that all see h = 1, one mask would give two numbers."""
    outputs = facts["dropout"][..., 0]
    assert np.array_equal(outputs, np.tile(outputs[:, :1], T))
    assert set(np.unique(outputs)) == {0.0, 2.0}
    assert len(np.unique(facts["recurrent_dropout"].round(5))) > 2


def test_keras_refuses_no_steps() -> None:
    with keras_on_jax() as keras, pytest.raises(IndexError):
        keras.layers.LSTM(H)(np.zeros((B, 0, D), np.float32))


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("last_only", [True, False])
def test_the_doctor_finds_a_loss_on_the_last_step_of_a_model_of_keras(last_only: bool) -> None:
    """The example of docs/interop.md; the loss is that of Keras."""
    with keras_on_jax() as keras:
        layers = keras.layers
        parts = [layers.Embedding(5, D), layers.GRU(H, return_sequences=True), layers.Dense(5)]
        model = keras.Sequential([keras.Input((None,), dtype="int32"), *parts])

        def loss(outputs: Any, targets: Any) -> Any:
            chosen = (targets[-1], outputs[-1]) if last_only else (targets, outputs)
            return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(*chosen, from_logits=True))

        ids = np.random.default_rng(0).integers(5, size=(17, 8))
        found = rj.examine(rj.from_keras(model), (ids[:-1], ids[1:]), objective=loss)
    assert ("last_step" in {finding.name for finding in found.faults}) == last_only


def run_operator(operator: str, x_TBD: np.ndarray, direction: str = "forward", **given: np.ndarray) -> list[np.ndarray]:
    """Y and Y_h of an operator with random weights in onnxruntime. Args: given: lengths, start."""
    onnx = pytest.importorskip("onnx")
    rng, rows = np.random.default_rng(1), {"RNN": 1, "GRU": 3, "LSTM": 4}[operator] * H
    constants = {"W": rng.normal(size=(1, rows, D)), "R": rng.normal(size=(1, rows, H))}
    constants["B"] = rng.normal(size=(1, 2 * rows))
    names = ["X", "W", "R", "B", *(name if name in given else "" for name in ("lengths", "start"))]
    node = onnx.helper.make_node(operator, names, ["Y", "Yh"], hidden_size=H, direction=direction)
    value, types = onnx.helper.make_tensor_value_info, onnx.TensorProto
    inputs = [value("X", types.FLOAT, ["T", "B", D])]
    inputs += [value("lengths", types.INT32, ["B"])] if "lengths" in given else []
    inputs += [value("start", types.FLOAT, [1, "B", H])] if "start" in given else []
    outputs = [value("Y", types.FLOAT, ["T", 1, "B", H]), value("Yh", types.FLOAT, [1, "B", H])]
    tensors = [onnx.numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()]
    graph = onnx.helper.make_graph([node], "graph", inputs, outputs, tensors)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    found: list[np.ndarray] = session(model).run(None, {"X": x_TBD} | given)
    return found


@pytest.mark.parametrize("operator", ["RNN", "GRU", "LSTM"])
def test_onnxruntime_writes_0_in_the_padding_and_forgets_the_state_of_an_empty_sequence(operator: str) -> None:
    start = np.full((1, B, H), 0.5, np.float32)
    y, end = run_operator(operator, np.swapaxes(X_BTD, 0, 1), lengths=LENGTHS.astype(np.int32), start=start)
    assert not y[:, 0][~MASK_BT.T].any()
    assert np.array_equal(end[0, 1], y[2, 0, 1])
    assert not end[0, 2].any()


@pytest.mark.parametrize("operator", ["RNN", "GRU", "LSTM"])
def test_the_backward_direction_of_onnxruntime_starts_at_the_own_end(operator: str) -> None:
    x_TBD, lengths = np.swapaxes(X_BTD, 0, 1), np.array([6, 3, 1], np.int32)
    y, end = run_operator(operator, x_TBD, "reverse", lengths=lengths)
    alone, end_alone = run_operator(operator, x_TBD[:3, 1:2], "reverse")
    np.testing.assert_allclose(y[:3, 0, 1], alone[:, 0, 0], atol=1e-6)
    np.testing.assert_allclose(end[0, 1], end_alone[0, 0], atol=1e-6)


@pytest.mark.parametrize("operator", ["RNN", "GRU", "LSTM"])
def test_onnxruntime_shows_nan_in_rnn_alone(operator: str) -> None:
    x_TBD = np.swapaxes(X_BTD, 0, 1).copy()
    x_TBD[2, 0, 0] = np.nan
    y, _ = run_operator(operator, x_TBD)
    assert np.isnan(y[2:, 0, 0]).all() == (operator == "RNN")
    assert np.isfinite(y[2:, 0, 0]).all() == (operator != "RNN")

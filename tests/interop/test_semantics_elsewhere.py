"""The rows of Keras and onnxruntime in the tables of docs/interop.md and docs/deployment.md, against the libraries."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest
from onnx_sessions import session

pytestmark = pytest.mark.slow
T, B, D, H = 6, 3, 2, 4
LENGTHS = np.array([6, 3, 0])
MASK_BT = np.arange(T)[None] < LENGTHS[:, None]
X_BTD = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)


@pytest.fixture(scope="module")
def layers() -> Iterator[Any]:
    """The layers of Keras on JAX, which adds a bias to a matrix as NumPy does."""
    with pytest.MonkeyPatch.context() as patch, jax.numpy_rank_promotion("allow"):
        patch.setenv("KERAS_BACKEND", "jax")
        keras = pytest.importorskip("keras")
        if keras.backend.backend() != "jax":
            pytest.skip("Keras runs on another backend")
        yield keras.layers


def test_keras_repeats_the_last_output_in_the_padding_or_writes_0(layers: Any) -> None:
    start = np.full((B, H), 0.5, np.float32)
    repeats, zeros = (layers.GRU(H, return_sequences=True, zero_output_for_mask=zero) for zero in (False, True))
    outputs = np.asarray(repeats(X_BTD, mask=MASK_BT, initial_state=start))
    zeros.build(X_BTD.shape)
    zeros.set_weights([np.asarray(weight) for weight in repeats.weights])
    assert np.array_equal(outputs[1, 3:], np.tile(outputs[1, 2], (3, 1)))
    assert np.array_equal(outputs[2], np.tile(start[2], (T, 1))), "an empty sequence shows its initial state"
    assert not np.asarray(zeros(X_BTD, mask=MASK_BT, initial_state=start))[~MASK_BT].any()
    both = layers.Bidirectional(layers.GRU(H, return_sequences=True))
    assert not np.asarray(both(X_BTD, mask=MASK_BT))[~MASK_BT].any()


def test_the_state_of_keras_is_kept_in_a_direct_call_and_not_in_predict(layers: Any) -> None:
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input(batch_shape=(B, T, D)), layers.GRU(H, stateful=True)])
    first, second = (model.predict(X_BTD, batch_size=B, verbose=0) for _ in range(2))
    assert np.allclose(first, second)
    direct = [np.asarray(model(X_BTD)) for _ in range(2)]
    assert np.allclose(direct[0], first, atol=1e-6) and np.abs(direct[1] - first).max() > 1e-3


def test_keras_has_one_mask_of_dropout_for_all_steps(layers: Any) -> None:
    """A linear cell that adds up its inputs shows the mask of each step."""
    settings = {"activation": "linear", "return_sequences": True, "use_bias": False}
    layer = layers.SimpleRNN(1, dropout=0.5, kernel_initializer="ones", recurrent_initializer="zeros", **settings)
    outputs = np.asarray(layer(np.ones((50, T, 1), np.float32), training=True))[..., 0]
    assert np.array_equal(outputs, np.tile(outputs[:, :1], T))
    assert set(np.unique(outputs)) == {0.0, 2.0}


def test_keras_refuses_no_steps(layers: Any) -> None:
    with pytest.raises(IndexError):
        layers.LSTM(H)(np.zeros((B, 0, D), np.float32))


def run_operator(operator: str, x_TBD: np.ndarray, **given: np.ndarray) -> list[np.ndarray]:
    """Y and Y_h of an operator with random weights in onnxruntime. Args: given: lengths, start."""
    onnx = pytest.importorskip("onnx")
    rng, rows = np.random.default_rng(1), {"RNN": 1, "GRU": 3, "LSTM": 4}[operator] * H
    constants = {"W": rng.normal(size=(1, rows, D)), "R": rng.normal(size=(1, rows, H))}
    constants["B"] = rng.normal(size=(1, 2 * rows))
    names = ["X", "W", "R", "B", *(name if name in given else "" for name in ("lengths", "start"))]
    node = onnx.helper.make_node(operator, names, ["Y", "Yh"], hidden_size=H)
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
def test_onnxruntime_shows_nan_in_rnn_alone(operator: str) -> None:
    x_TBD = np.swapaxes(X_BTD, 0, 1).copy()
    x_TBD[2, 0, 0] = np.nan
    y, _ = run_operator(operator, x_TBD)
    assert np.isnan(y[2:, 0, 0]).all() == (operator == "RNN")
    assert np.isfinite(y[2:, 0, 0]).all() == (operator != "RNN")

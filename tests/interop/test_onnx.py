"""Models of ONNX, in and out: onnxruntime and torch's own exporters are the oracles; what does not fit is refused."""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onnx_sessions import largest_difference, random_inputs, session
from random_networks import make_network

import rnnjax as rj
from rnnjax.interop.programs import carry_to_states, states_to_carry

onnx = pytest.importorskip("onnx")
FOLDER = Path(__file__).parents[1] / "data" / "onnx"
NETWORKS = [
    {"cell": "lstm", "layers": 2, "initial_state": "learned"},
    {"cell": "gru", "bidirectional": True, "layers": 2},
    {"cell": "gru_before", "activation": "relu", "embedding": 4, "inputs": 7, "outputs": 7, "loss": "cross_entropy"},
    {"cell": "elman", "activation": "softsign", "bidirectional": True},
    {"cell": "lstm", "embedding": 4, "tied": True, "inputs": 7, "outputs": 7, "loss": "cross_entropy"},
]


def states(network: rj.Network, carry: Any) -> list[np.ndarray]:
    return [array for array in carry_to_states(network.spec, carry) if array is not None]


@pytest.mark.parametrize("settings", NETWORKS)
def test_onnxruntime_gives_our_outputs_and_states(settings: dict[str, Any]) -> None:
    network = make_network(scale=0.5, **settings)
    run = session(rj.to_onnx(network)).run
    for steps in (1, 9, 200) if settings in NETWORKS[:1] else (9,):
        name, x = random_inputs(network, steps, 3)
        after, y_TBO = network.apply(x)
        assert largest_difference(run(None, {name: x}), [y_TBO, *states(network, after)]) < 1e-5
    rng = np.random.default_rng(1)
    start = [rng.normal(size=array.shape).astype(np.float32) for array in states(network, after)]
    feeds = {name: x} | dict(zip(("initial_h", "initial_c"), start, strict=False))
    after, y_TBO = network.apply(x, states_to_carry(network.spec, *start))
    assert largest_difference(run(None, feeds), [y_TBO, *states(network, after)]) < 1e-5


@pytest.mark.parametrize("settings", NETWORKS)
def test_out_and_in_again_are_the_same_bits(settings: dict[str, Any], tmp_path: Path) -> None:
    network = make_network(**settings)
    rj.to_onnx(network, tmp_path / "network.onnx")
    again = rj.from_onnx(tmp_path / "network.onnx", vocabulary=network.vocabulary or None)
    assert jax.tree.structure(again.params) == jax.tree.structure(network.params)
    assert all(map(np.array_equal, jax.tree.leaves(again.params), jax.tree.leaves(network.params)))
    fields = ("cell", "activation", "hidden", "layers", "bidirectional", "embedding", "tied", "inputs", "outputs")
    for field in (*fields, "initial_state"):
        assert getattr(again.spec, field) == getattr(network.spec, field)


def test_each_stream_is_read_up_to_its_length() -> None:
    """Each stream alone, cut to its length, is the oracle; a stream of no steps keeps its initial state."""
    network = make_network(cell="gru", bidirectional=True, layers=2, scale=0.5)
    run = session(rj.to_onnx(network)).run
    _, x = random_inputs(network, 9, 4)
    start = np.random.default_rng(0).normal(size=(4, 4, 4)).astype(np.float32)
    lengths = np.array([9, 2, 0, 9], np.int32)
    y_TBO, end = run(None, {"x": x, "lengths": lengths, "initial_h": start})
    assert np.array_equal(end[:, 2], start[:, 2])
    for stream in (0, 1):
        read, own = int(lengths[stream]), slice(stream, stream + 1)
        after, expected = network.apply(x[:read, own], states_to_carry(network.spec, start[:, own]))
        assert largest_difference([y_TBO[:read, own], end[:, own]], [expected, *states(network, after)]) < 1e-5


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.onnx")), ids=lambda path: path.stem)
def test_a_model_of_torch_gives_the_outputs_of_torch(path: Path) -> None:
    network = rj.from_onnx(path)
    with np.load(FOLDER / f"{path.stem.partition('_')[0]}.npz") as stored:
        ids_BT, y = stored["ids"], stored["y"]
    outputs_TBO = network(ids_BT.T)
    ours = outputs_TBO[-1] if y.ndim == 2 else jnp.swapaxes(outputs_TBO, 0, 1)
    assert np.allclose(ours, y, atol=1e-6)
    assert (network.spec.task.name == "sequences") == (y.ndim == 2)


def test_a_classifier_comes_back_with_one_output_for_a_sequence() -> None:
    task = rj.TaskSpec(name="sequences", predict="label", summary="last")
    network = make_network(cell="lstm", bidirectional=True, layers=2, task=task, scale=0.5)
    model = rj.to_onnx(network)
    _, x = random_inputs(network, 9, 3)
    assert np.allclose(session(model).run(["y"], {"x": x})[0], network(x)[-1], atol=1e-5)
    assert np.array_equal(rj.from_onnx(model)(x), network(x))


D, H = 3, 4
SIZES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def one_node(operator: str = "LSTM", directions: int = 1, more: Any = (), inputs: Any = None, **attributes: Any) -> Any:
    """A model of one recurrent operator and other nodes behind it."""
    rng, rows = np.random.default_rng(0), SIZES[operator] * H
    shapes = {"W": (directions, rows, D), "R": (directions, rows, H), "B": (directions, 2 * rows)}
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()} | dict(inputs or {})
    known = {"hidden_size": H} | attributes
    names = ["X", "W", "R", "B", *(["", *list(arrays)[3:]] if len(arrays) > 3 else [])]
    node = onnx.helper.make_node(operator, names, ["Y", "Yh"], name="cell", **known)
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    nodes = [node, *(onnx.helper.make_node(*each[:1], *each[1:3], **dict(each[3:])) for each in more)]
    last = nodes[-1].output[0]
    x = onnx.helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, ["T", "B", D])
    rank = 3 if any(name == "H" for name in [*nodes[-1].input, last]) else 4
    y = onnx.helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, list("TBCD")[:rank])
    graph = onnx.helper.make_graph(nodes, "graph", [x], [y], constants)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


SQUEEZE = ("Squeeze", ["Y", "one"], ["H"])
ONE = {"one": np.array([1])}


def test_the_default_of_a_gru_resets_before_the_product() -> None:
    for attributes, cell in (({}, "gru_before"), ({"linear_before_reset": 1}, "gru")):
        assert rj.from_onnx(one_node("GRU", **attributes)).spec.cell == cell


def test_batch_first_states_and_their_layout_are_read() -> None:
    """Of layout=1 onnxruntime knows nothing; the same weights with layout=0 are the oracle."""
    plain, other = rj.from_onnx(one_node("GRU")), rj.from_onnx(one_node("GRU", layout=1))
    assert all(map(np.array_equal, jax.tree.leaves(plain.params), jax.tree.leaves(other.params)))


REFUSED = [
    (one_node(clip=1.0), "LSTM 'cell': got clip=1, which no cell here has; expected none"),
    (one_node(input_forget=1), "LSTM 'cell': got input_forget=1"),
    (one_node(direction="reverse"), "LSTM 'cell': got direction=reverse; expected forward or bidirectional"),
    (
        one_node(activations=["Sigmoid", "Relu", "Tanh"]),
        "LSTM 'cell': got activations ['Sigmoid', 'Relu', 'Tanh']; expe",
    ),
    (one_node("RNN", activations=["LeakyRelu"]), "RNN 'cell': got activations ['LeakyRelu']; expected [] and one of"),
    (one_node("RNN", activations=["Affine"], activation_alpha=[2.0]), "RNN 'cell': got activations ['Affine']"),
    (one_node(inputs={"R": np.zeros((1, 16, 5), "f")}), "LSTM 'cell': R has the shape [1, 16, 5]; expected [1, 16, 4]"),
    (one_node(inputs={"B": np.full((1, 32), np.nan, "f")}), "layer_0.bias: got nan at [0]; expected finite weights"),
    (one_node(more=[("Relu", ["Y"], ["Z"])]), "model: got Relu 'Z', which no network here has in this place"),
    (one_node(more=[("Conv", ["Y", "W"], ["Z"])]), "model: got Conv 'Z', which no network here has in this place"),
    (one_node(inputs=ONE, more=[SQUEEZE, ("Add", ["H", "H"], ["Z"])]), "model: got Add 'Z', which no network here"),
]


@pytest.mark.parametrize(("model", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_no_network_here_has_is_refused(model: Any, message: str) -> None:
    with pytest.raises(rj.BadInput) as caught:
        rj.from_onnx(model)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_peepholes_are_refused_unless_they_are_0() -> None:
    model = one_node()
    model.graph.node[0].input.extend(["", "", "", "P"])
    for value, message in ((0.0, ""), (1.0, "LSTM 'cell': got peepholes, which no cell here has; expected none")):
        del model.graph.initializer[3:]
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((1, 3 * H), value, "f"), "P"))
        if not message:
            assert rj.from_onnx(model).spec.cell == "lstm"
            continue
        with pytest.raises(rj.BadInput, match=re.escape(message)):
            rj.from_onnx(model)


def test_a_model_without_a_recurrent_operator_names_those_that_it_has(tmp_path: Path) -> None:
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["T", D])
    nodes = [onnx.helper.make_node("Tanh", ["x"], ["h"]), onnx.helper.make_node("Relu", ["h"], ["y"])]
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["T", D])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "graph", [x], [y])), tmp_path / "model.onnx")
    with pytest.raises(rj.BadInput, match=r"model.onnx: got the operators Tanh, Relu; expected one of RNN, GRU, LSTM$"):
        rj.from_onnx(tmp_path / "model.onnx")


@pytest.mark.parametrize("data", [b"", b"no model at all", b"\x08\x08\x12\x05hello"])
def test_files_that_are_no_model_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(data)
    with pytest.raises(rj.BadInput, match=r"model.onnx: is (no model of ONNX that can be read|not a valid model)"):
        rj.from_onnx(tmp_path / "model.onnx")


def test_what_onnx_does_not_have_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(rj.BadInput, match=r"^initial_state: got 'random'; expected 'zero', 'constant' or 'learned'"):
        rj.to_onnx(make_network(initial_state="random"), tmp_path / "network.onnx")
    with pytest.raises(rj.BadInput, match=r"^dtype: got 'bfloat16'; expected 'float32', in which ONNX's operators"):
        rj.to_onnx(make_network(dtype="bfloat16"), tmp_path / "network.onnx")
    with pytest.raises(rj.BadInput, match=r"^network: got dict; expected a Network"):
        rj.to_onnx({}, tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())

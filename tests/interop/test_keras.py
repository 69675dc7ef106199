"""Networks of Keras, in and out: outputs that Keras itself computed, and files that are not what they should be."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_networks import make_network

import rnnjax as rj

h5py = pytest.importorskip("h5py")
FOLDER = Path(__file__).parents[1] / "data" / "keras"
NETWORKS = {
    "simple": "Network(elman 5 x 2, imported)",
    "text": "Network(lstm 5 x 2, imported)",
    "functional": "Network(gru 5, imported)",
    "cells": "Network(gru_before 2 x 11, imported)",
}


def golden(name: str) -> tuple[Any, np.ndarray]:
    """Inputs with time first, and the outputs of Keras [B, T, O] or [B, O]."""
    with np.load(FOLDER / f"{name}.npz") as stored:
        return jnp.asarray(np.swapaxes(stored["x"], 0, 1)), stored["y"]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_stored_model_gives_the_outputs_of_keras(name: str) -> None:
    network, (x, y) = rj.from_keras(FOLDER / f"{name}.keras"), golden(name)
    outputs_TBO = network(x)
    assert repr(network) == NETWORKS[name]
    if name == "text":  # softmax is left out; the output of the last step is that of the sequence
        assert (network.spec.loss, network.spec.task.summary) == ("cross_entropy", "last")
        assert np.allclose(jax.nn.softmax(outputs_TBO[-1]), y, atol=1e-6)
    else:
        assert np.allclose(jnp.swapaxes(outputs_TBO, 0, 1), y, atol=1e-6)


def test_a_file_of_weights_alone_is_read_by_its_shapes() -> None:
    network, (x, y) = rj.from_keras(FOLDER / "functional.weights.h5"), golden("functional")
    assert np.allclose(jnp.swapaxes(network(x), 0, 1), y, atol=1e-6)


CELLS = [
    {"cell": "elman", "activation": "softsign", "layers": 2},
    {"cell": "gru", "bidirectional": True, "layers": 2},
    {"cell": "gru_before", "activation": "relu"},
    {"cell": "lstm", "bidirectional": True, "inputs": 7, "outputs": 7, "embedding": 3, "loss": "cross_entropy"},
    {"cell": "lstm", "inputs": 5, "outputs": 5, "embedding": 4, "tied": True, "loss": "cross_entropy"},
]


@pytest.mark.parametrize("settings", CELLS)
def test_out_and_in_again_are_the_same_bits(settings: dict[str, Any], tmp_path: Path) -> None:
    network = make_network(**settings)
    rj.to_keras(network, tmp_path / "network.keras")
    again = rj.from_keras(tmp_path / "network.keras")
    assert jax.tree.structure(again.params) == jax.tree.structure(network.params)
    assert all(map(np.array_equal, jax.tree.leaves(again.params), jax.tree.leaves(network.params)))
    for field in ("cell", "activation", "hidden", "layers", "bidirectional", "embedding", "tied", "inputs", "outputs"):
        assert getattr(again.spec, field) == getattr(network.spec, field)


def test_ids_without_an_embedding_are_written_with_the_identity(tmp_path: Path) -> None:
    network = make_network(cell="gru", inputs=7, outputs=7, loss="cross_entropy")
    weights = rj.to_keras(network, tmp_path / "network.weights.h5")
    assert np.array_equal(weights[0], np.eye(7))
    again, ids = rj.from_keras(tmp_path / "network.weights.h5", vocabulary="abcdefg"), np.arange(14).reshape(7, 2) % 7
    assert np.array_equal(again(ids), network(ids))
    assert len(again.sample("abc", 5)) == 8


def changed_archive(path: Path, name: str, settings: Any = None, edit: Any = None) -> Path:
    """A copy of a stored model with other settings of its layers, or another file of weights."""
    target = path / "model.keras"
    with zipfile.ZipFile(FOLDER / f"{name}.keras") as old, zipfile.ZipFile(target, "w") as new:
        config = json.loads(old.read("config.json"))
        if settings:
            settings(config["config"]["layers"])
        weights = io.BytesIO(old.read("model.weights.h5"))
        if edit:
            with h5py.File(weights, "r+") as file:
                edit(file)
        new.writestr("config.json", json.dumps(config))
        new.writestr("model.weights.h5", weights.getvalue())
    return target


def set_layer(place: int, **values: Any) -> Any:
    """A change of the settings of a layer, or of its class, or of what is inside it."""

    def change(layers: Any) -> None:
        layers[place].update({"class_name": values.pop("kind")} if "kind" in values else {})
        inner = layers[place]["config"]
        inner = inner["layer"]["config"] if "inner" in values and values.pop("inner") else inner
        inner.update(values)

    return change


SETTINGS = [
    ("simple", set_layer(1, activation="gelu"), "simple_rnn: activation: got 'gelu'; expected 'tanh' or 'relu' or"),
    ("simple", set_layer(1, return_sequences=False), "simple_rnn_1: the layer before it has return_sequences=False"),
    ("simple", set_layer(1, go_backwards=True), "simple_rnn: go_backwards: got True; expected False"),
    ("simple", set_layer(2, kind="Conv1D"), "simple_rnn_1: got a Conv1D, which no network here has in this place"),
    ("simple", set_layer(3, inner=True, activation="relu"), "time_distributed: activation: got 'relu'; expected 'lin"),
    ("text", set_layer(2, inner=True, recurrent_activation="hard_sigmoid"), "bidirectional: recurrent_activation: got"),
    ("text", set_layer(2, merge_mode="sum"), "bidirectional: merge_mode: got 'sum'; expected 'concat'"),
    ("functional", set_layer(3, dtype={"class_name": "QuantizedDTypePolicy"}), "gru: got quantized weights"),
]


@pytest.mark.parametrize(("name", "change", "message"), SETTINGS, ids=[message for *_, message in SETTINGS])
def test_settings_that_no_network_here_has_are_refused(name: str, change: Any, message: str, tmp_path: Path) -> None:
    layers = json.loads(zipfile.ZipFile(FOLDER / f"{name}.keras").read("config.json"))["config"]["layers"]
    place = next((i for i, layer in enumerate(layers) if layer["class_name"] == "GRU"), None)
    assert name != "functional" or place is not None
    change = set_layer(place, dtype={"class_name": "QuantizedDTypePolicy"}) if name == "functional" else change
    with pytest.raises(rj.BadInput) as caught:
        rj.from_keras(changed_archive(tmp_path, name, change))
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


KERNEL = "layers/simple_rnn/cell/vars/0"


def relink(link: Any) -> Any:
    def edit(file: Any) -> None:
        del file[KERNEL]
        file[KERNEL] = link(file)

    return edit


def replace_array(path: str, array: Any) -> Any:
    def edit(file: Any) -> None:
        if path in file:
            del file[path]
        if array is not None:
            file[path] = array

    return edit


def external(file: Any) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, (3, 5), "f4", external=[("/etc/hostname", 0, 60)])


EDITS = [
    (relink(lambda file: h5py.ExternalLink("/etc/passwd", "x")), "'layers/simple_rnn/cell/vars/0' is a link to '/etc/"),
    (
        relink(lambda file: h5py.SoftLink("/layers")),
        "'layers/simple_rnn/cell/vars/0' is a link to '/layers'; expected an",
    ),
    (external, "'layers/simple_rnn/cell/vars/0' has its numbers in another file; expected them in this one"),
    (replace_array(KERNEL, None), "has no 'layers/simple_rnn/cell/vars/0'"),
    (
        replace_array("layers/lstm/cell/vars/0", np.zeros(3)),
        "got 'layers/lstm/cell/vars/0', which no recurrent network",
    ),
    (replace_array(KERNEL, np.zeros((3, 6), "f")), "layer_0.kernel: got shape [3, 6]; expected [3, 5]"),
    (replace_array(KERNEL, np.full((3, 5), np.nan, "f")), "layer_0.kernel: got nan at [0, 0]; expected finite weights"),
]


@pytest.mark.parametrize(("edit", "message"), EDITS, ids=[message for _, message in EDITS])
def test_arrays_that_are_not_what_they_should_be_are_refused(edit: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(rj.BadInput) as caught:
        rj.from_keras(changed_archive(tmp_path, "simple", edit=edit))
    assert str(caught.value).removeprefix(f"{tmp_path / 'model.keras'}: ").startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"not HDF5", b"PK\x03\x04 and no archive", b"\x89HDF\r\n\x1a\n" + b"\0" * 600])
def test_files_that_are_none_of_keras_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(data)
    with pytest.raises(rj.BadInput, match=r"model.keras: is no (HDF5|\.keras) file that can be read"):
        rj.from_keras(tmp_path / "model.keras")


def test_what_keras_does_not_have_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    for settings, message in (({"cell": "leaky"}, "cell: got 'leaky'"), ({"layer_norm": True}, "layer_norm: got true")):
        with pytest.raises(rj.BadInput, match=message):
            rj.to_keras(make_network(**settings), tmp_path / "network.keras")
    with pytest.raises(rj.BadInput, match=r"^file: got 'network.h5'; expected a name that ends with .keras or"):
        rj.to_keras(make_network(), tmp_path / "network.h5")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Keras, which adds a bias to a matrix as NumPy does."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    jax.config.update("jax_numpy_rank_promotion", "allow")
    yield pytest.importorskip("keras")
    jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("settings", CELLS)
def test_keras_gives_our_outputs(settings: dict[str, Any], tmp_path: Path, keras: Any) -> None:
    network = make_network(**settings)
    weights = rj.to_keras(network, tmp_path / "network.keras")
    model = keras.models.load_model(tmp_path / "network.keras")
    for steps in (1, 9, 200):
        rng = np.random.default_rng(steps)
        shape = (steps, 3, 3)
        x = (
            rng.integers(0, network.spec.inputs, shape[:2])
            if network.vocabulary
            else rng.normal(size=shape).astype("f")
        )
        y = np.swapaxes(np.asarray(model(np.swapaxes(x, 0, 1))), 0, 1)
        assert np.allclose(y, network(x), atol=1e-5)
    assert all(map(np.array_equal, model.get_weights(), weights))
    rj.to_keras(network, tmp_path / "network.weights.h5")
    model.load_weights(tmp_path / "network.weights.h5")
    assert all(map(np.array_equal, model.get_weights(), weights))
    again = rj.from_keras(model)
    assert all(map(np.array_equal, jax.tree.leaves(again.params), jax.tree.leaves(network.params)))

"""State dicts and files of torch: what is found in them, and what is refused in one line. torch is not needed."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import rnnjax as rj
from rnnjax.errors import BadInput
from rnnjax.interop.safetensors import read_safetensors, safetensors_bytes
from rnnjax.interop.torch_entries import TorchOptions, form_from_state_dict
from rnnjax.interop.torch_files import read_torch_file

D, H, Q, V = 3, 4, 2, 7


def entries(rows: int = 4, prefix: str = "", layers: int = 1, both: bool = False) -> dict[str, np.ndarray]:
    rng, found = np.random.default_rng(0), {}
    for layer in range(layers):
        for suffix in ("", "_reverse")[: 1 + both]:
            inputs = H * (1 + both) if layer else D
            shapes = {"weight_ih": (rows * H, inputs), "weight_hh": (rows * H, H), "bias_ih": (rows * H,)}
            for name, shape in (shapes | {"bias_hh": (rows * H,)}).items():
                found[f"{prefix}{name}_l{layer}{suffix}"] = rng.normal(size=shape).astype(np.float32)
    return found


def test_names_of_modules_are_found_by_their_sizes() -> None:
    state_dict = {"emb.weight": np.ones((V, D)), **entries(prefix="body.rnn."), "out.weight": np.ones((V, H))}
    form = form_from_state_dict(state_dict)
    assert form.embedding is not None and form.readout is not None
    assert form.readout.kernel.shape == (H, V) and not form.readout.bias.any()
    head = {"head.weight": np.ones((Q, H)), "head.bias": np.ones(Q)}
    assert form_from_state_dict(entries(rows=3) | head).layers[0].cell == "gru"
    cell = {name.removesuffix("_l0"): array for name, array in entries(rows=1).items()}
    assert form_from_state_dict(cell, TorchOptions("relu")).layers[0].activation == "relu"
    part = form_from_state_dict({**entries(prefix="a."), "norm.weight": np.ones(H)}, TorchOptions(part="a"))
    assert part.readout is None


def test_a_tied_readout_is_the_embedding() -> None:
    table = np.random.default_rng(0).normal(size=(V, H)).astype(np.float32)
    rnn = entries() | {"weight_ih_l0": np.ones((4 * H, H), np.float32)}
    network = rj.from_torch({"emb.weight": table, **rnn, "out.weight": table, "out.bias": np.zeros(V, np.float32)})
    assert network.spec.tied and "kernel" not in network.params["readout"]


BAD: dict[str, tuple[str, Any]] = {
    "missing": (r"^state dict: has no 'rnn.bias_hh_l0'; the nearest is 'rnn.bia_hh_l0'$", {"bias_hh": "bia_hh"}),
    "no recurrent": (
        r"^state dict: has no 'weight_ih_l0' of a recurrent layer; the nearest: 'rnn.b_ih_l0'",
        {"weight_ih": "wi", "weight_hh": "wh", "bias_": "b_"},
    ),
    "no kernel": (r"^state dict: has no 'rnn.weight_hh_l0'; the nearest is 'rnn.weigt_hh_l0'$", {"weight_": "weigt_"}),
    "projection": (r"^state dict: 'rnn.weight_hr_l0' has a projection \(proj_size\)", {"bias_hh": "weight_hr"}),
}


@pytest.mark.parametrize("name", BAD)
def test_misnamed_entries_are_refused(name: str) -> None:
    message, renamed = BAD[name]
    state_dict = entries(prefix="rnn.")
    for old, new in renamed.items():
        state_dict = {key.replace(old, new): array for key, array in state_dict.items()}
    with pytest.raises(BadInput, match=message):
        form_from_state_dict(state_dict)


def test_entries_that_do_not_fit_are_refused() -> None:
    good = entries(prefix="rnn.")
    bad: dict[str, Any] = {
        r"^state dict: got 'norm.scale', which no recurrent network here has; name the": good
        | {"norm.scale": np.ones(H)},
        r"^state dict: 'rnn.weight_ih_l0' has the shape \[2, 3\]; expected \[16, D\]$": good
        | {"rnn.weight_ih_l0": np.ones((2, 3))},
        r"^state dict: 'rnn.weight_hh_l0' has the shape \[8, 4\]; expected \[G x H, H\] with G = 1": good
        | {"rnn.weight_hh_l0": np.ones((2 * H, H))},
        r"^state dict: 'fc.weight' has the shape \[2, 9\]; expected \[O, 4\], behind": good
        | {"fc.weight": np.ones((Q, 9)), "fc.bias": np.ones(Q)},
        r"^state dict: has no 'rnn.weight_ih_l1'": {
            name.replace("_l1", "_l2"): array for name, array in entries(prefix="rnn.", layers=2).items()
        },
        r"^state dict: got dict without entries": {},
        r"^'x': got str; expected an array of numbers": good | {"x": "words"},
    }
    for message, state_dict in bad.items():
        with pytest.raises(BadInput, match=message):
            form_from_state_dict(state_dict)
    spoiled = good["rnn.weight_hh_l0"]
    spoiled[H, 2] = np.inf
    with pytest.raises(BadInput, match=r"^layer_0.recurrent_kernel: got inf at \[2, 4\]; expected finite weights$"):
        rj.from_torch(good)
    with pytest.raises(BadInput, match=r"^part: got 'enc'; expected one of: rnn$"):
        rj.from_torch(good, part="enc")
    with pytest.raises(BadInput, match=r"^activation: got 'gelu'; expected 'tanh' or 'relu'$"):
        rj.from_torch(good, activation="gelu")
    with pytest.raises(BadInput, match=r"^'rnn.bias_ih_l0': got complex128; expected an array of numbers$"):
        rj.from_torch(good | {"rnn.bias_ih_l0": np.ones(4 * H, complex)})
    with pytest.raises(BadInput, match=r"^source: got int; expected a module, a state dict or a file$"):
        rj.from_torch(3)


def test_safetensors_there_and_back(tmp_path: Path) -> None:
    network = rj.from_torch(entries(rows=3, layers=2, both=True))
    path = tmp_path / "weights.safetensors"
    written = rj.to_torch(network, path, names=("", "", ""))
    read = read_safetensors(path)
    assert {name: array.tobytes() for name, array in read.items()} == {n: a.tobytes() for n, a in written.items()}
    again = rj.from_torch(path)
    assert again.spec == network.spec and np.array_equal(
        again.params["layer_1"]["bias"], network.params["layer_1"]["bias"]
    )
    with pytest.raises(BadInput, match=r"^file: got '.*x.pt'; expected a name that ends in .safetensors$"):
        rj.to_torch(network, tmp_path / "x.pt")
    assert not (tmp_path / "x.pt").exists()


def test_damaged_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    good = safetensors_bytes(entries())
    for content, message in {
        good[:-5]: r"weights.safetensors: 'bias_hh_l0' has \d+ bytes; expected \[16\] of F32$",
        b"\xff" * 30: "is not a file of safetensors; expected a header of",
        good[:40]: "is not a file of safetensors; expected a header of",
        (2).to_bytes(8, "little") + b"[]": "is not a file of safetensors; its header cannot be read",
        good.replace(b"F32", b"X32"): "has the type X32; expected one of: F64, F32",
    }.items():
        path.write_bytes(content)
        with pytest.raises(BadInput, match=message):
            read_safetensors(path)
    with pytest.raises(BadInput, match=r"weight.safetensors: no such file; nearest: weights.safetensors$"):
        rj.from_torch(tmp_path / "weight.safetensors")


class Storage:
    """Pickled as torch pickles the storage of a tensor."""

    def __init__(self, key: str, count: int) -> None:
        self.place = "storage", FloatStorage, key, "cpu", count


class FloatStorage: ...


def rebuild() -> None: ...


FloatStorage.__module__, rebuild.__module__ = "torch", "torch._utils"
rebuild.__qualname__ = rebuild.__name__ = "_rebuild_tensor_v2"


class TorchPickler(pickle._Pickler):  # type: ignore[misc,name-defined]
    """Writes the names that torch writes, which need not exist here."""

    def persistent_id(self, value: Any) -> Any:
        return value.place if isinstance(value, Storage) else None

    def save_global(self, obj: Any, name: str | None = None) -> None:
        self.write(f"c{obj.__module__}\n{name or obj.__qualname__}\n".encode())
        self.memoize(obj)

    dispatch: ClassVar[Any] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]
    dispatch[type] = save_global
    dispatch[type(rebuild)] = save_global


class Tensor:
    def __init__(self, array: np.ndarray, key: str, offset: int = 0) -> None:
        strides = tuple(step // array.itemsize for step in array.strides)
        self.parts = Storage(key, array.size), offset, array.shape, strides, False, {}

    def __reduce__(self) -> Any:
        return rebuild, self.parts


def torch_file(path: Path, content: Any, storages: dict[str, np.ndarray], compression: int = 0) -> Path:
    stream = io.BytesIO()
    TorchPickler(stream, 2).dump(content)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", stream.getvalue())
        for key, array in storages.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
    return path


def test_a_file_of_torch_is_read_without_it(tmp_path: Path) -> None:
    arrays = entries()
    storages = {str(i): array for i, array in enumerate(arrays.values())}
    tensors = {name: Tensor(array, str(i)) for i, (name, array) in enumerate(arrays.items())}
    path = torch_file(tmp_path / "a.pt", {"epoch": 3, "model": tensors}, storages)
    read = read_torch_file(path)
    assert read.keys() == arrays.keys() and all(np.array_equal(read[name], arrays[name]) for name in arrays)
    assert rj.from_torch(path).spec.cell == "lstm"


def test_files_with_code_or_damage_are_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return exec, ("raise SystemExit('it ran')",)

    array = np.ones((2, 2), np.float32)
    bad = {
        r"holds code \(__builtin__.exec\), which is not run; expected torch.save\(model.state_dict": (
            pickle.dumps({"a": Evil()}, 2)
        ),
        r"holds a list; expected torch.save": pickle.dumps([1], 2),
        r"holds a mapping without tensors \(epoch\)": pickle.dumps({"epoch": 1}, 2),
        r"is not a file of torch \(UnpicklingError\)": b"xx",
    }
    path = tmp_path / "a.pt"
    for message, raw in bad.items():
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", raw)
        with pytest.raises(BadInput, match=message):
            read_torch_file(path)
    path.write_bytes(b"no zip")
    with pytest.raises(BadInput, match=r"a.pt: is no zip, as torch writes it since 1.6; expected"):
        read_torch_file(path)
    outside = Tensor(array, "0", offset=3)
    with pytest.raises(BadInput, match=r"is not a file of torch \(ValueError\)"):
        read_torch_file(torch_file(path, {"a": outside}, {"0": array}))
    with pytest.raises(BadInput, match=r"is compressed"):
        read_torch_file(torch_file(path, {"a": Tensor(array, "0")}, {"0": array}, zipfile.ZIP_DEFLATED))


def test_a_network_of_texts_samples_and_is_evaluated() -> None:
    state_dict = {"emb.weight": np.ones((5, D), np.float32), **entries(rows=1)}
    state_dict |= {"fc.weight": np.ones((5, H), np.float32), "fc.bias": np.arange(5, dtype=np.float32)}
    with pytest.raises(BadInput, match=r"^sample: got a network without a vocabulary; expected vocabulary="):
        rj.from_torch(state_dict).sample("a", 3)
    network = rj.from_torch(state_dict, vocabulary="\n abc")
    assert network.sample("a", 3, greedy=True) == "accc", "the last symbol has the largest bias"
    text = "\n".join(["ccc"] * 10) + "\n"
    assert network.evaluate(text).unit == "nats per character"
    with pytest.raises(BadInput, match=r"^data: got none; expected some"):
        network.evaluate()
    with pytest.raises(BadInput, match=r"^vocabulary: got 2 tokens; expected 5, as the network reads"):
        rj.from_torch(state_dict, vocabulary="ab")


def test_numbers_are_evaluated_in_pairs() -> None:
    network = rj.from_torch(entries())
    x = np.random.default_rng(0).normal(size=(6, 2, D)).astype(np.float32)
    outputs = np.asarray(network(x))
    assert network.evaluate((x, outputs + 1)).loss == pytest.approx(1)
    assert network.evaluate((x, outputs + 1, np.eye(6, 2))).predictions == 2
    for data, message in {
        "none": (None, r"^data: got none; expected \(inputs, targets\)"),
        "targets": ((x, outputs[:, :1]), r"^data: got targets float32 \[6, 1, 4\]; expected numbers \[6, 2, 4\]$"),
    }.values():
        with pytest.raises(BadInput, match=message):
            network.evaluate(data)
    with pytest.raises(BadInput, match=r"^x: got a text for a network without a vocabulary"):
        network("abc")
    with pytest.raises(BadInput, match=r"^x: got numbers of shape \(6, 2\); expected \[T, 3\] or \[T, B, 3\]$"):
        network(x[:, :, 0])

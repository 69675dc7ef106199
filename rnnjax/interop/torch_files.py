"""Files of `torch.save(model.state_dict(), ...)`, read without torch and without running what they hold.

Such a file is a zip: `data.pkl` with the names, types and places of the tensors, and the numbers of each storage. The
pickle is read by an unpickler that knows the few names of tensors and nothing else, so that no code of it can run.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from rnnjax.errors import BadInput

STORAGES: dict[str, Any] = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(jnp.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
WEIGHTS_ONLY = "expected torch.save(model.state_dict(), ...), weights alone"


def tensor(storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> np.ndarray:
    """A tensor as a copy of a part of its storage. Raises: ValueError for places outside it."""
    if len(size) != len(stride) or min((offset, *size, *stride)) < 0:
        raise ValueError("a tensor with negative sizes")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 in size:
        return np.empty(size, storage.dtype)
    if last >= len(storage):
        raise ValueError("a tensor outside its storage")
    strides = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides, writeable=False).copy()


def parameter(data: np.ndarray, *_: Any) -> np.ndarray:
    return data


KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): tensor,
    ("torch._utils", "_rebuild_parameter"): parameter,
    **{("torch", name): dtype for name, dtype in STORAGES.items()},
}


class WeightsUnpickler(pickle.Unpickler):
    """An unpickler of tensors alone."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}/data.pkl")))
        self.path, self.archive, self.folder = path, archive, folder
        self.storages: dict[str, np.ndarray] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in KNOWN:
            raise BadInput(f"{self.path}: holds code ({module}.{name}), which is not run; {WEIGHTS_ONLY}")
        return KNOWN[module, name]

    def persistent_load(self, place: Any) -> np.ndarray:
        kind, dtype, key, _, count = place
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise ValueError("no storage")
        if key not in self.storages:
            raw = self.archive.read(f"{self.folder}/data/{key}")
            self.storages[key] = np.frombuffer(raw, dtype, int(count))
        return self.storages[key]


def read_torch_file(path: Path) -> dict[str, np.ndarray]:
    """The entries of the state dict in a file; of a checkpoint, of the first one in it.

    Raises: BadInput for a file that holds code, or is not one of torch.
    """
    if not zipfile.is_zipfile(path):
        raise BadInput(f"{path}: is no zip, as torch writes it since 1.6; {WEIGHTS_ONLY}")
    try:
        with zipfile.ZipFile(path) as archive:
            check_archive(path, archive)
            folder = next(name.removesuffix("/data.pkl") for name in archive.namelist() if name.endswith("/data.pkl"))
            content = WeightsUnpickler(path, archive, folder).load()
    except BadInput:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise BadInput(f"{path}: is not a file of torch ({type(error).__name__}); {WEIGHTS_ONLY}") from None
    found = find_state_dict(content)
    if found is None:
        raise BadInput(f"{path}: holds {describe(content)}; {WEIGHTS_ONLY}")
    return found


def check_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Raises: BadInput for a zip that torch does not write: compressed, or with the bytes of numbers turned round."""
    names = archive.namelist()
    if any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise BadInput(f"{path}: holds code (TorchScript), which is not run; {WEIGHTS_ONLY}")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise BadInput(f"{path}: is compressed; {WEIGHTS_ONLY}")
    orders = [archive.read(name) for name in names if name.endswith("/byteorder")]
    if orders and orders[0] != b"little":
        raise BadInput(f"{path}: has big-endian numbers; {WEIGHTS_ONLY} on a little-endian machine")


def find_state_dict(content: Any) -> dict[str, np.ndarray] | None:
    """The first mapping of names to tensors: the content itself, or under a name such as "model"."""
    if not isinstance(content, Mapping):
        return None
    arrays = {str(name): value for name, value in content.items() if isinstance(value, np.ndarray)}
    if arrays and len(arrays) == len(content):
        return arrays
    return next((found for value in content.values() if (found := find_state_dict(value)) is not None), None)


def describe(content: Any) -> str:
    """A few words about what was in a file."""
    if isinstance(content, Mapping):
        return f"a mapping without tensors ({', '.join(map(str, list(content)[:4]))})"
    return f"a {type(content).__name__}"

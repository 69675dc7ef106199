"""Files of Keras 3, read by h5py: .keras with the settings of its layers, and .weights.h5 with arrays alone."""

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.devices import available_memory
from rnnjax.errors import BadInput
from rnnjax.interop.entries import Entries, check_file
from rnnjax.interop.hdf5_arrays import read_hdf5
from rnnjax.interop.keras_models import KerasLayer, stored_layers

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
INSIDE = re.compile(
    r"/?((forward_layer|backward_layer|layer)/)?(cell/(cells/\w+/)?)?vars/\d+$"
)  # a place below a layer


def file_layers(path: Path, activation: str = "tanh") -> tuple[list[KerasLayer], Entries]:
    """The layers of a file, and its arrays, of which none may be left over.

    Args: activation: of SimpleRNN, for a file of weights alone.

    Raises: BadInput for a file that cannot be read, or is none of Keras 3.
    """
    check_file(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error}); expected .keras or .weights.h5") from None
    if data[:4] == b"PK\x03\x04":
        config, weights = read_archive(data, path)
        entries = Entries(read_hdf5(weights, str(path)), str(path))
        return stored_layers(config, entries), entries
    entries = Entries(read_hdf5(data, str(path)), str(path))
    if any(name.startswith(("model_weights/", "top_level_model_weights/")) for name in entries.arrays):
        raise BadInput(f"{path}: is a file of Keras 2; expected .keras or .weights.h5 of Keras 3")
    return layers_of_weights(entries, activation), entries


def read_archive(data: bytes, path: Path) -> tuple[Mapping[str, Any], bytes]:
    """The settings and the bytes of the weights of a .keras file. Raises: BadInput."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(archive.getinfo(name).file_size for name in (CONFIG, WEIGHTS)) > available_memory():
                raise BadInput(f"{path}: is larger than the memory when unpacked")
            return json.loads(archive.read(CONFIG)), archive.read(WEIGHTS)
    except (KeyError, ValueError, zipfile.BadZipFile, RecursionError, NotImplementedError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:150]
        raise BadInput(f"{path}: is no .keras file that can be read ({reason})") from None


def layers_of_weights(entries: Entries, activation: str) -> list[KerasLayer]:
    """The layers of a file of weights alone: what they are is read off the shapes of their arrays.

    Raises: BadInput where the order of the layers, or a setting that matters, is not to be found out.
    """
    groups: dict[str, list[str]] = {}
    for path in entries.arrays:
        groups.setdefault(INSIDE.sub("", path), []).append(path)
    layers = [unnamed_layer(entries, group, paths, activation) for group, paths in groups.items()]
    front = [each for each in layers if each.kind == "Embedding"]
    behind = [each for each in layers if each.kind in ("Dense", "TimeDistributed")]
    recurrent = [each for each in layers if each not in front and each not in behind]
    if len(recurrent) > 1 and not all(re.fullmatch(r"layers/[a-z_]+?(_\d+)?", each.name) for each in recurrent):
        raise BadInput(f"{entries.source}: has several recurrent layers in no known order; expected the .keras file")
    return [*front, *sorted(recurrent, key=lambda each: natural(each.name)), *behind]


def natural(name: str) -> tuple[str, int]:
    """`lstm_10` after `lstm_2`."""
    match = re.fullmatch(r"(.*?)_?(\d*)", name)
    assert match is not None
    return match[1], int(match[2] or 0)


def unnamed_layer(entries: Entries, group: str, paths: Sequence[str], activation: str) -> KerasLayer:
    """A layer with the settings that its arrays show."""
    sizes = {path.removeprefix(group).lstrip("/"): entries.arrays[path].shape for path in paths}

    def take(place: str) -> np.ndarray:
        return entries.take(f"{group}/{place}".lstrip("/"))

    if any(place.startswith("cell/cells/") for place in sizes):
        raise BadInput(f"{entries.source}: '{group}' has several cells in no known order; expected the .keras file")
    if "forward_layer/cell/vars/0" in sizes:
        forward = {place.removeprefix("forward_layer/"): size for place, size in sizes.items()}
        kind, config = cell_settings(entries.source, group, forward, activation)
        inner = {"class_name": kind, "config": config}
        backward = {"class_name": kind, "config": config | {"go_backwards": True}}
        wrapper = {"name": group, "merge_mode": "concat", "layer": inner, "backward_layer": backward}
        return KerasLayer("Bidirectional", wrapper, take)
    if "cell/vars/0" in sizes:
        return KerasLayer(*cell_settings(entries.source, group, sizes, activation), take)
    if "layer/vars/0" in sizes:
        inner = {"class_name": "Dense", "config": {"use_bias": "layer/vars/1" in sizes}}
        return KerasLayer("TimeDistributed", {"name": group, "layer": inner}, take)
    if "embedding" in group:
        return KerasLayer("Embedding", {"name": group}, take)
    return KerasLayer("Dense", {"name": group, "use_bias": "vars/1" in sizes}, take)


def cell_settings(source: str, group: str, sizes: Mapping[str, Any], activation: str) -> tuple[str, dict[str, Any]]:
    """The class and the settings of a recurrent layer, from the shapes of the arrays of its cell."""
    rows, columns = sizes.get("cell/vars/1", (1, 0))[:2]
    kinds = {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}
    if columns % rows or columns // rows not in kinds:
        raise BadInput(f"{source}: '{group}' has a recurrent kernel of shape {[rows, columns]}; expected [H, G x H] "
                       "with G = 1 (SimpleRNN), 3 (GRU) or 4 (LSTM)")  # fmt: skip
    kind, bias = kinds[columns // rows], sizes.get("cell/vars/2")
    if kind == "GRU" and bias is None:
        raise BadInput(
            f"{source}: '{group}' is a GRU without bias, which does not tell reset_after; expected the .keras"
        )
    config = {
        "name": group,
        "use_bias": bias is not None,
        "reset_after": len(bias or ()) == 2,
        "return_sequences": True,
    }
    return kind, config | ({"activation": activation} if kind == "SimpleRNN" else {})

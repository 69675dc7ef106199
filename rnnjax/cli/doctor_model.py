"""`rnnjax doctor --model FILE --data FILE`: the doctor on the weights of another library and a file of data."""

from pathlib import Path
from typing import Any

import numpy as np

import rnnjax
from rnnjax.api.examine import examine
from rnnjax.api.networks import Network
from rnnjax.doctor.diagnosis import Diagnosis
from rnnjax.errors import BadInput
from rnnjax.interop.entries import check_file
from rnnjax.settings import TaskSpec
from rnnjax.settings.vocabulary import text_to_ids
from rnnjax.studies.datasets import read_source_text

READERS = {
    ".safetensors": "from_torch",
    ".pt": "from_torch",
    ".pth": "from_torch",
    ".keras": "from_keras",
    ".h5": "from_keras",
    ".onnx": "from_onnx",
}
WINDOW, STREAMS = 25, 64
HELD_OUT = 0.1  # of a text or a series
PARTS = ("inputs", "targets", "loss_mask")  # of a .npz, and reference


def examine_model(model: Path, data: Path, memory: int) -> Diagnosis:
    """The diagnosis of a file of weights on a file of data. Raises: BadInput for a file that cannot be read.

    Args: memory: bytes that a text may take.
    """
    check_file(model)
    check_file(data)
    if data.suffix == ".npz":
        with np.load(data) as arrays:
            given = {name: arrays[name] for name in arrays.files}
        check_arrays(data, given)
        network = read_model(model)
        batch = tuple(given[name] for name in PARTS if name in given)
        return examine(network, batch=batch, reference=given.get("reference"))
    network, values_N = read_series(model, data) if data.suffix == ".npy" else read_text(model, data, memory)
    split = int(len(values_N) * (1 - HELD_OUT))
    parts = [next_step_batch(data, part) for part in (values_N[:split], values_N[split:])]
    return examine(network, batch=parts[0], held_out=parts[1])


def read_model(path: Path, **options: Any) -> Network:
    """The network of a file, by its ending. Raises: BadInput for another ending."""
    known = {ending: name for ending, name in READERS.items() if name in rnnjax.__all__}
    if path.suffix not in known:
        raise BadInput(f"--model: got '{path.name}'; expected a name that ends in {', '.join(known)}")
    return getattr(rnnjax, known[path.suffix])(path, **options)


def check_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Raises: BadInput for arrays that are missing or not known."""
    known = (*PARTS, "reference")
    if not {"inputs", "targets"} <= set(arrays) or not set(arrays) <= set(known):
        raise BadInput(
            f"{path}: has {', '.join(arrays)}; expected inputs and targets, time first; also {known[2]}, {known[3]}"
        )


def read_series(model: Path, path: Path) -> tuple[Network, np.ndarray]:
    """A network, and a series [N, D] of which it predicts the next row."""
    network, values_ND = read_model(model), np.load(path, allow_pickle=False).astype(np.float32)
    values_ND = values_ND[:, None] if values_ND.ndim == 1 else values_ND
    width = network.spec.inputs
    if values_ND.ndim != 2 or values_ND.shape[1] != width or network.spec.outputs != width:
        sizes = f"{list(values_ND.shape)} for {width} inputs and {network.spec.outputs} outputs"
        raise BadInput(f"{path}: got shape {sizes}; expected [N, inputs] and as many outputs, or a .npz of both")
    return network, values_ND


def read_text(model: Path, path: Path, memory: int) -> tuple[Network, np.ndarray]:
    """A network of texts, and a text as ids: of its characters in the order of their codes."""
    source = read_source_text(TaskSpec(name="text", path=str(path)), memory)
    assert source is not None
    vocabulary = "".join(sorted(set(source.text)))
    return read_model(model, vocabulary=vocabulary), text_to_ids(source.text, vocabulary)


def next_step_batch(path: Path, values_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Evenly spaced windows [T, B, ...] and the steps after theirs. Raises: BadInput for too few steps."""
    window = min(WINDOW, (len(values_N) - 1) // 2)
    if window < 4:
        raise BadInput(f"{path}: a tenth of it has {len(values_N)} steps; expected at least 9")
    starts = np.unique(np.linspace(0, len(values_N) - window - 1, STREAMS).astype(int))
    steps_TB = np.arange(window)[:, None] + starts
    return values_N[steps_TB], values_N[steps_TB + 1]

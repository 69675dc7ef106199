"""Files of safetensors: a JSON header with the name, type, shape and place of each array, then their bytes.

The format holds no code. Source: the specification of Hugging Face's safetensors, version 0.4.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from rnnjax.errors import BadInput

TYPES: dict[str, Any] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(jnp.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
HEADER = 8  # bytes of the number that says how long the JSON is
LONGEST = 100_000_000  # bytes of JSON


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name. Raises: BadInput for a file that is not one of safetensors."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:HEADER], "little")
    start = HEADER + length
    if length > LONGEST or start > len(raw):
        raise BadInput(f"{path}: is not a file of safetensors; expected a header of {length:,} bytes")
    try:
        header = json.loads(raw[HEADER:start])
        tensors = {str(name): entry for name, entry in header.items() if name != "__metadata__"}
        return {name: read_array(path, name, entry, raw[start:]) for name, entry in tensors.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path}: is not a file of safetensors; its header cannot be read") from None


def read_array(path: Path, name: str, entry: Any, raw: bytes) -> np.ndarray:
    """One array. Raises: BadInput for a type that is not known, or bytes that are missing."""
    if entry["dtype"] not in TYPES:
        raise BadInput(f"{path}: '{name}' has the type {entry['dtype']}; expected one of: {', '.join(TYPES)}")
    (first, last), shape, dtype = entry["data_offsets"], tuple(map(int, entry["shape"])), TYPES[entry["dtype"]]
    if (
        not 0 <= first <= last <= len(raw)
        or last - first != math.prod(shape) * dtype.itemsize
        or min(shape, default=0) < 0
    ):
        raise BadInput(
            f"{path}: '{name}' has {len(raw[first:last]):,} bytes; expected {list(shape)} of {entry['dtype']}"
        )
    return np.frombuffer(raw, dtype, math.prod(shape), first).reshape(shape)


def safetensors_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The content of a file with some arrays."""
    names = {dtype: name for name, dtype in TYPES.items()}
    header, chunks, place = {}, [], 0
    for name, array in arrays.items():
        dtype = array.dtype.newbyteorder("<")
        chunk = np.ascontiguousarray(array, dtype).tobytes()
        header[name] = {
            "dtype": names[dtype],
            "shape": list(array.shape),
            "data_offsets": [place, place + len(chunk)],
        }
        chunks.append(chunk)
        place += len(chunk)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % HEADER)  # the arrays start at a multiple of 8
    return len(text).to_bytes(HEADER, "little") + text + b"".join(chunks)

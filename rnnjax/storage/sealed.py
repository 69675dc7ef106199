"""Files of a run folder with a seal: a sha256 of their name and content, which every reader compares.

JSON and the checksums of an .npz notice a file that breaks off, but not a changed digit, a changed name of an array, or
two files that have changed places. A seal is against damage, not against a person who wants to deceive: a file without
one, of an older rnnjax, is read as it is.
"""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.errors import DamagedState
from rnnjax.storage.config_changes import canonical_json
from rnnjax.storage.files import atomic_write, read_json, write_json, write_text

SEAL = "seal"  # the key of a JSON file, the array of an .npz


def write_sealed_json(path: Path, value: dict[str, Any], compact: bool = False) -> None:
    """Write plain values, whole or not at all. Args: compact: without spaces. Raises: as `write_json`."""
    whole = {**value, SEAL: json_seal(path.name, value)}
    if compact:
        write_text(path, json.dumps(whole, allow_nan=False, separators=(",", ":")) + "\n")
    else:
        write_json(path, whole)


def read_sealed_json(path: Path) -> Any:
    """The values of a file, without its seal. Raises DamagedState where the seal is that of something else."""
    value = read_json(path)
    if not isinstance(value, dict) or SEAL not in value:
        return value
    body = {name: item for name, item in value.items() if name != SEAL}
    try:
        whole = value[SEAL] == json_seal(path.name, body)
    except ValueError:  # NaN or Infinity, which no writer writes
        whole = False
    if not whole:
        raise DamagedState(f"{path} was damaged or changed: its seal is that of other content")
    return body


def json_seal(name: str, body: dict[str, Any]) -> str:
    """The seal of the content of the file `name`."""
    return hashlib.sha256(f"{name}\n{canonical_json(body)}".encode()).hexdigest()


def write_sealed_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write plain arrays; an array of objects would be a pickle: ValueError. Raises StorageFailed."""
    plain = {name: np.asarray(array) for name, array in arrays.items()}
    # The seal is first: a damaged entry of the archive's directory may hide those behind it.
    members = {SEAL: np.array(array_seal(path.name, plain)), **plain}
    # As np.savez_compressed, but any name is allowed. Generated texts are most of it, and shrink to a tenth.
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read_sealed_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz, without its seal, each checked against its checksum; never unpickles.

    Raises: DamagedState.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if foreign := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
            raise ValueError(f"{foreign[0]} is no array")
    except Exception as error:  # OSError, ValueError, BadZipFile, EOFError, zlib.error: all mean the same
        raise DamagedState(f"cannot read {path}: {error}") from error
    seal = arrays.pop(SEAL, None)
    if seal is not None and str(seal) != array_seal(path.name, arrays):
        raise DamagedState(f"{path} was damaged or changed: its seal is that of other content")
    return arrays


def array_seal(name: str, arrays: dict[str, np.ndarray]) -> str:
    """The seal of the arrays of the file `name`; their order does not matter."""
    digest = hashlib.sha256(f"{name}\n".encode())
    for member, array in sorted(arrays.items()):
        digest.update(json.dumps([member, array.dtype.str, array.shape]).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

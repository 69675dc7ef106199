"""Seals: whatever is changed in a file, a reader answers with the same values or with an error, never with others."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnjax.errors import DamagedState
from rnnjax.storage.sealed import SEAL, read_sealed_json, read_sealed_npz, write_sealed_json, write_sealed_npz

VALUE: dict[str, Any] = {"format": 2, "hidden": 64, "rate": 0.1, "names": ["a", "b"], "nested": {"é": None, "on": True}}
ARRAYS: dict[str, np.ndarray] = {
    "seed": np.arange(4, dtype=np.uint32),
    "rows/loss": np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3),
    "words": np.array(["one", "three"]),
    "nothing": np.zeros((0, 2), bool),
}
CHANGES = 400


def changed(raw: bytes, rng: random.Random) -> bytes:
    """One byte changed, the end cut off, or a stretch of zeros."""
    at, form = rng.randrange(len(raw)), rng.randrange(4)
    if form == 0:
        return raw[:at]
    if form == 1:
        return raw[:at] + bytes(8) + raw[at + 8 :]
    byte = rng.choice([b for b in range(32, 127) if b != raw[at]])
    return raw[:at] + bytes([byte]) + raw[at + 1 :]


@pytest.mark.parametrize("compact", [False, True])
def test_no_changed_json_is_read_as_something_else(tmp_path: Path, compact: bool) -> None:
    path = tmp_path / "study.json"
    write_sealed_json(path, VALUE, compact)
    assert read_sealed_json(path) == VALUE
    whole, rng = path.read_bytes(), random.Random(1)
    refused = 0
    for _ in range(CHANGES):
        path.write_bytes(changed(whole, rng))
        try:
            found = read_sealed_json(path)
        except DamagedState:
            refused += 1
        else:  # a change of the seal's own key, which leaves a name more, or of a space
            assert {name: found[name] for name in VALUE} == VALUE
    assert refused > 0.8 * CHANGES


def test_no_changed_arrays_are_read_as_others(tmp_path: Path) -> None:
    path = tmp_path / "group-0.npz"
    write_sealed_npz(path, ARRAYS)
    whole, rng = path.read_bytes(), random.Random(2)
    refused = 0
    for _ in range(CHANGES):
        path.write_bytes(changed(whole, rng))
        try:
            found = read_sealed_npz(path)
        except DamagedState:
            refused += 1
        else:
            for name, array in ARRAYS.items():
                assert found[name].dtype == array.dtype
                np.testing.assert_array_equal(found[name], array)
    assert refused > 0.5 * CHANGES


def test_files_that_have_changed_places_are_refused(tmp_path: Path) -> None:
    write_sealed_json(tmp_path / "a.json", VALUE)
    write_sealed_npz(tmp_path / "0.npz", ARRAYS)
    (tmp_path / "a.json").rename(tmp_path / "b.json")
    (tmp_path / "0.npz").rename(tmp_path / "1.npz")
    with pytest.raises(DamagedState, match=r"b\.json was damaged or changed: its seal is that of other content"):
        read_sealed_json(tmp_path / "b.json")
    with pytest.raises(DamagedState, match=r"1\.npz was damaged or changed"):
        read_sealed_npz(tmp_path / "1.npz")


def test_what_an_older_rnnjax_wrote_is_read(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps(VALUE))
    np.savez_compressed(tmp_path / "old.npz", **ARRAYS)
    assert read_sealed_json(tmp_path / "old.json") == VALUE
    assert read_sealed_npz(tmp_path / "old.npz").keys() == ARRAYS.keys()


def test_a_number_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"rate": NaN, "' + SEAL + '": "0"}')
    with pytest.raises(DamagedState, match="was damaged or changed"):
        read_sealed_json(tmp_path / "x.json")

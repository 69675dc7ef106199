"""Files of sequences out of Python lists, to train on with a study."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.storage.files import write_text
from rnnjax.tasks.sequences.arrays import raw_from_lists
from rnnjax.tasks.sequences.raw import RawSequences


def write_sequences(path: Path, x: Sequence[Any], y: Sequence[Any] | None = None, **keys: Sequence[Any]) -> None:
    """Write sequences of numbers [T, D], or texts, with a label, values or tags of each, for `task.path`.

    Args:
        path: ends in .npz (numbers only) or .jsonl. x: N arrays [T, D] or [T], or N texts. y: N of what is asked.
        keys: further words of each sequence, such as group, time or split.
    Raises:
        BadInput: lists of unlike length, or another ending. StorageFailed.
    """
    raw = raw_from_lists(x, y, **keys)
    if path.suffix == ".npz" and not raw.is_text:
        write_arrays(path, raw)
    elif path.suffix == ".jsonl":
        write_text(path, "".join(json.dumps(entry) + "\n" for entry in entries(raw)))
    else:
        expected = ".jsonl for texts" if raw.is_text else ".npz or .jsonl"
        raise BadInput(f"{path}: got the ending {path.suffix!r}; expected {expected}")


def entries(raw: RawSequences) -> list[dict[str, Any]]:
    """The JSON object of each sequence."""
    found = [{"text": one} if raw.is_text else {"x": one.tolist()} for one in raw.steps]
    for n, entry in enumerate(found):
        entry |= {} if raw.targets is None else {"y": raw.targets[n]}
        entry |= {name: words[n] for name, words in raw.keys.items()}
    return found


def write_arrays(path: Path, raw: RawSequences) -> None:
    """An .npz file of values and offsets."""
    lengths = [len(one) for one in raw.steps]
    arrays: dict[str, Any] = {"values": np.concatenate(raw.steps), "offsets": np.cumsum([0, *lengths])}
    if raw.targets is not None:
        tags = all(
            isinstance(one, list) and len(one) == length for one, length in zip(raw.targets, lengths, strict=True)
        )
        flat = [tag for one in raw.targets for tag in one] if tags and len(set(lengths)) > 1 else raw.targets
        arrays["y"] = np.array(flat)
    arrays |= {name: np.array(words) for name, words in raw.keys.items()}
    np.savez(path, **arrays)

"""Reading the user's text file: everything that can be wrong with it is said in one line, before training."""

import codecs
import stat
from pathlib import Path

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec

BYTES_PER_CHARACTER = 16  # ids, inputs and targets as int32, and the text itself
MOST_CONTROL = 0.02  # a text has tabs and line ends, hardly any other control character
BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read_source(task: TaskSpec, available_bytes: int) -> str | None:
    """The text of `task.path`, None where the task's own text is meant. Line ends are kept as they are.

    Raises:
        BadInput: no such file, not a regular file, too large, not in the encoding, or not a text.
    """
    if not task.path:
        return None
    path = Path(task.path)
    raw = read_regular(path, available_bytes)
    text = decode(raw, task.encoding, path)
    control = np.mean([ord(c) < 32 and c not in "\n\r\t\f" for c in text[:100_000]]) if text else 0
    if control > MOST_CONTROL:
        raise BadInput(f"task.path: {path} looks binary ({control:.0%} control characters); expected a text")
    return text


def read_regular(path: Path, available_bytes: int) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadInput(f"task.path: {path} is not a regular file")
        needed = status.st_size * BYTES_PER_CHARACTER
        if needed > available_bytes:
            raise BadInput(f"task.path: {path} needs {needed / 1e9:,.0f} GB; available {available_bytes / 1e9:,.0f} GB")
        return path.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"task.path: no such file '{path}'") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"task.path: cannot read '{path}': {error}") from None


def decode(raw: bytes, encoding: str, path: Path) -> str:
    """Decode, dropping a byte-order mark; an error names the byte and a likely encoding."""
    try:
        codec = codecs.lookup(encoding)
    except LookupError:
        raise BadInput(f"task.encoding: got {encoding!r}; expected an encoding such as utf-8 or latin-1") from None
    guess = next((name for mark, name in BYTE_ORDER_MARKS.items() if raw.startswith(mark)), "latin-1")
    try:
        return raw.decode("utf-8-sig" if codec.name == "utf-8" else codec.name)
    except UnicodeDecodeError as error:
        bad = raw[error.start]
        raise BadInput(
            f"task.path: {path}: invalid {encoding.upper()} at byte {error.start:,} (0x{bad:02x}); "
            f"use --set task.encoding={guess}"
        ) from None

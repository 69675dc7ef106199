"""Reading the user's file, a text or a table: what can be wrong with it is said in one line, before training."""

import codecs
import hashlib
import io
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnjax.config.load import BYTES_PER_CHARACTER
from rnnjax.devices import available_memory
from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks import TASKS
from rnnjax.tasks.sequences.layout import row_bytes
from rnnjax.tasks.text import duplicate_forms
from rnnjax.types import SequenceParts, Task

MOST_CONTROL = 0.02  # a text has tabs and line ends, hardly any other control character
BYTE_ORDER_MARKS = {  # the longer first: one begins with another
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8",
}
FORMATS = {  # first bytes -> what such a file is
    b"PK\x03\x04": "an Excel workbook or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook or another Office file",
    b"PAR1": "a Parquet file",
    b"ARROW1": "a Feather (Arrow) file",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"CDF\x01": "a NetCDF file",
    b"%PDF": "a PDF",
    b"SQLite format 3": "an SQLite database",
}
BINARY_BYTES = 4_096  # at the start of a file, in which every one of these formats has a NUL
BYTE_ORDER_MARK = "\ufeff"
EXPECTED_FILE = {
    "text": "a text",
    "series": "a CSV file",
    "sequences": "a CSV, JSON Lines, .ts or .npz file",
}  # of the tasks that read a file
# In the public domain. sunspots: yearly mean numbers, 1700 to 2008 (National Geophysical Data Center, as in statsmodels
# 0.15, datasets.sunspots). weather: highest temperature in degrees C and precipitation in mm of each day in Seattle,
# 2012 to 2015 (National Oceanic and Atmospheric Administration, as in vega_datasets 0.9, seattle-weather). digits:
# pictures of 8 x 8 pixels (UCI Machine Learning Repository, CC BY 4.0, as in scikit-learn 1.9, datasets.load_digits).
DATA = Path(__file__).parents[1] / "tasks" / "data"
INCLUDED = {name: DATA / f"{name}.csv" for name in ("sunspots", "weather")}
INCLUDED_SEQUENCES = DATA / "digits.csv"


class SourceText(NamedTuple):
    """The text of a user's file, and what its owner may not know about it."""

    text: str
    remarks: list[str]


def read_source_text(task: TaskSpec, available_bytes: int) -> SourceText | None:
    """The text of `task.path` or of a series that comes as a file, else None. Line ends are kept as they are.

    Raises:
        BadInput: no such file, not a regular file, too large, not in the encoding, or binary.
    """
    if not task.path:
        included = INCLUDED.get(task.series) if task.name == "series" else None
        included = INCLUDED_SEQUENCES if task.name == "sequences" else included
        return SourceText(included.read_text("utf-8"), []) if included else None
    path = Path(task.path)
    raw = read_regular_file(path, available_bytes)
    check_format(raw, path, EXPECTED_FILE[task.name])
    decoded = decode_bytes(raw, task.encoding, path)
    text = decoded.removeprefix(BYTE_ORDER_MARK)
    check_not_binary(text, path, EXPECTED_FILE[task.name])
    found = text_warnings(decoded) if task.name == "text" else []  # no line end of a table reaches a network
    return SourceText(text, [f"{path}: {remark}" for remark in found])


def is_array_file(task: TaskSpec) -> bool:
    """Whether a task reads an .npz file."""
    return task.name == "sequences" and task.path.lower().endswith(".npz")


def read_arrays(task: TaskSpec, available_bytes: int) -> dict[str, np.ndarray]:
    """The arrays of an .npz file. Raises: as `read_source_text`; BadInput for pickled objects."""
    raw = read_regular_file(Path(task.path), available_bytes)
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        pickled = "pickle" in str(error).lower() or "object array" in str(error).lower()
        got = "pickled objects, which are not loaded" if pickled else f"no .npz file ({str(error)[:60]})"
        expected = "arrays of numbers, such as 'values' and 'offsets'" if pickled else "one as numpy.savez writes it"
        raise BadInput(f"task.path: {task.path}: got {got}; expected {expected}") from None


def load_tasks(specs: Iterable[TaskSpec]) -> tuple[dict[TaskSpec, Task], list[str]]:
    """The tasks of some settings, each made once, and remarks about their texts. Raises BadInput."""
    contents, remarks = read_contents(specs)
    tasks = {spec: TASKS[spec.name](spec, content) for spec, content in contents.items()}
    for spec, task in tasks.items():
        if task.sequences is not None:
            check_rows_fit(spec, task.sequences, available_memory())
    return tasks, remarks + [f"{spec.path}: {notice}" for spec, task in tasks.items() for notice in task.notices]


def read_contents(specs: Iterable[TaskSpec]) -> tuple[dict[TaskSpec, Any], list[str]]:
    """The content of each task's file, a text or arrays or None, and remarks about the texts. Raises BadInput."""
    available, wanted = available_memory(), list(dict.fromkeys(specs))
    arrays = {spec: read_arrays(spec, available) for spec in wanted if is_array_file(spec)}
    sources = {spec: read_source_text(spec, available) for spec in wanted if spec not in arrays}
    contents = arrays | {spec: source and source.text for spec, source in sources.items()}
    return (
        {spec: contents[spec] for spec in wanted},
        [remark for source in sources.values() if source for remark in source.remarks],
    )


def check_rows_fit(settings: TaskSpec, parts: SequenceParts, available_bytes: int) -> None:
    """Raises BadInput for sequences that do not fit into memory once they are filled up."""
    needed, longest = row_bytes(parts), parts.lengths[-1]
    if needed > available_bytes:
        count = parts.train.size + parts.validation.size
        other = "task.batches=packed, or " if settings.batches != "packed" else ""
        raise BadInput(
            f"task.batches: got {settings.batches!r} for {count:,} sequences of up to {longest:,} steps; needs "
            f"{needed / 1e9:,.1f} GB, available {available_bytes / 1e9:,.1f} GB; use {other}shorter sequences"
        )


def data_hash(tasks: dict[TaskSpec, Task]) -> str:
    """One sha256 of all that is trained on."""
    digest = hashlib.sha256()
    for task in tasks.values():
        digest.update(repr((task.vocabulary, task.columns)).encode())  # ids alone are equal where the alphabets differ
        parts = [] if task.sequences is None else [task.sequences.train, task.sequences.validation]
        digest.update(repr(task.sequences.classes).encode() if task.sequences else b"")
        of_sequences = [leaf for part in parts for leaf in part[:4]]
        for values_N in (task.train_N, task.validation_N, *of_sequences):
            digest.update(repr((values_N.dtype, values_N.shape)).encode() + values_N.tobytes())
    return digest.hexdigest()


def text_warnings(text: str) -> list[str]:
    """Warnings about characters that an editor does not show but a network learns."""
    crlf, doubles = text.count("\r\n"), duplicate_forms(text)
    found = {
        "the byte-order mark is left out": text.startswith(BYTE_ORDER_MARK),
        f"{crlf:,} line ends are CR LF, two characters each, and are kept": crlf,
        f"{text.count(chr(13)) - crlf:,} lone CR are kept": text.count("\r") - crlf,
        f"{', '.join(doubles)}: written in 2 forms, which are different characters to a network": doubles,
    }
    return [remark for remark, there in found.items() if there]


def check_format(raw: bytes, path: Path, expected: str) -> None:
    """Raises BadInput for a file whose first bytes are those of a format that is no text."""
    binary = b"\0" in raw[:BINARY_BYTES]  # a table may well begin with a column called PAR1
    known = next((what for start, what in FORMATS.items() if raw.startswith(start)), None)
    if known is not None and (binary or not raw[:3].isalnum()):
        raise BadInput(f"task.path: {path} is {known}; expected {expected}; save it as such")


def check_not_binary(text: str, path: Path, expected: str) -> None:
    control = np.mean([ord(c) < 32 and c not in "\n\r\t\f" for c in text[:100_000]]) if text else 0
    if wide := utf16_without_mark(text):
        raise BadInput(f"task.path: {path} looks like UTF-16 without a byte-order mark; use --set task.encoding={wide}")
    if control > MOST_CONTROL:
        raise BadInput(f"task.path: {path} looks binary ({control:.0%} control characters); expected {expected}")


def utf16_without_mark(text: str) -> str:
    """The byte order of a text whose every second character is NUL, as UTF-16 read as another encoding; else ""."""
    start = text[:2_000]
    for name, zeros, others in (("utf-16-le", start[1::2], start[::2]), ("utf-16-be", start[::2], start[1::2])):
        readable = sum(character >= " " or character in "\r\n\t" for character in others)
        if len(start) > 3 and zeros.count("\0") > 0.9 * len(zeros) and readable > 0.9 * len(others):
            return name
    return ""


def read_regular_file(path: Path, available_bytes: int) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadInput(f"task.path: {path} is not a regular file")
        needed = status.st_size * BYTES_PER_CHARACTER
        if needed > available_bytes:
            raise BadInput(f"task.path: {path} needs {needed / 1e9:,.0f} GB; available {available_bytes / 1e9:,.0f} GB")
        return path.read_bytes()
    except BadInput:
        raise  # it is a ValueError too
    except FileNotFoundError:
        raise BadInput(f"task.path: no such file {str(path)!r}") from None
    except OSError as error:
        raise BadInput(f"task.path: cannot read {str(path)!r}: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:  # a NUL in the name
        raise BadInput(f"task.path: cannot read {str(path)!r}: {error}") from None


def decode_bytes(raw: bytes, encoding: str, path: Path) -> str:
    """Decode, by the byte-order mark unless an encoding is asked for. Raises BadInput with a likely encoding."""
    marked = next((name for mark, name in BYTE_ORDER_MARKS.items() if raw.startswith(mark)), encoding)
    encoding = marked if encoding == TaskSpec.encoding else encoding
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        windows = any(0x80 <= byte < 0xA0 for byte in raw)  # control characters in Latin-1
        usual = "cp1252" if windows else "latin-1"
        guess = marked if marked != encoding else "utf-8" if encoding.lower() not in ("utf-8", "utf8") else usual
        at = f"byte {error.start:,} (0x{raw[error.start]:02x})" if error.start < len(raw) else "its end"
        raise BadInput(
            f"task.path: {path}: invalid {encoding.upper()} at {at}; use --set task.encoding={guess}"
        ) from None
    except (LookupError, ValueError):  # no such encoding, or one that is not of texts, such as hex
        raise BadInput(f"task.encoding: got {encoding!r}; expected an encoding such as utf-8 or latin-1") from None

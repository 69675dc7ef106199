"""Files that appear whole or not at all, and the disk that they need. Not promised: power loss."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from rnnjax.errors import BadInput, DamagedState, StorageFailed

GIGABYTE = 10**9


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the name `path` when the block ends well; until then what was there stays.

    Raises:
        StorageFailed: the disk is full, read-only or gone.
    """
    draft = path.with_name(f".{path.name}.tmp")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("wb") as file:
                yield file
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns an OSError into StorageFailed, one line with `path` and the reason."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(f"cannot write to {path}: {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 with the line ends as they are. Raises StorageFailed."""
    with atomic_write(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Writes plain values as JSON, whole or not at all. Raises StorageFailed; ValueError for NaN or infinity."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The value of a JSON file. Raises DamagedState."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedState(f"cannot read {path}: {error}") from error


def check_writable(folder: Path) -> None:
    """Raises StorageFailed where `folder` could not be made or written to; writes nothing to find out."""
    base = nearest_existing(folder)
    if not base.is_dir():
        raise StorageFailed(f"cannot write to {folder}: {base} is not a folder")
    if not os.access(base, os.W_OK | os.X_OK):
        reason = "Read-only file system" if is_read_only(base) else "Permission denied"
        raise StorageFailed(f"cannot write to {folder}: {reason}")


def is_read_only(path: Path) -> bool:
    """Whether the file system of a path is read-only, where the system tells (not Windows)."""
    return hasattr(os, "statvfs") and bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def check_space(folder: Path, bytes_needed: int) -> None:
    """Raises StorageFailed if the disk of `folder`, which need not exist yet, has less than `bytes_needed` free."""
    free = shutil.disk_usage(nearest_existing(folder)).free
    if free < bytes_needed:
        raise StorageFailed(
            f"cannot write to {folder}: {free / GIGABYTE:.1f} GB free, need {bytes_needed / GIGABYTE:.1f} GB"
        )


def nearest_existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that is there."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


def replace_between(path: Path, begin: str, end: str, block: str) -> None:
    """Put a text between two lines of a file that are there once each; all else stays.

    Raises:
        BadInput: the file cannot be read or has no such lines. StorageFailed.
    """
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read ({error})") from None
    inside = re.compile(f"(?<={re.escape(begin)}\n).*?(?={re.escape(end)})", re.DOTALL)
    if len(inside.findall(text)) != 1:
        raise BadInput(f"{path}: expected one line {begin} and after it one line {end}")
    write_text(path, inside.sub(lambda _: block, text))

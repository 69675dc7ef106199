"""The run folder: its lock, its manifest and the checks before a run is opened. Its layout is in the README.

One process holds a folder for as long as it works on it (the system's lock on OUT/.lock; a kill frees it at once). Not
promised: locks on NFS.
"""

import contextlib
import datetime
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput, FolderRefused, StorageFailed
from rnnjax.storage import files
from rnnjax.storage.manifest import (
    Manifest,
    check_same_machine,
    check_same_run,
    first_attempt,
    next_attempt,
    read_manifest,
    run_identity,
    to_results_json,
    truncate_list,
)
from rnnjax.storage.sealed import write_sealed_json, write_sealed_npz

_LOG = logging.getLogger(__name__)
FOLDER_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,79}"
CURVES = "curves.npz"  # of a small copy of a finished study, see `studies.compact`
LEFTOVERS = {".lock", ".manifest.json.tmp"}  # of a process that was killed before its manifest was there


class Extension(NamedTuple):
    """How a run is added to; see `open_run`."""

    hash_data: Callable[[list[str]], str]  # names of arms that are there and asked for -> sha256 of their data now
    plan: Callable[[Manifest], Manifest]  # the manifest -> fields to set in it; all refusals, and writes nothing


class RunFolder:
    """A run folder that this process holds, as a context manager. Made by `open_run`.

    Attributes:
        path: the folder. manifest: the content of manifest.json. finished: DONE.json is there.
        attempt: 1 for the first opening, one more for each resume.
    """

    def __init__(self, path: Path, manifest: Manifest, lock: IO[bytes]) -> None:
        self.path = path.absolute()
        self.manifest = manifest
        self.attempt: int = manifest["attempt"]
        self.finished = is_finished(path)
        self._lock = lock

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Frees the folder; a run that is not done is marked as interrupted."""
        # The disk that stopped the run may not take this either; the first error is the one to show.
        with self._lock, contextlib.suppress(StorageFailed, FolderRefused):
            if not self.finished:
                self.record(state="interrupted")

    def record(self, **fields: Any) -> None:
        """Sets fields of the manifest. Raises StorageFailed, as all writers here."""
        self.manifest |= to_results_json(fields)
        write_sealed_json(self._inside("manifest.json"), self.manifest)

    def done(self) -> None:
        """Marks the run as finished. DONE.json comes last: where it is, everything else is whole."""
        self.record(state="done")
        self.write_json("DONE.json", {name: self.manifest[name] for name in ("config_sha256", "attempt")})
        self.finished = True

    def write_json(self, name: str, value: Any) -> None:
        """Writes OUT/name, whole or not at all; NaN and infinities become null."""
        files.write_json(self._inside(name), to_results_json(value))

    def write_text(self, name: str, text: str) -> None:
        """Writes OUT/name as UTF-8, whole or not at all."""
        files.write_text(self._inside(name), text)

    def write_npz(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Writes OUT/name, an .npz of plain arrays, whole or not at all."""
        write_sealed_npz(self._inside(name), arrays)

    def check_held(self) -> None:
        """Raises StorageFailed where the folder was removed meanwhile, FolderRefused where another may hold it."""
        try:
            there, held = (self.path / ".lock").stat(), os.fstat(self._lock.fileno())
        except FileNotFoundError:
            raise StorageFailed(f"{self.path} or its .lock was removed while a study was running in it") from None
        if (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino):
            raise FolderRefused(f"{self.path}: its .lock is another file now; a second study may be running in it")

    def _inside(self, name: str) -> Path:
        self.check_held()
        path = self.path / name
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.path)):
            raise FolderRefused(f"{self.path}: refuses {name!r}, which leads outside")
        return path


def open_run(
    folder: Path,
    config: dict[str, Any],
    fingerprint: dict[str, Any],
    resume: bool,
    strict: bool = False,
    note: Callable[[str], None] = _LOG.warning,
    data_sha256: str = "",
    extension: Extension | None = None,
) -> RunFolder:
    """Opens OUT for this process alone, or refuses at once; nothing is written before all refusals have been made.

    What is there decides, and must be of the same config, to which `resume` may add steps, seeds and arms:
        nothing: a new run; `resume` is refused.
        an unfinished run: `resume` goes on with it; without, it is refused, as starting afresh would drop its steps.
        a finished run: opened with or without `resume`, `finished` set and nothing changed, so that repeating a
        command does no harm; one that is added to is unfinished from then on.

    Args:
        fingerprint: `machine_fingerprint()`. An unfinished run goes on elsewhere with a note, which `strict` turns
            into a refusal; under other numerics never.
        data_sha256: of the training data; a run never goes on with other data.
        extension: needed to add to a run.

    Raises:
        BadInput: the folder's name.
        FolderRefused: in use, another config, other data or numerics, not ours, a link leading out, nothing to resume.
        DamagedState: a manifest that cannot be read. StorageFailed: the place cannot be written to.
    """
    check_name(folder.name)
    files.check_writable(folder)
    check_links(folder)
    new = run_identity(config, fingerprint, data_sha256)
    with contextlib.ExitStack() as held:  # until the run folder itself holds the lock
        lock = _lock(folder, held) if (folder / ".lock").exists() else None
        found = _existing_run(folder, new, resume, strict, extension)
        if lock is None:
            lock = _lock(folder, held)
            found = _existing_run(folder, new, resume, strict, extension)  # another may have come and gone in between
        old, added = found
        if old is not None and added and extension is not None:
            note(f"{folder}: adding {', '.join(added)}")
            new = new | extension.plan(old)
            _forget_results(folder)
        run = RunFolder(folder, _next_manifest(folder, old, new, note), lock)
        _write_owner(lock)
        if not run.finished:
            run.record(state="running")
        held.pop_all()
        return run


def check_name(name: str) -> None:
    """Raises BadInput unless `name` can be the name of a run folder on any system and in any shell."""
    if not re.fullmatch(FOLDER_NAME, name):
        raise BadInput(f"run name must match {FOLDER_NAME}, got {name[:100]!a}")


def is_finished(folder: Path) -> bool:
    """Whether the run in `folder` has ended well."""
    return (folder / "DONE.json").exists()


def holds_run(folder: Path) -> bool:
    """Whether a run was begun in `folder`."""
    return (folder / "manifest.json").exists()


@contextlib.contextmanager
def hold_for_writing(folder: Path) -> Iterator[None]:
    """A run folder, or a small copy of one, into which results are written again.

    Raises: FolderRefused where a study is running in it, or a link leads out of it. StorageFailed.
    """
    check_links(folder)
    with contextlib.ExitStack() as held:
        if (folder / ".lock").exists():  # a small copy has none
            _lock(folder, held)
        yield


def _lock(folder: Path, held: contextlib.ExitStack) -> IO[bytes]:
    """Takes the lock of `folder` or raises at once; makes both where they are not there."""
    with files.storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = held.enter_context((folder / ".lock").open("a+b"))
        try:
            lock_file(lock)
        except BlockingIOError:
            raise FolderRefused(f"{folder}: in use by {_read_owner(lock) or 'another process'}") from None
    return lock


def lock_file(file: IO[bytes]) -> None:
    """Takes the system's lock on an open file: flock, or that of Windows.

    Raises:
        BlockingIOError: another process has it. StorageFailed: the system or this disk has no locks.
    """
    try:
        import portalocker  # not at the top: it needs fcntl or msvcrt, of which a system may have neither
    except ImportError as error:
        raise StorageFailed(f"cannot lock {file.name}: no file locks on this system ({error})") from None
    try:
        portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
    except portalocker.AlreadyLocked:
        raise BlockingIOError from None
    except portalocker.LockException as error:
        raise StorageFailed(f"cannot lock {file.name}: {error}") from None


def _read_owner(lock: IO[bytes]) -> str:
    """The owner that the file of a lock names; "" for none, or where a lock keeps readers out too (Windows)."""
    try:
        lock.seek(0)
        return lock.read().decode(errors="replace")
    except OSError:
        return ""


def _write_owner(lock: IO[bytes]) -> None:
    """Writes the owner of the lock into its file, for the message of a refused process."""
    since = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    with files.storage_errors(Path(lock.name)):
        lock.truncate(0)
        lock.write(f"pid {os.getpid()} on host {socket.gethostname()} since {since}".encode())
        lock.flush()


def _existing_run(
    folder: Path, new: Manifest, resume: bool, strict: bool, extension: Extension | None
) -> tuple[Manifest | None, list[str]]:
    """The manifest of an existing run and what is added to it; raises if this run may not continue it."""
    old = read_manifest(folder)
    if (folder / CURVES).exists():
        raise FolderRefused(f"{folder} is a small copy of a study, without checkpoints; use another folder")
    if old is None:
        _check_foreign_files(folder)
        if resume:
            raise FolderRefused(f"nothing to resume in {folder}")
        return None, []
    stored_arms = list(old["config"].get("arms", {}))
    added = check_same_run(folder, old, new, extension.hash_data(stored_arms) if extension else new["data_sha256"])
    if added and not (resume and extension):
        raise FolderRefused(f"{folder} holds another config, to which --resume can add {', '.join(added)}")
    if added or not is_finished(folder):
        check_same_machine(folder, old, new, strict)
        if not resume:
            raise FolderRefused(f"{folder} holds an unfinished run of this config; use --resume, or another folder")
    return old, added


def _forget_results(folder: Path) -> None:
    """Removes what says that a run is finished, then its results: they follow from the checkpoints."""
    with files.storage_errors(folder):
        (folder / "DONE.json").unlink(missing_ok=True)
        for path in (folder / "metrics").glob("*.npz"):
            path.unlink()


def _next_manifest(folder: Path, old: Manifest | None, new: Manifest, note: Callable[[str], None]) -> Manifest:
    """The manifest to go on with; a finished run keeps its own."""
    if old is None:
        return first_attempt(new)
    return old if is_finished(folder) else next_attempt(folder, old, new, note)


def check_links(folder: Path) -> None:
    """Raises FolderRefused where a link in a folder leads out of it: what is written there would be elsewhere."""
    root = os.path.realpath(folder)
    for above, folders, names in os.walk(folder):
        for path in (Path(above, name) for name in (*folders, *names)):
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                raise FolderRefused(
                    f"{folder}: refuses to follow {path.name}, which leads to {path.readlink()} outside"
                )


def _check_foreign_files(folder: Path) -> None:
    names = sorted({path.name for path in folder.glob("*")} - LEFTOVERS)
    if names:
        raise FolderRefused(
            f"{folder} contains files rnnjax did not write: {truncate_list([ascii(name) for name in names])}"
        )

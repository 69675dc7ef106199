"""A part of a study in the hands of a process that does not hold the run folder: its lock, and who has computed it.

    OUT/work/<part>.lock   held by the process that trains the part
    OUT/work/<part>.json   its attempts: host, machine, steps, seconds
    OUT/work/machine.json  the machine of the first attempt
    OUT/work/stop          written by the holder of OUT: save and stop

All of it is gone when the study is finished; the manifest then has what was computed where. Locks must reach every host
that works on the folder; each finds out whether they do, because the holder of OUT has a lock that it can try.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from rnnjax.errors import FolderRefused, StorageFailed
from rnnjax.storage import files
from rnnjax.storage.manifest import Manifest, check_same_machine, to_results_json
from rnnjax.storage.run_folder import RunFolder, lock_file
from rnnjax.storage.sealed import read_sealed_json, write_sealed_json

WORK = "work"
POLL_SECONDS = 0.5
WAIT_SECONDS = 600.0  # for a process that has the lock of a part; it stops at its next chunk once it is not wanted

Attempt = dict[str, Any]  # host, pid, machine, from, to, seconds, state


class PartFolder(RunFolder):
    """A run folder in which this process trains one part; made by `hold_part`. Its manifest is not written."""

    def __enter__(self) -> "PartFolder":
        return self

    def record(self, **fields: Any) -> None:
        """Sets fields of the manifest in memory: the file belongs to the process that holds the run folder."""
        self.manifest |= to_results_json(fields)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    def check_held(self) -> None:
        """Raises StorageFailed where the lock was removed, FolderRefused where another may hold the part."""
        try:
            there, held = Path(self._lock.name).stat(), os.fstat(self._lock.fileno())
        except FileNotFoundError:
            raise StorageFailed(f"{self._lock.name} was removed while its part was being trained") from None
        if (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino):
            raise FolderRefused(f"{self._lock.name} is another file now; another process may train this part")


def hold_part(folder: Path, part: str, manifest: Manifest, while_waiting: Callable[[], None]) -> PartFolder:
    """The folder with the lock of one of its parts. Waits for a process that has it.

    Args: while_waiting: called twice a second; what it raises ends the waiting.
    Raises: FolderRefused after WAIT_SECONDS. StorageFailed.
    """
    path = folder / WORK / f"{part}.lock"
    until = time.monotonic() + WAIT_SECONDS
    with contextlib.ExitStack() as held:  # until the folder itself holds the lock
        with files.storage_errors(path):
            path.parent.mkdir(exist_ok=True)
            lock = held.enter_context(path.open("a+b"))
        while not try_lock(lock):
            while_waiting()
            if time.monotonic() > until:
                raise FolderRefused(f"{path}: still in use by another process after {WAIT_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)
        held.pop_all()
        return PartFolder(folder, manifest, lock)


def try_lock(lock: IO[bytes]) -> bool:
    """Whether the lock was free, and is now held. Raises StorageFailed."""
    try:
        lock_file(lock)
    except BlockingIOError:
        return False
    return True


def read_owner(folder: Path) -> str:
    """What the holder of a run folder has written about itself; "" for nothing."""
    try:
        return (folder / ".lock").read_text()
    except OSError:
        return ""


def is_held_by(folder: Path, owner: str) -> bool:
    """Whether the process that wrote `owner` still holds a run folder, as far as the locks of this host reach."""
    if not owner or read_owner(folder) != owner:
        return False
    try:
        with (folder / ".lock").open("r+b") as lock:
            return not try_lock(lock)  # a lock that was free is given back at once
    except OSError:
        return False


def request_stop(folder: Path, reason: str) -> None:
    """Ask all processes that train parts of a run folder to save and stop. Raises StorageFailed."""
    check_work(folder)
    files.write_text(folder / WORK / "stop", reason)


def check_work(folder: Path) -> None:
    """Raises StorageFailed where a run folder was removed meanwhile: it must not come back by what is written."""
    if not (folder / WORK).is_dir():
        raise StorageFailed(f"{folder} was removed while a study was running in it")


def stop_requested(folder: Path) -> bool:
    return (folder / WORK / "stop").exists()


def withdraw_stop(folder: Path) -> None:
    """Raises StorageFailed."""
    with files.storage_errors(folder):
        (folder / WORK / "stop").unlink(missing_ok=True)


def read_attempts(folder: Path, part: str) -> list[Attempt]:
    """The attempts at a part, oldest first; one that was killed has no `to`. Raises DamagedState."""
    path = folder / WORK / f"{part}.json"
    return list(read_sealed_json(path)["attempts"]) if path.exists() else []


def write_attempts(folder: Path, part: str, attempts: list[Attempt]) -> None:
    """Raises StorageFailed."""
    check_work(folder)
    write_sealed_json(folder / WORK / f"{part}.json", {"attempts": to_results_json(attempts)})


def check_machine(folder: Path, part: str, machine: dict[str, Any], asking: dict[str, Any], strict: bool) -> None:
    """Compare this machine with the one that asked, and with the first that has computed a part of the study.

    Raises FolderRefused: other numerics than those of the process that asked; if `strict`, unlike machines.
    """
    check_same_machine(folder, {"machine": asking}, {"machine": machine}, strict=False)
    first = first_machine(folder, part, machine)
    check_same_machine(folder, {"machine": first}, {"machine": machine}, strict)


def first_machine(folder: Path, part: str, machine: dict[str, Any]) -> dict[str, Any]:
    """The machine of the first attempt at any part: this one, where there was none.

    Args: part: whose lock this process has. Raises: StorageFailed, DamagedState.
    """
    path, draft = folder / WORK / "machine.json", folder / WORK / f"machine.{part}.json"
    if not path.exists():
        files.write_json(draft, to_results_json(machine))
        with files.storage_errors(path):
            with contextlib.suppress(FileExistsError):  # of two at once one is first
                os.link(draft, path)
            draft.unlink()
    return dict(files.read_json(path))


def remove_work(folder: Path) -> None:
    """Raises StorageFailed."""
    with files.storage_errors(folder):
        shutil.rmtree(folder / WORK, ignore_errors=True)


@contextlib.contextmanager
def attempt_at(folder: Path, part: str, about: Attempt) -> Iterator[Attempt]:
    """An attempt at a part, written when it begins and when it ends. Raises StorageFailed."""
    earlier, mine = read_attempts(folder, part), {**about}
    write_attempts(folder, part, [*earlier, mine])
    try:
        yield mine
    finally:
        with contextlib.suppress(StorageFailed):  # what has ended the attempt may not let it be written either
            write_attempts(folder, part, [*earlier, mine])

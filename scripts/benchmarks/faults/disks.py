"""Disks that fail while a study is trained: full, without inodes, read-only, with I/O errors, with a limit of files.

The study must end with a named error; its last checkpoint must verify; and once the disk works again, it must go on to
the bits of a study that had no fault. Disks are small tmpfs, which need the right to mount; without it those are left
out. Errors of reading and writing are raised by the calls of Python that open, make, rename and replace.
"""

import contextlib
import io
import os
import random
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults import studies
from benchmarks.faults.damage import resumed_equals
from benchmarks.faults.trial import Trial, Trials, describe_error
from rnnjax.errors import DamagedState, StorageFailed
from rnnjax.storage.checkpoints import Checkpoints

LIMIT = 30.0  # core-seconds until the study has ended
DISK_BYTES = 4 * 2**20
INODES = 400
STEPS = {"steps": 80, "save_every": 20, "log_every": 20, "keep": "last"}
CALLS = ((io, "open"), (os, "mkdir"), (os, "replace"), (os, "rename"))
EIO = 5

Break = Callable[[Path, random.Random], contextlib.ExitStack]  # makes the disk fail until the stack is closed


def fill(disk: Path, rng: random.Random) -> contextlib.ExitStack:
    """Leave a few kilobytes."""
    ballast, stack = disk / "ballast", contextlib.ExitStack()
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    ballast.write_bytes(bytes(max(0, free - rng.choice([0, 8, 24, 64, 200]) * 1024)))
    stack.callback(ballast.unlink)
    return stack


def use_inodes(disk: Path, rng: random.Random) -> contextlib.ExitStack:
    """Leave room for a few files."""
    stack, names = contextlib.ExitStack(), []
    for i in range(max(0, os.statvfs(disk).f_favail - rng.randrange(30))):
        names.append(disk / f"ballast{i}")
        names[-1].touch()
    for name in names:
        stack.callback(name.unlink)
    return stack


def make_read_only(disk: Path, rng: random.Random) -> contextlib.ExitStack:
    """As after an error of the file system; full instead where files that are open for writing keep it from that."""
    stack = contextlib.ExitStack()
    if subprocess.run(["mount", "-o", "remount,ro", disk], capture_output=True, check=False).returncode:
        return fill(disk, rng)
    stack.callback(lambda: subprocess.run(["mount", "-o", "remount,rw", disk], check=True))
    return stack


def limit_files(disk: Path, rng: random.Random) -> contextlib.ExitStack:
    """No file may grow beyond some bytes."""
    stack, (soft, hard) = contextlib.ExitStack(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (rng.choice([0, 100, 2_000, 10_000]), hard))
    stack.callback(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)))
    return stack


def fail_calls(disk: Path, rng: random.Random) -> contextlib.ExitStack:
    """From some call on, each that names this disk raises EIO."""
    stack, left = contextlib.ExitStack(), [rng.randrange(40)]

    def failing(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **named: Any) -> Any:
            if isinstance(path, str | os.PathLike) and str(path).startswith(str(disk)):
                left[0] -= 1
                if left[0] < 0:
                    raise OSError(EIO, os.strerror(EIO), str(path))
            return original(path, *arguments, **named)

        return call

    for module, name in CALLS:
        original = getattr(module, name)
        setattr(module, name, failing(original))
        stack.callback(setattr, module, name, original)
    return stack


FAULTS: dict[str, Break] = {
    "no space": fill,
    "I/O error": fail_calls,
    "read-only": make_read_only,
    "no inodes": use_inodes,
    "limit of a file's size": limit_files,
}
WITHOUT_MOUNT = ("I/O error", "limit of a file's size")


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Path | None]:
    """A tmpfs; None where it cannot be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},nr_inodes={INODES}", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def disks_trials(count: int, seed: int, folder: Path) -> Trials:
    """Every fault in turn, at a random step."""
    rng = random.Random(seed)
    with studies.shared_programs():
        whole = studies.run_quietly(studies.small_study(folder, **STEPS), folder / "whole")
        for number in range(count):
            with small_disk(folder / f"disk{number}") as disk:
                names = list(FAULTS if disk else WITHOUT_MOUNT)
                yield broken_disk(names[number % len(names)], disk or folder / f"disk{number}", whole, rng)


def broken_disk(name: str, disk: Path, whole: Path, rng: random.Random) -> Trial:
    """A study on a disk that fails at some step."""
    study, out = studies.small_study(whole.parent, **STEPS), disk / "out"
    at, begun = rng.choice([0, 20, 40, 60, 80]), time.process_time()
    with contextlib.ExitStack() as broken:

        def break_disk(update: Any) -> None:
            if update.step == at:
                broken.enter_context(FAULTS[name](disk, rng))

        if at == 0:
            broken.enter_context(FAULTS[name](disk, rng))
        lost = wrong_error(study, out, break_disk)
        seconds = time.process_time() - begun
    lost = lost or (f"{seconds:.0f} core-seconds" if seconds > LIMIT else "") or bad_checkpoint(out)
    lost = lost or resumed_equals(study, out, whole)
    return Trial(name, lost and f"at step {at}: {lost}", {"core-seconds": seconds})


def wrong_error(study: Any, out: Path, callback: Callable[[Any], None]) -> str:
    """How a study ends otherwise than well or with StorageFailed in one line."""
    try:
        studies.run_quietly(study, out, callback=callback)
    except StorageFailed as error:
        return "several lines" if "\n" in str(error) else ""
    except Exception as error:
        return f"ends with {describe_error(error)}"
    return ""


def bad_checkpoint(out: Path) -> str:
    """Whether the last checkpoint does not verify."""
    folder = out / "checkpoints" / "group-0"
    if not folder.is_dir():
        return ""
    try:
        with Checkpoints(folder) as saved:
            steps = saved.steps()
            found = saved.read()
    except DamagedState as error:
        return str(error)
    return "" if not steps or (found and found[0] == steps[-1]) else f"step {steps[-1]} does not verify"

"""Real processes that cost little: each is forked from a server that has imported rnnjax and started no device."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

PRELOADED = ["rnnjax.cli.study", "rnnjax.studies.run", "rnnjax.doctor", "benchmarks.faults.processes"]
POLL_SECONDS = 0.002
LONGEST_WAIT = 1_800.0  # seconds for anything: the machine may be busy
TICKS = os.sysconf("SC_CLK_TCK")

SPENT: dict[int | None, float] = {}  # process -> its core-seconds when it was last looked at

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(PRELOADED)


def run_study_command(arguments: Sequence[str], log: Path, variables: Mapping[str, str]) -> None:
    """`rnnjax study` with these arguments, in a process of its own; what it prints goes to `log`."""
    prepare_process(log, variables)
    from rnnjax.cli.common import run_command
    from rnnjax.cli.study import main

    sys.argv = ["study.py", *arguments]
    run_command(main)


def prepare_process(log: Path, variables: Mapping[str, str]) -> None:
    """Signals as a shell sets them for a command in the foreground; output to a file."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.environ.update(variables)
    words = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(words, 1)
    os.dup2(words, 2)


@contextmanager
def started(function: Callable[..., None], *arguments: Any) -> Iterator[ForkServerProcess]:
    """A process that calls a function; gone when the context ends."""
    process = SERVER.Process(target=function, args=arguments)
    process.start()
    try:
        yield process
    finally:
        core_seconds(process)
        process.kill()
        process.join()


def wait_for(what: Callable[[], bool], process: ForkServerProcess) -> bool:
    """Whether `what` became true before the process ended. Raises TimeoutError."""
    limit = time.monotonic() + LONGEST_WAIT
    while not what():
        if process.exitcode is not None:
            return False
        if time.monotonic() > limit:
            raise TimeoutError(f"process {process.pid} neither ended nor did what was waited for")
        time.sleep(POLL_SECONDS)
    return True


def core_seconds(process: ForkServerProcess) -> float | None:
    """User and system time of a process, which `SPENT` keeps; None where it is gone."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    SPENT[process.pid] = (int(fields[11]) + int(fields[12])) / TICKS
    return SPENT[process.pid]


def end_of(process: ForkServerProcess) -> tuple[int | None, float, float]:
    """Wait for the end of a process. Returns: its exit code, None where it did not end; seconds; core-seconds."""
    begun, first = time.monotonic(), core_seconds(process) or 0.0
    last = first
    while process.exitcode is None and time.monotonic() - begun < LONGEST_WAIT:
        last = core_seconds(process) or last
        process.join(0.02)
    return process.exitcode, time.monotonic() - begun, last - first

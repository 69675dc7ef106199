"""A scheduler and workers of dask on this machine, and studies that ask them: real processes, which can be killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from rnnjax.studies.cluster.engine import SETTINGS, WORKER_OPTIONS, as_variables

ROOT = Path(__file__).parents[3]


def environment() -> dict[str, str]:
    """That of this process, with rnnjax from this checkout and the settings of the engine."""
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": paths, **as_variables(SETTINGS)}


class Cluster:
    """A scheduler and its workers, as a context manager.

    Args: folder: of the logs. cores: of each worker; none: all.
    """

    def __init__(self, folder: Path, cores: Sequence[Sequence[int]]) -> None:
        self._folder, self._cores = folder, cores
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self._port}"
        self.used: dict[int, float] = {}  # number of a worker -> CPU seconds, without those of killed ones

    def __enter__(self) -> "Cluster":
        self._folder.mkdir(parents=True, exist_ok=True)
        self.scheduler = self._start_scheduler()
        self.workers = [self._start_worker(number) for number in range(len(self._cores))]
        return self

    def __exit__(self, *_: object) -> None:
        self.used = {number: cpu_seconds(process.pid) for number, process in enumerate(self.workers)}
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def keep(self) -> None:
        """Start again what has ended."""
        if self.scheduler.poll() is not None:
            self.scheduler = self._start_scheduler()
        for number, process in enumerate(self.workers):
            if process.poll() is not None:
                self.workers[number] = self._start_worker(number)

    def kill(self, number: int | None) -> None:
        """SIGKILL to a worker, or to the scheduler."""
        process = self.scheduler if number is None else self.workers[number]
        process.send_signal(signal.SIGKILL)
        process.wait()

    def _start_scheduler(self) -> "subprocess.Popen[bytes]":
        options = ["--host", "127.0.0.1", "--port", str(self._port), "--no-dashboard"]
        return self._start("scheduler", ["distributed.cli.dask_scheduler", *options])

    def _start_worker(self, number: int) -> "subprocess.Popen[bytes]":
        options = [*WORKER_OPTIONS, "--no-nanny", "--death-timeout", "60", "--local-directory", str(self._folder)]
        process = self._start(f"worker-{number}", ["distributed.cli.dask_worker", self.address, *options])
        if self._cores[number]:
            os.sched_setaffinity(process.pid, self._cores[number])
        return process

    def _start(self, name: str, module: Sequence[str]) -> "subprocess.Popen[bytes]":
        with (self._folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", *module]
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment())


def cpu_seconds(pid: int) -> float:
    """User and system time of a process up to now."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def start_study(*arguments: str) -> "subprocess.Popen[str]":
    """`rnnjax study` with these arguments."""
    command = [sys.executable, "-m", "rnnjax.cli", "study", *arguments]
    return subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)


def run_study(*arguments: str) -> dict[str, float]:
    """Run `rnnjax study` to its end. Returns: its seconds, those of local workers included. Raises RuntimeError."""
    before, begun = os.times(), time.monotonic()
    process = start_study(*arguments)
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"rnnjax study {' '.join(arguments)}: exit code {process.returncode}: {errors[-500:]}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"wall_seconds": round(time.monotonic() - begun, 2), "cpu_seconds": round(cpu, 2)}

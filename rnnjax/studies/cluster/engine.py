"""dask.distributed for parts of studies: a connection to a scheduler, workers of this machine, tasks and their events.

Its settings, and why (docs/cluster.md has what was measured):

- workers are processes of their own, never forks: JAX has threads;
- one thread each and no memory limit: a part takes all that it needs, and a worker that is ended begins it again;
- no `worker-ttl`: a worker that compiles may not answer for minutes, and would be taken for dead;
- local workers are started again here: a nanny of a LocalCluster may give up after some kills.
"""

import contextlib
import logging
import os
import pickle
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dask.config
from distributed import Client, Future, LocalCluster
from distributed.scheduler import KilledWorker

from rnnjax.errors import BadInput, ClusterFailed
from rnnjax.studies.cluster.address import Address
from rnnjax.studies.cluster.job import PartJob
from rnnjax.studies.cluster.outcome import PartOutcome
from rnnjax.studies.cluster.worker import run_job

SETTINGS = {
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.allowed-failures": 3,
    "distributed.worker.multiprocessing-method": "spawn",
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.admin.tick.limit": "1h",  # of warnings that the loop was held up: compiling does that
}
WORKER_OPTIONS = ("--nthreads", "1", "--memory-limit", "0", "--no-dashboard")
CONNECT_SECONDS = 30.0
END_SECONDS = 5.0  # for a local worker to end
LOOK_SECONDS = 2.0  # between two questions how many workers there are


class Engine:
    """A connection to a scheduler. Made by `connected`.

    Attributes: address: of the scheduler. waits: whether workers may take long to come, as those of a queue.
    """

    def __init__(self, client: Client, address: str, local: "LocalWorkers | None") -> None:
        self.client, self.local = client, local
        self.address = address
        self.waits = local is None
        self.topic = f"rnnjax-{client.id}"
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._workers: tuple[float, dict[str, int]] = (0.0, {})
        client.subscribe_topic(self.topic, lambda event: self._events.put(event[1]))

    def submit(self, job: PartJob) -> "Future[PartOutcome]":
        """Give a part out. A lost worker is replaced by another; nothing else is tried again."""
        fingerprint = job.machine
        count, isa = fingerprint["devices"]["count"], fingerprint["platform"]["isa"]
        return self.client.submit(
            *(run_job, pickle.dumps(job), self.topic, count, str(Path.cwd()), isa),
            key=f"{job.part.folder}-{time.time_ns():x}",
            pure=False,
            retries=0,
        )

    def events(self) -> list[dict[str, Any]]:
        """The events since the last call."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._events.get_nowait())
        return found

    def workers(self) -> dict[str, int]:
        """Address -> threads, of the last seconds; local workers that have ended are started again.

        Raises ClusterFailed where the scheduler does not answer.
        """
        if self.local is not None:
            self.local.keep()
        looked, known = self._workers
        if time.monotonic() - looked > LOOK_SECONDS:
            try:
                known = dict(self.client.nthreads())
            except Exception as error:  # OSError, TimeoutError, CommClosedError and others of a closed connection
                raise ClusterFailed(f"the scheduler at {self.address} was lost ({first_line(error)})") from None
            self._workers = time.monotonic(), known
        return known

    def last_words(self) -> str:
        """The last line of the log of a local worker, for a message; "" for nothing."""
        line = self.local.log() if self.local is not None else ""
        return f"; its log ends: {line[:300]}" if line else ""

    def outcome(self, future: "Future[PartOutcome]") -> PartOutcome | None:
        """How a task that is done has ended; None where its worker was lost, several times by dask's count.

        Raises: ClusterFailed where the scheduler is gone. BadInput where a worker has no rnnjax. Any other exception of
        the task is a fault of ours.
        """
        if future.status in ("cancelled", "lost"):
            raise ClusterFailed(f"the scheduler at {self.address} was lost")
        error = future.exception() if future.status == "error" else None
        if isinstance(error, KilledWorker):
            return None
        if isinstance(error, ImportError):
            raise BadInput(f"a worker at {self.address} cannot run rnnjax: {error}; expected the same environment")
        return PartOutcome(*future.result())


class LocalWorkers:
    """Processes of this machine that work for a scheduler, as a context manager."""

    def __init__(self, scheduler: str, number: int, logs: Path) -> None:
        self._scheduler, self._logs = scheduler, logs
        self._processes: dict[int, subprocess.Popen[bytes]] = {n: self._start(n) for n in range(number)}

    def _start(self, number: int) -> "subprocess.Popen[bytes]":
        """In a session of its own: Ctrl-C is for the process that asked, which lets its workers save."""
        options = (*WORKER_OPTIONS, "--no-nanny", "--death-timeout", "60", "--local-directory", str(self._logs))
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self._scheduler, *options]
        with (self._logs / f"worker-{number}.log").open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment()
            )

    def keep(self) -> None:
        """Start those again that have ended."""
        for number, process in self._processes.items():
            if process.poll() is not None:
                self._processes[number] = self._start(number)

    def log(self) -> str:
        """The last line that a worker has written."""
        lines = [
            line
            for path in sorted(self._logs.glob("*.log"))
            for line in path.read_text("utf-8", "replace").splitlines()
        ]
        return lines[-1] if lines else ""

    def __enter__(self) -> "LocalWorkers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.terminate()
        until = time.monotonic() + END_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()  # nothing is lost: see storage.checkpoints
                process.wait()


def environment() -> dict[str, str]:
    """That of this process, in which a worker also finds what this process has imported, and the settings of dask."""
    paths = os.pathsep.join(dict.fromkeys(path or str(Path.cwd()) for path in sys.path))
    return {**os.environ, "PYTHONPATH": paths, **as_variables(SETTINGS)}


def as_variables(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings of dask as environment variables."""
    names = {name: "DASK_" + name.upper().replace(".", "__").replace("-", "_") for name in settings}
    return {names[name]: str(value) for name, value in settings.items()}


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__


@contextlib.contextmanager
def connected(address: Address) -> Iterator[Engine]:
    """A connection to the workers of an address, some of which may still be on their way.

    Raises: BadInput where no scheduler answers.
    """
    silence_logs()
    with dask.config.set(SETTINGS), contextlib.ExitStack() as stack:
        if address.kind == "scheduler":
            yield Engine(stack.enter_context(connect(address.scheduler)), address.scheduler, None)
            return
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rnnjax-")))
        # None would take port 8787, and warn where it is in use.
        options = {"host": "127.0.0.1", "scheduler_port": 0, "dashboard_address": "127.0.0.1:0"}
        cluster = stack.enter_context(LocalCluster(n_workers=0, silence_logs=logging.CRITICAL, **options))
        client = stack.enter_context(connect(cluster.scheduler_address))
        workers = stack.enter_context(LocalWorkers(cluster.scheduler_address, address.workers, logs))
        yield Engine(client, cluster.scheduler_address, workers)


def silence_logs() -> None:
    """Keep the logs of dask off the terminal, those of closed connections too: its errors come to us as exceptions."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in ("distributed", "tornado")]
    for name in [*names, "asyncio"]:  # the levels of loggers below `distributed` are their own
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextlib.contextmanager
def connect(scheduler: str) -> Iterator[Client]:
    """A client of a scheduler. Raises BadInput where none answers."""
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise BadInput(f"--cluster {scheduler}: no scheduler answers ({first_line(error)})") from None
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):  # of a scheduler that is gone
            client.close(timeout=END_SECONDS)

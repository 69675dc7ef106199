"""Training one part of a group in a worker: what `train_groups` does with it, under the lock of the part."""

import os
import signal
import socket
import time
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from rnnjax import errors
from rnnjax.errors import BadInput, FolderRefused, RnnjaxError, Stopped
from rnnjax.settings import TaskSpec
from rnnjax.storage.checkpoints import Checkpoints
from rnnjax.storage.manifest import machine_fingerprint
from rnnjax.storage.part_folder import (
    PartFolder,
    attempt_at,
    check_machine,
    hold_part,
    is_held_by,
    read_attempts,
    stop_requested,
)
from rnnjax.studies.cluster.events import Send
from rnnjax.studies.cluster.job import PartJob
from rnnjax.studies.cluster.outcome import PartOutcome
from rnnjax.studies.context import RunContext, stop_where_asked
from rnnjax.studies.datasets import data_hash, load_tasks
from rnnjax.studies.group import GroupTrainer
from rnnjax.studies.group_setup import compiler_threads, one_ahead, set_up_part
from rnnjax.studies.own_code import run_user_code
from rnnjax.studies.parts import groups_of_study
from rnnjax.studies.progress import Clock, Display
from rnnjax.studies.signals import Interruption
from rnnjax.training.parallel import Run
from rnnjax.types import Task

CHECK_SECONDS = 1.0  # between two looks for a request to stop


class StopRequest(Interruption):
    """`number` is that of a signal once the holder of the run folder asks to stop, or does not hold it any more."""

    def __init__(self, folder: Path, owner: str) -> None:
        self._number = 0
        super().__init__(handlers=False)
        self._folder, self._owner = folder, owner
        self._checked = -CHECK_SECONDS

    @property
    def number(self) -> int:
        if not self._number and time.monotonic() - self._checked > CHECK_SECONDS:
            self._checked = time.monotonic()
            wanted = is_held_by(self._folder, self._owner) and not stop_requested(self._folder)
            self._number = 0 if wanted else signal.SIGTERM
        return self._number

    @number.setter
    def number(self, value: int) -> None:
        self._number = value


class RemoteDisplay(Display):
    """Sends what a display would show. Args: about: sent with every event."""

    def __init__(self, send: Send, about: dict[str, Any]) -> None:
        super().__init__("none")
        self._send, self._about = send, about

    def say(self, line: str) -> None:
        self._send({**self._about, "event": "line", "line": line})

    def begin(self, group: str, steps: int, runs: int) -> None:
        self._send({**self._about, "event": "begin", "steps": steps, "runs": runs})

    def advance(self, step: int, losses: str, speed: float, left: float) -> None:
        self._send({**self._about, "event": "step", "step": step, "losses": losses})

    def finish(self, step: int) -> None:
        """The outcome tells it."""


def train_part(job: PartJob, send: Send) -> PartOutcome:
    """Train a part from its newest checkpoint to the end. Args: send: sends an event to the process that asks.

    Returns: the error of ours that has ended it, too; every other exception is raised: it is a fault of ours.
    """
    folder = Path(job.folder)
    stop = StopRequest(folder, job.owner)
    try:
        check_reach(folder, job.owner)
        with hold_part(folder, job.part.folder, manifest_of(job), partial(stop_waiting, stop)) as run:
            train_held_part(job, run, stop, send)
    except RnnjaxError as error:
        name = next(kind.__name__ for kind in type(error).__mro__ if hasattr(errors, kind.__name__))
        return PartOutcome(name, error.saved if isinstance(error, Stopped) else str(error))
    return PartOutcome()


def manifest_of(job: PartJob) -> dict[str, Any]:
    """The fields of the manifest that the training of a part reads."""
    return {"attempt": job.attempt, "own_code": job.own_code}


def stop_waiting(stop: StopRequest) -> None:
    """Raises Stopped once it is asked for."""
    if stop.number:
        raise Stopped(stop.number, "", "stopped; what was trained is saved")


def check_reach(folder: Path, owner: str) -> None:
    """Raises FolderRefused where this host does not see the run folder, or not the lock on it."""
    if not folder.is_dir():
        raise FolderRefused(f"{folder}: no such folder on {socket.gethostname()}; expected a shared file system")
    if not is_held_by(folder, owner) and not stop_requested(folder):
        raise FolderRefused(
            f"{folder}: {socket.gethostname()} does not see the lock of the process that asked; expected a shared file "
            "system with file locks"
        )


def train_held_part(job: PartJob, run: PartFolder, stop: StopRequest, send: Send) -> None:
    """Check that machine, code and data are those of the study, then train. Raises: as `GroupTrainer.run`."""
    folder, part, machine = run.path, job.part.folder, machine_fingerprint()
    check_machine(folder, part, machine, job.machine, job.strict)
    check_own_code(job)
    group = groups_of_study(job.study)[job.group]
    task = load_task(group[0].spec.task, job.data_sha256)
    before, begun, used = newest_step(folder, part), time.monotonic(), time.process_time()
    about = {"host": socket.gethostname(), "pid": os.getpid(), "machine": machine, "from": before}
    with attempt_at(folder, part, about) as attempt, Clock.running({}) as clock:
        number = len(read_attempts(folder, part))
        display = RemoteDisplay(send, {"part": part, "host": about["host"], "attempt": number, "from": before})
        context = RunContext(job.study, run, display, clock, stop)
        try:
            train_in_context(job, context, group, task)
        finally:
            attempt |= {"to": newest_step(folder, part), "seconds": clock.seconds}
            attempt |= {"wall_seconds": time.monotonic() - begun, "cpu_seconds": time.process_time() - used}


def train_in_context(job: PartJob, context: RunContext, group: Sequence[Run], task: Task) -> None:
    """Set the part up and train it. Raises: as `GroupTrainer.run`."""
    context.display.begin(job.group, group[0].spec.steps, sum(map(len, job.part.runs.values())))
    waiting = partial(stop_where_asked, context, "stopped; what was trained is saved")
    with compiler_threads() as pool:
        setup = partial(set_up_part, pool, context.run.path, job.study, group, task, job.part)
        with context.clock.phase("compile"):
            [ready] = one_ahead(pool, [setup], waiting)
        GroupTrainer(context, job.group, group, task, ready).run(job.shown)


def check_own_code(job: PartJob) -> None:
    """Run the user's own file. Raises BadInput where it is another one here."""
    known = job.study.config.get("own_code_sha256", "")
    if job.own_code and user_code_hash(job.own_code) != known:
        raise BadInput(f"--import {job.own_code}: is another file on {socket.gethostname()}")


@cache
def user_code_hash(file: str) -> str:
    """Once in a process: modules that were imported before are not counted."""
    return run_user_code(Path(file))


_TASKS: dict[TaskSpec, Task] = {}


def load_task(spec: TaskSpec, data_sha256: str) -> Task:
    """The task, kept for the next part. Raises BadInput where its data are others than those of the study."""
    if spec not in _TASKS or data_hash({spec: _TASKS[spec]}) != data_sha256:
        _TASKS.clear()
        _TASKS.update(load_tasks([spec])[0])
    if data_hash({spec: _TASKS[spec]}) != data_sha256:
        raise BadInput(f"task: the data on {socket.gethostname()} are not those of the process that asked")
    return _TASKS[spec]


def newest_step(folder: Path, part: str) -> int:
    """The step of the newest checkpoint of a part, whole or not; -1 for none."""
    with Checkpoints(folder / "checkpoints" / part) as checkpoints:
        return max(checkpoints.steps(), default=-1)

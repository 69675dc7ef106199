"""Training all groups of a study on a cluster: plan the parts, give them out, wait.

The results are files. What is left to do when all parts are trained, `train_groups` does as in a study that is resumed:
every group is read from its checkpoints, and its metrics are written.
"""

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rnnjax import errors
from rnnjax.errors import ClusterFailed, RnnjaxError, Stopped, StorageFailed
from rnnjax.settings import TaskSpec
from rnnjax.storage.files import storage_errors
from rnnjax.storage.part_folder import WORK, read_attempts, read_owner, request_stop, withdraw_stop
from rnnjax.studies.cluster.job import PartJob
from rnnjax.studies.cluster.outcome import PartOutcome
from rnnjax.studies.cluster.progress import ClusterDisplay
from rnnjax.studies.cluster.split import plan_parts
from rnnjax.studies.context import RunContext, stop_where_asked
from rnnjax.studies.datasets import data_hash
from rnnjax.studies.parts import Part, groups_of_study, part_to_json, runs_of_part
from rnnjax.studies.progress import resume_command
from rnnjax.studies.train_groups import arms_of_one_part, work
from rnnjax.training.parallel import Run
from rnnjax.types import Task

if TYPE_CHECKING:
    from distributed import Future

    from rnnjax.studies.cluster.engine import Engine

POLL_SECONDS = 0.2
STOP_SECONDS = 60.0  # for workers to save and stop
LOCAL_SECONDS, QUEUE_SECONDS = 120.0, 3600.0  # without any worker
MOST_LOSSES = 12  # workers that one part may lose in a row without a new checkpoint


def train_on_cluster(context: RunContext, tasks: dict[TaskSpec, Task], engine: "Engine", strict: bool) -> None:
    """Train every part that is not trained yet.

    Raises: Stopped, with the state saved; the errors of `GroupTrainer.run` by which a worker has ended; ClusterFailed.
    """
    folder, groups = context.run.path, groups_of_study(context.study)
    with storage_errors(folder):
        (folder / WORK).mkdir(exist_ok=True)
    withdraw_stop(folder)
    watch = WorkerWatch(context, engine)
    while not (workers := watch.count()):
        stop_where_asked(context, "stopped; what was trained is saved")
        time.sleep(POLL_SECONDS)
    devices = context.run.manifest["machine"]["devices"]["count"]
    parts = plan_parts(folder, context.run.manifest, context.study, groups, workers, devices)
    if any(len(some) > 1 for some in parts.values()):
        context.run.record(parts={name: [part_to_json(part) for part in some] for name, some in parts.items()})
    jobs = plan_jobs(context, groups, parts, tasks, strict)
    jobs = [job for job in jobs if not (folder / "checkpoints" / job.part.folder / str(last_step(job))).exists()]
    display = ClusterDisplay(context.display, {job.part.folder: (last_step(job), count_runs(job)) for job in jobs})
    display.plan(workers, len(groups))
    for address in [address for address, threads in engine.workers().items() if threads > 1]:
        context.display.say(f"{address}: trains one part at a time; start it with --nthreads 1")
    Dispatcher(context, engine, watch, display).run(jobs)


def plan_jobs(
    context: RunContext,
    groups: Mapping[str, list[Run]],
    parts: Mapping[str, list[Part]],
    tasks: Mapping[TaskSpec, Task],
    strict: bool,
) -> list[PartJob]:
    """The job of every part, those with most work first."""
    run, owner = context.run, read_owner(context.run.path)
    hashes = {spec: data_hash({spec: task}) for spec, task in tasks.items()}
    jobs = [
        PartJob(
            context.study,
            *(str(run.path), name, part, arms_of_one_part(context, group, parts[name])),
            *(owner, run.attempt, run.manifest["machine"], hashes[group[0].spec.task]),
            *(strict, run.manifest.get("own_code", "")),
        )
        for name, group in groups.items()
        for part in parts[name]
    ]
    costs = {job.part.folder: work(runs_of_part(context.study, groups[job.group], job.part)) for job in jobs}
    return sorted(jobs, key=lambda job: -costs[job.part.folder])


def last_step(job: PartJob) -> int:
    """The step at which a part is trained."""
    return job.part.stretches[-1].steps


def count_runs(job: PartJob) -> int:
    return sum(map(len, job.part.runs.values()))


class WorkerWatch:
    """How many workers there are, and since when there is none."""

    def __init__(self, context: RunContext, engine: "Engine") -> None:
        self._folder, self._engine = context.run.path, engine
        self._limit = QUEUE_SECONDS if engine.waits else LOCAL_SECONDS
        self._last = time.monotonic()

    def count(self) -> int:
        """Raises ClusterFailed where there is no scheduler, or no worker for too long."""
        number = len(self._engine.workers())
        self._last = time.monotonic() if number else self._last
        if time.monotonic() - self._last > self._limit:
            raise ClusterFailed(f"{self._engine.address}: no worker for {self._limit:.0f} s{self._engine.last_words()}")
        return number


class Dispatcher:
    """Gives jobs out and waits for them.

    A worker that is lost is replaced as long as its part comes on. The first failure of another kind asks all workers
    to save and stop, as a signal does.
    """

    def __init__(self, context: RunContext, engine: "Engine", watch: WorkerWatch, display: ClusterDisplay) -> None:
        self.context, self.engine, self.watch, self.display = context, engine, watch, display
        self.folder = context.run.path
        self.pending: dict[Future[PartOutcome], PartJob] = {}
        self.failure: PartOutcome | None = None
        self.saved = "stopped; what was trained is saved"
        self.stop_at: float | None = None  # when workers are not waited for any longer

    def run(self, jobs: list[PartJob]) -> None:
        """Raises: as `train_on_cluster`."""
        try:
            self.pending = {self.engine.submit(job): job for job in jobs}
            while self.pending and not self.is_late():
                self.look()
                time.sleep(POLL_SECONDS)
        except ClusterFailed as error:
            self.stop(str(error))
            raise ClusterFailed(f"{error}; what was trained is saved; to go on: {self.command()}") from None
        except Exception:
            with contextlib.suppress(StorageFailed):  # the first error is the one to show
                self.stop("an error")
            raise
        if self.failure is not None:
            kind: type[RnnjaxError] = getattr(errors, self.failure.error)
            raise kind(self.failure.message)
        if number := self.context.interruption.number:
            raise Stopped(number, self.command(), self.saved)

    def look(self) -> None:
        """One look at signals, events, workers and tasks."""
        if self.context.interruption.number:
            self.stop("a signal")
        for event in self.engine.events():
            self.display.show(event)
        for future in [future for future in self.pending if future.done()]:
            self.settle(self.pending.pop(future), self.engine.outcome(future))
        if self.pending:
            self.watch.count()
            self.context.run.check_held()

    def settle(self, job: PartJob, outcome: PartOutcome | None) -> None:
        """A task that is done. Args: outcome: None where its worker was lost."""
        if outcome is not None and not outcome.error:
            self.display.finish(job.part.folder)
        elif outcome is None or outcome.error == Stopped.__name__:
            self.saved = self.saved if outcome is None else outcome.message
            if self.stop_at is None:
                self.check_progress(job)
                self.pending[self.engine.submit(job)] = job
        else:
            self.failure = self.failure or outcome
            self.stop(outcome.message)

    def check_progress(self, job: PartJob) -> None:
        """Raises ClusterFailed where a part has lost many workers at the same step."""
        began = [attempt["from"] for attempt in read_attempts(self.folder, job.part.folder)]
        if len(began) >= MOST_LOSSES and len(set(began[-MOST_LOSSES:])) == 1:
            raise ClusterFailed(
                f"{job.part.folder}: {MOST_LOSSES} workers in a row were lost at step {max(began[-1], 0):,} "
                f"(killed, or out of memory?){self.engine.last_words()}"
            )

    def stop(self, reason: str) -> None:
        """Ask the workers to save and stop, once."""
        if self.stop_at is None:
            self.stop_at = time.monotonic() + STOP_SECONDS
            request_stop(self.folder, reason)

    def is_late(self) -> bool:
        return self.stop_at is not None and time.monotonic() > self.stop_at

    def command(self) -> str:
        return resume_command(self.folder, own_code=self.context.run.manifest.get("own_code", ""))

"""One group of runs in training: chunk after chunk, with every effect between two chunks.

The state of a group (network states, record, probe values) has one shape from the first step to the last. So a
checkpoint holds all of it, and a resumed group continues bitwise as if it had never stopped.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnjax.config.schema import Study
from rnnjax.errors import Stopped
from rnnjax.metrics import resolve_unit
from rnnjax.probes import applicable, outline
from rnnjax.settings import Spec
from rnnjax.storage.checkpoints import Checkpoints
from rnnjax.storage.run_folder import RunFolder
from rnnjax.storage.tree_digest import state_digest
from rnnjax.studies.load_results import Recorded, arm_result, to_arrays
from rnnjax.studies.metrics import describe_values, network_sizes
from rnnjax.studies.plan import next_stop, probe_points, regular_points
from rnnjax.studies.progress import Clock, Display
from rnnjax.studies.signals import Interruption
from rnnjax.studies.tensorboard import TensorBoardLogger, rows_by_arm
from rnnjax.tasks.windows import held_out_window, task_windows
from rnnjax.training.parallel import Program, Run, compile_program, init_states
from rnnjax.training.state import StepMetrics
from rnnjax.types import Facts, Probe, Task

LONGEST_RECORD = 60  # rows of one chunk
CHUNK_SECONDS = 2.0  # seconds that a chunk should take: how long a signal waits


class RunContext(NamedTuple):
    """The effects that training may have."""

    study: Study
    run: RunFolder
    display: Display
    clock: Clock
    interruption: Interruption


class Plan(NamedTuple):
    """The steps at which a group is probed, saved and validated; follows from its settings alone."""

    row_steps: np.ndarray  # [S] optimizer steps done at the end of each row
    probes: dict[str, list[int]]  # the steps of each
    probe_steps: list[int]  # [Q] of all probes together
    saves: list[int]
    checks: list[int]  # of early stopping, on the held-out loss

    def stops(self) -> list[int]:
        """The ends of chunks that cannot be elsewhere."""
        return sorted({*self.probe_steps, *self.saves, *self.checks})


def build_plan(study: Study, spec: Spec) -> Plan:
    """The plan of a program in a study."""
    probes = {name: probe_points(count, spec.steps, spec.log_every) for name, count in study.file.probes.items()}
    ends = np.arange(spec.log_every, spec.steps + spec.log_every, spec.log_every)
    steps = sorted({0, spec.steps}.union(*probes.values()))
    saves = regular_points(study.file.save_every or -(-spec.steps // 10), spec.steps, spec.log_every)
    checks = regular_points(spec.validate_every, spec.steps, spec.log_every) if spec.validate_every else []
    return Plan(np.minimum(ends, spec.steps), probes, steps, saves, checks)


class GroupTrainer:
    """A group in training: the one object of a study that changes."""

    def __init__(self, context: RunContext, name: str, runs: Sequence[Run], task: Task) -> None:
        self.context, self.name, self.runs, self.task = context, name, list(runs), task
        self.arms = rows_by_arm([run.arm for run in runs])
        self.spec = self.runs[0].spec.program
        plan = build_plan(context.study, self.spec)
        self.probes = applicable(plan.probes, self.spec, task)
        self.plan = plan._replace(probes={name: plan.probes[name] for name in self.probes})
        self.outlines = {name: outline(probe, self.spec) for name, probe in self.probes.items()}
        context.display.say(f"{name}: {len(runs):,} runs of {self.spec.steps:,} steps; compiling their one program ...")
        context.display.begin(name, self.spec.steps)
        with context.clock.phase("train"):
            self.program = self.compile()
            self.states = self.program.blocks.scatter(init_states(self.runs))
        self.record_group_metadata()
        self.step, self.chunk_length = 0, self.spec.log_every
        self.record = empty_record(len(self.runs), len(self.plan.row_steps))
        self.values = {
            name: empty_array((len(self.runs), len(self.plan.probe_steps), *value.shape[1:]), value.dtype)
            for values in self.outlines.values()
            for name, value in values.items()
        }

    def compile(self) -> Program:
        """The training program of this group."""
        task, spec = self.task, self.spec
        data = task_windows(task, task.train_N, spec.batch, spec.window)
        held_out = held_out_window(task, spec.window, spec.carry == "carried") if self.plan.checks else None
        return compile_program(self.runs, data, LONGEST_RECORD, held_out)

    def record_group_metadata(self) -> None:
        """Put into the manifest all that a reader of this group's checkpoints and metrics needs besides them."""
        described = [describe_values(self.probes[name], values) for name, values in self.outlines.items()]
        metrics = {name: metric for metrics in described for name, metric in metrics.items()}
        self.metrics = {name: resolve_unit(metric, self.task.loss) for name, metric in metrics.items()}
        self.entry = (
            {"arms": [self.context.study.arms[arm].name for arm in self.arms]}
            | task_metadata(self.task)
            | {"sizes": network_sizes(self.spec)}
            | {"metrics": {name: metric._asdict() for name, metric in self.metrics.items()}}
            | {"labels": probe_labels(self.probes.values())}
        )
        known = self.context.run.manifest.get("groups", {})
        self.context.run.record(groups=known | {self.name: self.entry})

    def run(self) -> None:
        """Train to the end and write the metrics file.

        Raises: Stopped, with the state saved; the errors of `Checkpoints` and `ArmCurves`.
        """
        folder = self.context.run.path / "checkpoints" / self.name
        with Checkpoints(folder, note=self.context.display.say) as checkpoints:
            resumed = self.restore(checkpoints)
            with self.open_tensorboard(resumed) as logger:
                if resumed is None:
                    self.log(logger, 0, self.step, self.probe())
                if logger.rewritten:
                    self.log_again(logger)
                while self.step < self.spec.steps:
                    since = self.step
                    self.advance()
                    self.log(logger, since, self.step, self.probe())
                    self.save(checkpoints)
                self.finish(logger)

    def finish(self, logger: TensorBoardLogger) -> None:
        """Write the metrics file, from which all results are read, and the last lines of TensorBoard."""
        recorded = self.recorded()
        settings_and_metrics = dict(self.final_metrics(recorded))
        with self.context.clock.phase("io"):
            # One step on, so that a resumed study, which forgets all behind its checkpoint, does not show this twice.
            logger.finish(self.step + 1, settings_and_metrics)
            self.context.run.write_npz(f"metrics/{self.name}.npz", to_arrays(recorded))
            hashes = self.context.run.manifest.get("state_sha256", {})
            self.context.run.record(state_sha256=hashes | {self.name: state_digest(self.tree())})

    def recorded(self) -> Recorded:
        """All that was recorded of this group."""
        state = self.program.blocks.gather(self.states)
        taken = {name: np.isin(self.plan.probe_steps, steps) for name, steps in self.plan.probes.items()}
        return Recorded(
            row_steps=self.plan.row_steps,
            rows=self.record._asdict(),
            probe_steps=np.array(self.plan.probe_steps),
            probes=self.values,
            measured_at={value: taken[name] for name, values in self.outlines.items() for value in values},
            diverged_at=state.diverged_at,
            seeds=np.array([run.hp.seed for run in self.runs]),
            arms=np.array([run.arm for run in self.runs]),
        )

    def final_metrics(self, recorded: Recorded) -> Iterator[tuple[str, tuple[dict[str, Any], dict[str, np.ndarray]]]]:
        """Each arm's (settings, final metrics), by name."""
        for index in self.arms:
            arm = self.context.study.arms[index]
            result = arm_result(arm.name, arm.axes, recorded.members(recorded.arms == index), self.entry)
            yield arm.name, (arm.axes, result.metrics)

    def open_tensorboard(self, resumed: int | None) -> TensorBoardLogger:
        """The TensorBoard runs of this group's arms."""
        arms = {self.context.study.arms[arm].name: rows for arm, rows in self.arms.items()}
        texts = [name for name, metric in self.metrics.items() if metric.kind == "text"]
        folder, attempt = self.context.run.path / "tb", self.context.run.attempt
        return TensorBoardLogger(folder, arms, attempt, resumed, self.task.vocabulary, texts)

    def log(self, logger: TensorBoardLogger, since: int, until: int, values: dict[str, np.ndarray]) -> None:
        """Send the rows recorded in (since, until], and probe values of step `until`, to TensorBoard."""
        new = (self.plan.row_steps > since) & (self.plan.row_steps <= until)
        with self.context.clock.phase("io"):
            record = jax.tree.map(lambda leaf: leaf[:, new], self.record)
            logger.log(until, self.plan.row_steps[new], record, values)

    def log_again(self, logger: TensorBoardLogger) -> None:
        """Send all that was recorded up to now to TensorBoard, where what an earlier attempt wrote is damaged."""
        self.context.display.say(f"{self.name}: the curves of TensorBoard were damaged; they are written again")
        steps = [step for step in self.plan.probe_steps if step < self.step] + [self.step]
        for since, step in pairwise([0, *steps]):
            self.log(logger, since, step, self.values_at(step))

    def values_at(self, step: int) -> dict[str, np.ndarray]:
        """The values [R, ...] of the probes that were taken at a step."""
        taken = [name for name, steps in self.plan.probes.items() if step in steps]
        row = self.plan.probe_steps.index(step) if taken else 0
        return {value: self.values[value][:, row] for name in taken for value in self.outlines[name]}

    def advance(self) -> None:
        """Train one chunk; its length follows the measured speed, which changes no result."""
        stop = next_stop(self.step, self.plan.stops(), self.chunk_length)
        started = time.monotonic()
        with self.context.clock.phase("train"):
            self.states, record = self.program.advance(self.states, stop - self.step)
        seconds = time.monotonic() - started
        first = self.step // self.spec.log_every
        for rows, new in zip(self.record, record, strict=True):
            rows[:, first : first + new.shape[1]] = new
        steps, self.step = stop - self.step, stop
        self.chunk_length = self.next_chunk_length(steps, seconds)
        if stop in self.plan.checks:
            with self.context.clock.phase("probe"):
                self.states = self.program.check_early_stopping(self.states)
        self.context.display.advance(stop, len(self.runs) * steps / seconds)

    def next_chunk_length(self, steps: int, seconds: float) -> int:
        """The steps that fit into `CHUNK_SECONDS`, in whole rows of the record."""
        rows = int(steps * CHUNK_SECONDS / seconds) // self.spec.log_every
        return self.spec.log_every * min(max(rows, 1), LONGEST_RECORD)

    def probe(self) -> dict[str, np.ndarray]:
        """Take and store the probes that are due. Returns: their values [R, ...]."""
        due = [name for name, steps in self.plan.probes.items() if self.step in steps]
        values: dict[str, np.ndarray] = {}
        with self.context.clock.phase("probe"):
            for name in due:
                values |= self.measure(name)
        for name, measured in values.items():
            self.values[name][:, self.plan.probe_steps.index(self.step)] = measured
        return values

    def measure(self, name: str) -> dict[str, np.ndarray]:
        """The values [R, ...] of one probe, now."""
        probe = self.probes[name]
        if isinstance(probe, Facts):
            return {fact: np.full(len(self.runs), value) for fact, value in probe.values.items()}
        return probe.summarise(self.program.measure(probe.measure, self.states, self.step))

    def save(self, checkpoints: Checkpoints) -> None:
        """Save where the plan has it, and where a signal asked to stop."""
        stopping = self.context.interruption.number
        if self.step in self.plan.saves or stopping:
            with self.context.clock.phase("io"):
                checkpoints.save(self.step, self.tree())
        if stopping and self.step < self.spec.steps:
            raise Stopped(stopping)

    def tree(self) -> Any:
        """All that a checkpoint holds."""
        return {
            "state": self.program.blocks.gather(self.states),
            "seen": {"record": self.record, "probes": self.values},
        }

    def restore(self, checkpoints: Checkpoints) -> int | None:
        """Go back to the newest good checkpoint. Returns: its step, None where there is none."""
        with self.context.clock.phase("io"):
            found = checkpoints.restore(self.tree())
            if found is None:
                return None
            self.step, tree = found
            self.states = self.program.blocks.scatter(tree["state"])
            for rows, saved in zip(self.record, tree["seen"]["record"], strict=True):
                rows[...] = saved
            for name, values in tree["seen"]["probes"].items():  # in place: jax has sorted the names
                self.values[name][...] = values
        self.context.display.say(f"{self.name}: going on from step {self.step:,}")
        return self.step


def task_metadata(task: Task) -> dict[str, Any]:
    """The facts of a task that a later reader needs: to decode a text, to write a report."""
    known = ("vocabulary", "columns", "inputs", "outputs", "loss", "reference_losses")
    scales = {"target_mean": task.target_mean_O, "target_scale": task.target_scale_O}
    lengths = {"train_length": len(task.train_N), "validation_length": len(task.validation_N)}
    of_file = {"notices": [str(notice) for notice in task.notices]} if task.notices else {}
    return {name: getattr(task, name) for name in known} | scales | lengths | of_file


def probe_labels(probes: Iterable[Probe | Facts]) -> dict[str, Any]:
    """The labels of the points of maps, by probe value."""
    return {name: labels for probe in probes if isinstance(probe, Probe) for name, labels in probe.labels.items()}


def empty_record(runs: int, rows: int) -> StepMetrics:
    """A record [R, S] of NaN."""
    return StepMetrics._make(np.full((runs, rows), np.nan, np.float32) for _ in StepMetrics._fields)


def empty_array(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """NaN where the type has it, 0 elsewhere."""
    return np.full(shape, np.nan, dtype) if np.issubdtype(dtype, np.floating) else np.zeros(shape, dtype)

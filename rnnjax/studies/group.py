"""One group of runs in training: chunk after chunk, with every effect between two chunks.

The state of a group (network states, record, probe values) has one shape from the first step to the last. So a
checkpoint holds all of it, and a resumed group continues bitwise as if it had never stopped. Where steps were added,
what was recorded under the earlier plan takes its place in the longer arrays.
"""

import math
import signal
import time
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from rnnjax.storage.checkpoints import Checkpoints
from rnnjax.studies.callback import call_user
from rnnjax.studies.context import RunContext, stop_where_asked
from rnnjax.studies.fine_tuning import source_parameters
from rnnjax.studies.group_setup import LONGEST_RECORD, GroupSetup
from rnnjax.studies.load_results import Recorded, arm_result
from rnnjax.studies.metrics import network_sizes
from rnnjax.studies.parts import named_runs
from rnnjax.studies.plan import Plan, next_stop
from rnnjax.studies.progress import Pace
from rnnjax.studies.recording import (
    describe_losses,
    empty_array,
    empty_record,
    probe_labels,
    task_metadata,
    value_metrics,
)
from rnnjax.studies.tensorboard import TensorBoardLogger, arm_settings, log_recorded, rows_by_arm
from rnnjax.studies.tensorboard_tags import logged_steps, plan_board
from rnnjax.training.parallel import Run, init_states
from rnnjax.training.state import StepMetrics
from rnnjax.types import Facts, Task

KEPT = 3  # checkpoints while training: the newest may turn out to be damaged
SAVE_SECONDS = 2.0  # seconds between checkpoints, where the study file does not say at which steps
PROBE_SECONDS = 5.0  # for which a signal waits, so that what was trained is saved
UNSAVED_SECONDS = 60.0  # of training that a signal may lose, where probes would have to be taken before a checkpoint
CHUNK_SECONDS = 2.0  # seconds that a chunk should take: how long a signal waits


class GroupTrainer:
    """A part of a group in training: the one object of a study that changes.

    Args:
        name: of the group. group: all its runs. setup: of those that are trained here.
    """

    def __init__(self, context: RunContext, name: str, group: Sequence[Run], task: Task, setup: GroupSetup) -> None:
        self.context, self.name, self.task = context, name, task
        self.part, self.runs, self.spec, self.plans = setup.part, setup.runs, setup.spec, setup.plans
        self.plan, self.probes, self.outlines = setup.plan, setup.probes, setup.outlines
        self.arms = rows_by_arm([run.arm for run in self.runs])
        self.metrics = value_metrics(task, self.probes, self.outlines)
        self.program = setup.program
        self.states = self.program.blocks.scatter(setup.start)
        self.record_entry(group)
        self.step, self.chunk_length = 0, self.spec.log_every
        self.saved_at, self.saved = time.monotonic(), "nothing of this group is saved yet"
        self.probe_seconds = math.inf  # of the last probes; not known yet
        self.record, self.values = self.empty_arrays(self.plan)
        self.pace = Pace(context.clock, self.spec.steps, self.plan.stops())

    def start_from_source(self) -> None:
        """Start from the parameters of another run folder. Raises BadInput where it has changed."""
        fresh = self.program.blocks.gather(self.states).params
        params = source_parameters(self.context.study, self.runs, fresh, self.task)
        self.states = self.program.blocks.scatter(init_states(self.runs, params))

    def record_entry(self, group: Sequence[Run]) -> None:
        """Put into the manifest all that a reader of the group's checkpoints and metrics needs besides them."""
        self.entry = (
            {"arms": list(named_runs(self.context.study, group))}
            | task_metadata(self.task)
            | {"sizes": network_sizes(self.spec)}
            | {"metrics": {name: metric._asdict() for name, metric in self.metrics.items()}}
            | {"labels": probe_labels(self.probes.values())}
        )
        known = self.context.run.manifest.get("groups", {})
        self.context.run.record(groups=known | {self.name: self.entry})

    def empty_arrays(self, plan: Plan) -> tuple[StepMetrics, dict[str, np.ndarray]]:
        """The record [R, S] and the probe values [R, Q, ...] of a plan before training."""
        return empty_record(len(self.runs), len(plan.row_steps)), {
            name: empty_array((len(self.runs), len(plan.probe_steps), *value.shape[1:]), value.dtype)
            for values in self.outlines.values()
            for name, value in values.items()
        }

    def run(self, shown: Collection[int] | None = None) -> None:
        """Train to the end. Args: shown: the arms whose curves go to TensorBoard meanwhile; None = all.

        Raises: Stopped, with the state saved; the errors of `Checkpoints` and `ArmCurves`.
        """
        folder = self.context.run.path / "checkpoints" / self.part.folder
        keep = None if self.context.study.file.keep == "all" else KEPT
        with Checkpoints(folder, keep, note=self.context.display.say) as checkpoints:
            resumed = self.restore(checkpoints)
            if resumed is None and self.context.study.file.init_from:
                self.start_from_source()
            logger = self.open_tensorboard(resumed, shown)
            if resumed is None:
                self.log(logger, 0, self.step, self.probe())
            if logger.rewritten:
                self.log_again(logger)
            while self.step < self.spec.steps:
                since = self.step
                self.advance()
                self.log(logger, since, self.step, self.probe())
                self.show_progress()
                self.call_back()
                self.save(checkpoints)
            with self.context.clock.phase("io"):
                # One step on: a resumed study, which forgets all behind its checkpoint, does not show this twice.
                logger.finish(self.step + 1, dict(self.final_metrics(logger.arms, self.recorded())))
        self.context.display.finish(self.step)

    def recorded(self) -> Recorded:
        """All that was recorded of these runs."""
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

    def final_metrics(
        self, names: Collection[str], recorded: Recorded
    ) -> Iterator[tuple[str, tuple[dict[str, Any], dict[str, np.ndarray]]]]:
        """Each of these arms' (settings, final metrics), by name."""
        for index in self.arms:
            arm = self.context.study.arms[index]
            if arm.name in names:
                result = arm_result(arm.name, arm.axes, recorded.members(recorded.arms == index), self.entry)
                yield arm.name, (arm_settings(self.context.study, arm), result.metrics)

    def open_tensorboard(self, resumed: int | None, shown: Collection[int] | None) -> TensorBoardLogger:
        """The TensorBoard runs of these arms, or of some of them."""
        names = [(arm, self.context.study.arms[arm].name) for arm in self.arms if shown is None or arm in shown]
        return self.tensorboard({name: self.arms[arm] for arm, name in names}, resumed)

    def tensorboard(self, arms: dict[str, np.ndarray], resumed: int | None) -> TensorBoardLogger:
        """The TensorBoard runs of some arms. Args: arms: name -> the rows of what is recorded that are its runs."""
        texts = [name for name, metric in self.metrics.items() if metric.kind == "text"]
        scalars = [name for name, value in self.values.items() if value.ndim == 2 and name not in texts]
        folder, attempt = self.context.run.path / "tb", self.context.run.attempt
        steps, board = logged_steps(self.plan.row_steps, self.plan.probe_steps), plan_board(self.context.study)
        return TensorBoardLogger(folder, arms, attempt, resumed, self.task.vocabulary, board, scalars, texts, steps)

    def log(self, logger: TensorBoardLogger, since: int, until: int, values: dict[str, np.ndarray]) -> None:
        """Send the rows recorded in (since, until], and probe values of step `until`, to TensorBoard."""
        new = (self.plan.row_steps > since) & (self.plan.row_steps <= until)
        with self.context.clock.phase("io"):
            record = jax.tree.map(lambda leaf: leaf[:, new], self.record)
            logger.log(until, self.plan.row_steps[new], record, values)

    def log_again(self, logger: TensorBoardLogger) -> None:
        """Send all that was recorded up to now to TensorBoard, where what an earlier attempt wrote is damaged."""
        self.context.display.say(f"{self.name}: the curves of TensorBoard were damaged; they are written again")
        with self.context.clock.phase("io"):
            log_recorded(logger, self.recorded(), self.step)

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

    def next_chunk_length(self, steps: int, seconds: float) -> int:
        """The steps that fit into `CHUNK_SECONDS`, in whole rows of the record."""
        rows = int(steps * CHUNK_SECONDS / seconds) // self.spec.log_every
        return self.spec.log_every * min(max(rows, 1), LONGEST_RECORD)

    def probe(self) -> dict[str, np.ndarray]:
        """Take and store the probes that are due. Returns: their values [R, ...]."""
        due = [name for name, steps in self.plan.probes.items() if self.step in steps]
        values: dict[str, np.ndarray] = {}
        started = time.monotonic()
        with self.context.clock.phase("probe"):
            for name in due:
                self.stop_between_probes()
                values |= self.measure(name)
        for name, measured in values.items():
            self.values[name][:, self.plan.probe_steps.index(self.step)] = measured
        self.probe_seconds = time.monotonic() - started
        return values

    def stop_between_probes(self) -> None:
        """Stop where a signal has come, probes take long and little is lost: a checkpoint holds all probes or none."""
        if self.probe_seconds > PROBE_SECONDS and time.monotonic() - self.saved_at < UNSAVED_SECONDS:
            stop_where_asked(self.context, f"stopped; {self.saved}")

    def measure(self, name: str) -> dict[str, np.ndarray]:
        """The values [R, ...] of one probe, now."""
        probe = self.probes[name]
        if isinstance(probe, Facts):
            return {fact: np.full(len(self.runs), value) for fact, value in probe.values.items()}
        return probe.summarise(self.program.measure(probe.measure, self.states, self.step))

    def show_progress(self) -> None:
        """Tell the display the losses and the pace."""
        row, done = -(-self.step // self.spec.log_every) - 1, sum(step <= self.step for step in self.plan.probe_steps)
        held_out_RQ = self.values.get("validation_loss")
        words = describe_losses(
            np.asarray(self.record.loss[:, row]), None if held_out_RQ is None else held_out_RQ[:, :done]
        )
        self.context.display.advance(self.step, words, *self.pace.measure(self.step))

    def call_back(self) -> None:
        """Call the user's function; true stops the study, with the state saved, as a signal does."""
        names = [self.context.study.arms[run.arm].name for run in self.runs]
        states = partial(self.program.blocks.gather, self.states)
        if call_user(self.context.callback, self.name, self.step, names, self.runs, self.record, states):
            self.context.interruption.number = signal.SIGINT

    def save(self, checkpoints: Checkpoints) -> None:
        """Save where the plan has it, and where a signal asked to stop."""
        stopping = self.context.interruption.number
        if stopping or (self.step in self.plan.saves and self.save_is_due()):
            with self.context.clock.phase("io"):
                self.context.run.check_held()
                checkpoints.save(self.step, self.tree())
            self.saved_at, self.saved = time.monotonic(), f"step {self.step:,} is saved"
        if self.step < self.spec.steps:
            stop_where_asked(self.context, "stopped and saved")

    def save_is_due(self) -> bool:
        """Whether a planned save is worth it: not right after another, where the study file leaves the steps to us."""
        file = self.context.study.file
        chosen = file.save_every is not None or file.keep == "all" or self.step == self.spec.steps
        return chosen or time.monotonic() - self.saved_at > SAVE_SECONDS

    def tree(self) -> Any:
        """All that a checkpoint holds."""
        return {
            "state": self.program.blocks.gather(self.states),
            "seen": {"record": self.record, "probes": self.values},
        }

    def tree_at(self, step: int) -> Any:
        """What a checkpoint of that step holds, by the shapes."""
        record, values = self.empty_arrays(self.plan_at(step))
        return {"state": self.program.blocks.gather(self.states), "seen": {"record": record, "probes": values}}

    def plan_at(self, step: int) -> Plan:
        """The plan that was in force when the checkpoint of that step was saved."""
        return next(plan for after, plan in reversed(self.plans) if after < step)

    def restore(self, checkpoints: Checkpoints) -> int | None:
        """Go back to the newest good checkpoint. Returns: its step, None where there is none."""
        with self.context.clock.phase("io"):
            found = checkpoints.restore(self.tree() if len(self.plans) == 1 else self.tree_at)
            if found is None:
                return None
            self.step, tree = found
            self.saved = f"step {self.step:,} is saved"
            self.states = self.program.blocks.scatter(tree["state"])
            self.take_over(tree["seen"]["record"], tree["seen"]["probes"], self.plan_at(self.step))
        self.context.display.say(f"{self.name}: going on from step {self.step:,}")
        return self.step

    def take_over(self, record: StepMetrics, values: dict[str, np.ndarray], planned: Plan) -> None:
        """What was recorded under a plan; of the probes what the present plan has too."""
        rows = -(-self.step // self.spec.log_every)
        for present, saved in zip(self.record, record, strict=True):
            present[:, :rows] = saved[:, :rows]
        for probe, steps in self.plan.probes.items():
            both = [step for step in steps if step <= self.step and step in planned.probes[probe]]
            columns = [self.plan.probe_steps.index(step) for step in both]
            for value in self.outlines[probe]:
                self.values[value][:, columns] = values[value][:, [planned.probe_steps.index(step) for step in both]]

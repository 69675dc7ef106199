"""One group of runs in training: chunk after chunk, with every effect between two chunks.

What is kept of a group (states, record, probes) has one shape from the first step to the last. So a checkpoint is the
whole of it, and a resumed group goes on bitwise as if it had never stopped.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnjax.analysis.results import ArmResult, arm_result, network_sizes
from rnnjax.config.schema import Study
from rnnjax.errors import Stopped
from rnnjax.probes import applicable, outline
from rnnjax.settings import LOSS_UNITS, Spec
from rnnjax.storage.checkpoints import Checkpoints
from rnnjax.storage.run_folder import RunFolder
from rnnjax.storage.tree_digest import state_digest
from rnnjax.studies.plan import next_stop, probe_points, regular_points
from rnnjax.studies.progress import Clock, Display
from rnnjax.studies.signals import Interruption
from rnnjax.studies.tensorboard import TensorBoardLogger, rows_by_arm
from rnnjax.tasks.windows import held_out_window, task_windows
from rnnjax.training import parallel as sweep
from rnnjax.training.state import StepMetrics
from rnnjax.types import Task

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
    """Where a group stops to be looked at and to be saved; follows from its settings alone."""

    row_steps: np.ndarray  # [S] optimizer steps done at the end of each row
    probes: dict[str, list[int]]  # the steps of each
    probe_steps: list[int]  # [Q] of all probes together
    saves: list[int]
    looks: list[int]  # at the held-out loss

    def stops(self) -> list[int]:
        return sorted({*self.probe_steps, *self.saves, *self.looks})


def build_plan(study: Study, spec: Spec) -> Plan:
    """The plan of a program in a study."""
    probes = {name: probe_points(count, spec.steps, spec.log_every) for name, count in study.file.probes.items()}
    ends = np.arange(spec.log_every, spec.steps + spec.log_every, spec.log_every)
    steps = sorted({0, spec.steps}.union(*probes.values()))
    saves = regular_points(study.file.save_every or -(-spec.steps // 10), spec.steps, spec.log_every)
    looks = regular_points(spec.validate_every, spec.steps, spec.log_every) if spec.validate_every else []
    return Plan(np.minimum(ends, spec.steps), probes, steps, saves, looks)


class Recorded(NamedTuple):
    """What has been seen of a group, on the host and filled in place: NaN, or 0 for ids, where nothing has been yet."""

    record: StepMetrics  # leaves [R, S]
    probes: dict[str, np.ndarray]  # [R, Q, ...]


class GroupTrainer:
    """A group on its way to its last step: the one object of a study that changes."""

    def __init__(self, shell: RunContext, name: str, runs: Sequence[sweep.Run], task: Task) -> None:
        self.shell, self.name, self.runs = shell, name, list(runs)
        self.arms = rows_by_arm([run.arm for run in runs])
        self.spec = self.runs[0].spec.program
        plan = build_plan(shell.study, self.spec)
        self.probes = applicable(plan.probes, self.spec, task)
        self.plan = plan._replace(probes={name: plan.probes[name] for name in self.probes})
        self.alphabet, self.reference_losses = task.vocabulary, task.reference_losses
        shell.display.say(f"{name}: {len(runs):,} runs of {self.spec.steps:,} steps; compiling their one program ...")
        shell.display.begin(name, self.spec.steps)
        with shell.clock.phase("train"):
            data = task_windows(task, task.train_N, self.spec.batch, self.spec.window)
            held_out = (
                held_out_window(task, self.spec.window, self.spec.carry == "carried") if self.plan.looks else None
            )
            self.program = sweep.compile_program(self.runs, data, LONGEST_RECORD, held_out)
            self.states = self.program.blocks.scatter(sweep.init_states(self.runs))
        self.introduce(task)
        self.step, self.longest = 0, self.spec.log_every
        self.kept = self.nothing_yet()

    def introduce(self, task: Task) -> None:
        """Tell the manifest what is in this group's checkpoints, so that they can be read without the study."""
        arms = [self.shell.study.arms[arm].name for arm in self.arms]
        known = self.shell.run.manifest.get("groups", {})
        self.shell.run.record(groups=known | {self.name: {"arms": arms} | task_metadata(task, self.spec.window)})

    def nothing_yet(self) -> Recorded:
        """Room for all that will be seen."""
        outlines = [outline(probe, self.spec) for probe in self.probes.values()]
        seen = {name: value for values in outlines for name, value in values.items()}
        rows = StepMetrics._make(
            np.full((len(self.runs), len(self.plan.row_steps)), np.nan, np.float32) for _ in StepMetrics._fields
        )
        points = len(self.plan.probe_steps)
        return Recorded(
            rows,
            {name: empty_array((len(self.runs), points, *v.shape[1:]), v.dtype) for name, v in seen.items()},
        )

    def look(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """The values [R, ...] of some probes, now."""
        seen: dict[str, np.ndarray] = {}
        with self.shell.clock.phase("probe"):
            for name in names:
                probe = self.probes[name]
                seen |= probe.summarise(self.program.measure(probe.measure, self.states, self.step))
        return seen

    def run(self) -> dict[int, ArmResult]:
        """Train to the end and leave the metrics file. Returns: the results by arm.

        Raises: Stopped, with the state saved; and what `Checkpoints` and `ArmCurves` raise.
        """
        with Checkpoints(self.shell.run.path / "checkpoints" / self.name, note=self.shell.display.say) as checkpoints:
            resumed = self.restore(checkpoints)
            with self.board(resumed) as board:
                if resumed is None:
                    self.draw(board, since=0, seen=self.observe())
                while self.step < self.spec.steps:
                    since = self.step
                    self.advance()
                    self.draw(board, since, self.observe())
                    self.save(checkpoints)
                return self.finish(board)

    def finish(self, board: TensorBoardLogger) -> dict[int, ArmResult]:
        """The results, also where TensorBoard and later readers look for them."""
        state = self.program.blocks.gather(self.states)
        results = {arm: self.result(arm, members, state.diverged_at) for arm, members in self.arms.items()}
        runs = {"arm": [run.arm for run in self.runs], "seed": [run.hp.seed for run in self.runs]}
        steps = {"row_steps": self.plan.row_steps, "probe_steps": self.plan.probe_steps}
        arrays = self.kept.record._asdict() | self.kept.probes | steps | runs | {"diverged_at": state.diverged_at}
        with self.shell.clock.phase("io"):
            # One step on, so that a resumed study, which forgets all behind its checkpoint, does not show this twice.
            board.finish(self.step + 1, {result.name: (result.axes, result.metrics) for result in results.values()})
            self.shell.run.write_npz(f"metrics/{self.name}.npz", {name: np.asarray(a) for name, a in arrays.items()})
            hashes = self.shell.run.manifest.get("state_sha256", {})
            self.shell.run.record(state_sha256=hashes | {self.name: state_digest(self.tree())})
        return results

    def result(self, index: int, members: np.ndarray, diverged_at: np.ndarray) -> ArmResult:
        """One arm over its seeds."""
        arm = self.shell.study.arms[index]
        return arm_result(
            self.reference_losses,
            network_sizes(self.spec),
            name=arm.name,
            axes=arm.axes,
            seeds=np.array([self.runs[run].hp.seed for run in members]),
            row_steps=self.plan.row_steps,
            rows={name: values[members] for name, values in self.kept.record._asdict().items()},
            probe_steps=np.array(self.plan.probe_steps),
            probes={name: values[members] for name, values in self.kept.probes.items()},
            diverged_at=diverged_at[members],
            loss_unit=LOSS_UNITS[self.spec.loss],
        )

    def board(self, resumed: int | None) -> TensorBoardLogger:
        """The TensorBoard runs of this group's arms."""
        arms = {self.shell.study.arms[arm].name: members for arm, members in self.arms.items()}
        return TensorBoardLogger(self.shell.run.path / "tb", arms, self.shell.run.attempt, resumed, self.alphabet)

    def draw(self, board: TensorBoardLogger, since: int, seen: dict[str, np.ndarray]) -> None:
        """Send the rows recorded since a step, and what was just seen, to TensorBoard."""
        new = (self.plan.row_steps > since) & (self.plan.row_steps <= self.step)
        with self.shell.clock.phase("io"):
            record = jax.tree.map(lambda leaf: leaf[:, new], self.kept.record)
            board.draw(self.step, self.plan.row_steps[new], record, seen)

    def advance(self) -> None:
        """One chunk; its length follows the measured speed, which changes no result."""
        stop = next_stop(self.step, self.plan.stops(), self.longest)
        started = time.monotonic()
        with self.shell.clock.phase("train"):
            self.states, record = self.program.advance(self.states, stop - self.step)
        seconds = time.monotonic() - started
        first = self.step // self.spec.log_every
        for kept, new in zip(self.kept.record, record, strict=True):
            kept[:, first : first + new.shape[1]] = new
        steps, self.step = stop - self.step, stop
        self.longest = self.paced(steps, seconds)
        if stop in self.plan.looks:
            with self.shell.clock.phase("probe"):
                self.states = self.program.check_early_stopping(self.states)
        self.shell.display.advance(stop, len(self.runs) * steps / seconds)

    def paced(self, steps: int, seconds: float) -> int:
        """How many steps fit into `CHUNK_SECONDS`, in whole rows of the record."""
        rows = int(steps * CHUNK_SECONDS / seconds) // self.spec.log_every
        return self.spec.log_every * min(max(rows, 1), LONGEST_RECORD)

    def observe(self) -> dict[str, np.ndarray]:
        """Take and keep the probes that are due."""
        seen = self.look([name for name, steps in self.plan.probes.items() if self.step in steps])
        self.keep(seen)
        return seen

    def keep(self, seen: dict[str, np.ndarray]) -> None:
        for name, values in seen.items():
            self.kept.probes[name][:, self.plan.probe_steps.index(self.step)] = values

    def save(self, checkpoints: Checkpoints) -> None:
        """Save where the plan says so, and where a signal asked to stop."""
        stopping = self.shell.interruption.number
        if self.step in self.plan.saves or stopping:
            with self.shell.clock.phase("io"):
                checkpoints.save(self.step, self.tree())
        if stopping and self.step < self.spec.steps:
            raise Stopped(stopping)

    def tree(self) -> Any:
        """All that a checkpoint holds."""
        return {"state": self.program.blocks.gather(self.states), "seen": self.kept._asdict()}

    def restore(self, checkpoints: Checkpoints) -> int | None:
        """Go back to the newest good checkpoint. Returns: its step, None where there is none."""
        with self.shell.clock.phase("io"):
            found = checkpoints.restore(self.tree())
            if found is None:
                return None
            self.step, tree = found
            self.states = self.program.blocks.scatter(tree["state"])
            for kept, saved in zip(self.kept.record, tree["seen"]["record"], strict=True):
                kept[...] = saved
            for name, values in tree["seen"]["probes"].items():  # in place: jax has sorted the names
                self.kept.probes[name][...] = values
        self.shell.display.say(f"{self.name}: going on from step {self.step:,}")
        return self.step


def task_metadata(task: Task, window: int) -> dict[str, Any]:
    """What a later reader must know of a task to let a network speak: for a series also where it goes on from."""
    known = ("vocabulary", "columns", "target_mean_O", "target_scale_O", "inputs", "outputs", "loss")
    context = task.train_N[-window:].tolist() if task.columns else []  # rows as the network sees them
    return {name.removesuffix("_O"): getattr(task, name) for name in known} | {"context": context}


def empty_array(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """NaN where the type has it, 0 elsewhere."""
    return np.full(shape, np.nan, dtype) if np.issubdtype(dtype, np.floating) else np.zeros(shape, dtype)

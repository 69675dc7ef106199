"""Training in memory: `train` for many seeds at once, `make_train` as a pure function for one's own transformations."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.api.run_settings import ARM, RunSettings, check_run
from rnnjax.api.setup import ProgressMode, display_mode
from rnnjax.api.train_result import TrainResult
from rnnjax.errors import BadInput
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.studies.callback import Callback, call_user
from rnnjax.studies.group import CHUNK_SECONDS
from rnnjax.studies.group_setup import LONGEST_RECORD
from rnnjax.studies.plan import next_stop, regular_points
from rnnjax.studies.progress import Clock, Display, Pace
from rnnjax.studies.recording import describe_losses, empty_record
from rnnjax.tasks.windows import held_out_window, training_data
from rnnjax.training.early_stopping import early_stopping_check
from rnnjax.training.parallel import Program, compile_program, init_states
from rnnjax.training.state import StepMetrics, TrainState, init_state
from rnnjax.training.step import train_chunk
from rnnjax.types import Params, Task, WindowData


def train(
    spec: Spec,
    hp: HParams | None = None,
    task: Task | TaskSpec | None = None,
    *,
    seeds: int | Sequence[int] | None = None,
    start: TrainResult | Params | None = None,
    progress: ProgressMode = "auto",
    callback: Callback | None = None,
) -> TrainResult:
    """Train one network for each seed, all at once; bitwise as the same runs in a study on the same devices.

    Args:
        spec: the network, its windows and the number of steps. hp: learning rate and the like. task: the data, as
            `text_task` makes them; None = those of `spec.task`.
        seeds: how many, from 42 on, or a list of them; by default 8.
        start: a result to go on from, up to `spec.steps` in all; or parameters with leaves [R, ...] to start from.
        progress: "auto", "plain" (lines) or "none". callback: called after each chunk of steps with the step, the
            record so far and the states; training stops where it returns true.

    Raises:
        BadInput: one line with the argument, what was got and what is expected, before anything is compiled.

    Example:
        >>> spec = rj.Spec(cell="gru", hidden=8, window=10, steps=50, optimizer="adam")
        >>> run = rj.train(spec, rj.HParams(learning_rate=0.01), text, seeds=2, progress="none")
        >>> run
        TrainResult(gru 8, 2 seeds, 50 steps, final loss 1.5... nats per character)
        >>> run.record.loss.shape  # [seeds, rows of 25 steps]
        (2, 2)
        >>> longer = rj.train(replace(spec, steps=75), rj.HParams(learning_rate=0.01), text, start=run, progress="none")
        >>> longer.record.loss.shape
        (2, 3)
    """
    before = start if isinstance(start, TrainResult) else None
    chosen = seeds if seeds is not None else before.seeds if before else 8
    settings = check_run(spec, hp, task if task is not None or before is None else before.task, chosen)
    mode = display_mode(progress)
    if before is not None:
        check_start(settings, before)
    states = start.states if isinstance(start, TrainResult) else start_states(settings, start)
    record = empty_record(len(settings.seeds), -(-settings.spec.steps // settings.spec.log_every))
    if before is not None:
        copy_record(record, before)
    with Display(mode) as display, Clock.running({}) as clock:
        states, step = advance_to_end(settings, states, record, before.step if before else 0, display, clock, callback)
    return TrainResult(settings.spec, settings.hp, settings.task, settings.seeds, record, states, step)


def start_states(settings: RunSettings, params: Params | None) -> TrainState:
    """The states [R] before the first step. Raises: BadInput for parameters of other shapes."""
    states = init_states(settings.runs())
    if params is None:
        return states
    check_shapes("start", params, states.params)
    return init_states(settings.runs(), jax.tree.map(np.asarray, params))


def check_start(settings: RunSettings, before: TrainResult) -> None:
    """Raises: BadInput for a result from which these runs cannot go on."""
    if settings.seeds != before.seeds:
        raise BadInput(f"seeds: got {settings.seeds}; expected those of start, {before.seeds}")
    if settings.spec.steps <= before.step:
        raise BadInput(f"spec.steps: got {settings.spec.steps}; expected more than the {before.step} steps of start")
    if settings.spec.log_every != before.spec.log_every or before.step % before.spec.log_every:
        raise BadInput(
            f"start: has {before.step} steps in rows of {before.spec.log_every}; expected whole rows of "
            f"log_every = {settings.spec.log_every}, or start=run.params for a new training"
        )
    check_shapes("start", before.states, jax.eval_shape(lambda: init_state_of(settings)))


def init_state_of(settings: RunSettings) -> TrainState:
    """States of the shapes that these runs have."""
    one = init_state(settings.spec, settings.hp)
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(settings.seeds), *leaf.shape)), one)


def check_shapes(name: str, given: Any, expected: Any) -> None:
    """Raises: BadInput where two trees differ in structure or shapes."""
    structures: list[Any] = [jax.tree.structure(tree) for tree in (given, expected)]
    if structures[0] != structures[1]:
        raise BadInput(f"{name}: got another tree of arrays; expected one of the same cell, layers and optimizer")
    for path, leaf in jax.tree_util.tree_leaves_with_path(expected):
        other = next(value for at, value in jax.tree_util.tree_leaves_with_path(given) if at == path)
        if np.shape(other) != np.shape(leaf):
            place = jax.tree_util.keystr(path, simple=True, separator="/")
            raise BadInput(f"{name}: {place} has shape {np.shape(other)}; expected {np.shape(leaf)}")


def copy_record(record: StepMetrics, before: TrainResult) -> None:
    """Take over the rows of an earlier training."""
    for rows, known in zip(record, before.record, strict=True):
        rows[:, : known.shape[1]] = known


def advance_to_end(
    settings: RunSettings,
    states: TrainState,
    record: StepMetrics,
    step: int,
    display: Display,
    clock: Clock,
    callback: Callback | None,
) -> tuple[TrainState, int]:
    """Train chunk by chunk and fill the record [R, S] in place. Returns: the states [R] and the last step."""
    spec, runs = settings.spec, settings.runs()
    checks = regular_points(spec.validate_every, spec.steps, spec.log_every) if spec.validate_every else []
    display.begin("train", spec.steps, len(runs))
    with clock.phase("train"):
        program = compile_training(settings)
        rounds = program.blocks.scatter(states)
    pace, chunk, stops = Pace(clock, spec.steps, checks), spec.log_every, sorted({*checks, spec.steps})
    while step < spec.steps:
        until = next_stop(step, stops, chunk)
        seconds = -clock.seconds["train"]
        with clock.phase("train"):
            rounds, new = program.advance(rounds, until - step)
        seconds += clock.seconds["train"]
        write_rows(record, new, step // spec.log_every)
        chunk = spec.log_every * longest_chunk((until - step) / max(seconds, 1e-9), spec.log_every)
        step = until
        rounds = program.check_early_stopping(rounds) if step in checks else rounds
        loss_R = record.loss[:, -(-step // spec.log_every) - 1]
        display.advance(step, describe_losses(np.asarray(loss_R), None), *pace.measure(step))
        if call_user(callback, "train", step, [ARM] * len(runs), runs, record, lambda: program.blocks.gather(rounds)):  # noqa: B023
            break
    display.finish(step)
    return program.blocks.gather(rounds), step


def compile_training(settings: RunSettings) -> Program:
    """The program of these runs, as that of a group of a study."""
    spec, task = settings.spec, settings.task
    data = training_data(task, spec)
    return compile_program(settings.runs(), data, LONGEST_RECORD, validation_window(spec, task))


def validation_window(spec: Spec, task: Task) -> WindowData | None:
    """The held-out data of the early-stopping check, if there is one."""
    return held_out_window(task, spec.window, spec.carry == "carried") if spec.validate_every else None


def write_rows(record: StepMetrics, new: StepMetrics, first: int) -> None:
    for rows, chunk in zip(record, new, strict=True):
        rows[:, first : first + chunk.shape[1]] = chunk


def longest_chunk(speed: float, log_every: int) -> int:
    """The rows of the record that fit into the time of a chunk. Args: speed: steps per second."""
    return min(max(int(speed * CHUNK_SECONDS) // log_every, 1), LONGEST_RECORD)


def make_train(spec: Spec, task: Task | TaskSpec | None = None) -> Callable[[HParams], tuple[TrainState, StepMetrics]]:
    """A whole training as one pure function hp -> (state, record), for one's own `jit`, `vmap` or `shard_map`.

    The data are constants of the function. `state` is the `TrainState` at the end, `record` has leaves [rows], a row
    being the mean over `log_every` steps. Hyperparameters may be traced: seeds, rates and all others can be batched.

    Raises:
        BadInput: as `train`, when the function is made.

    Example:
        >>> import jax
        >>> one_run = rj.make_train(rj.Spec(hidden=8, window=10, steps=50), text)
        >>> states, record = jax.jit(jax.vmap(lambda seed: one_run(rj.HParams(seed=seed))))(jax.numpy.arange(3))
        >>> record.loss.shape  # [seeds, rows]
        (3, 2)
        >>> states.params["readout"]["kernel"].shape
        (3, 8, 9)
    """
    settings = check_run(spec, None, task)
    sized, data = settings.spec, settings.task
    windows = training_data(data, sized)
    held_out = validation_window(sized, data)
    every = regular_points(sized.validate_every, sized.steps, sized.log_every)[0] if sized.validate_every else 0

    def chunk(hp: HParams, state: TrainState, steps: int) -> tuple[TrainState, StepMetrics]:
        rows = -(-steps // sized.log_every)
        state, record = train_chunk(sized, rows, hp, jax.tree.map(jnp.asarray, windows), state, jnp.int32(steps))
        if held_out is not None:
            state = early_stopping_check(sized, hp, jax.tree.map(jnp.asarray, held_out), state)
        return state, record

    def run(hp: HParams) -> tuple[TrainState, StepMetrics]:
        hp = traced_hparams(hp)
        whole, rest = divmod(sized.steps, every) if every else (0, sized.steps)
        state, parts = init_state(sized, hp), []
        if whole:
            state, rows = jax.lax.scan(lambda state, _: chunk(hp, state, every), state, length=whole)
            parts.append(jax.tree.map(lambda leaf: leaf.reshape(-1), rows))
        if rest:
            state, rows = chunk(hp, state, rest)
            parts.append(rows)
        return state, jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)

    return run


def traced_hparams(hp: HParams) -> HParams:
    """The values as arrays of the types that a program expects."""
    values: dict[str, Array] = {
        name: jnp.asarray(value, jnp.uint32 if name == "seed" else jnp.float32) for name, value in hp._asdict().items()
    }
    return HParams._make(values.values())

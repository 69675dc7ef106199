"""Networks with a planted fault, on which the doctor is measured."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.doctor.adapters import from_apply
from rnnjax.doctor.diagnosis import Diagnosis
from rnnjax.doctor.examine import diagnose
from rnnjax.doctor.from_training import build_curves, build_input
from rnnjax.doctor.inputs import ExaminationInput, Observations, initial_carries, observe
from rnnjax.doctor.training_curves import TrainingCurves
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.studies.datasets import load_tasks
from rnnjax.tasks.windows import held_out_window, training_data
from rnnjax.training.parallel import Run, compile_program, init_states
from rnnjax.types import Params, Task

TEXT = TaskSpec(name="grammar", characters=6_000)
SERIES = TaskSpec(name="series", series="sines", length=3_000)
SMALL = Spec(
    task=TEXT, hidden=24, window=16, batch=8, reduction="mean", carry="reset", optimizer="adam", steps=400,
    log_every=4, block=2,
)  # fmt: skip
SHARPNESS = 1000.0  # so large that even two nearly equal logits are no draw
GOOD = HParams(learning_rate=0.005, clip_norm=1.0)


class TrainedNetworks(NamedTuple):
    """R networks of one program after training."""

    setup: ExaminationInput
    curves: TrainingCurves


def resolve_sizes(spec: Spec) -> tuple[Spec, Task]:
    """The spec with the sizes and the loss of its task, and the task."""
    task = load_tasks([spec.task])[0][spec.task]
    window = spec.window if task.sequences is None else task.sequences.lengths[-1]
    return replace(spec, inputs=task.inputs, outputs=task.outputs, loss=task.loss, window=window), task


@cache
def train_networks(spec: Spec, hp: HParams, seeds: tuple[int, ...]) -> TrainedNetworks:
    """Train all seeds at once."""
    spec, task = resolve_sizes(spec)
    runs = [Run(0, spec, hp._replace(seed=seed)) for seed in seeds]
    rows = -(-spec.steps // spec.log_every)
    data = training_data(task, spec)
    held_out = held_out_window(task, spec.window, spec.carry == "carried") if spec.validate_every else None
    program = compile_program(runs, data, rows, held_out)
    start = init_states(runs)
    state, table = run_program(program, start, spec)
    steps_S = np.minimum(np.arange(1, rows + 1) * spec.log_every, spec.steps)
    return TrainedNetworks(
        build_input(spec, hp._replace(seed=seeds[0]), task, state.params, start.params),
        build_curves(spec, hp, table, steps_S, state.diverged_at),
    )


def run_program(program: Any, start: Any, spec: Spec) -> tuple[Any, dict[str, Any]]:
    """Train to the last step, with the checks of early stopping. Returns: the last state, and curves [R, S]."""
    states, chunks = program.blocks.scatter(start), []
    interval = spec.validate_every or spec.steps
    for done in range(0, spec.steps, interval):
        states, chunk = program.advance(states, min(interval, spec.steps - done))
        chunks.append(chunk)
        states = program.check_early_stopping(states) if spec.validate_every else states
    names = chunks[0]._fields
    return program.blocks.gather(states), {
        name: np.concatenate([getattr(chunk, name) for chunk in chunks], axis=1) for name in names
    }


class Settings(NamedTuple):
    """Settings of one program; the seed is set per run."""

    spec: Spec
    hp: HParams


class Case(NamedTuple):
    """One planted fault, or a healthy network: settings of the training, and a change of the trained networks."""

    name: str  # of the planted condition; "" for a healthy network
    settings: Settings
    change: Callable[[ExaminationInput], ExaminationInput] = lambda setup: setup


def build_case(case: Case, seeds: tuple[int, ...]) -> TrainedNetworks:
    """R networks, one of each seed; their training curves are not changed."""
    result = train_networks(case.settings.spec, case.settings.hp, seeds)
    return result._replace(setup=case.change(result.setup))


def examine_each(case: Case, seeds: Sequence[int]) -> list[Diagnosis]:
    """The diagnosis of each network alone."""
    return examine_networks(build_case(case, tuple(seeds)))


def examine_networks(networks: TrainedNetworks) -> list[Diagnosis]:
    """The diagnosis of each of R networks alone."""
    observations = observe(networks.setup)
    return [
        diagnose(
            select_input(networks.setup, r), select_observations(observations, r), select_network(networks.curves, r)
        )
        for r in range(len(networks.curves.loss_RS))
    ]


def select_network(tree: Any, r: int) -> Any:
    """The r-th of R networks, with its axis."""
    if isinstance(tree, TrainingCurves):
        shared = {"steps_S": tree.steps_S, "clip_norm": tree.clip_norm}
        curves = {name: values for name, values in tree._asdict().items() if name not in shared and values is not None}
        return TrainingCurves(**{name: values[r : r + 1] for name, values in curves.items()} | shared)
    return jax.tree.map(lambda leaf: leaf[r : r + 1], tree)


def select_observations(observations: Observations, r: int) -> Observations:
    """Those of the r-th of R networks."""
    parts = {name: select_network(getattr(observations, name), r) for name in ("values", "free_running")}
    padding = {name: values_R[r : r + 1] for name, values_R in observations.padding.items()}
    return observations._replace(**parts, padding=padding)


def select_input(setup: ExaminationInput, r: int) -> ExaminationInput:
    """The r-th of R networks, with its axis."""
    selected = {name: select_network(getattr(setup, name), r) for name in ("params", "carry", "before")}
    return setup._replace(**selected)


# Faults by settings


def text(**changes: Any) -> Settings:
    """Settings of a good training on the small grammar, with some changed."""
    return change_settings(SMALL, changes)


def series(**changes: Any) -> Settings:
    """Settings of a good training on two sines, with some changed."""
    task = replace(SERIES, **changes.pop("task", {}))
    return change_settings(replace(SMALL, task=task), changes)


def change_settings(spec: Spec, changes: dict[str, Any]) -> Settings:
    hp = {name: value for name, value in changes.items() if name in HParams._fields}
    return Settings(replace(spec, **{name: changes[name] for name in changes if name not in hp}), GOOD._replace(**hp))


# Faults by a change of a healthy network


def replace_step(
    change: Callable[..., Any], start: Callable[[Any], Any] = lambda carry: carry
) -> Callable[..., ExaminationInput]:
    """Replace the step by change(step, params, carry, x) -> (carry, y). Args: start: a change of the initial carry."""

    def replace_adapter(setup: ExaminationInput) -> ExaminationInput:
        original: Any = setup.adapter

        def initial_carry(params: Params, inputs: Array) -> Any:
            return start(original.initial_carry(params, inputs))

        adapter = from_apply(partial(change, original.step), whole=False)
        return setup._replace(adapter=adapter._replace(initial_carry=initial_carry))

    return replace_adapter


def replace_params(change: Callable[[Params], Params]) -> Callable[[ExaminationInput], ExaminationInput]:
    """Replace the parameters."""
    return lambda setup: setup._replace(params=change(setup.params), before=None)


def mix_streams(step: Any, params: Params, carry: Any, x: Array) -> Any:
    """Each stream's state is mixed with the mean over the batch."""
    carry, y = step(params, carry, x)
    return jax.tree.map(lambda h_BH: 0.9 * h_BH + 0.1 * jnp.mean(h_BH, axis=0, keepdims=True), carry), y


def drop_carry(step: Any, params: Params, carry: Any, x: Array) -> Any:
    """The carry that a step returns is discarded."""
    return carry, step(params, carry, x)[1]


def ignore_input(step: Any, params: Params, carry: Any, x: Array) -> Any:
    """All inputs are multiplied by 0."""
    return step(params, carry, 0 * x)


def apply_softmax(step: Any, params: Params, carry: Any, x: Array) -> Any:
    """A softmax before a loss that applies one."""
    carry, y = step(params, carry, x)
    return carry, jax.nn.softmax(y)


def scale_logits(step: Any, params: Params, carry: Any, x: Array) -> Any:
    """Sampling at temperature 1 becomes nearly greedy."""
    carry, y = step(params, carry, x)
    return carry, SHARPNESS * y


def sharpen(setup: ExaminationInput) -> ExaminationInput:
    """The network scales its logits; its objective, and with it the record of the training, does not."""
    original: Any = setup.objective
    sharp = replace_step(scale_logits)(setup)
    return sharp._replace(
        objective=lambda outputs_TBO, batch: original(outputs_TBO / SHARPNESS, batch), record_is_mean=False
    )


def shrink_late_outputs(step: Any, params: Params, carry: Any, x: Array) -> Any:
    """After 64 steps, more than the training window, the outputs shrink by a factor of 10."""
    state, count_B1 = carry
    state, y = step(params, state, x)
    return (state, count_B1 + 1), jnp.where(count_B1 < 64, y, 0.1 * y)


def add_input(step: Any, params: Params, carry: Any, x: Array) -> Any:
    """One-step predictions are nearly right, but the error of each step increases the next one."""
    carry, y = step(params, carry, x)
    return carry, y + 0.2 * x


def swap_axes(setup: ExaminationInput) -> ExaminationInput:
    """The scan runs along the batch axis, as if a batch-first module were given time-first inputs."""
    original: Any = setup.adapter

    def apply(params: Params, carry: Any, inputs: Array) -> tuple[Any, Array]:
        swapped = jnp.swapaxes(inputs, 0, 1)
        _, outputs = original.apply(params, original.initial_carry(params, swapped), swapped)
        return carry, jnp.swapaxes(outputs, 0, 1)

    return setup._replace(adapter=original._replace(apply=apply, step=None))


def first_streams_loss(outputs_TBO: Array, batch: Any) -> Array:
    """A loss of the first two streams alone."""
    log_p = jax.nn.log_softmax(outputs_TBO[:, :2])
    return -jnp.mean(jnp.take_along_axis(log_p, jnp.asarray(batch.targets)[:, :2, None], axis=-1))


def scale_parameter(name: str, part: str, by: float, plus: float = 0.0) -> Callable[[Params], Params]:
    """params[name][part] -> by * params[name][part] + plus."""
    return lambda params: params | {name: params[name] | {part: by * params[name][part] + plus}}


def use_stale_carry(setup: ExaminationInput) -> ExaminationInput:
    """A random state, far outside the range of trained states."""
    noise = partial(jax.random.normal, jax.random.key(0))
    carry = jax.tree.map(lambda leaf: 30 * noise(leaf.shape), initial_carries(setup, setup.batch))
    return setup._replace(carry=carry)


FAULTS = (
    Case("diverged", series(activation="identity", optimizer="sgd", learning_rate=100.0, clip_norm=float("inf"))),
    Case("target_leak", text(), lambda p: p._replace(batch=p.batch._replace(targets=p.batch.inputs))),
    Case("unscaled", series(task={"standardise": "none", "scale": 1000.0})),
    Case("swapped_axes", text(), swap_axes),
    Case("row_leak", text(), replace_step(mix_streams)),
    Case("future", text(bidirectional=True)),
    Case("last_step", text(reduction="last")),
    Case("silent_streams", text(), lambda p: p._replace(objective=first_streams_loss)),
    Case("distribution", text(), replace_step(apply_softmax)),
    Case("rate_too_high", text(optimizer="sgd", learning_rate=30.0, clip_norm=float("inf"))),
    Case("dead_units", text(activation="relu"), replace_params(scale_parameter("layer_0", "bias", 1.0, -100.0))),
    Case("saturated", text(activation="sigmoid", kernel_gain=60.0, recurrent_gain=60.0)),
    Case("input_independent", text(), replace_step(ignore_input)),
    Case("no_memory", text(), replace_step(drop_carry)),
    Case("frozen", text(recurrent_trainable=0.0)),
    Case("clip_starves", text(optimizer="sgd", learning_rate=0.1, clip_norm=1e-3)),
    Case("rate_too_low", text(learning_rate=1e-6)),
    Case("exploding", text(activation="identity"), replace_params(scale_parameter("layer_0", "recurrent_kernel", 4.0))),
    Case("vanishing", text(), replace_params(scale_parameter("layer_0", "recurrent_kernel", 0.02))),
    Case("stale_state", text(cell="gru"), use_stale_carry),
    Case("identical", text(), replace_params(scale_parameter("readout", "kernel", 0.01))),
    Case("gap", text(task=replace(TEXT, characters=500), steps=400)),
    Case(
        "exposure",
        text(),
        replace_step(shrink_late_outputs, lambda carry: (carry, jnp.zeros((carry["layer_0"].shape[0], 1)))),
    ),
    Case("runaway", series(), replace_step(add_input)),
    Case("loops_of_model", text(), sharpen),
)

# A window of 8 contains no information about an input 10 steps earlier: the loss is at its floor.
AT_FLOOR = Case(
    "floor", text(task=TaskSpec(name="recall", characters=6_000, copy_delay=10, symbols=4), window=8, steps=200)
)

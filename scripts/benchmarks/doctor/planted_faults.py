"""Networks with a planted fault, and healthy ones: what the doctor is measured on."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.doctor.adapters import of_apply
from rnnjax.doctor.diagnosis import Examination
from rnnjax.doctor.examine import diagnosis
from rnnjax.doctor.from_training import patient_of, record_of
from rnnjax.doctor.inputs import Patient, seen, starts
from rnnjax.doctor.training_curves import Record
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.tasks import TASKS
from rnnjax.tasks.windows import held_out_window, task_windows
from rnnjax.training import parallel as sweep
from rnnjax.types import Params, Task

TEXT = TaskSpec(name="grammar", characters=6_000)
SERIES = TaskSpec(name="series", series="sines", length=3_000)
SMALL = Spec(
    task=TEXT, hidden=24, window=16, batch=8, reduction="mean", carry="reset", optimizer="adam", steps=400,
    log_every=4, block=2,
)  # fmt: skip
GOOD = HParams(learning_rate=0.005, clip_norm=1.0)


class Trained(NamedTuple):
    """R networks of one program after training."""

    patient: Patient
    record: Record


def sized(spec: Spec) -> tuple[Spec, Task]:
    task = TASKS[spec.task.name](spec.task, None)
    return replace(spec, inputs=task.inputs, outputs=task.outputs, loss=task.loss), task


@cache
def trained(spec: Spec, hp: HParams, seeds: tuple[int, ...]) -> Trained:
    """Train all seeds at once."""
    spec, task = sized(spec)
    runs = [sweep.Run(0, spec, hp._replace(seed=seed)) for seed in seeds]
    rows = -(-spec.steps // spec.log_every)
    data = task_windows(task, task.train_N, spec.batch, spec.window)
    held_out = held_out_window(task, spec.window, spec.carry == "carried") if spec.validate_every else None
    program = sweep.compile_program(runs, data, rows, held_out)
    start = sweep.init_states(runs)
    states, records = program.blocks.scatter(start), []
    each = spec.validate_every or spec.steps
    for done in range(0, spec.steps, each):
        states, record = program.advance(states, min(each, spec.steps - done))
        records.append(record)
        states = program.check_early_stopping(states) if spec.validate_every else states
    state = program.blocks.gather(states)
    table = {name: np.concatenate([getattr(one, name) for one in records], axis=1) for name in records[0]._fields}
    steps_S = np.minimum(np.arange(1, rows + 1) * spec.log_every, spec.steps)
    return Trained(
        patient_of(spec, hp._replace(seed=seeds[0]), task, state.params, start.params),
        record_of(spec, hp, table, steps_S, state.diverged_at),
    )


class Settings(NamedTuple):
    """Settings of one program; the seed is set per run."""

    spec: Spec
    hp: HParams


class Case(NamedTuple):
    """One planted fault, or a healthy network: settings of the training, and a change of what is examined."""

    name: str  # of the planted condition; "" for a healthy network
    settings: Settings
    change: Callable[[Patient], Patient] = lambda patient: patient


def build_case(case: Case, seeds: tuple[int, ...]) -> Trained:
    """R networks, one of each seed; the curves of training are left as they are."""
    result = trained(case.settings.spec, case.settings.hp, seeds)
    return result._replace(patient=case.change(result.patient))


def examinations(case: Case, seeds: Sequence[int]) -> list[Examination]:
    """What the doctor finds in each network alone."""
    patient, record = build_case(case, tuple(seeds))
    what = seen(patient)
    return [diagnosis(only(patient, r), one(what, r), one(record, r)) for r in range(len(seeds))]


def one(tree: Any, r: int) -> Any:
    """The r-th of R networks, as one of 1."""
    if isinstance(tree, Record):
        shared = {"steps_S": tree.steps_S, "clip_norm": tree.clip_norm}
        curves = {name: values for name, values in tree._asdict().items() if name not in shared and values is not None}
        return Record(**{name: values[r : r + 1] for name, values in curves.items()} | shared)
    return jax.tree.map(lambda leaf: leaf[r : r + 1], tree)


def only(patient: Patient, r: int) -> Patient:
    cut = {name: one(getattr(patient, name), r) for name in ("params", "carry", "before")}
    return patient._replace(**cut)


# Faults that a setting plants


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


# Faults that a broken step plants, in networks that were trained well


def stepwise(change: Callable[..., Any], start: Callable[[Any], Any] = lambda carry: carry) -> Callable[..., Patient]:
    """Another step: change(step, params, carry, x) -> (carry, y). Args: start: the carry that it begins with."""

    def changed(patient: Patient) -> Patient:
        known = patient.subject
        apply = partial(change, known.step)
        begin: Any = known.start
        first = lambda params, inputs: start(begin(params, inputs))  # noqa: E731
        return patient._replace(subject=of_apply(apply, whole=False)._replace(start=first))

    return changed


def with_params(change: Callable[[Params], Params]) -> Callable[[Patient], Patient]:
    return lambda patient: patient._replace(params=change(patient.params), before=None)


def mixed(step: Any, params: Params, carry: Any, x: Array) -> Any:
    """Each stream's state takes a little of the mean over the batch."""
    carry, y = step(params, carry, x)
    return jax.tree.map(lambda h_BH: 0.9 * h_BH + 0.1 * jnp.mean(h_BH, axis=0, keepdims=True), carry), y


def forgetful(step: Any, params: Params, carry: Any, x: Array) -> Any:
    """The carry that a step returns is dropped."""
    return carry, step(params, carry, x)[1]


def deaf(step: Any, params: Params, carry: Any, x: Array) -> Any:
    return step(params, carry, 0 * x)


def squashed(step: Any, params: Params, carry: Any, x: Array) -> Any:
    """A softmax before a loss that applies one."""
    carry, y = step(params, carry, x)
    return carry, jax.nn.softmax(y)


def overconfident(step: Any, params: Params, carry: Any, x: Array) -> Any:
    carry, y = step(params, carry, x)
    return carry, 100 * y


def tired(step: Any, params: Params, carry: Any, x: Array) -> Any:
    """After 64 steps, more than it was ever trained on, the network says hardly anything."""
    state, count_B1 = carry
    state, y = step(params, state, x)
    return (state, count_B1 + 1), jnp.where(count_B1 < 64, y, 0.1 * y)


def feeding_back(step: Any, params: Params, carry: Any, x: Array) -> Any:
    """One step ahead it is nearly right; its own error comes back larger."""
    carry, y = step(params, carry, x)
    return carry, y + 0.2 * x


def swapped(patient: Patient) -> Patient:
    """The scan goes along the batch: time first where the module expects the batch first."""
    known = patient.subject
    begin: Any = known.start

    def read(params: Params, carry: Any, inputs: Array) -> tuple[Any, Array]:
        turned = jnp.swapaxes(inputs, 0, 1)
        _, outputs = known.read(params, begin(params, turned), turned)
        return carry, jnp.swapaxes(outputs, 0, 1)

    return patient._replace(subject=known._replace(read=read, step=None))


def first_rows(outputs_TBO: Array, batch: Any) -> Array:
    """A loss of the first two streams alone."""
    log_p = jax.nn.log_softmax(outputs_TBO[:, :2])
    return -jnp.mean(jnp.take_along_axis(log_p, jnp.asarray(batch.targets)[:, :2, None], axis=-1))


def scaled(name: str, part: str, by: float, plus: float = 0.0) -> Callable[[Params], Params]:
    return lambda params: params | {name: params[name] | {part: by * params[name][part] + plus}}


def left_over(patient: Patient) -> Patient:
    """A state of other data, in other units."""
    noise = partial(jax.random.normal, jax.random.key(0))
    carry = jax.tree.map(lambda leaf: 30 * noise(leaf.shape), starts(patient, patient.batch))
    return patient._replace(carry=carry)


FAULTS = (
    Case("diverged", series(activation="identity", optimizer="sgd", learning_rate=100.0, clip_norm=float("inf"))),
    Case("target_leak", text(), lambda p: p._replace(batch=p.batch._replace(targets=p.batch.inputs))),
    Case("unscaled", series(task={"standardise": "none", "scale": 1000.0})),
    Case("swapped_axes", text(), swapped),
    Case("row_leak", text(), stepwise(mixed)),
    Case("future", text(bidirectional=True)),
    Case("last_step", text(reduction="last")),
    Case("silent_streams", text(), lambda p: p._replace(objective=first_rows)),
    Case("distribution", text(), stepwise(squashed)),
    Case("rate_too_high", text(optimizer="sgd", learning_rate=30.0, clip_norm=float("inf"))),
    Case("dead_units", text(activation="relu"), with_params(scaled("layer_0", "bias", 1.0, -100.0))),
    Case("saturated", text(activation="sigmoid", kernel_gain=60.0, recurrent_gain=60.0)),
    Case("deaf", text(), stepwise(deaf)),
    Case("no_memory", text(), stepwise(forgetful)),
    Case("frozen", text(recurrent_trainable=0.0)),
    Case("clip_starves", text(optimizer="sgd", learning_rate=0.1, clip_norm=1e-3)),
    Case("rate_too_low", text(learning_rate=1e-6)),
    Case("exploding", text(activation="identity"), with_params(scaled("layer_0", "recurrent_kernel", 4.0))),
    Case("vanishing", text(), with_params(scaled("layer_0", "recurrent_kernel", 0.02))),
    Case("stale_state", text(cell="gru"), left_over),
    Case("identical", text(), with_params(scaled("readout", "kernel", 0.01))),
    Case("gap", text(task=replace(TEXT, characters=500), steps=400)),
    Case("exposure", text(), stepwise(tired, lambda carry: (carry, jnp.zeros((carry["layer_0"].shape[0], 1))))),
    Case("runaway", series(), stepwise(feeding_back)),
    Case("loops_of_model", text(), stepwise(overconfident)),
)

# What is at its floor: nothing that a window of 8 holds tells what was heard 10 steps ago.
AT_FLOOR = Case(
    "floor", text(task=TaskSpec(name="recall", characters=6_000, copy_delay=10, symbols=4), window=8, steps=200)
)

# Healthy networks

HEALTHY_TASKS: dict[str, tuple[TaskSpec, dict[str, Any], dict[str, Any]]] = {
    "grammar": (TEXT, {"steps": 800}, {}),
    "text": (TaskSpec(name="text"), {"steps": 1200, "validate_every": 40}, {"patience": 4.0}),
    "series": (SERIES, {"steps": 800}, {}),
    "recall": (TaskSpec(name="recall", characters=6_000, copy_delay=3, symbols=4), {"steps": 1200}, {}),
}
HEALTHY_CELLS = ("elman", "leaky", "minimal", "gru", "lstm")


def healthy(cell: str, name: str) -> Case:
    task, of_program, of_run = HEALTHY_TASKS[name]
    spec = replace(SMALL, task=task, cell=cell, **of_program)
    return Case("", Settings(spec, GOOD._replace(**of_run)))

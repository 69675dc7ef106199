"""P2: a run is bitwise the same alone, in any company, on any number of devices and at any chunk length."""

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.faults.runs import random_starts
from rnnjax.networks.initializers import ELEMENTWISE
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.studies.datasets import load_tasks
from rnnjax.tasks.windows import cut_windows, next_step, training_data
from rnnjax.training.parallel import (
    Run,
    RunBlocks,
    compile_program,
    group_by_program,
    init_params,
    init_states,
    is_drawn,
    stack_hparams,
)
from rnnjax.training.state import StepMetrics, TrainState
from rnnjax.training.step import train_chunk
from rnnjax.types import WindowData

pytestmark = pytest.mark.optimised  # bits depend on how loops are vectorised

V = 6
STEPS, ROW = 12, 3  # of the regrouped runs
POOL = 40  # runs to draw the company from
REGROUPINGS = 100
DATA_SIZE = 130


def spec_of(**fields: Any) -> Spec:
    return Spec(**{"inputs": V, "outputs": V, "hidden": 16, "window": 5, "log_every": ROW, "block": 4} | fields)


def text(spec: Spec) -> WindowData:
    ids = np.random.default_rng(0).integers(V, size=DATA_SIZE, dtype=np.int32)
    return cut_windows(next_step(ids), spec.batch, spec.window)


def sha256(tree: Any) -> str:
    """Of dtype, shape and bytes of every leaf."""
    digest = hashlib.sha256()
    for leaf in map(np.asarray, jax.tree.leaves(tree)):
        digest.update(f"{leaf.dtype} {leaf.shape}".encode() + leaf.tobytes())
    return digest.hexdigest()


def identity_of(function: Any) -> tuple[Any, ...]:
    """The same code with the same values in its closure is the same function."""
    if isinstance(function, partial):
        return identity_of(function.func) + function.args
    return function.__code__, *(cell.cell_contents for cell in function.__closure__ or ())


PROGRAMS: dict[tuple[Any, ...], Any] = {}


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile a function once for all sweeps of these tests, not once for each sweep."""
    original = RunBlocks.compile

    def compile(blocks: RunBlocks, function: Any, batched: int = 1, donate: tuple[int, ...] = (), **how: Any) -> Any:
        key = (identity_of(function), blocks.mesh, blocks.round_size, batched, donate)
        if key not in PROGRAMS:
            PROGRAMS[key] = original(blocks, function, batched, donate, **how)
        return PROGRAMS[key]

    monkeypatch.setattr(RunBlocks, "compile", compile)


@contextmanager
def counted() -> Iterator[Callable[[], int]]:
    """Yields how many programs of a round XLA has compiled since."""
    for thread in threading.enumerate():
        if thread.name.startswith("compile_"):  # of a study that an earlier test has stopped: it ends its program
            thread.join()
    compiled: list[str] = []

    def listen(event: str, seconds: float, **about: Any) -> None:
        del seconds
        if event.endswith("backend_compile_duration") and "run_round" in str(about.get("fun_name")):
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield lambda: len(compiled)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


class Trained(NamedTuple):
    states: TrainState  # leaves [R, ...]
    record: StepMetrics  # leaves [R, rows]


def trained(runs: list[Run], chunks: list[int], start: TrainState) -> Trained:
    program = compile_program(runs, text(runs[0].spec), STEPS)
    states = program.blocks.scatter(start)
    records = []
    for steps in chunks:
        states, record = program.advance(states, steps)
        records.append(record)
    return Trained(program.blocks.gather(states), jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *records))


def row(tree: Any, i: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[i], tree)


def rows(tree: Any, chosen: list[int]) -> Any:
    return jax.tree.map(lambda leaf: np.stack([leaf[i] for i in chosen]), tree)


def pool_of(spec: Spec) -> list[Run]:
    """Runs that differ in everything that may differ within a program; every eighth diverges."""
    rng = np.random.default_rng(1)

    def run(i: int) -> Run:
        hp = HParams(
            seed=int(rng.integers(2**32)),
            learning_rate=3e38 if i % 8 == 3 else float(rng.choice([0.001, 0.1, 0.5])),
            clip_norm=float(rng.choice([0.5, 5.0, np.inf])),
            recurrent_gain=float(rng.choice([0.5, 1.0, 1.5])),
            clip_value=float(rng.choice([0.01, np.inf])),
            dropout_rate=float(rng.choice([0.0, 0.5])),
            warmup_steps=float(rng.choice([0.0, 3.0])),
            decay_steps=float(rng.choice([5.0, 50.0])),
        )
        return Run(0, replace(spec, recurrent_initializer=str(rng.choice(["orthogonal", "normal"]))), hp)

    return [run(i) for i in range(POOL)]


SWITCHES: dict[str, Any] = {"dropout": True, "clip_elementwise": True, "schedule": "cosine"}
SHAPES = [
    (2, spec_of(hidden=16, batch=1, block=4)),
    (1, spec_of(hidden=64, batch=2, block=8, optimizer="adam")),
    (2, spec_of(hidden=33, batch=1, block=8)),
    (2, spec_of(cell="lstm", layers=2, layer_norm=True, initial_state="random", optimizer="adamw", **SWITCHES)),
]


def random_chunks(rng: np.random.Generator) -> list[int]:
    """A random way to cut the steps into chunks; half of the time at whole rows of the record."""
    unit = ROW if rng.random() < 0.5 else 1
    cuts = unit * rng.choice(np.arange(1, STEPS // unit), size=rng.integers(0, STEPS // unit), replace=False)
    return np.diff(sorted({0, *cuts.tolist(), STEPS})).tolist()


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "spec"), SHAPES)
def test_a_run_is_bitwise_the_same_in_any_company(
    devices: int, spec: Spec, shared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = secrets.randbits(32)
    rng = np.random.default_rng(seed)
    pool = pool_of(spec)
    start = random_starts(pool)
    monkeypatch.setattr("rnnjax.training.parallel.RunBlocks", partial(RunBlocks, devices=jax.devices()[:devices]))
    regrouped = 0
    with counted() as compilations:
        alone = [trained([run], [STEPS], rows(start, [i])) for i, run in enumerate(pool)]
        assert [bool(one.states.alive[0]) for one in alone] == [i % 8 != 3 for i in range(POOL)]
        for _ in range(-(-REGROUPINGS // len(SHAPES))):
            size = int(rng.integers(1, POOL + 1))
            company = rng.permutation(POOL)[:size].tolist()
            chunks = random_chunks(rng)
            together = trained([pool[i] for i in company], chunks, rows(start, company))
            for place, i in enumerate(company):
                where = f"run {i} at place {place} of {size}, chunks {chunks}, random seed {seed}"
                assert sha256(row(together.states, place)) == sha256(row(alone[i].states, 0)), where
                if all(steps % ROW == 0 for steps in chunks):
                    assert sha256(row(together.record, place)) == sha256(row(alone[i].record, 0)), where
                regrouped += 1
        assert regrouped > 100
        assert compilations() == 1, "for any number of runs, at any chunk length"


@pytest.mark.slow
def test_starts_are_bitwise_the_same_in_any_company(shared: None) -> None:
    pool = pool_of(SHAPES[0][1])
    together = init_states(pool)
    backwards = init_states(pool[::-1])
    for i in range(0, POOL, 5):
        alone = init_states([pool[i]])
        assert sha256(row(together, i)) == sha256(row(alone, 0)) == sha256(row(backwards, POOL - 1 - i))


@pytest.mark.slow
@pytest.mark.parametrize("initializer", sorted(ELEMENTWISE))
def test_quick_starts_have_the_bits_of_slow_ones(initializer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(hidden=13, kernel_initializer=initializer, recurrent_initializer=initializer)
    assert is_drawn(spec) and not is_drawn(replace(spec, recurrent_initializer="orthogonal"))
    runs = runs_of(spec, seeds=9, recurrent_gain=0.7)
    quick = init_params(runs)
    monkeypatch.setattr("rnnjax.training.parallel.QUICK_OPTIONS", None)
    assert sha256(quick) == sha256(init_params(runs))


@pytest.mark.slow
def test_programs_compiled_ahead_are_not_compiled_again() -> None:
    runs = runs_of(spec_of(validate_every=3), seeds=3)
    program = compile_program(runs, text(runs[0].spec), STEPS, text(runs[0].spec))
    states = program.blocks.scatter(random_starts(runs))

    def probe(state: TrainState, hp: HParams, step: jax.Array) -> dict[str, jax.Array]:
        return {"seed": hp.seed + step}

    with counted() as compilations:
        for compile_one in program.compilations([probe]):
            compile_one()
        assert compilations() == 3, "the chunk, the check and the probe"
        states, _ = program.advance(states, 4)
        states = program.check_early_stopping(states)
        program.measure(probe, states, 4)
        assert compilations() == 3


@pytest.mark.slow
@pytest.mark.parametrize("batches", ["padded", "bucketed"])
def test_sequences_compiled_ahead_are_not_compiled_again(batches: str) -> None:
    """Their program also reads the step that all runs of a round share."""
    settings = TaskSpec(name="sequences", batches=batches)
    task = load_tasks([settings])[0][settings]
    spec = spec_of(task=settings, inputs=task.inputs, outputs=task.outputs, carry="reset", window=8, batch=2)
    runs = runs_of(spec, seeds=2)
    program = compile_program(runs, training_data(task, spec), STEPS)
    states = program.blocks.scatter(random_starts(runs))
    with counted() as compilations:
        for compile_one in program.compilations([]):
            compile_one()
        assert compilations() == 1
        program.advance(states, 2)
        assert compilations() == 1


@pytest.mark.slow
@pytest.mark.exhaustive
def test_canary_a_plain_vmap_is_not_bitwise_the_same() -> None:
    """If one `vmap` over all runs gave the same bits at every width, the tests above would prove nothing."""
    for _, spec in SHAPES:
        pool, data = pool_of(spec), text(spec)
        start, hp = random_starts(pool), stack_hparams(pool)

        def chunk_of_run(state: Any, hp: HParams, spec: Spec = spec, data: WindowData = data) -> Any:
            return train_chunk(spec, STEPS, hp, data, state, jnp.int32(STEPS))[0]

        chunk = jax.jit(jax.vmap(chunk_of_run))
        seen = set()
        for width in (1, 40, 3, 8):
            states = chunk(rows(start, list(range(width))), rows(hp, list(range(width))))
            seen.add(sha256(row(states, 0)))
            if len(seen) > 1:
                return
    pytest.fail("no shape differs: choose other shapes for the regroupings")


def training_compilations(runs: list[Run]) -> int:
    with counted() as compilations:
        for group in group_by_program(runs):
            trained(group, [3, 5, 1], random_starts(group))
        return compilations()


def runs_of(*specs: Spec, seeds: int = 3, **fields: Any) -> list[Run]:
    return [Run(arm, spec, HParams(seed=seed, **fields)) for arm, spec in enumerate(specs) for seed in range(seeds)]


@pytest.mark.slow
def test_one_training_compilation_for_arms_that_differ_in_start_and_numbers() -> None:
    starts = [spec_of(recurrent_initializer="normal"), spec_of(kernel_initializer="uniform")]
    runs = runs_of(*starts) + runs_of(*starts, learning_rate=0.2, clip_norm=1.0, recurrent_gain=0.7)
    assert training_compilations(runs) == 1
    with counted() as compilations:
        init_states(runs)
        assert compilations() == len(starts) + 1, "one for each way to start, and one for all else in a state"


@pytest.mark.slow
def test_one_training_compilation_whatever_number_differs() -> None:
    """Every field of HParams is an axis that costs no compilation, in a program that has a use for it."""
    for settings in ({"optimizer": "adamw", "initial_state": "constant", "cell": "leaky"}, {"optimizer": "nesterov"}):
        spec = spec_of(**SWITCHES, **settings, validate_every=5)
        other = {
            name: 0.5 if default == 0 or np.isinf(default) else default / 2
            for name, default in HParams()._asdict().items()
        } | {"seed": HParams().seed // 2}
        runs = runs_of(spec, seeds=1) + [Run(0, spec, HParams()._replace(**{name: other[name]})) for name in other]
        assert training_compilations(runs) == 1


@pytest.mark.slow
def test_one_more_training_compilation_per_point_of_a_spec_axis() -> None:
    specs = [spec_of(reduction=one) for one in ("sum", "mean")] + [spec_of(recurrent_initializer="normal")]
    assert training_compilations(runs_of(*specs, seeds=2)) == 2


def test_groups_are_the_runs_of_one_program_in_the_order_of_the_study() -> None:
    a, b, c = spec_of(), spec_of(hidden=8), spec_of(recurrent_initializer="normal")
    runs = runs_of(a, b, c, seeds=2)
    first, second = group_by_program(runs)
    assert first == [*runs[0:2], *runs[4:6]]
    assert second == runs[2:4]
    assert group_by_program([]) == []


def test_hyperparameters_are_batched_without_loss() -> None:
    runs = [
        Run(0, spec_of(), HParams(seed=2**32 - 1, clip_norm=np.inf)),
        Run(0, spec_of(), HParams(seed=2**31 + 1, learning_rate=0.5)),
    ]
    hp = stack_hparams(runs)
    assert hp.seed.dtype == np.uint32
    assert hp.seed.tolist() == [2**32 - 1, 2**31 + 1], "float32 would round these"
    assert {leaf.dtype for leaf in hp._replace(seed=hp.learning_rate)} == {np.dtype(np.float32)}
    assert hp.clip_norm.tolist() == [np.inf, 5.0]
    assert hp.learning_rate.tolist() == [np.float32(0.01), 0.5]


@pytest.mark.parametrize("width", [1, 3, 4])
@pytest.mark.parametrize("runs", [1, 3, 4, 5, 8, 9, 17])
def test_padding_is_a_copy_of_a_real_run_and_is_dropped(runs: int, width: int) -> None:
    tree = {"a": np.arange(runs, dtype=np.float32), "b": np.arange(2 * runs, dtype=np.int32).reshape(runs, 2)}
    blocks = RunBlocks(runs, width)
    rounds = blocks.scatter(tree)
    assert {leaf.shape[0] for part in rounds for leaf in part.values()} == {blocks.round_size}
    assert blocks.round_size == 2 * width, "of every device, even where one would do"
    laid_out = np.concatenate([part["a"] for part in rounds])
    assert laid_out.tolist() == [*range(runs), *[runs - 1] * (len(laid_out) - runs)]
    assert len(laid_out) - runs < blocks.round_size
    gathered = blocks.gather(rounds)
    for name, leaf in tree.items():
        np.testing.assert_array_equal(gathered[name], leaf)


@pytest.mark.slow
def test_a_record_has_the_rows_of_its_chunk_and_probes_see_every_run(shared: None) -> None:
    runs = runs_of(spec_of(), seeds=6)
    program = compile_program(runs, text(spec_of()), STEPS)
    states = program.blocks.scatter(random_starts(runs))
    for steps, written in ((1, 1), (3, 1), (7, 3)):
        states, record = program.advance(states, steps)
        assert {leaf.shape for leaf in record} == {(6, written)}
        assert np.isfinite(record.loss).all()

    def probe(state: TrainState, hp: HParams, step: jax.Array) -> dict[str, jax.Array]:
        return {"seed": hp.seed, "steps": state.step, "asked": step}

    values = program.measure(probe, states, 11)
    assert values["seed"].tolist() == list(range(6))
    assert values["steps"].tolist() == values["asked"].tolist() == [11] * 6


def test_what_diverges_is_the_run_and_not_its_block(shared: None) -> None:
    """The neighbours of a diverging run in its block end as they do beside another one."""
    runs = runs_of(spec_of(), seeds=4)
    beside = [runs[0], runs[1]._replace(hp=runs[1].hp._replace(learning_rate=3e38)), *runs[2:]]
    calm, stormy = (trained(four, [STEPS], random_starts(four)) for four in (runs, beside))
    assert calm.states.alive.tolist() == [True] * 4
    assert stormy.states.alive.tolist() == [True, False, True, True]
    assert np.isnan(stormy.record.loss[1, -1])
    for i in (0, 2, 3):
        assert sha256(row(stormy, i)) == sha256(row(calm, i))

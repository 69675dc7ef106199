"""Runs of small networks on random symbols, without a study: states in, states out, and their sha256."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import cut_windows, next_step
from rnnjax.training.parallel import Run, RunBlocks, compile_program
from rnnjax.training.state import StepMetrics, TrainState, init_state
from rnnjax.types import WindowData

SYMBOLS = 6
DATA_SIZE = 130
STEPS, ROW = 12, 3


def small_spec(**fields: Any) -> Spec:
    return Spec(
        **{"inputs": SYMBOLS, "outputs": SYMBOLS, "hidden": 8, "window": 5, "log_every": ROW, "block": 4} | fields
    )


def windows_of(spec: Spec) -> WindowData:
    ids = np.random.default_rng(0).integers(SYMBOLS, size=DATA_SIZE, dtype=np.int32)
    return cut_windows(next_step(ids), spec.batch, spec.window)


def pool_of(spec: Spec, size: int) -> list[Run]:
    """Runs that differ in all that may differ within a program; every eighth diverges."""
    rng = np.random.default_rng(1)

    def run(i: int) -> Run:
        hp = HParams(
            seed=int(rng.integers(2**32)),
            learning_rate=3e38 if i % 8 == 3 else float(rng.choice([0.001, 0.1, 0.5])),
            clip_norm=float(rng.choice([0.5, 5.0, np.inf])),
            dropout_rate=float(rng.choice([0.0, 0.5])),
        )
        return Run(0, replace(spec, recurrent_initializer=str(rng.choice(["orthogonal", "normal"]))), hp)

    return [run(i) for i in range(size)]


def random_starts(runs: Sequence[Run]) -> TrainState:
    """States [R] that need no compilation: random parameters, not those of the initializers."""
    rng = np.random.default_rng(2)
    shapes = jax.eval_shape(partial(init_state, runs[0].spec), runs[0].hp)
    empty = jax.tree.map(lambda leaf: np.zeros((len(runs), *leaf.shape), leaf.dtype), shapes)
    stopping = empty.early_stopping
    return empty.replace(
        params=jax.tree.map(lambda leaf: rng.normal(size=leaf.shape, scale=0.3).astype(leaf.dtype), empty.params),
        alive=np.ones_like(empty.alive),
        early_stopping=stopping and stopping.replace(lr_scale=np.ones_like(stopping.lr_scale)),
        diverged_at=np.full_like(empty.diverged_at, -1),
    )


def train(runs: Sequence[Run], starts: TrainState, chunks: Sequence[int] = (STEPS,)) -> tuple[TrainState, StepMetrics]:
    """States [R] and record [R, rows] after the steps of these chunks."""
    program = compile_program(runs, windows_of(runs[0].spec), STEPS)
    states, records = program.blocks.scatter(starts), []
    for steps in chunks:
        states, record = program.advance(states, steps)
        records.append(record)
    return program.blocks.gather(states), jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *records)


def row(tree: Any, i: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[i], tree)


def rows(tree: Any, chosen: Sequence[int]) -> Any:
    return jax.tree.map(lambda leaf: leaf[list(chosen)], tree)


def sha256(tree: Any) -> str:
    """Of dtype, shape and bytes of every leaf."""
    digest = hashlib.sha256()
    for leaf in map(np.asarray, jax.tree.leaves(tree)):
        digest.update(f"{leaf.dtype} {leaf.shape}".encode() + leaf.tobytes())
    return digest.hexdigest()


@contextmanager
def compiled_once() -> Iterator[None]:
    """Each program is compiled once, not again for each number of runs; XLA's code is that of the one that is kept."""
    original, known = RunBlocks.compile, {}

    def compile_of(blocks: RunBlocks, function: Any, batched: int = 1, donate: tuple[int, ...] = (), **how: Any) -> Any:
        key = (code_of(function), blocks.mesh, blocks.round_size, batched, donate)
        if key not in known:
            known[key] = original(blocks, function, batched, donate, **how)
        return known[key]

    RunBlocks.compile = compile_of  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        RunBlocks.compile = original  # type: ignore[method-assign]


def code_of(function: Callable[..., Any]) -> tuple[Any, ...]:
    """The same code with the same values in its closure is the same function."""
    if isinstance(function, partial):
        return code_of(function.func) + function.args
    return function.__code__, *(cell.cell_contents for cell in function.__closure__ or ())

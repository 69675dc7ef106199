"""The part of rnnjax that the check uses: the only module here that knows its functions by name."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnjax.networks.cells import CELLS
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.tasks import TASKS
from rnnjax.tasks.windows import task_windows
from rnnjax.training import parallel
from rnnjax.training.state import init_state
from rnnjax.training.step import train_step

CELL_NAMES = tuple(CELLS)
LONGEST_RECORD = 400  # rows that one call of `advance` returns at most


class Setting(NamedTuple):
    """One network on the grammar task; `block` 0 is rnnjax's own choice of width."""

    cell: str = "elman"
    hidden: int = 64
    batch: int = 1
    window: int = 25
    block: int = 0


@dataclass
class Sweep:
    """Runs in training together."""

    program: Any
    states: list[Any]
    chance: float  # the loss of a uniform guess, nats per character

    def advance(self, steps: int) -> np.ndarray:
        """`steps` optimizer steps further. Returns: losses [R, steps]."""
        self.states, record = self.program.advance(self.states, steps)
        jax.block_until_ready(self.states)
        return np.asarray(record.loss)

    def state(self, run: int) -> Any:
        """The whole state of one run, on the host."""
        return jax.tree.map(lambda leaf: leaf[run], self.program.blocks.gather(self.states))

    def parameters(self, run: int) -> dict[str, np.ndarray]:
        return named_leaves(self.state(run).params)


def task_and_spec(setting: Setting) -> tuple[Any, Spec]:
    task = TASKS["grammar"](TaskSpec(), None)
    fields = setting._asdict() | {"inputs": task.inputs, "outputs": task.outputs, "loss": task.loss}
    return task, replace(Spec(), **fields, log_every=1)


def sweep(setting: Setting, seeds: Sequence[int], learning_rates: Sequence[float] | float = 0.01) -> Sweep:
    """Runs with these seeds at their first step, a row of the record for each step."""
    task, spec = task_and_spec(setting)
    rates = [learning_rates] * len(seeds) if isinstance(learning_rates, float) else learning_rates
    settings = [HParams(seed=seed, learning_rate=rate) for seed, rate in zip(seeds, rates, strict=True)]
    runs = [parallel.Run(0, spec, hp) for hp in settings]
    program = parallel.compile_program(runs, task_windows(task, task.train_N, spec.batch, spec.window), LONGEST_RECORD)
    return Sweep(program, program.blocks.scatter(parallel.init_states(runs)), task.reference_losses["chance"])


def block_width(setting: Setting) -> int:
    """The width that rnnjax chooses where `block` is 0."""
    return parallel.block_width(task_and_spec(setting)[1])


def compiled_step(setting: Setting, runs: int) -> Any:
    """One optimizer step of `runs` runs as a compiled program of its own, for its cost analysis."""
    task, spec = task_and_spec(setting)
    hp = parallel.stack_hparams([parallel.Run(0, spec, HParams(seed=seed)) for seed in range(runs)])
    data = jax.device_put(task_windows(task, task.train_N, spec.batch, spec.window))
    states = jax.vmap(partial(init_state, spec))(hp)
    step = jax.vmap(lambda hp, data, state: train_step(spec, hp, data, state), in_axes=(0, None, 0))
    return jax.jit(step).lower(hp, data, states).compile()


def named_leaves(tree: Any) -> dict[str, np.ndarray]:
    """The leaves by their paths, "layer_0/kernel"."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}


def state_digest(tree: Any) -> str:
    """A sha256 over paths, types, shapes and bytes of all leaves: equal means bitwise equal."""
    digest = hashlib.sha256()
    for name, leaf in sorted(named_leaves(tree).items()):
        digest.update(f"{name} {leaf.dtype} {leaf.shape}".encode() + leaf.tobytes())
    return digest.hexdigest()


def timed_advance(trained: Sweep, steps: int) -> float:
    """Seconds of one call of `advance`."""
    started = time.perf_counter()
    trained.advance(steps)
    return time.perf_counter() - started

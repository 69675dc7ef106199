"""Many runs at once: arms x seeds, grouped by program, laid out in blocks of a fixed width over all devices.

XLA picks other kernels for other batch widths, so the same run in a `vmap` of 8 and in one of 64 differs in the last
bits, and after many steps in all of them. Here every device always executes one program of width K (`Spec.block`); runs
are padded with copies of the last one and the padding is dropped. A run is therefore bitwise the same alone, beside any
others and at any chunk length, and any number of runs needs one compilation and bounded memory.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec
from rnnjax.training.early_stopping import early_stopping_check
from rnnjax.training.state import StepMetrics, TrainState, init_state
from rnnjax.training.step import train_chunk
from rnnjax.types import Params, SequencePool, WindowData

RUN_AXIS = PartitionSpec("runs")
REPLICATED = PartitionSpec()

Compiled = Callable[..., Any]
Measure = Callable[[TrainState, HParams, Array], dict[str, Array]]  # of one run, at a step


class Run(NamedTuple):
    """One arm with one seed."""

    arm: int  # index into the study's arms
    spec: Spec
    hp: HParams  # of Python numbers


def group_by_program(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs by compiled program, in the order in which the programs first occur."""
    by_program: dict[Spec, list[Run]] = {}
    for run in runs:
        by_program.setdefault(run.spec.program, []).append(run)
    return list(by_program.values())


def stack_hparams(runs: Sequence[Run]) -> HParams:
    """The hyperparameters of R runs as arrays [R]."""
    columns = {name: [getattr(run.hp, name) for run in runs] for name in HParams._fields}
    dtypes = {"seed": np.uint32}
    return HParams._make(np.asarray(column, dtypes.get(name, np.float32)) for name, column in columns.items())


CACHE_BYTES = 2**20  # of one core's own cache
WIDEST_BLOCK = 16


def block_width(spec: Spec) -> int:
    """`spec.block`; where it is 0, the power of two up to 16 whose networks and windows come nearest to a core's cache.

    A wide block spreads the cost of each call over more runs; but every time step reads all kernels of a block and
    writes residuals for the backward pass, and memory beyond the cache takes longer than the products. The width must
    not depend on the machine: it is part of a run's numerical identity.
    """
    params = jax.eval_shape(build_network(spec, HParams()).init, jax.random.key(0))
    kernels = sum(leaf.size for leaf in jax.tree.leaves(params))
    width = max(leaf.shape[-1] for leaf in jax.tree.leaves(params))  # G*H numbers, written by one step of one stream
    fitting = CACHE_BYTES / (4 * (kernels + spec.window * spec.batch * spec.layers * width))
    return spec.block or 2 ** round(math.log2(min(max(fitting, 1), WIDEST_BLOCK)))


class RunBlocks:
    """Runs functions of one run for R runs, K to a device, a round of D blocks at a time.

    A round takes all devices even where one block would suffice: XLA compiles other code for a mesh of another size,
    and a run must not depend on the number of others.
    """

    def __init__(self, runs: int, width: int, devices: Sequence[jax.Device] | None = None) -> None:
        devices = devices or jax.devices()
        self.runs = runs
        self.round_size = width * len(devices)
        self.mesh = Mesh(np.array(devices), ("runs",))
        self.per_run = NamedSharding(self.mesh, RUN_AXIS)
        self.shared = NamedSharding(self.mesh, REPLICATED)

    def compile(self, function: Callable[..., Any], batched: int = 1, donate: tuple[int, ...] = ()) -> Compiled:
        """jit a function of one run for one round of runs.

        The first `stack_hparams` arguments and the results have a run axis; the other arguments are the same for all
        runs.
        """

        def run_round(*arguments: Any) -> Any:
            per_run = [i < batched for i in range(len(arguments))]
            block = jax.vmap(function, in_axes=tuple(0 if own else None for own in per_run))
            specs = tuple(RUN_AXIS if own else REPLICATED for own in per_run)
            return jax.shard_map(block, mesh=self.mesh, in_specs=specs, out_specs=RUN_AXIS, check_vma=False)(*arguments)

        return jax.jit(run_round, donate_argnums=donate)

    def scatter(self, tree_R: Any) -> list[Any]:
        """[R] leaves -> for each round a tree of [D*K] leaves on the devices; padded with copies of the last run."""
        padded = np.minimum(np.arange(-(-self.runs // self.round_size) * self.round_size), self.runs - 1)
        rounds = padded.reshape(-1, self.round_size)
        return [jax.device_put(jax.tree.map(lambda leaf, i=i: leaf[i], tree_R), self.per_run) for i in rounds]

    def gather(self, rounds: Sequence[Any]) -> Any:
        """The inverse of `scatter`: host arrays [R]."""
        host = [jax.tree.map(np.asarray, tree) for tree in rounds]
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: self.runs], *host)


def init_states(runs: Sequence[Run], params: Params | None = None) -> TrainState:
    """The states [R] before training, from one small program for each pair of initializers.

    Args: params: leaves [R, ...] to start from; None = new ones.
    """
    states: list[Any] = [None] * len(runs)
    for spec in dict.fromkeys(run.spec for run in runs):
        members = [i for i, run in enumerate(runs) if run.spec == spec]
        blocks = RunBlocks(len(members), block_width(spec))
        given = () if params is None else (jax.tree.map(lambda leaf, at=members: leaf[at], params),)
        init = blocks.compile(partial(init_state, spec), batched=1 + len(given))
        arguments = [blocks.scatter(tree) for tree in (stack_hparams([runs[i] for i in members]), *given)]
        started = blocks.gather([init(*of_round) for of_round in zip(*arguments, strict=True)])
        for row, i in enumerate(members):
            states[i] = jax.tree.map(lambda leaf, row=row: leaf[row], started)
    return jax.tree.map(lambda *rows: np.stack(rows), *states)


class Program(NamedTuple):
    """The compiled training of one group: pure functions from the states of all rounds to the next."""

    blocks: RunBlocks
    hp: list[Any]  # per round, on the devices
    advance: Callable[[list[Any], int], tuple[list[Any], StepMetrics]]  # states, steps -> states, record [R, rows]
    check_early_stopping: Callable[[list[Any]], list[Any]]  # states -> states, after a check of the held-out loss
    measure: Callable[[Measure, list[Any], int], dict[str, np.ndarray]]  # probe, states, step -> values [R, ...]


def compile_program(
    runs: Sequence[Run], data: WindowData | SequencePool, rows: int, held_out: WindowData | None = None
) -> Program:
    """Compile the training of a group on all devices.

    Args:
        runs: that share `spec.program`. data: the training windows or sequences.
        rows: the longest record of one `advance`. held_out: the window of the early-stopping check.
    """
    spec = runs[0].spec.program
    blocks = RunBlocks(len(runs), block_width(spec))
    hp = blocks.scatter(stack_hparams(runs))
    data, held_out = jax.device_put((data, held_out), blocks.shared)

    def chunk_of_run(state: TrainState, hp: HParams, data: Any, steps: Array, *first: Array) -> Any:
        return train_chunk(spec, rows, hp, data, state, steps, *first)

    def shared_step(state: TrainState) -> tuple[Array, ...]:
        """The step of a round, which all its runs share, where the length of the next batch depends on it."""
        return (jnp.int32(np.asarray(state.step)[0]),) if isinstance(data, SequencePool) else ()

    chunk = blocks.compile(chunk_of_run, batched=2, donate=(0,))

    def advance(states: list[Any], steps: int) -> tuple[list[Any], StepMetrics]:
        rounds = [
            chunk(state, hp_round, data, jnp.int32(steps), *shared_step(state))
            for state, hp_round in zip(states, hp, strict=True)
        ]
        written = -(-steps // spec.log_every)
        record = jax.tree.map(lambda leaf: leaf[:, :written], blocks.gather([record for _, record in rounds]))
        return [state for state, _ in rounds], record

    check_run = blocks.compile(
        lambda state, hp, data: early_stopping_check(spec, hp, data, state), batched=2, donate=(0,)
    )

    def check_early_stopping(states: list[Any]) -> list[Any]:
        return [check_run(state, hp_round, held_out) for state, hp_round in zip(states, hp, strict=True)]

    @cache
    def compiled(probe: Measure) -> Compiled:
        return blocks.compile(probe, batched=2)

    def measure(probe: Measure, states: list[Any], step: int) -> dict[str, np.ndarray]:
        rounds = zip(states, hp, strict=True)
        return blocks.gather([compiled(probe)(state, hp_round, jnp.int32(step)) for state, hp_round in rounds])

    return Program(blocks, hp, advance, check_early_stopping, measure)

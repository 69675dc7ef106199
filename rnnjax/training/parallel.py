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

from rnnjax.networks.cells import NATIVE_CELLS
from rnnjax.networks.initializers import ELEMENTWISE
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec, resolve_decay
from rnnjax.training.early_stopping import early_stopping_check
from rnnjax.training.state import StepMetrics, TrainState, init_state, start_params
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
    """The hyperparameters of R runs as arrays [R], with `resolve_decay`."""
    resolved = [resolve_decay(run.spec, run.hp) for run in runs]
    columns = {name: [getattr(hp, name) for hp in resolved] for name in HParams._fields}
    dtypes = {"seed": np.uint32}
    return HParams._make(np.asarray(column, dtypes.get(name, np.float32)) for name, column in columns.items())


# Random numbers compile to long loops of integers, at LLVM's first level in a third of the time. The bits stay where
# every number is computed on its own; a sum may be added up in another order.
QUICK_OPTIONS = {"xla_backend_optimization_level": 1}
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

    def compile(
        self, function: Callable[..., Any], batched: int = 1, donate: tuple[int, ...] = (), quick: bool = False
    ) -> Compiled:
        """jit a function of one run for one round of runs.

        The first `batched` arguments and the results have a run axis; the other arguments are the same for all runs.

        Args: quick: of a function without sums and products of matrices, see `QUICK_OPTIONS`.
        """

        def run_round(*arguments: Any) -> Any:
            per_run = [i < batched for i in range(len(arguments))]
            block = jax.vmap(function, in_axes=tuple(0 if own else None for own in per_run))
            specs = tuple(RUN_AXIS if own else REPLICATED for own in per_run)
            return jax.shard_map(block, mesh=self.mesh, in_specs=specs, out_specs=RUN_AXIS, check_vma=False)(*arguments)

        options = QUICK_OPTIONS if quick and self.mesh.devices.flat[0].platform == "cpu" else None
        return jax.jit(run_round, donate_argnums=donate, compiler_options=options)

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
    """The states [R] before training.

    Args: params: leaves [R, ...] to start from; None = new ones.
    """
    params = init_params(runs) if params is None else params

    def state_of_run(spec: Spec, hp: HParams, params: Params) -> TrainState:
        return init_state(spec, hp, params)

    return by_spec(state_of_run, lambda spec: False, runs, [run.spec.program for run in runs], params)


def init_params(runs: Sequence[Run]) -> Params:
    """The parameters [R, ...] of new networks, from one program for each pair of initializers.

    Nothing of training is in it, so that groups which differ in that alone compile the same programs: the second one
    finds them in the cache of compiled programs.
    """
    return by_spec(start_params, is_drawn, runs, [run.spec for run in runs])


def is_drawn(spec: Spec) -> bool:
    """Whether every parameter is drawn on its own at the start: no sum over others is in it."""
    return spec.cell in NATIVE_CELLS and {spec.kernel_initializer, spec.recurrent_initializer} <= ELEMENTWISE


def by_spec(
    function: Callable[..., Any],
    quick: Callable[[Spec], bool],
    runs: Sequence[Run],
    specs: Sequence[Spec],
    *trees_R: Any,
) -> Any:
    """function(spec, hp, ...) of one run for all runs, one program for each spec.

    Args: quick: as `RunBlocks.compile`. trees_R: further arguments, leaves [R, ...].
    """
    order: list[int] = []
    parts = []
    for spec in dict.fromkeys(specs):
        members = [i for i, other in enumerate(specs) if other == spec]
        blocks = RunBlocks(len(members), block_width(spec))
        own = jax.tree.map(lambda leaf, at=members: leaf[at], trees_R)
        arguments = [blocks.scatter(tree) for tree in (stack_hparams([runs[i] for i in members]), *own)]
        program = blocks.compile(partial(function, spec), batched=len(arguments), quick=quick(spec))
        parts.append(blocks.gather([program(*of_round) for of_round in zip(*arguments, strict=True)]))
        order += members
    place_R = np.argsort(order)
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[place_R], *parts)


class Program(NamedTuple):
    """The compiled training of one group: pure functions from the states of all rounds to the next."""

    blocks: RunBlocks
    hp: list[Any]  # per round, on the devices
    advance: Callable[[list[Any], int], tuple[list[Any], StepMetrics]]  # states, steps -> states, record [R, rows]
    check_early_stopping: Callable[[list[Any]], list[Any]]  # states -> states, after a check of the held-out loss
    measure: Callable[[Measure, list[Any], int], dict[str, np.ndarray]]  # probe, states, step -> values [R, ...]
    compilations: Callable[[Sequence[Measure]], list[Callable[[], Any]]]  # probes -> what each compiles one program


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

    chunk = blocks.compile(chunk_of_run, batched=2, donate=(0,))

    def advance(states: list[Any], steps: int) -> tuple[list[Any], StepMetrics]:
        rounds = [
            chunk(state, hp_round, data, jnp.int32(steps), *shared_step(data, state))
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

    def compilations(probes: Sequence[Measure]) -> list[Callable[[], Any]]:
        """One function for each program; a program that was not compiled before it is called is compiled then."""
        hp_of_run = jax.tree.map(lambda leaf: leaf[0], stack_hparams(runs[:1]))
        state, step = round_shapes(blocks, jax.eval_shape(partial(init_state, spec), hp_of_run)), jnp.int32(0)
        calls = [(chunk, (state, hp[0], data, step, *shared_step(data)))]
        calls += [(check_run, (state, hp[0], held_out))] if held_out is not None else []
        calls += [(compiled(probe), (state, hp[0], step)) for probe in probes]
        return [partial(compile_call, function, arguments) for function, arguments in calls]

    return Program(blocks, hp, advance, check_early_stopping, measure, compilations)


def shared_step(data: WindowData | SequencePool, state: TrainState | None = None) -> tuple[Array, ...]:
    """The step of a round, 0 without a state: the length of the next batch of sequences depends on it alone."""
    return (jnp.int32(0 if state is None else np.asarray(state.step)[0]),) if isinstance(data, SequencePool) else ()


def compile_call(function: Any, arguments: tuple[Any, ...]) -> None:
    """Compile a jitted function for a call with such arguments, arrays or shapes; the call itself finds it done."""
    function.lower(*arguments).compile()


def round_shapes(blocks: RunBlocks, tree: Any) -> Any:
    """The shapes of one round of trees like this one, of one run."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((blocks.round_size, *leaf.shape), leaf.dtype, sharding=blocks.per_run), tree
    )

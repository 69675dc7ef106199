"""The dynamics of a trained network, from Python: Lyapunov exponents, fixed points, and every probe."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Le

from rnnjax.api.arguments import choose_name
from rnnjax.api.dynamics_results import FixedPoint, FixedPoints, LyapunovExponents
from rnnjax.api.networks import Network
from rnnjax.api.train_result import TrainResult
from rnnjax.errors import BadInput
from rnnjax.networks.model import build_network
from rnnjax.probes import PROBES, build_probe
from rnnjax.probes.dynamics.exponents import lyapunov_exponents as exponents_along
from rnnjax.probes.dynamics.fixed_point_search import eigenvalues, kinds_of_points
from rnnjax.probes.dynamics.fixed_points import LENGTH, STREAMS, search_network
from rnnjax.probes.dynamics.lyapunov import Lengths, drive_streams, trajectory_exponents
from rnnjax.probes.dynamics.trajectories import (
    HeldInput,
    all_inputs,
    default_input,
    feedback_of,
    state_size,
    symbol_name,
    training_inputs,
)
from rnnjax.probes.numerics.orthonormal import state_vector
from rnnjax.settings import HParams, Spec
from rnnjax.settings.checks import check_value
from rnnjax.training.parallel import Run, stack_hparams
from rnnjax.training.state import init_state
from rnnjax.types import Facts, Params, Task

Drive = Literal["data", "held", "own"]
DRIVES = {"data": "", "held": "_held", "own": "_own"}  # argument -> suffix of the probe's values
RULES: dict[str, Any] = {
    "count": Annotated[int, Ge(1)],
    "starts": Annotated[int, Ge(1), Le(4_096)],
    "steps": Annotated[int, Ge(1), Le(1_000_000)],
    "transient": Annotated[int, Ge(0), Le(1_000_000)],
}
MOST_POINTS = 64


class Networks(NamedTuple):
    """R networks of one program, and their data."""

    spec: Spec
    hp: HParams  # leaves [R]
    params: Params  # leaves [R, ...]
    task: Task


def lyapunov_exponents(
    network: Any,
    count: int = 8,
    *,
    drive: Drive = "data",
    held: Any = None,
    starts: int = 16,
    steps: int = 2_000,
    transient: int = 200,
    carry: Any = None,
    inputs: Any = None,
) -> LyapunovExponents:
    """The largest Lyapunov exponents of a network: how fast small changes of its state grow, in nats per step.

    lambda_i = mean over t of log |R_ii(t)|, Q(t) R(t) = J_t Q(t-1), J_t the Jacobian of one step.

    Args:
        network: a `Network`, a `TrainResult` (all its networks at once), or a function step(carry, x) -> carry of one
            stream, with `carry`, leaves [S, ...], and `inputs`, [T, S, ...].
        count: how many, at most the numbers of the state. drive: "data", the training data are read; "held", one input
            is held; "own", the network reads its own outputs. held: as in `fixed_points`.
        starts: places of the data. steps: that count, as far as the data go; transient: before these.

    Raises: BadInput for an argument that breaks its rule, or a network without a state.

    Example:
        >>> rj.lyapunov_exponents(network, 2, starts=4, steps=50, transient=20)
        LyapunovExponents(2, largest -0...
        >>> henon = lambda carry, x: (1 - 1.4 * carry[0] ** 2 + carry[1], 0.3 * carry[0])
        >>> start = jax.numpy.full(4, 0.1), jax.numpy.linspace(0.1, 0.2, 4)
        >>> chaos = rj.lyapunov_exponents(henon, 2, carry=start, inputs=jax.numpy.zeros((5_200, 4)))
        >>> [round(float(one.estimate), 1) for one in chaos.intervals]
        [0.4, -1.6]
    """
    check_counts(count=count, starts=starts, steps=steps, transient=transient)
    choose_name("drive", drive, DRIVES)
    if not isinstance(network, Network | TrainResult):
        return exponents_of_step(network, count, carry, inputs, transient)
    known = networks_of(network)
    check_exponents(count, state_size(known.spec))
    feedback, x = feedback_of(known.spec, known.task), default_input(known.task)
    if drive == "own" and feedback is None:
        raise BadInput(f"drive: got 'own' for a network of '{known.spec.task.name}'; expected 'data' or 'held'")
    if drive == "held":
        x = held_input(known.task, held)
    streams = drive_streams(known.task, [DRIVES[drive]], x.x, Lengths(starts, transient, steps))

    def run_exponents(hp: HParams, params: Params) -> Any:
        return trajectory_exponents(build_network(known.spec, hp), hp, params, streams, count, feedback)

    found = jax.jit(jax.vmap(run_exponents))(known.hp, known.params)
    words = {"data": "along the training data", "held": f"with {x.words} held", "own": "reading its own outputs"}
    return LyapunovExponents(np.asarray(found.exponents_K), np.asarray(found.nonfinite), words[drive])


def fixed_points(network: Network | TrainResult, held: Any = None, *, starts: int = 256) -> Any:
    """Fixed and slow points of a network with one input held: minima of |F(c) - c|^2 / 2, searched from many states.

    Args:
        network: a `Network`, or a `TrainResult`: then a list, one entry for each seed.
        held: the input: a symbol, an id, or numbers [D]; "frequent" = the most frequent symbol of the training data,
            "mean" = the mean of their inputs. None = the mean, for a series alone: symbols have no neutral one.
        starts: states of trajectories along the training data from which a search starts.

    Raises: BadInput for no or an unknown input, or a network without a state.

    Example:
        >>> found = rj.fixed_points(network, "b", starts=32)
        >>> found.held
        "'b'"
        >>> {point.kind for point in found.points} <= {"stable fixed point", "unstable fixed point", "slow point"}
        True
    """
    check_counts(starts=starts)
    known = networks_of(network)
    state_size(known.spec)
    x, inputs_TS = held_input(known.task, held), training_inputs(known.task, 2 * LENGTH, STREAMS)

    def run_search(hp: HParams, params: Params) -> Any:
        return search_network(known.spec, hp, params, inputs_TS, x.x, starts, MOST_POINTS)

    values = jax.device_get(jax.jit(jax.vmap(run_search))(known.hp, known.params))
    runs = [{name: leaf[i] for name, leaf in values.items()} for i in range(len(values["nonfinite_share"]))]
    found = [FixedPoints(points_of(run), x.words, starts, float(run["nonfinite_share"])) for run in runs]
    return found if isinstance(network, TrainResult) else found[0]


def measure_probe(network: Network | TrainResult, probe: str) -> dict[str, np.ndarray]:
    """The values [R, ...] of a probe of docs/probes.md, of one network or of all networks of a training.

    Raises: BadInput for an unknown name, or a probe that does not apply.

    Example:
        >>> rj.measure_probe(network, "dimension")["participation_ratio"].shape
        (1,)
    """
    choose_name("probe", probe, PROBES)
    known = networks_of(network)
    built = build_probe(probe, known.spec, known.task)
    if isinstance(built, Facts):
        return {name: np.full(np.shape(known.hp.seed), value) for name, value in built.values.items()}

    def measure_run(hp: HParams, params: Params) -> Any:
        return built.measure(init_state(known.spec, hp, params), hp, jnp.int32(0))

    return built.summarise(jax.device_get(jax.jit(jax.vmap(measure_run))(known.hp, known.params)))


# Parts


def networks_of(network: Any) -> Networks:
    """The R networks of a `Network` or a `TrainResult`, batched. Raises BadInput for anything else."""
    if isinstance(network, TrainResult):
        runs = [Run(0, network.spec, network.hp._replace(seed=seed)) for seed in network.seeds]
        return Networks(network.spec.program, stack_hparams(runs), network.params, network.task)
    if not isinstance(network, Network):
        raise BadInput(f"network: got {type(network).__name__}; expected a Network or a TrainResult")
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], network.params)
    hp = stack_hparams([Run(0, network.spec, network.hp)])
    return Networks(network.spec.program, hp, params, network.load_task())


def exponents_of_step(
    step: Callable[[Any, Any], Any], count: int, carry: Any, inputs: Any, transient: int
) -> LyapunovExponents:
    """The exponents of a function of one stream. Raises BadInput."""
    if not callable(step) or carry is None or inputs is None:
        kinds = "a Network, a TrainResult, or a function step(carry, x) with carry and inputs"
        raise BadInput(f"network: got {type(step).__name__}; expected {kinds}")
    length = jax.tree.leaves(inputs)[0].shape[0]
    if length <= transient:
        raise BadInput(f"inputs: got {length} steps; expected more than {transient} (transient)")
    check_exponents(count, state_vector(jax.tree.map(lambda leaf: jnp.asarray(leaf)[0], carry))[0].size)
    along = partial(exponents_along, step, count=count, counted_T=jnp.arange(length) >= transient)
    found = jax.jit(jax.vmap(lambda carry, x: along(carry, x), in_axes=(0, 1)))(carry, inputs)
    return LyapunovExponents(np.asarray(found.exponents_K)[None], np.asarray(found.nonfinite)[None], "along the inputs")


def check_counts(**values: int) -> None:
    """Raises BadInput for an argument that breaks its rule."""
    for name, value in values.items():
        check_value(name, RULES[name], value, "dynamics")


def check_exponents(count: int, size: int) -> None:
    """Raises BadInput for more exponents than the state has numbers, or for a state without any."""
    if not size:
        raise BadInput("carry: got a state without numbers; expected that of a recurrent network")
    if count > size:
        raise BadInput(f"count: got {count}; expected at most {size}, the numbers of the state")


def held_input(task: Task, held: Any) -> HeldInput:
    """The input that a user means. Raises BadInput."""
    inputs_N = all_inputs(task)
    ids = np.issubdtype(inputs_N.dtype, np.integer)
    if held is None and (ids or task.series is None):
        expected = (
            "a symbol, or 'frequent' for the most frequent one" if ids else "numbers, or 'mean' for the mean input"
        )
        raise BadInput(f"held: got none for a network whose inputs have no neutral one; expected {expected}")
    if held is None or (isinstance(held, str) and held == ("frequent" if ids else "mean")):
        return default_input(task)
    return held_symbol(task, held) if ids else held_numbers(held, inputs_N.shape[1])


def held_symbol(task: Task, held: Any) -> HeldInput:
    """The id of a symbol or an id. Raises BadInput."""
    known = list(task.vocabulary)
    symbol = known.index(held) if isinstance(held, str) and held in known else held
    if isinstance(symbol, bool) or not isinstance(symbol, int | np.integer) or not 0 <= symbol < task.inputs:
        raise BadInput(f"held: got {held!r}; expected a symbol, or an id from 0 to {task.inputs - 1}")
    return HeldInput(np.array(symbol, np.int32), symbol_name(task, int(symbol)))


def held_numbers(held: Any, width: int) -> HeldInput:
    """Numbers [D]. Raises BadInput."""
    try:
        numbers_D = np.asarray(held, np.float32)
    except (TypeError, ValueError):
        numbers_D = np.zeros(0, np.float32)
    if numbers_D.shape != (width,) or not np.isfinite(numbers_D).all():
        raise BadInput(f"held: got {held!r}; expected 'mean' or {width} finite numbers, one for each input")
    return HeldInput(numbers_D, ", ".join(f"{number:.4g}" for number in numbers_D))


def points_of(run: dict[str, np.ndarray]) -> list[FixedPoint]:
    """The points of one network from the values of `search_network`."""
    kinds = kinds_of_points(run["speed_M"], run["jacobian_MCC"]).kinds
    return [
        FixedPoint(
            kind,
            run["points_MC"][i],
            run["units_MH"][i],
            float(run["speed_M"][i]),
            int(run["starts_M"][i]),
            eigenvalues(run["jacobian_MCC"][i]),
        )
        for i, kind in enumerate(kinds)
        if kind
    ]

"""The probe of fixed points with one input held, and the picture of the states about them."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model, build_layers, build_network
from rnnjax.probes.dynamics.dimension import principal_plane, project
from rnnjax.probes.dynamics.fixed_point_search import (
    FIXED_SPEED,
    SLOW_SPEED,
    find_minima,
    held_step,
    kinds_of_points,
    merge_duplicates,
)
from rnnjax.probes.dynamics.trajectories import default_input, state_size, training_inputs, trajectory_labels
from rnnjax.probes.numerics.orthonormal import state_vector
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import POINT_KINDS, SHARE, SLOW_POINT, STABLE, UNSTABLE, Metric
from rnnjax.training.state import TrainState
from rnnjax.types import Carry, Params, Probe, Task

STREAMS, LENGTH = 8, 48  # of the trajectories; fewer streams where a set has fewer sequences
SEARCHES = 64  # states of them from which a search starts
MOST = 12  # different points

SOURCE = "Sussillo and Barak 2013, Neural Computation 25:626"
HELD = "with one input held, the most frequent symbol or the mean of the training inputs"
FIXED_POINT_METRICS = {
    "fixed_points": Metric(
        f"different fixed points {HELD}, found from {SEARCHES} states of trajectories, {MOST} at most: minima of "
        f"|F(c) - c|^2 / 2 at which a step changes the state by less than {FIXED_SPEED:g} of the spread of the states",
        source=SOURCE,
    ),
    "stable_fixed_points": Metric("those of them at which every eigenvalue of dF/dc is inside the unit circle"),
    "slow_points": Metric(
        f"different minima of |F(c) - c|^2 / 2 {HELD}, at which a step changes the state by {FIXED_SPEED:g} to "
        f"{SLOW_SPEED:g} of the spread of the states",
        source=SOURCE,
    ),
    "fixed_point_share": Metric("share of the searches that end at a fixed point", range=SHARE),
    "fixed_point_radius": Metric(
        "modulus of the largest eigenvalue of dF/dc at the fixed point where most searches end; NaN without one"
    ),
    "unstable_directions": Metric(
        "eigenvalues of dF/dc outside the unit circle, mean over the unstable fixed points; NaN without one"
    ),
    "fixed_point_nonfinite": Metric(
        "share of the searches whose end is not finite, and of the points whose dF/dc is not", better="lower",
        range=SHARE,
    ),
    "state_portrait": Metric(
        "states of trajectories, a missing point after each, and the fixed and slow points, in the plane of the first "
        "two principal components of the states h of the last layer",
        kind="map",
    ),
}  # fmt: skip


def fixed_points(spec: Spec, task: Task) -> Probe:
    """Fixed and slow points with one input held, from 64 states of trajectories; their stability; a picture.

    The input is the most frequent symbol of the training data, or the mean of the inputs. Values: see
    FIXED_POINT_METRICS.

    Raises:
        BadInput: a bidirectional network, a cell without a state, or data of fewer than 4 steps.
    """
    state_size(spec)
    inputs_TS, held = training_inputs(task, 2 * LENGTH, STREAMS), default_input(task)
    first = len(inputs_TS) // 2  # as in `search_network`

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        return search_network(spec, hp, state.params, inputs_TS, held.x, SEARCHES, MOST)

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        runs = [
            run_values({name: leaf[i] for name, leaf in values.items()}) for i in range(len(values["nonfinite_share"]))
        ]
        return {name: np.array([run[name] for run in runs], np.float32) for name in runs[0]}

    labels = [*trajectory_labels(task, inputs_TS, first), *(("", kind) for kind in POINT_KINDS for _ in range(MOST))]
    return Probe(measure, summarise, FIXED_POINT_METRICS, {"state_portrait": labels})


def search_network(
    spec: Spec, hp: HParams, params: Params, inputs_TS: np.ndarray, held: np.ndarray, searches: int, most: int
) -> dict[str, Array]:
    """The fields of `Points` of a network, and the hidden units of the trajectories and of the points.

    The searches start at evenly spaced states of the second half of trajectories along inputs [T, S, ...].

    Returns: also nonfinite_share, of the searches whose end is not finite; trajectory_TSH; units_MH.
    """
    model = build_network(spec, hp)
    carries_N = trajectory_carries(model, hp, params, jnp.asarray(inputs_TS), len(inputs_TS) // 2)
    one = jax.tree.map(lambda leaf: leaf[0], carries_N)
    advance = held_step(partial(model.step, params), jnp.asarray(held), one)
    states_NC = jax.vmap(lambda carry: state_vector(carry)[0])(carries_N)
    minima = find_minima(advance, states_NC[np.linspace(0, len(states_NC) - 1, searches).astype(int)])
    points = merge_duplicates(advance, minima, most)
    units = jax.vmap(partial(hidden_units, spec, hp, one))
    units_NH = units(states_NC)
    trajectory_TSH = units_NH.reshape(-1, inputs_TS.shape[1], units_NH.shape[-1])
    found = {"trajectory_TSH": trajectory_TSH, "units_MH": units(points.points_MC)}
    return points._asdict() | found | {"nonfinite_share": jnp.mean(jnp.isinf(minima.speed_S))}


def trajectory_carries(model: Model, hp: HParams, params: Params, inputs_TS: Array, first: int) -> Carry:
    """The states [N, ...] after each step from `first` on, of all streams; time is the slower axis."""
    start = model.carry(params, key_for(hp, "evaluation"), inputs_TS.shape[1])

    def step(carry: Carry, x_S: Array) -> tuple[Carry, Carry]:
        carry = jax.vmap(partial(model.step, params))(carry, x_S)
        return carry, carry

    _, carries_TS = jax.lax.scan(step, start, inputs_TS)
    return jax.tree.map(lambda leaf: leaf[first:].reshape(-1, *leaf.shape[2:]), carries_TS)


def hidden_units(spec: Spec, hp: HParams, like: Carry, state_C: Array) -> Array:
    """h [H] of the last layer, of a state vector of carries like this one."""
    name, cell = list(build_layers(spec, hp).items())[-1]
    return cell.hidden_state(state_vector(like)[1](state_C)[name])


def run_values(values: dict[str, np.ndarray]) -> dict[str, float | np.ndarray]:
    """FIXED_POINT_METRICS of one run."""
    kinds, radius_M, unstable_M = kinds_of_points(values["speed_M"], values["jacobian_MCC"])
    found = [kind != "" for kind in kinds]
    fixed_M = np.array([kind in (STABLE, UNSTABLE) for kind in kinds])
    reached_M = values["starts_M"] * fixed_M
    unknown = np.isnan(radius_M[found]).mean() if any(found) else 0.0
    directions = unstable_M[[kind == UNSTABLE for kind in kinds]]
    return {
        "fixed_points": float(fixed_M.sum()),
        "stable_fixed_points": float(kinds.count(STABLE)),
        "slow_points": float(kinds.count(SLOW_POINT)),
        "fixed_point_share": float(reached_M.sum() / SEARCHES),
        "fixed_point_radius": float(radius_M[np.argmax(reached_M)]) if fixed_M.any() else np.nan,
        "unstable_directions": float(directions.mean()) if directions.size else np.nan,
        "fixed_point_nonfinite": max(float(values["nonfinite_share"]), float(unknown)),
        "state_portrait": portrait(values["trajectory_TSH"], values["units_MH"], kinds),
    }


def portrait(trajectory_TSH: np.ndarray, units_MH: np.ndarray, kinds: Sequence[str]) -> np.ndarray:
    """The trajectories and, for each of POINT_KINDS, places of M points, in the trajectories' plane: [P, 2].

    NaN after each trajectory and where there is no point.
    """
    steps, streams, hidden = trajectory_TSH.shape
    trajectory_NH = trajectory_TSH.reshape(-1, hidden)
    plane = principal_plane(trajectory_NH)
    paths_ST2 = project(plane, trajectory_NH).reshape(steps, streams, 2).swapaxes(0, 1)
    places_KM2 = np.full((len(POINT_KINDS), len(kinds), 2), np.nan)
    for number, kind in enumerate(kinds):
        if kind:
            places_KM2[POINT_KINDS.index(kind), number] = project(plane, units_MH[number])
    separated_ST2 = np.pad(paths_ST2, ((0, 0), (0, 1), (0, 0)), constant_values=np.nan)
    return np.concatenate([separated_ST2.reshape(-1, 2), places_KM2.reshape(-1, 2)])

"""Statistics of hidden units: range, saturation, dead units and their recovery."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.networks.cells import build_spec_cell
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import SHARE, Metric
from rnnjax.tasks.windows import held_out_window
from rnnjax.training.state import TrainState
from rnnjax.types import Facts, Params, Probe, Task, WindowData, no_summary

STATES = 5_000  # maximum of held-out steps
NEAR_BOUND = 0.95  # saturated: |h| above it (tanh, softsign), h above it or below 1 minus it (sigmoid)
LARGE = 5.0  # of a unit without an upper bound

SATURATED: dict[str, Callable[[Array], Array]] = {
    "tanh": lambda h: jnp.abs(h) > NEAR_BOUND,
    "softsign": lambda h: jnp.abs(h) > NEAR_BOUND,
    "sigmoid": lambda h: (h < 1 - NEAR_BOUND) | (h > NEAR_BOUND),
}

UNIT_METRICS = {
    "hidden_mean": Metric("mean of the hidden values of the last layer over held-out steps and units"),
    "hidden_std": Metric("standard deviation of the hidden values of the last layer over held-out steps and units"),
    "hidden_low": Metric("smallest hidden value of the last layer over held-out steps and units"),
    "hidden_high": Metric("largest hidden value of the last layer over held-out steps and units"),
    "state_norm": Metric("mean |h|_2 of the last layer over held-out steps"),
    "saturated_share": Metric(
        "share of hidden values with |h| > 0.95 (tanh, softsign), with h < 0.05 or h > 0.95 (sigmoid); 0 for an "
        "unbounded activation",
        range=SHARE,
    ),
    "stuck_share": Metric("share of units that are saturated at every held-out step", range=SHARE),
    "zero_share": Metric("share of hidden values that are exactly 0", range=SHARE),
    "dead_share": Metric("share of units with h = 0 at every held-out step", range=SHARE),
    "large_share": Metric(f"share of hidden values with |h| > {LARGE:g}", range=SHARE),
    "unit_dead": Metric("1 for a unit with h = 0 at every held-out step, else 0; by unit", kind="lag"),
}
IDENTITY_METRICS = {
    "tanh_identity": Metric("max |tanh x - (2 s(2x) - 1)| on 20,001 points of [-20, 20], s the logistic sigmoid"),
    "steepest_sigmoid": Metric("max of s', s the logistic sigmoid, by central differences"),
    "steepest_tanh": Metric("max of tanh', by central differences"),
    "slope_ratio": Metric("max of tanh' over max of s', s the logistic sigmoid"),
    "quarter_power_16": Metric("0.25^16"),
}


def units(spec: Spec, task: Task) -> Probe:
    """`unit_statistics` of the last layer over at most 5,000 held-out steps, the state carried or reset as in training.

    Raises:
        BadInput: the held-out part is shorter than one window.
    """
    held_out = first_states(held_out_window(task, spec.window, spec.carry == "carried"), STATES)

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        activation = build_spec_cell(spec, hp).activation
        return unit_statistics(held_out_states(spec, hp, state.params, held_out), activation)

    return Probe(measure, no_summary, UNIT_METRICS)


def first_states(data: WindowData, states: int) -> WindowData:
    """The first steps of a single stream, or the first of many windows: at most `states`, but at least one window."""
    _, steps, streams = data.inputs_WTB.shape[:3]
    if streams == 1:
        return jax.tree.map(lambda leaf: leaf[:, :states], data._replace(target_scale_O=None))
    return jax.tree.map(lambda leaf: leaf[:, :, : max(states // steps, 1)], data._replace(target_scale_O=None))


def held_out_states(spec: Spec, hp: HParams, params: Params, data: WindowData) -> Array:
    """The last layer's h [N, H] at every step of one window [1, T, B, ...] that is not masked."""
    model = build_network(spec, hp)
    mask_TB = None if data.valid_WTB is None else data.valid_WTB[0]
    carry = model.carry(params, key_for(hp, "evaluation"), data.inputs_WTB.shape[2])
    _, _, h_TBH = model.apply(params, carry, jnp.asarray(data.inputs_WTB[0]), mask_TB)
    return h_TBH.reshape(-1, h_TBH.shape[-1]) if mask_TB is None else h_TBH[np.nonzero(mask_TB)]


def unit_statistics(h_NH: Array, kind: str) -> dict[str, Array]:
    """Numbers of N states of H units.

    hidden_mean, hidden_std, hidden_low, hidden_high  of all N * H values
    state_norm        mean |h|_2
    saturated_share   |h| > 0.95 (tanh, softsign); h < 0.05 or h > 0.95 (sigmoid); none of an unbounded unit
    stuck_share       of the units: saturated in every state
    zero_share        h = 0 exactly
    dead_share        of the units: h = 0 in every state; unit_dead [H] is 1 for these
    large_share       |h| > 5

    Args:
        kind: one of `activations.ACTIVATIONS`.
    Returns: NaN for all where a state is not finite.
    """
    saturated_NH = SATURATED.get(kind, jnp.zeros_like)(h_NH).astype(bool)
    unit_dead = jnp.all(h_NH == 0, axis=0).astype(float)
    statistics = {
        "hidden_mean": jnp.mean(h_NH),
        "hidden_std": jnp.std(h_NH),
        "hidden_low": jnp.min(h_NH),
        "hidden_high": jnp.max(h_NH),
        "state_norm": jnp.mean(jnp.linalg.norm(h_NH, axis=1)),
        "saturated_share": jnp.mean(saturated_NH, dtype=float),
        "stuck_share": jnp.mean(jnp.all(saturated_NH, axis=0), dtype=float),
        "zero_share": jnp.mean(h_NH == 0, dtype=float),
        "dead_share": jnp.mean(unit_dead),
        "large_share": jnp.mean(jnp.abs(h_NH) > LARGE, dtype=float),
        "unit_dead": unit_dead,
    }
    finite = jnp.all(jnp.isfinite(h_NH))
    return {name: jnp.where(finite, value, jnp.nan) for name, value in statistics.items()}


def unit_recovery(unit_dead_nQH: np.ndarray) -> np.ndarray:
    """Share [n] of the units dead at an earlier measurement that are active again at the last one.

    NaN where none was dead, or where a run is not finite at the last measurement.

    Args:
        unit_dead_nQH: 1 = dead, 0 = active, NaN = not finite; at the points at which the probe was taken.
    """
    *earlier, last_nH = np.moveaxis(unit_dead_nQH, 1, 0)
    dead_before_nH = np.any(np.stack([np.zeros_like(last_nH), *earlier]) == 1, axis=0)
    count_n = dead_before_nH.sum(axis=1)
    recovered_n = (dead_before_nH & (last_nH == 0)).sum(axis=1)
    known_n = (count_n > 0) & ~np.isnan(last_nH).any(axis=1)
    return np.where(known_n, recovered_n / np.maximum(count_n, 1), np.nan)


def identities(spec: Spec, task: Task) -> Facts:
    """Identities of the nonlinearities in float64, independent of any network: IDENTITY_METRICS."""
    del spec, task
    x = np.linspace(-20, 20, 20_001)
    slope, steeper = steepest(logistic), steepest(np.tanh)
    values = {
        "tanh_identity": np.max(np.abs(np.tanh(x) - (2 * logistic(2 * x) - 1))),
        "steepest_sigmoid": slope,
        "steepest_tanh": steeper,
        "slope_ratio": steeper / slope,
        "quarter_power_16": 0.25**16,
    }
    return Facts(values, IDENTITY_METRICS)


def logistic(x: np.ndarray) -> np.ndarray:
    """s(x) = 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def steepest(function: Callable[[np.ndarray], np.ndarray]) -> float:
    """The largest slope on [-5, 5], by central differences with a step of 1e-5 (error 1e-10)."""
    x, half = np.linspace(-5, 5, 1_001), 1e-5
    return float(np.max((function(x + half) - function(x - half)) / (2 * half)))

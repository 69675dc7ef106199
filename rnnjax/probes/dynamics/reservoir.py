"""The recurrent layers as a driven system: memory capacity, echo state property, growth without input.

Source of the first two: Jaeger 2001, GMD Reports 148 (echo states) and 152 (memory capacity).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import Metric
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.norms import row_norms
from rnnjax.training.state import TrainState
from rnnjax.types import Carry, Probe, Task, no_summary

INPUT_SEED = 20_010  # of the input, the same for all runs
RESERVOIR_STREAMS, WARM_UP, STEPS = 16, 200, 256  # of that input: half of the streams are fitted, half are tested
NOISE_FLOOR = 1e-5  # of the mean square of a unit: values below are rounding errors
ECHO_STEPS, ECHO_WINDOWS = 200, 16
GROWTH_STEPS, GROWTH_STARTS = 500, 8
SMALLEST_SIZE, LARGEST_SIZE = 1e-30, 1e30  # norms with a logarithm in single precision

CAPACITY_SOURCE = "Jaeger 2001, GMD Report 152"
CAPACITY_METRICS = {
    "memory_capacity": Metric(
        "sum over lags k = 1 ... 2H of r^2(k), r(k) the held-out correlation of the input s_{t-k} with its best linear "
        "readout of h_t",
        unit="inputs",
        better="higher",
        source=CAPACITY_SOURCE,
    ),
    "capacity_by_lag": Metric(
        "r^2(k), the squared held-out correlation of the input s_{t-k} with its best linear readout of h_t, by lag k",
        better="higher",
        kind="lag",
        source=CAPACITY_SOURCE,
    ),
}
ECHO_METRICS = {
    "echo_distance": Metric(
        f"mean |c - c'| after {ECHO_STEPS} steps of the same training text, over |c - c'| of the two random initial "
        "states, c the carry",
        source="Jaeger 2001, GMD Report 148",
    ),
}
GROWTH_METRICS = {
    "growth_rate": Metric(
        f"least-squares slope of log |h_t| over {GROWTH_STEPS} steps without input, mean over {GROWTH_STARTS} random "
        "initial states",
        unit="per time step",
    ),
}


def capacity(spec: Spec, task: Task) -> Probe:
    """Linear memory capacity: sum over k = 1..2H of r^2(k), inputs s_t independent and uniform in [-1, 1].

    r(k) correlates s_{t-k} with its best linear readout of h_t, a ridge regression fitted on 2,048 steps and
    scored on 2,048 others. The network reads s_t a; a is a fixed unit vector in the space of its inputs. A linear
    system of H units holds H inputs at most, the present one (k = 0) among them.

    Values: memory_capacity (inputs), capacity_by_lag [2H + 1] from k = 0 on.
    """
    del task
    require_unidirectional(spec)
    rng, lags = np.random.default_rng(INPUT_SEED), 2 * spec.hidden
    drive_TB = rng.uniform(-1, 1, (lags + WARM_UP + STEPS, RESERVOIR_STREAMS)).astype(np.float32)
    direction_D = rng.normal(size=spec.inputs).astype(np.float32)
    inputs_TBD = drive_TB[:, :, None] * (direction_D / np.linalg.norm(direction_D))
    first = lags + WARM_UP
    earlier_TBL = np.stack([drive_TB[first - lag : first - lag + STEPS] for lag in range(lags + 1)], axis=-1)

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        model = build_network(spec, hp)
        start = model.carry(state.params, key_for(hp, "evaluation"), RESERVOIR_STREAMS)
        h_TBH = model.apply(state.params, start, jnp.asarray(inputs_TBD))[2][first:]
        return moments(h_TBH - jnp.mean(h_TBH, axis=(0, 1), keepdims=True), jnp.asarray(earlier_TBL))

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        by_lag_RL = held_out_correlation(**values).astype(np.float32)
        return {"memory_capacity": by_lag_RL[:, 1:].sum(axis=1), "capacity_by_lag": by_lag_RL}

    return Probe(measure, summarise, CAPACITY_METRICS)


def moments(h_TBH: Array, targets_TBL: Array) -> dict[str, Array]:
    """Mean products over each half of the streams: states [2, H, H], crossed [2, H, L] and targets [2, L]."""
    h_NPH, targets_NPL = (x.reshape(-1, 2, RESERVOIR_STREAMS // 2, x.shape[-1]) for x in (h_TBH, targets_TBL))
    count = h_NPH.shape[0] * h_NPH.shape[2]
    return {
        "states": jnp.einsum("tpbh,tpbk->phk", h_NPH, h_NPH) / count,
        "crossed": jnp.einsum("tpbh,tpbl->phl", h_NPH, targets_NPL) / count,
        "targets": jnp.einsum("tpbl,tpbl->pl", targets_NPL, targets_NPL) / count,
    }


def held_out_correlation(states: np.ndarray, crossed: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """r^2 [R, L] on the second half of ridge regressions fitted on the first, from the `moments` [R, 2, ...].

    0 for a readout that is negatively correlated with its target on the second half.
    """
    states, crossed = states.astype(np.float64), crossed.astype(np.float64)
    floor_R = NOISE_FLOOR * np.trace(states[:, 0], axis1=1, axis2=2) / states.shape[-1]
    weights_RHL = np.linalg.solve(states[:, 0] + floor_R[:, None, None] * np.eye(states.shape[-1]), crossed[:, 0])
    agreement_RL = np.maximum(np.sum(weights_RHL * crossed[:, 1], axis=1), 0)
    size_RL = np.sum(weights_RHL * (states[:, 1] @ weights_RHL), axis=1) * targets[:, 1]
    return agreement_RL**2 / np.where(size_RL > 0, size_RL, 1)


def echo(spec: Spec, task: Task) -> Probe:
    """echo_distance: |c - c'| after 200 steps of the same training text, relative to the start, for two initial states.

    c is the whole carry; its initial values are independent and uniform in [-1, 1]. Mean over 16 windows of the text.
    Near 0 the state is a function of the input alone (echo state property). Below about 1e-7 it is rounding error.
    """
    require_unidirectional(spec)
    inputs_TB = spread_windows(task.make_sequence(task.train_N), ECHO_STEPS, ECHO_WINDOWS).inputs_WTB[0]

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        model, params = build_network(spec, hp), state.params
        key = key_for(hp, "evaluation")
        like = model.carry(params, key, ECHO_WINDOWS)
        starts = [random_carry(part, like, jax.random.uniform, minval=-1.0) for part in jax.random.split(key)]
        ends = [model.apply(params, start, jnp.asarray(inputs_TB))[0] for start in starts]
        return {"echo_distance": jnp.mean(carry_distance(*ends) / carry_distance(*starts))}

    return Probe(measure, no_summary, ECHO_METRICS)


def random_carry(key: Array, like: Carry, draw: Callable[..., Array], **options: float) -> Carry:
    """A carry of independent random values, with the shapes and dtypes of another."""
    leaves, tree = jax.tree.flatten(like)
    keys = jax.random.split(key, len(leaves))
    values = [draw(part, leaf.shape, leaf.dtype, **options) for part, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(tree, values)


def carry_distance(first: Carry, second: Carry) -> Array:
    """|c - c'|_2 of B streams."""
    gaps = jax.tree.map(jnp.subtract, first, second)
    return row_norms(jnp.concatenate([leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(gaps)], axis=1))


def growth(spec: Spec, task: Task) -> Probe:
    """growth_rate: slope of log |h_t| per step over 500 steps without input, from a normal start of length about 1.

    Least squares, mean over 8 starts; steps with |h_t| outside 1e-30..1e30 do not count. Biases are kept, so a network
    that converges to a fixed point has a rate near 0.
    """
    del task
    require_unidirectional(spec)

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        model, key = build_network(spec, hp), key_for(hp, "evaluation")
        like = model.carry(state.params, key, GROWTH_STARTS)
        start = jax.tree.map(lambda leaf: leaf / spec.hidden**0.5, random_carry(key, like, jax.random.normal))
        zeros_TBD = jnp.zeros((GROWTH_STEPS, GROWTH_STARTS, spec.inputs))
        h_TBH = model.apply(state.params, start, zeros_TBD)[2]
        sizes_TB = row_norms(h_TBH.reshape(-1, h_TBH.shape[-1])).reshape(h_TBH.shape[:2])
        return {"growth_rate": jnp.mean(jax.vmap(slope_of_logarithm, in_axes=1)(sizes_TB))}

    return Probe(measure, no_summary, GROWTH_METRICS)


def slope_of_logarithm(sizes_T: Array) -> Array:
    """The least-squares slope of log(size) per step, over steps with a finite logarithm; NaN with fewer than two."""
    counts_T = (sizes_T > SMALLEST_SIZE) & (sizes_T < LARGEST_SIZE)
    logs_T = jnp.log(jnp.where(counts_T, sizes_T, 1))
    steps_T = jnp.arange(len(sizes_T)) - jnp.sum(jnp.arange(len(sizes_T)) * counts_T) / jnp.sum(counts_T)
    return jnp.sum(steps_T * counts_T * logs_T) / jnp.sum(steps_T**2 * counts_T)

"""Separation of the series of a batch: distances of outputs, and derivatives across series."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model, build_network, require_unidirectional
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import Metric
from rnnjax.tasks.windows import spread_windows, task_windows
from rnnjax.training.state import TrainState
from rnnjax.types import Params, Probe, Task, no_summary

SERIES = 10  # of the small batches

BATCH_METRICS = {
    "mixing": Metric(
        "largest |d sum_t y_ti / d x_sj|, series i the last of a training batch and j any other: 0 unless a network "
        "reads other series on its way through this one"
    ),
    "single_step_distance": Metric(
        f"smallest |y_i - y_j| of the outputs for {SERIES} series of one step each, drawn from N(0, 1)",
        better="higher",
    ),
    "unstarted_gap": Metric(
        f"largest difference between the states of an untrained tanh network (Flax's `nn.RNN` of a `SimpleCell`) on "
        f"{SERIES} held-out windows, read without an initial state and from zeros"
    ),
    "unstarted_distance": Metric(
        f"smallest |h_T - h_T'| between {SERIES} held-out windows, read by an untrained tanh network without an "
        "initial state"
    ),
}


def batches(spec: Spec, task: Task) -> Probe:
    """Separation of the series of small batches. Values: see BATCH_METRICS.

    Raises:
        NotApplicable: no series. BadInput: the series is shorter than a batch or a window.
    """
    require_unidirectional(spec)
    if not task.columns:
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected 'series' for a probe of a batch of series")
    inputs_TBD = task_windows(task, task.train_N, spec.batch, spec.window).inputs_WTB[0]
    held_out_TBD = spread_windows(task.make_sequence(task.validation_N), spec.window, SERIES).inputs_WTB[0]

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        model, key = build_network(spec, hp), key_for(hp, "evaluation")
        noise_1BD = jax.random.normal(key, (1, SERIES, spec.inputs))
        start = model.carry(state.params, key, SERIES)
        return {
            "mixing": mixing(model, hp, state.params, jnp.asarray(inputs_TBD), task.axes_swapped),
            "single_step_distance": smallest_distance(model.apply(state.params, start, noise_1BD)[1][-1]),
            **untrained_state_metrics(spec.hidden, key, jnp.asarray(held_out_TBD)),
        }

    return Probe(measure, no_summary, BATCH_METRICS)


def mixing(model: Model, hp: HParams, params: Params, inputs_TBD: Array, swapped: bool) -> Array:
    """max |dy/dx|, a scalar: y the sum of all predictions of the last series, x any input of another one.

    It is 0 where the series do not mix. See BATCH_METRICS; `swapped`: the series lie along the time axis.
    """
    start = model.carry(params, key_for(hp, "evaluation"), inputs_TBD.shape[1])
    series = 0 if swapped else 1  # the axis of the series

    def last_series_sum(inputs_TBD: Array) -> Array:
        outputs_TBO = model.apply(params, start, inputs_TBD)[1]
        return jnp.sum(jnp.take(outputs_TBO, -1, axis=series))

    slopes_TBD = jax.grad(last_series_sum)(inputs_TBD)
    others_TBD = jax.lax.slice_in_dim(slopes_TBD, 0, -1, axis=series)
    return jnp.max(jnp.abs(others_TBD), initial=0)


def smallest_distance(rows_BO: Array) -> Array:
    """The smallest Euclidean distance of two of some rows."""
    gaps_BB = jnp.sqrt(jnp.sum((rows_BO[:, None] - rows_BO[None]) ** 2, axis=2))
    return jnp.min(jnp.where(jnp.eye(len(rows_BO), dtype=bool), jnp.inf, gaps_BB))


def untrained_state_metrics(hidden: int, key: Array, inputs_TBD: Array) -> dict[str, Array]:
    """States of an untrained tanh network without an initial state and from zeros, see BATCH_METRICS."""
    # Flax's default initializer is orthogonal by a QR factorisation, which hangs on several CPU devices.
    cell = nn.SimpleCell(hidden, recurrent_kernel_init=nn.initializers.lecun_normal())
    layer = nn.RNN(cell, time_major=True)
    variables = layer.init(key, inputs_TBD)
    h_TBH: Any = layer.apply(variables, inputs_TBD)
    from_zeros_TBH: Any = layer.apply(variables, inputs_TBD, initial_carry=jnp.zeros((inputs_TBD.shape[1], hidden)))
    return {
        "unstarted_gap": jnp.max(jnp.abs(h_TBH - from_zeros_TBH)),
        "unstarted_distance": smallest_distance(h_TBH[-1]),
    }

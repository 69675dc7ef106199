"""Sensitivity of the predictions of a series: spread over inputs, gradients to inputs and initial state.

A window has `Spec.window` steps and is read from the initial state; a prediction is that of its last step. Windows are
evenly spaced, so in a short series they overlap.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model, build_network, require_unidirectional
from rnnjax.probes.dynamics.reservoir import carry_distance, random_carry
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import SHARE, Metric
from rnnjax.tasks.windows import spread_windows, swap_axes
from rnnjax.training.norms import row_norms
from rnnjax.training.state import TrainState
from rnnjax.types import Carry, Params, Probe, Task, WindowData, no_summary

WINDOWS = 64
IDENTICAL, COLLAPSED = 0.01, 0.05  # of the target's deviation: limits of the spread of the predictions
SMALLEST_NORM = 1e-30  # a gradient of 0 has no logarithm

SPREAD_METRICS = {
    "output_spread": Metric("std(y) / std(z) of the predictions y and the targets z of held-out windows"),
    "identical": Metric(f"1 where output_spread is below {IDENTICAL:g}, else 0", better="lower", range=SHARE),
    "collapsed": Metric(f"1 where output_spread is below {COLLAPSED:g}, else 0", better="lower", range=SHARE),
    "r2": Metric("1 - mean (y - z)^2 / var(z), y predictions and z targets of held-out windows", better="higher"),
    "r2_without_recurrence": Metric("r2 with every recurrent kernel set to 0", better="higher"),
    "pairwise_distance": Metric("mean |y_v - y_w| / std(z) over pairs of held-out windows"),
    "train_error": Metric("mean (y - z)^2 / var(z) of windows spread evenly over the training part", better="lower"),
    "collapsed_train_error": Metric("train_error of a collapsed run, else NaN", better="lower"),
}
SENSITIVITY_METRICS = {
    "sensitivity_start": Metric("mean |dy/dc_0| over held-out windows, c the whole carry"),
    "sensitivity_inputs": Metric("mean |dy/dx_1..T| over held-out windows"),
    "start_over_inputs": Metric("sensitivity_start / sensitivity_inputs"),
    "window_decay": Metric("log10 of the geometric mean over held-out windows of |dy/dc_0| / |dy/dc_T|"),
    "start_state_distance": Metric(
        "|c_T - c_T'| / |c_0 - c_0'| of one window read from two random initial states, c the carry, mean over windows"
    ),
    "input_state_distance": Metric(
        "mean |h_T - h_T'| between held-out windows over sqrt(2H/3), the distance of random states"
    ),
}


def responses(spec: Spec, task: Task) -> Probe:
    """Sensitivity of predictions to inputs and initial state, and their spread over 64 held-out windows.

    Values: see SPREAD_METRICS and SENSITIVITY_METRICS. Several columns count alike. Numbers of a random initial state
    are independent and uniform in [-1, 1]. Most training windows of `train_error` lie across two that are trained on.
    Where `task.time_axis` swaps the axes, predictions are those of the intended windows; derivatives and distances stay
    those of the streams as they are read.

    Raises:
        NotApplicable: no series. BadInput: a part of the series is shorter than a window.
    """
    require_unidirectional(spec)
    if not task.columns:
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected 'series' for a probe of predictions")
    train, held_out = (probe_windows(spec, task, part) for part in (task.train_N, task.validation_N))

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        model, params = build_network(spec, hp), state.params
        predictions_WO, h_WH = last_predictions(model, hp, params, task, held_out)
        targets_WO, train_targets_WO = (last_step(task, data.targets_WTB[0]) for data in (held_out, train))
        cut_predictions_WO, _ = last_predictions(model, hp, without_recurrence(params), task, held_out)
        train_predictions_WO, _ = last_predictions(model, hp, params, task, train)
        spread, error = (
            spread_values(predictions_WO, targets_WO),
            error_over_variance(train_predictions_WO, train_targets_WO),
        )
        return (
            spread
            | {"r2_without_recurrence": 1 - error_over_variance(cut_predictions_WO, targets_WO), "train_error": error}
            | {"collapsed_train_error": jnp.where(spread["collapsed"] > 0, error, jnp.nan)}
            | sensitivities(model, hp, params, held_out)
            | state_distances(model, hp, params, held_out)
            | {"input_state_distance": mean_distance(h_WH) / (2 * h_WH.shape[1] / 3) ** 0.5}
        )

    return Probe(measure, no_summary, SPREAD_METRICS | SENSITIVITY_METRICS)


def probe_windows(spec: Spec, task: Task, values_ND: np.ndarray) -> WindowData:
    """Windows [1, T, W, ...] of a part of the series, in the axis order of the task."""
    if not task.axes_swapped:
        return spread_windows(task.make_sequence(values_ND), spec.window, WINDOWS)
    return swap_axes(spread_windows(task.make_sequence(values_ND), spec.window, spec.window))


def last_step(task: Task, values_TBO: np.ndarray | Array) -> Array:
    """The values at the last step of each series [W, ...], for both axis orders."""
    return jnp.asarray(values_TBO)[:, -1] if task.axes_swapped else jnp.asarray(values_TBO)[-1]


def last_predictions(model: Model, hp: HParams, params: Params, task: Task, data: WindowData) -> tuple[Array, Array]:
    """The predictions [W, O] and states [W, H] at the last step of each series."""
    inputs_TBD = jnp.asarray(data.inputs_WTB[0])
    start = model.carry(params, key_for(hp, "evaluation"), inputs_TBD.shape[1])
    _, outputs_TBO, h_TBH = model.apply(params, start, inputs_TBD)
    return last_step(task, outputs_TBO), last_step(task, h_TBH)


def without_recurrence(params: Params) -> Params:
    """The parameters with every recurrent kernel at 0; NaN where a cell has none of that name."""
    names = [getattr(path[-1], "key", "") for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    if "recurrent_kernel" not in names:
        return jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), params)

    def cut(path: tuple[object, ...], leaf: Array) -> Array:
        return jnp.zeros_like(leaf) if getattr(path[-1], "key", "") == "recurrent_kernel" else leaf

    return jax.tree_util.tree_map_with_path(cut, params)


def spread_values(predictions_WO: Array, targets_WO: Array) -> dict[str, Array]:
    """SPREAD_METRICS that depend on held-out predictions and targets alone."""
    target_scale_O = jnp.std(targets_WO, axis=0)
    spread = jnp.mean(jnp.std(predictions_WO, axis=0) / target_scale_O)
    return {
        "output_spread": spread,
        "identical": jnp.where(jnp.isfinite(spread), (spread < IDENTICAL).astype(float), jnp.nan),
        "collapsed": jnp.where(jnp.isfinite(spread), (spread < COLLAPSED).astype(float), jnp.nan),
        "r2": 1 - error_over_variance(predictions_WO, targets_WO),
        "pairwise_distance": mean_distance(predictions_WO / target_scale_O[None]),
    }


def error_over_variance(predictions_WO: Array, targets_WO: Array) -> Array:
    """mean (y - z)^2 / var(z), mean over columns: 1 for a network that always predicts the mean."""
    return jnp.mean(jnp.mean((predictions_WO - targets_WO) ** 2, axis=0) / jnp.var(targets_WO, axis=0))


def mean_distance(rows_WH: Array) -> Array:
    """Mean Euclidean distance of two different rows of W, a scalar in the unit of the rows; NaN for one row."""
    count = len(rows_WH)
    gaps_WW = jnp.sqrt(jnp.sum((rows_WH[:, None] - rows_WH[None]) ** 2, axis=2))
    return jnp.sum(gaps_WW) / (count * (count - 1))


def sensitivities(model: Model, hp: HParams, params: Params, data: WindowData) -> dict[str, Array]:
    """Norms of the derivatives of each stream's last output, see SENSITIVITY_METRICS."""
    inputs_TBD = jnp.asarray(data.inputs_WTB[0])
    start = model.carry(params, key_for(hp, "evaluation"), inputs_TBD.shape[1])

    def read(carry: Carry, inputs_TBD: Array) -> tuple[Array, Carry]:
        after, outputs_TBO, _ = model.apply(params, carry, inputs_TBD)
        return outputs_TBO[-1], after

    outputs_BO, pullback, after = jax.vjp(read, start, inputs_TBD, has_aux=True)
    start_norms_B, input_norms_B = output_norms(lambda cotangent_BO: gradient_rows(pullback(cotangent_BO)), outputs_BO)
    readout_pullback = jax.vjp(jax.vmap(partial(model.readout, params)), after)[1]
    (end_norms_B,) = output_norms(lambda cotangent_BO: (stream_rows(readout_pullback(cotangent_BO)[0]),), outputs_BO)
    decay_B = jnp.log10(jnp.maximum(start_norms_B, SMALLEST_NORM)) - jnp.log10(jnp.maximum(end_norms_B, SMALLEST_NORM))
    return {
        "sensitivity_start": jnp.mean(start_norms_B),
        "sensitivity_inputs": jnp.mean(input_norms_B),
        "start_over_inputs": jnp.mean(start_norms_B) / jnp.mean(input_norms_B),
        "window_decay": jnp.mean(decay_B),
    }


def gradient_rows(gradient: tuple[Carry, Array]) -> tuple[Array, Array]:
    """The gradients of a carry and of inputs [T, B, D] as rows [B, ...] of numbers."""
    return stream_rows(gradient[0]), stream_rows(jnp.swapaxes(gradient[1], 0, 1))


def stream_rows(tree: Carry) -> Array:
    """Leaves [B, ...] side by side: [B, N]."""
    return jnp.concatenate([leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(tree)], axis=1)


def output_norms(pullback: Callable[[Array], tuple[Array, ...]], outputs_BO: Array) -> tuple[Array, ...]:
    """Frobenius norms [B] of the derivatives of all outputs of each stream, for each tree of the pullback."""
    ones_OBO = jnp.broadcast_to(jnp.eye(outputs_BO.shape[1])[:, None], (outputs_BO.shape[1], *outputs_BO.shape))
    rows = (jnp.swapaxes(rows_OBN, 0, 1) for rows_OBN in jax.vmap(pullback)(ones_OBO))
    return tuple(row_norms(rows_BON.reshape(len(rows_BON), -1)) for rows_BON in rows)


def state_distances(model: Model, hp: HParams, params: Params, data: WindowData) -> dict[str, Array]:
    """Distance of two random states after reading the same windows, over the initial distance."""
    inputs_TBD, key = jnp.asarray(data.inputs_WTB[0]), key_for(hp, "evaluation")
    like = model.carry(params, key, inputs_TBD.shape[1])
    starts = [random_carry(part, like, jax.random.uniform, minval=-1.0) for part in jax.random.split(key)]
    ends = [model.apply(params, start, inputs_TBD)[0] for start in starts]
    return {"start_state_distance": jnp.mean(carry_distance(*ends) / carry_distance(*starts))}

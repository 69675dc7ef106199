"""What the predictions of a series answer to: their spread over inputs, and how far inputs and start state reach them.

A window here is `Spec.window` steps, read from the start state; a prediction is that of its last step. Windows stand at
evenly spaced places, so in a short series they overlap.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.keys import key_for
from rnnjax.networks.model import Model, build_network, require_unidirectional
from rnnjax.probes.dynamics.gradients import norm_of_rows
from rnnjax.probes.dynamics.reservoir import distance, drawn
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import spread_windows, swap_axes
from rnnjax.training.state import TrainState
from rnnjax.types import Carry, Params, Probe, Task, WindowData, no_summary

WINDOWS = 64
IDENTICAL, COLLAPSED = 0.01, 0.05  # of the target's deviation: predictions that spread less are called so
TINY = 1e-30  # a gradient of 0 has no logarithm


def responses(spec: Spec, task: Task) -> Probe:
    """Whether a network tells series apart, and by what.

    Of predictions y_w and targets z_w of 64 held-out windows:
    output_spread           std(y) / std(z); identical, collapsed: 1 where that is below 0.01, 0.05, else 0
    r2                      1 - mean (y - z)^2 / var(z); r2_without_recurrence: with every recurrent kernel set to 0
    pairwise_distance       mean |y_v - y_w| / std(z) over pairs
    train_error             mean (y - z)^2 / var(z) of 64 windows spread evenly over the training part, most of them
                            across two that are trained on; collapsed_train_error: of a run that has collapsed, else NaN
    sensitivity_start       mean |dy/dc_0|, c the whole carry; sensitivity_inputs: mean |dy/dx_1..T|
    start_over_inputs       their ratio
    window_decay            log10 of the geometric mean of |dy/dc_0| / |dy/dc_T|: what a whole window leaves
    input_state_distance    mean |h_T - h_T'| between windows, relative to sqrt(2H/3), that of random states
    start_state_distance    |c_T - c_T'| / |c_0 - c_0'| of one window read from two random states; numbers of such a
                            state are independent and uniform in [-1, 1]
    Several columns count alike. Where `task.time_axis` swaps the axes, predictions are those of what should have been a
    window; derivatives and distances stay those of the streams as they are read.

    Raises:
        NotApplicable: no series. BadInput: a part of the series is shorter than a window.
    """
    require_unidirectional(spec)
    if not task.columns:
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected 'series' for a probe of predictions")
    train, held_out = (windows_of(spec, task, part) for part in (task.train_N, task.validation_N))

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        model, params = build_network(spec, hp), state.params
        said_WO, h_WH = last_said(model, hp, params, task, held_out)
        asked_WO, trained_WO = (last_of(task, data.targets_WTB[0]) for data in (held_out, train))
        cut_WO, _ = last_said(model, hp, without_recurrence(params), task, held_out)
        known_WO, _ = last_said(model, hp, params, task, train)
        spread, error = spreads(said_WO, asked_WO), error_over_variance(known_WO, trained_WO)
        return (
            spread
            | {"r2_without_recurrence": 1 - error_over_variance(cut_WO, asked_WO), "train_error": error}
            | {"collapsed_train_error": jnp.where(spread["collapsed"] > 0, error, jnp.nan)}
            | sensitivities(model, hp, params, held_out)
            | state_distances(model, hp, params, held_out)
            | {"input_state_distance": mean_distance(h_WH) / (2 * h_WH.shape[1] / 3) ** 0.5}
        )

    return Probe(measure, no_summary)


def windows_of(spec: Spec, task: Task, values_ND: np.ndarray) -> WindowData:
    """Windows [1, T, W, ...] of a part, as the task hands them over."""
    if not task.axes_swapped:
        return spread_windows(task.make_sequence(values_ND), spec.window, WINDOWS)
    return swap_axes(spread_windows(task.make_sequence(values_ND), spec.window, spec.window))


def last_of(task: Task, values_TBO: np.ndarray | Array) -> Array:
    """What stands at the last step of each series [W, ...], whatever the axes."""
    return jnp.asarray(values_TBO)[:, -1] if task.axes_swapped else jnp.asarray(values_TBO)[-1]


def last_said(model: Model, hp: HParams, params: Params, task: Task, data: WindowData) -> tuple[Array, Array]:
    """The predictions [W, O] and states [W, H] at the last step of each series."""
    inputs_TBD = jnp.asarray(data.inputs_WTB[0])
    start = model.carry(params, key_for(hp, "evaluation"), inputs_TBD.shape[1])
    _, outputs_TBO, h_TBH = model.apply(params, start, inputs_TBD)
    return last_of(task, outputs_TBO), last_of(task, h_TBH)


def without_recurrence(params: Params) -> Params:
    """The parameters with every recurrent kernel at 0; NaN where a cell has none of that name."""
    named = [getattr(path[-1], "key", "") for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    if "recurrent_kernel" not in named:
        return jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), params)

    def cut(path: tuple[object, ...], leaf: Array) -> Array:
        return jnp.zeros_like(leaf) if getattr(path[-1], "key", "") == "recurrent_kernel" else leaf

    return jax.tree_util.tree_map_with_path(cut, params)


def spreads(said_WO: Array, asked_WO: Array) -> dict[str, Array]:
    """What predictions alone say, see `responses`."""
    target_scale_O = jnp.std(asked_WO, axis=0)
    spread = jnp.mean(jnp.std(said_WO, axis=0) / target_scale_O)
    return {
        "output_spread": spread,
        "identical": jnp.where(jnp.isfinite(spread), (spread < IDENTICAL).astype(float), jnp.nan),
        "collapsed": jnp.where(jnp.isfinite(spread), (spread < COLLAPSED).astype(float), jnp.nan),
        "r2": 1 - error_over_variance(said_WO, asked_WO),
        "pairwise_distance": mean_distance(said_WO / target_scale_O[None]),
    }


def error_over_variance(said_WO: Array, asked_WO: Array) -> Array:
    """mean (y - z)^2 / var(z), mean over columns: 1 for a network that always says the mean."""
    return jnp.mean(jnp.mean((said_WO - asked_WO) ** 2, axis=0) / jnp.var(asked_WO, axis=0))


def mean_distance(rows_WH: Array) -> Array:
    """Mean Euclidean distance of two different rows."""
    count = len(rows_WH)
    gaps_WW = jnp.sqrt(jnp.sum((rows_WH[:, None] - rows_WH[None]) ** 2, axis=2))
    return jnp.sum(gaps_WW) / (count * (count - 1))


def sensitivities(model: Model, hp: HParams, params: Params, data: WindowData) -> dict[str, Array]:
    """Frobenius norms of the derivatives of each stream's last output, see `responses`."""
    inputs_TBD = jnp.asarray(data.inputs_WTB[0])
    start = model.carry(params, key_for(hp, "evaluation"), inputs_TBD.shape[1])

    def read(carry: Carry, inputs_TBD: Array) -> tuple[Array, Carry]:
        after, outputs_TBO, _ = model.apply(params, carry, inputs_TBD)
        return outputs_TBO[-1], after

    said_BO, pull, after = jax.vjp(read, start, inputs_TBD, has_aux=True)
    to_start_B, to_inputs_B = of_outputs(lambda one_BO: parts_of(pull(one_BO)), said_BO)
    ending = jax.vjp(jax.vmap(partial(model.readout, params)), after)[1]
    (to_end_B,) = of_outputs(lambda one_BO: (by_stream(ending(one_BO)[0]),), said_BO)
    decay_B = jnp.log10(jnp.maximum(to_start_B, TINY)) - jnp.log10(jnp.maximum(to_end_B, TINY))
    return {
        "sensitivity_start": jnp.mean(to_start_B),
        "sensitivity_inputs": jnp.mean(to_inputs_B),
        "start_over_inputs": jnp.mean(to_start_B) / jnp.mean(to_inputs_B),
        "window_decay": jnp.mean(decay_B),
    }


def parts_of(gradient: tuple[Carry, Array]) -> tuple[Array, Array]:
    """The gradients of a carry and of inputs [T, B, D] as rows [B, ...] of numbers."""
    return by_stream(gradient[0]), by_stream(jnp.swapaxes(gradient[1], 0, 1))


def by_stream(tree: Carry) -> Array:
    """Leaves [B, ...] side by side: [B, N]."""
    return jnp.concatenate([leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(tree)], axis=1)


def of_outputs(pulled: Callable[[Array], tuple[Array, ...]], said_BO: Array) -> tuple[Array, ...]:
    """The norm [B] over all outputs and numbers of each of the rows that one output of every stream gives."""
    ones_OBO = jnp.broadcast_to(jnp.eye(said_BO.shape[1])[:, None], (said_BO.shape[1], *said_BO.shape))
    rows = (jnp.swapaxes(rows_OBN, 0, 1) for rows_OBN in jax.vmap(pulled)(ones_OBO))
    return tuple(norm_of_rows(rows_BON.reshape(len(rows_BON), -1)) for rows_BON in rows)


def state_distances(model: Model, hp: HParams, params: Params, data: WindowData) -> dict[str, Array]:
    """How far apart the same windows leave two random states, relative to the beginning."""
    inputs_TBD, key = jnp.asarray(data.inputs_WTB[0]), key_for(hp, "evaluation")
    like = model.carry(params, key, inputs_TBD.shape[1])
    starts = [drawn(one, like, jax.random.uniform, minval=-1.0) for one in jax.random.split(key)]
    ends = [model.apply(params, start, inputs_TBD)[0] for start in starts]
    return {"start_state_distance": jnp.mean(distance(*ends) / distance(*starts))}

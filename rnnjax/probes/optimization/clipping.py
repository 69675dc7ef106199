"""Effects of the next updates, with and without the clip of the gradient norm."""

import math
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import CORRELATION, SHARE, Metric
from rnnjax.tasks.windows import held_out_window, task_windows
from rnnjax.training.clipping import clip_gradient
from rnnjax.training.loss import evaluate_loss
from rnnjax.training.norms import ScaledNorm, scaled_norm
from rnnjax.training.state import TrainState
from rnnjax.training.step import apply_gradient, compute_gradient
from rnnjax.types import Params, Probe, Task, WindowData, no_summary

STEPS = 64  # measured
HARM = 0.1  # nats (or squared units): a larger rise of the held-out loss is harm
HELD_OUT = 512  # steps of held-out data, at least one window

UPDATE_METRICS = {
    "counterfactual_harm": Metric(
        f"share of the clipped steps whose unclipped update raises the held-out loss by more than {HARM:g}", range=SHARE
    ),
    "harm_unclipped": Metric(
        f"share of the steps with a norm below the clip threshold that raise the held-out loss by more than {HARM:g}",
        better="lower",
        range=SHARE,
    ),
    "mean_counterfactual_change": Metric(
        "mean change of the held-out loss by the clipped steps, had they not been clipped", unit="{loss}"
    ),
    "clipped_change": Metric("mean change of the held-out loss by the clipped steps", unit="{loss}", better="lower"),
    "clip_exact": Metric("largest ||clipped gradient| - clip_norm| over the clipped steps"),
    "clip_cosine": Metric(
        "smallest cosine of the gradient before and after the clip of its norm, over clipped steps", range=CORRELATION
    ),
    "elementwise_cosine": Metric(
        "smallest cosine of the gradient and the gradient with elements clipped at their root mean square, over "
        "clipped steps",
        range=CORRELATION,
    ),
    "rate_ratio": Metric("|update at a tenth of the learning rate| / |update| of the first step"),
}


class StepComparison(NamedTuple):
    """One step with and without the clip of the norm; arrays [STEPS + 1] after the scan."""

    loss: Array  # held-out, before the step
    unclipped_loss: Array  # held-out, after the step without the clip of the norm; inf where that is not finite
    clipped: Array  # bool: the norm was above the threshold
    taken: Array  # bool: the run has taken the step
    clip_error: Array  # | |clipped gradient| - clip_norm |
    cosine: Array  # of the clipped and the raw gradient
    elementwise_cosine: Array  # of the raw gradient and one whose elements are clipped at their root mean square
    rate_ratio: Array  # |update at a tenth of the rate| / |update|


def updates(spec: Spec, task: Task) -> Probe:
    """The next 64 steps of a run, each taken with and without the clip of the norm from the same state.

    The run is advanced by its actual next steps: so clipped and unclipped steps are as frequent, and start from the
    same states, as in training, and each counterfactual differs from the run by a single step. The effect of a step is
    the change of the held-out loss, over some 512 characters read from the initial state.

    Values: see UPDATE_METRICS; NaN where there is no such step. The steps below the threshold are taken from the same
    64, so they match the clipped ones in state.

    Raises:
        BadInput: the held-out part is shorter than one window.
    """
    data = task_windows(task, task.train_N, spec.batch, spec.window)
    held_out = select_windows(held_out_window(task, spec.window, carried=False), max(1, HELD_OUT // spec.window))

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step

        def compare(state: TrainState, _: None) -> tuple[TrainState, StepComparison]:
            return compare_step(spec, hp, data, held_out, state)

        # One step more than is measured: its loss is that after the last measured step.
        return update_metrics(jax.lax.scan(compare, state, None, STEPS + 1)[1])

    return Probe(measure, no_summary, UPDATE_METRICS)


def select_windows(held_out: WindowData, windows: int) -> WindowData:
    """At most the given number of the windows [1, T, B, ...] along axis 2, evenly spaced."""
    streams = held_out.inputs_WTB.shape[2]
    chosen = np.linspace(0, streams - 1, min(windows, streams)).astype(int)
    selected = jax.tree.map(lambda leaf: jnp.asarray(leaf[:, :, chosen]), held_out._replace(target_scale_O=None))
    return selected._replace(target_scale_O=held_out.target_scale_O)


def compare_step(
    spec: Spec, hp: HParams, data: WindowData, held_out: WindowData, state: TrainState
) -> tuple[TrainState, StepComparison]:
    """(the state after the step, the comparison)."""
    gradient = compute_gradient(spec, hp, data, state)
    after, row = apply_gradient(spec, hp, state, gradient)
    unclipped, _ = apply_gradient(spec, hp._replace(clip_norm=math.inf), state, gradient)
    _, slower = apply_gradient(spec, hp._replace(learning_rate=hp.learning_rate / 10), state, gradient)
    candidates = jax.tree.map(lambda *leaves: jnp.stack(leaves), state.params, unclipped.params)
    loss, unclipped_loss = jax.vmap(lambda params: evaluate_loss(spec, hp, params, held_out))(candidates)
    comparisons = StepComparison(
        loss=loss,
        unclipped_loss=jnp.where(unclipped.alive & jnp.isfinite(unclipped_loss), unclipped_loss, jnp.inf),
        clipped=row.clip_share > 0,
        taken=after.alive,
        rate_ratio=slower.update_norm / row.update_norm,
        **clip_statistics(spec, hp, gradient.gradient),
    )
    return after, comparisons


def clip_statistics(spec: Spec, hp: HParams, raw: Params) -> dict[str, Array]:
    """Norm and direction of a gradient after the clip of the norm and after one of the elements; scalars.

    clip_error = | |clip(g)| - clip_norm |; the cosines are those of g with g after each clip.
    """
    size = sum(leaf.size for leaf in jax.tree.leaves(raw))
    norm = scaled_norm(raw)
    by_element = hp._replace(clip_norm=math.inf, clip_value=norm.value / size**0.5)
    clipped, _ = clip_gradient(spec, hp, raw, norm)
    elementwise, _ = clip_gradient(replace(spec, clip_elementwise=True), by_element, raw, norm)
    return {
        "clip_error": jnp.abs(scaled_norm(clipped).value - hp.clip_norm),
        "cosine": cosine(clipped, raw),
        "elementwise_cosine": cosine(elementwise, raw),
    }


def cosine(first: Params, second: Params) -> Array:
    """<a, b> / (|a| |b|) of two trees; NaN where one of them is 0."""
    first, second = (jax.tree.map(partial(to_unit_length, scaled_norm(tree)), tree) for tree in (first, second))
    return optax.tree.vdot(first, second)


def to_unit_length(norm: ScaledNorm, leaf: Array) -> Array:
    """A leaf of a tree divided by the norm of the tree; NaN where that is 0."""
    return leaf * norm.unit / norm.length


def update_metrics(comparisons: StepComparison) -> dict[str, Array]:
    """UPDATE_METRICS from the comparisons of all steps; NaN where no step is of a kind."""
    change, unclipped_change = jnp.diff(comparisons.loss), (comparisons.unclipped_loss - comparisons.loss)[:-1]
    comparisons = jax.tree.map(lambda leaf: leaf[:-1], comparisons)
    clipped, others = comparisons.clipped & comparisons.taken, ~comparisons.clipped & comparisons.taken
    return {
        "counterfactual_harm": mean_where(clipped, unclipped_change > HARM),
        "harm_unclipped": mean_where(others, change > HARM),
        "mean_counterfactual_change": mean_where(clipped & jnp.isfinite(unclipped_change), unclipped_change),
        "clipped_change": mean_where(clipped, change),
        "clip_exact": largest_where(clipped, comparisons.clip_error),
        "clip_cosine": -largest_where(clipped, -comparisons.cosine),
        "elementwise_cosine": -largest_where(clipped, -comparisons.elementwise_cosine),
        "rate_ratio": comparisons.rate_ratio[0],
    }


def mean_where(chosen: Array, values: Array) -> Array:
    """The mean of the chosen values, a scalar; NaN where none is chosen."""
    return jnp.sum(jnp.where(chosen, values, 0)) / jnp.sum(chosen)


def largest_where(chosen: Array, values: Array) -> Array:
    """The largest of the chosen values, a scalar; NaN where none is chosen."""
    return jnp.where(jnp.any(chosen), jnp.max(jnp.where(chosen, values, -jnp.inf)), jnp.nan)

"""What an update does, and what it would have done without the clip."""

import math
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import held_out_window, task_windows
from rnnjax.training.loss import evaluate_loss
from rnnjax.training.optimizers import build_optimizer
from rnnjax.training.state import TrainState
from rnnjax.training.step import apply_gradient, compute_gradient
from rnnjax.types import Params, Probe, Task, WindowData, no_summary

STEPS = 64  # that are looked at
HARM = 0.1  # nats (or squared units): a rise of the held-out loss by more is harm
HELD_OUT = 512  # steps of held-out data, at least one window


class Seen(NamedTuple):
    """One step as the probe sees it; arrays [STEPS + 1] after the scan."""

    loss: Array  # held-out, before the step
    free_loss: Array  # held-out, after the step without the clip of the norm; inf where that is not finite
    clipped: Array  # bool: the norm was above the threshold
    counted: Array  # bool: the run has taken the step
    clip_error: Array  # | |clipped gradient| - clip_norm |
    cosine: Array  # of the clipped and the raw gradient
    elementwise_cosine: Array  # of the raw gradient and one whose elements are clipped at their root mean square
    rate_ratio: Array  # |update at a tenth of the rate| / |update|


def updates(spec: Spec, task: Task) -> Probe:
    """The next 64 steps of a run, each taken with and without the clip of the norm from the same state.

    The run is trained along, by the steps that it will indeed take: so clipped and other steps come as often and from
    such states as in its training, and each counterfactual departs from the run by one step only. A step is judged
    by the change of the held-out loss, over some 512 characters read from the start state.

    Values: counterfactual_harm, the share of clipped steps whose unclipped update raises the held-out loss by more than
    0.1; harm_unclipped, the same share of the steps below the threshold, of the same 64, which match them in
    state; mean_counterfactual_change and clipped_change, the mean changes by the clipped steps without and with their
    clip; clip_exact, the largest | |clipped g| - clip_norm |; clip_cosine and elementwise_cosine, the smallest cosine
    of g and g clipped by its norm or, at their root mean square, its elements; rate_ratio, |update at a tenth of the
    rate| / |update| of the first step. NaN where there is no such step.

    Raises:
        BadInput: the held-out part is shorter than one window.
    """
    data = task_windows(task, task.train_N, spec.batch, spec.window)
    held_out = spread(held_out_window(task, spec.window, carried=False), max(1, HELD_OUT // spec.window))

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step

        def look(state: TrainState, _: None) -> tuple[TrainState, Seen]:
            return one_step(spec, hp, data, held_out, state)

        return shares(jax.lax.scan(look, state, None, STEPS + 1)[1])  # one more: its loss follows the last step

    return Probe(measure, no_summary)


def spread(held_out: WindowData, windows: int) -> WindowData:
    """At most so many of the windows [1, T, B, ...] that lie side by side, evenly spaced."""
    streams = held_out.inputs_WTB.shape[2]
    chosen = np.linspace(0, streams - 1, min(windows, streams)).astype(int)
    kept = jax.tree.map(lambda leaf: jnp.asarray(leaf[:, :, chosen]), held_out._replace(target_scale_O=None))
    return kept._replace(target_scale_O=held_out.target_scale_O)


def one_step(
    spec: Spec, hp: HParams, data: WindowData, held_out: WindowData, state: TrainState
) -> tuple[TrainState, Seen]:
    """(the run one step on, what was seen)."""
    gradient = compute_gradient(spec, hp, data, state)
    after, row = apply_gradient(spec, hp, state, gradient)
    free, _ = apply_gradient(spec, hp._replace(clip_norm=math.inf), state, gradient)
    _, slower = apply_gradient(spec, hp._replace(learning_rate=hp.learning_rate / 10), state, gradient)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), state.params, free.params)
    loss, free_loss = jax.vmap(lambda params: evaluate_loss(spec, hp, params, held_out))(both)
    seen = Seen(
        loss=loss,
        free_loss=jnp.where(free.alive & jnp.isfinite(free_loss), free_loss, jnp.inf),
        clipped=row.clip_share > 0,
        counted=after.alive,
        rate_ratio=slower.update_norm / row.update_norm,
        **of_clips(spec, hp, gradient.gradient),
    )
    return after, seen


def of_clips(spec: Spec, hp: HParams, raw: Params) -> dict[str, Array]:
    """How the two clips leave the norm and the direction of a gradient."""
    size = sum(leaf.size for leaf in jax.tree.leaves(raw))
    by_element = hp._replace(clip_norm=math.inf, clip_value=optax.tree.norm(raw) / size**0.5)
    clipped = clipped_gradient(spec, hp, raw)
    elementwise = clipped_gradient(replace(spec, clip_elementwise=True), by_element, raw)
    return {
        "clip_error": jnp.abs(optax.tree.norm(clipped) - hp.clip_norm),
        "cosine": cosine(clipped, raw),
        "elementwise_cosine": cosine(elementwise, raw),
    }


def clipped_gradient(spec: Spec, hp: HParams, gradient: Params) -> Params:
    """What the clips leave of a gradient: plain descent at a rate of -1 adds exactly that."""
    plain = build_optimizer(replace(spec, optimizer="sgd"), hp, -1.0)
    return plain.update(gradient, plain.init(gradient))[0]


def cosine(first: Params, second: Params) -> Array:
    """<a, b> / (|a| |b|) of two trees."""
    return optax.tree.vdot(first, second) / (optax.tree.norm(first) * optax.tree.norm(second))


def shares(seen: Seen) -> dict[str, Array]:
    """The values of the probe from the steps it has seen; NaN where none of a kind was among them."""
    change, free_change = jnp.diff(seen.loss), (seen.free_loss - seen.loss)[:-1]
    seen = jax.tree.map(lambda leaf: leaf[:-1], seen)
    clipped, others = seen.clipped & seen.counted, ~seen.clipped & seen.counted
    return {
        "counterfactual_harm": mean_where(clipped, free_change > HARM),
        "harm_unclipped": mean_where(others, change > HARM),
        "mean_counterfactual_change": mean_where(clipped & jnp.isfinite(free_change), free_change),
        "clipped_change": mean_where(clipped, change),
        "clip_exact": largest_where(clipped, seen.clip_error),
        "clip_cosine": -largest_where(clipped, -seen.cosine),
        "elementwise_cosine": -largest_where(clipped, -seen.elementwise_cosine),
        "rate_ratio": seen.rate_ratio[0],
    }


def mean_where(chosen: Array, values: Array) -> Array:
    return jnp.sum(jnp.where(chosen, values, 0)) / jnp.sum(chosen)


def largest_where(chosen: Array, values: Array) -> Array:
    return jnp.where(jnp.any(chosen), jnp.max(jnp.where(chosen, values, -jnp.inf)), jnp.nan)

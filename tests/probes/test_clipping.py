"""The probe of updates against a run written out in NumPy, and the closed form of its ratios."""

from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probe_values import start_states

from rnnjax.probes.optimization.clipping import HELD_OUT, STEPS, updates
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import next_step, task_windows
from rnnjax.training import batching as order
from rnnjax.training.state import TrainState, init_state
from rnnjax.training.step import averaged_steps
from rnnjax.types import Params, Task, WindowData

V, H = 4, 6
HARM = 0.1  # nats
SPEC = Spec(inputs=V, outputs=V, hidden=H, window=1)
FAST = {"xla_backend_optimization_level": 0}


@cache
def task() -> Task:
    ids = np.random.default_rng(0).choice(V, size=700, p=[0.7, 0.1, 0.1, 0.1]).astype(np.int32)
    return Task(ids[:500], ids[500:], next_step, inputs=V, outputs=V, loss="cross_entropy", reference_losses={})


def measured(spec: Spec, hp: HParams, trained: int = 0) -> dict[str, float]:
    """What the probe says of one run after some steps of training."""
    hp_R = jax.tree.map(lambda value: jnp.asarray(value)[None], hp)
    values = program(spec)(start_states(spec)(hp_R), hp_R, jnp.int32(trained))
    return {name: float(value[0]) for name, value in values.items()}


@cache
def program(spec: Spec) -> Any:
    def of_run(state: TrainState, hp: HParams, trained: jax.Array) -> dict[str, jax.Array]:
        state, _ = averaged_steps(spec, hp, jax.tree.map(jnp.asarray, train_windows(spec)), state, trained)
        return updates(spec, task()).measure(state, hp, trained)

    return jax.jit(jax.vmap(of_run, in_axes=(0, 0, None)), compiler_options=FAST)


def train_windows(spec: Spec) -> WindowData:
    return task_windows(task(), task().train_N, spec.batch, spec.window)


# A run by hand: windows of one character, so that no gradient goes back in time


def logits_of(params: Params, h_H: np.ndarray, x: int) -> tuple[np.ndarray, np.ndarray]:
    cell, readout = params["layer_0"], params["readout"]
    h_H = np.tanh(cell["kernel"][x] + h_H @ cell["recurrent_kernel"] + cell["bias"])
    return h_H, h_H @ readout["kernel"] + readout["bias"]


def loss_of(logits_V: np.ndarray, target: int) -> float:
    return float(np.log(np.exp(logits_V).sum()) - logits_V[target])


def gradient_of(params: Params, before_H: np.ndarray, x: int, target: int) -> tuple[Params, np.ndarray]:
    h_H, logits_V = logits_of(params, before_H, x)
    error_V = np.exp(logits_V) / np.exp(logits_V).sum() - np.eye(V)[target]
    inner_H = (params["readout"]["kernel"] @ error_V) * (1 - h_H**2)
    cell = {"kernel": np.outer(np.eye(V)[x], inner_H), "recurrent_kernel": np.outer(before_H, inner_H), "bias": inner_H}
    return {"layer_0": cell | {"gate": {}}, "readout": {"kernel": np.outer(h_H, error_V), "bias": error_V}}, h_H


def flat(tree: Params) -> np.ndarray:
    return np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])


def held_out_loss(params: Params) -> float:
    """Every character by itself: windows of one, read from the start state."""
    ids = task().validation_N
    assert len(ids) - 1 < HELD_OUT, "all of the held-out part is looked at"
    losses = [loss_of(logits_of(params, np.zeros(H), x)[1], y) for x, y in pairwise(ids)]
    return float(np.mean(losses))


def by_hand(hp: HParams, start: TrainState, first: int) -> dict[str, list[float]]:
    """The changes of the held-out loss over the next 64 steps, of clipped and other steps."""
    params, h_H = jax.tree.map(lambda leaf: np.asarray(leaf, float), start.params), np.zeros(H)
    ids, loss = task().train_N, held_out_loss(params)
    found: dict[str, list[float]] = {"clipped": [], "free": [], "others": [], "elementwise": []}

    def moved(scale: float) -> Params:
        return jax.tree.map(lambda leaf, g: leaf - hp.learning_rate * scale * g, params, gradient)

    for step in range(STEPS):
        place = (first + step) % (len(ids) - 1)
        gradient, h_H = gradient_of(params, h_H if place else np.zeros(H), ids[place], ids[place + 1])
        g = flat(gradient)
        norm = np.linalg.norm(g)
        after = moved(min(1, hp.clip_norm / norm))
        change = held_out_loss(after) - loss
        if norm > hp.clip_norm:
            found["clipped"].append(change)
            found["free"].append(held_out_loss(moved(1.0)) - loss)
            cut = np.clip(g, -(np.mean(g**2) ** 0.5), np.mean(g**2) ** 0.5)
            found["elementwise"].append(g @ cut / norm / np.linalg.norm(cut))
        else:
            found["others"].append(change)
        params, loss = after, loss + change
    return found


@pytest.mark.slow
def test_counterfactual_updates_are_those_of_a_run_by_hand() -> None:
    hp = HParams(seed=3, learning_rate=1.5, clip_norm=0.9, recurrent_gain=0.5)
    place = np.arange(len(task().train_N) - 1).reshape(-1, 1, 1)
    first = int(order.sequential_window(hp, WindowData(place, place), jnp.int32(0))[0][0][0, 0])
    expected, values = by_hand(hp, init_state(SPEC, hp), first), measured(SPEC, hp)

    free, others = np.array(expected["free"]), np.array(expected["others"])
    assert min(np.abs(free - HARM).min(), np.abs(others - HARM).min()) > 1e-5, "no change on the brink of harm"
    assert 0 < np.mean(free > HARM) < 1
    assert 0 < np.mean(others > HARM) < 1
    assert values["counterfactual_harm"] == pytest.approx(np.mean(free > HARM))
    assert values["harm_unclipped"] == pytest.approx(np.mean(others > HARM))
    assert values["mean_counterfactual_change"] == pytest.approx(free.mean(), rel=1e-3)
    assert values["clipped_change"] == pytest.approx(np.mean(expected["clipped"]), rel=1e-3)
    assert values["elementwise_cosine"] == pytest.approx(min(expected["elementwise"]), rel=1e-4)


WIDE = replace(SPEC, window=8)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_clip_of_the_norm_keeps_the_direction_whatever_the_optimizer(optimizer: str) -> None:
    values = measured(replace(WIDE, optimizer=optimizer), HParams(clip_norm=0.5), trained=20)
    assert values["clip_exact"] < 1e-6
    assert values["clip_cosine"] == pytest.approx(1, abs=1e-6)
    assert 0 < values["elementwise_cosine"] < 0.99
    assert values["rate_ratio"] == pytest.approx(0.1, rel=1e-5)
    assert values["clipped_change"] < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("clip", "missing"), [(jnp.inf, "clipped"), (1e-6, "others")])
def test_what_was_not_seen_is_nan(clip: float, missing: str) -> None:
    values = measured(WIDE, HParams(clip_norm=clip))
    unmeasured = {name for name, value in values.items() if np.isnan(value)}
    of_clipped = values.keys() - {"harm_unclipped", "rate_ratio"}
    assert unmeasured == (of_clipped if missing == "clipped" else {"harm_unclipped"})


@pytest.mark.slow
def test_an_update_out_of_the_finite_numbers_is_harm() -> None:
    """At a rate of 1e38 the unclipped update is infinite; the clipped one, 1e-38 times smaller, is harmless."""
    values = measured(WIDE, HParams(learning_rate=3e38, clip_norm=1e-38))
    assert values["counterfactual_harm"] == 1
    assert np.isnan(values["mean_counterfactual_change"])
    assert np.isfinite(values["clipped_change"])


@pytest.mark.slow
def test_a_run_that_has_diverged_is_not_measured() -> None:
    values = measured(WIDE, HParams(learning_rate=3e38, clip_norm=jnp.inf), trained=3)
    assert np.isnan(list(values.values())).all()

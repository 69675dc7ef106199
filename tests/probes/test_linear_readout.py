"""Texts whose best guess is known: a cycle and independent letters; baselines against plain loops."""

import math
from functools import cache, partial

import jax
import numpy as np
import probe_values
import pytest

from rnnjax.probes.memory.linear_readout import occurrences, readout, smoothed_loss
from rnnjax.probes.memory.symbol_recall import WARM_UP, states, symbol_windows
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import next_step
from rnnjax.training.state import init_state
from rnnjax.types import Task

V = 4
SPEC = Spec(inputs=V, outputs=V, hidden=8)


def task_of(ids_N: np.ndarray) -> Task:
    part = ids_N.astype(np.int32)
    return Task(
        part[:4_000], part[4_000:], next_step, V, V, loss="cross_entropy", reference_losses={}, vocabulary="wan "
    )


CYCLE = np.arange(6_000) % V
NOISE = np.random.default_rng(0).integers(V, size=6_000)


@cache
def values_of_noise() -> dict[str, float]:
    return values_of(task_of(NOISE))


def values_of(task: Task) -> dict[str, float]:
    return {name: float(value) for name, value in probe_values.values_of(readout(SPEC, task), SPEC).items()}


@pytest.mark.slow
def test_a_cycle_is_read_without_error() -> None:
    found = values_of(task_of(CYCLE))
    assert found["ridge_accuracy"] == found["readout_accuracy"] == found["next_ngram"] == 1
    assert found["readout_loss"] < 0.05
    assert found["next_ngram_loss"] < 0.01
    assert found["next_majority"] == 0.25
    assert found["own_loss"] > 1, "untrained"


@pytest.mark.slow
def test_nothing_is_read_from_noise() -> None:
    found = values_of_noise()
    assert found["readout_loss"] == pytest.approx(math.log(V), abs=0.01)
    for name in ("ridge_accuracy", "readout_accuracy", "next_ngram", "next_majority"):
        assert found[name] == pytest.approx(0.25, abs=0.06), name  # a deviation of 0.0135


@pytest.mark.slow
def test_own_loss_is_that_of_the_networks_outputs() -> None:
    task = task_of(NOISE)
    state, (_, held_out) = jax.jit(partial(init_state, SPEC))(HParams()), symbol_windows(SPEC, task)
    h_NH = np.asarray(states(SPEC, HParams(), state.params, held_out), float)
    readout_params = jax.tree.map(lambda leaf: np.asarray(leaf, float), state.params["readout"])
    losses = []
    for h, target in zip(h_NH, held_out.targets_WTB[0, WARM_UP:].ravel(), strict=True):
        y = h @ readout_params["kernel"] + readout_params["bias"]
        losses.append(np.log(np.exp(y).sum()) - y[target])
    assert values_of_noise()["own_loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_smoothed_loss_by_hand() -> None:
    """After 1: twice 0, once 2; after 5 nothing is known."""
    contexts, targets = np.array([1, 1, 1, 3]), np.array([0, 0, 2, 1])
    found = smoothed_loss(contexts, targets, np.array([1, 1, 1, 5]), np.array([0, 1, 2, 0]), 3)
    assert found == pytest.approx(-np.mean(np.log([3 / 6, 1 / 6, 2 / 6, 1 / 3])))


def test_occurrences_by_hand() -> None:
    assert occurrences(np.array([4, 2, 4]), np.array([4, 3, 2, 9, 0])).tolist() == [2, 0, 1, 0, 0]

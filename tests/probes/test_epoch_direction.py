"""Where two passes over a text go, against the same steps taken one by one."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.probes.optimization.epoch_direction import passes
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import next_step, task_windows
from rnnjax.training.state import init_state
from rnnjax.training.step import train_step
from rnnjax.types import Task

pytestmark = pytest.mark.slow

V = 4
IDS = np.random.default_rng(0).integers(V, size=60, dtype=np.int32)
TASK = Task(IDS[:50], IDS[50:], next_step, inputs=V, outputs=V, loss="cross_entropy", reference_losses={})
SPEC = Spec(inputs=V, outputs=V, hidden=6, window=12, carry="reset")  # four windows


DATA = task_windows(TASK, TASK.train_N, 1, 12)
start, one_step = jax.jit(partial(init_state, SPEC)), jax.jit(partial(train_step, SPEC))
measure = jax.jit(passes(SPEC, TASK).measure)


def epoch_cosine(rate: float) -> float:
    hp = HParams(learning_rate=rate, clip_norm=np.inf)
    return float(measure(start(hp), hp, jnp.int32(0))["epoch_cosine"])


def by_hand(rate: float) -> float:
    hp = HParams(learning_rate=rate, clip_norm=np.inf)
    state, places = start(hp), []
    for _ in range(3):
        places.append(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state.params)]))
        for _ in range(4):
            state, _ = one_step(hp, DATA, state)
    first, second = np.diff(places, axis=0)
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


@pytest.mark.parametrize("rate", [1e-3, 0.5, 5.0])
def test_the_cosine_of_two_passes(rate: float) -> None:
    assert epoch_cosine(rate) == pytest.approx(by_hand(rate), abs=1e-3)


def test_short_steps_go_on_in_one_direction() -> None:
    assert epoch_cosine(1e-3) > 0.99

"""Loops whose cause is known: in the state or in the words alone, learned by heart or not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probe_values import values_with_run_axis

from rnnjax.errors import NotApplicable
from rnnjax.probes.generation.cycles import PROMPT, contains_rotation, cycles, greedy_texts
from rnnjax.probes.generation.free_running import LENGTH, LONGEST_PERIOD
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.tasks import TASKS
from rnnjax.tasks.windows import next_step
from rnnjax.training.state import init_state
from rnnjax.types import Params, Task

V = 4
SPEC = Spec(inputs=V, outputs=V, hidden=V + 1, activation="relu")


def task_of(train_N: list[int], validation_N: list[int]) -> Task:
    parts = (np.resize(np.array(ids, np.int32), 200) for ids in (train_N, validation_N))
    return Task(*parts, next_step, V, V, loss="cross_entropy", reference_losses={}, vocabulary="wan ")


def forced(turn: int, counting: float) -> Params:
    """Writes id + turn after each id, beyond doubt; one more unit counts the steps, unheard."""
    params = jax.tree.map(jnp.zeros_like, init_state(SPEC, HParams()).params)
    params["layer_0"]["kernel"] = 5 * jnp.eye(V, V + 1)
    params["layer_0"]["bias"] = counting * jnp.eye(V + 1)[V]
    params["layer_0"]["recurrent_kernel"] = jnp.zeros((V + 1, V + 1)).at[V, V].set(1)
    params["readout"]["kernel"] = 200 * jnp.roll(jnp.eye(V + 1, V), turn, axis=1).at[V].set(0)
    return params


def values_of(task: Task, params: Params) -> dict[str, np.ndarray]:
    return values_with_run_axis(cycles(SPEC, task), SPEC, params)


RING = [0, 1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize(("counting", "share"), [(0.0, 1), (1.0, 0)])
@pytest.mark.parametrize(("turn", "period"), [(1, 4), (2, 2)])
def test_a_state_goes_round_with_its_words_or_not(turn: int, period: int, counting: float, share: int) -> None:
    values = values_of(task_of(RING, RING), forced(turn, counting))
    assert values["state_cycle_share"] == [share]
    for decoder in ("cool", "beam_5"):
        assert values[f"loop_rate_{decoder}"] == [1]
        assert values[f"period_{decoder}"] == [period]
    assert values["last_words_share"] == [turn == 1]  # the ring is what was read; no text says 0 2 0 2


@pytest.mark.slow
@pytest.mark.parametrize(("train_N", "validation_N", "share"), [(RING, [0], 1), ([0], RING, 1), ([0], [0], 0)])
def test_a_loop_of_the_last_words_or_of_the_prompt(train_N: list[int], validation_N: list[int], share: int) -> None:
    assert values_of(task_of(train_N, validation_N), forced(1, 0.0))["last_words_share"] == [share]


def test_greedy_texts_and_the_gaps_of_their_states() -> None:
    """The counter stands at n after n symbols, prompt included, beside one unit at 5."""
    prompts_TP = jnp.asarray(np.resize(RING, (6, 3)).astype(np.int32))
    ids_NP, gaps_PL = (np.asarray(a) for a in greedy_texts(SPEC, HParams(), forced(1, 1.0), prompts_TP))
    assert (ids_NP.shape, gaps_PL.shape) == ((LENGTH, 3), (3, LONGEST_PERIOD))
    assert (np.diff(ids_NP, axis=0) % V == 1).all()
    count, size = 6 + LENGTH, np.hypot(6 + LENGTH, 5)
    for lag in (1, 4, 50):
        moved = 0 if lag % 4 == 0 else 50**0.5
        np.testing.assert_allclose(gaps_PL[:, lag - 1], np.hypot(lag, moved) / size, rtol=1e-5, err_msg=str(count))


@pytest.mark.slow
def test_a_network_that_guesses_has_no_loops_but_greedy_ones() -> None:
    """All logits are equal: greedy says the first symbol for ever, and so does the state stand."""
    params = jax.tree.map(jnp.zeros_like, forced(1, 0.0))
    params["layer_0"]["bias"] = jnp.ones(V + 1)
    values = values_of(task_of([1], [1]), params)
    assert values["loop_rate_cool"] == [0]
    assert np.isnan(values["period_cool"])
    assert (values["state_cycle_share"], values["last_words_share"]) == ([1], [0])


def test_a_cycle_may_begin_anywhere() -> None:
    assert contains_rotation(np.array([3, 1, 2]), [np.array([9, 1, 2, 3, 9])])
    assert contains_rotation(np.array([3, 1, 2]), [np.array([9]), np.array([2, 3, 1])])
    assert not contains_rotation(np.array([3, 1, 2]), [np.array([1, 2, 9, 3, 1])])
    assert not contains_rotation(np.array([3, 1, 2]), [np.array([1, 2])])
    assert PROMPT == 50


def test_a_series_writes_nothing() -> None:
    settings = TaskSpec(name="series")
    with pytest.raises(NotApplicable):
        cycles(Spec(task=settings), TASKS["series"](settings, None))

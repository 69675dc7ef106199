"""A shift register knows what is in it and nothing else; baselines and horizons are counted by hand."""

from collections import Counter
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.errors import BadInput, NotApplicable
from rnnjax.probes.memory.symbol_recall import (
    LAGS,
    WARM_UP,
    bin_means,
    horizon,
    horizon_over_untrained,
    memory,
    ngram_accuracy,
    ngram_predictions,
    spread_lags,
    symbol_windows,
)
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.tasks import TASKS
from rnnjax.training.state import init_state
from rnnjax.types import Params, Task

V, DEPTH = 4, 12
FAST = {"xla_backend_optimization_level": 0}


def copy_task(lag: int = 3) -> Task:
    """Independent letters, so that nothing but a memory can tell them."""
    return TASKS["recall"](TaskSpec(name="recall", characters=9_000, symbols=V, copy_delay=lag, validation=0.2), None)


def register_spec() -> Spec:
    return Spec(inputs=V, outputs=V, hidden=V * DEPTH, activation="identity")


def register() -> Params:
    """h_t = (x_t, x_{t-1}, ... x_{t-11}), each one-hot: every step moves all on by V places, and the last out."""
    spec = register_spec()
    shapes = jax.eval_shape(partial(init_state, spec), HParams()).params
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    params["layer_0"]["kernel"] = jnp.eye(V, spec.hidden)
    params["layer_0"]["recurrent_kernel"] = jnp.eye(spec.hidden, k=V)
    return params


@pytest.mark.slow
def test_a_shift_register_knows_what_is_in_it() -> None:
    spec = register_spec()
    probe = memory(spec, copy_task())
    state = init_state(spec, HParams()).replace(params=register())
    measure = jax.jit(lambda state: probe.measure(state, HParams(), jnp.int32(0)), compiler_options=FAST)
    found = {
        name: value[0] for name, value in probe.summarise({"hits": np.asarray(measure(state)["hits"])[None]}).items()
    }
    accuracy = found["memory_accuracy"]
    assert accuracy.shape == found["ngram_accuracy"].shape == (51,)
    assert np.flatnonzero(~np.isnan(accuracy)).tolist() == list(LAGS)
    inside, beyond = [lag for lag in LAGS if lag < DEPTH], [lag for lag in LAGS if lag >= DEPTH]
    assert (accuracy[inside] == 1).all()
    assert accuracy[beyond].mean() == pytest.approx(0.25, abs=0.015)  # 13 x 1,024 guesses: a deviation of 0.004
    assert found["majority"] == pytest.approx(0.25, abs=0.03)
    assert (found["memory_1_3"], found["memory_4_7"], found["horizon"]) == (1, 1, 10)
    assert (found["ngram_accuracy"][[1, 2]] == 1).all()
    assert np.nanmean(found["ngram_accuracy"][3:]) == pytest.approx(0.25, abs=0.02)


def test_what_is_asked_is_the_symbol_of_so_many_steps_ago() -> None:
    train_windows, held_out = symbol_windows(register_spec(), copy_task())
    text = copy_task().make_sequence(copy_task().validation_N).inputs_N
    assert held_out.inputs_WTB.shape == (1, WARM_UP + 16, 64)
    assert train_windows.inputs_WTB.shape == (1, WARM_UP + 16, 256)
    np.testing.assert_array_equal(held_out.inputs_WTB[0, :, 0], text[: WARM_UP + 16])


def test_guesses_are_those_of_a_counter() -> None:
    rng = np.random.default_rng(0)
    contexts, targets, asked = (rng.integers(high, size=size) for high, size in ((7, 300), (5, 300), (9, 50)))
    targets = np.where(contexts < 3, contexts, targets)
    by_hand = []
    for context in asked:
        followers = Counter(targets[contexts == context].tolist()) or Counter(targets.tolist())
        best = max(followers.values())
        by_hand.append({target for target, count in followers.items() if count == best})
    found = ngram_predictions(contexts, targets, asked)
    assert all(guess in likeliest for guess, likeliest in zip(found.tolist(), by_hand, strict=True))


def test_the_baseline_of_a_periodic_text_knows_all() -> None:
    """In "abcdabcd" three symbols tell every one before, and so does one; a text of another order does not help."""
    cycle = np.arange(4_000) % V
    _, held_out = symbol_windows(register_spec(), copy_task()._replace(validation_N=cycle))
    assert (ngram_accuracy(cycle, held_out) == 1).all()
    backwards = ngram_accuracy(cycle[::-1], held_out)
    assert backwards.max() < 0.5, "no context of three is known: the likeliest symbol is guessed"


CURVES = [  # accuracy at lags 1, 2, 3, 4 and 6, horizon where the 3-gram has 0.5 and the majority 0.4
    ([1.0, 1.0, 0.9, 0.8, 0.7], 6),
    ([1.0, 1.0, 0.9, 0.54, 0.7], 3),
    ([1.0, 1.0, 0.9, 0.56, 0.54], 4),
    ([0.0, 0.0, 0.9, 0.9, 0.9], 6),  # lags that the 3-gram knows for certain do not count
    ([1.0, 1.0, 0.5, 0.9, 0.9], 2),
    ([np.nan] * 5, np.nan),
]


def sparse(values: list[float]) -> np.ndarray:
    """[1, 7] with NaN at the lags 0 and 5."""
    return np.insert(np.array(values, float), [0, 4], np.nan)[None]


@pytest.mark.parametrize(("accuracy", "expected"), CURVES)
def test_horizon_by_hand(accuracy: list[float], expected: float) -> None:
    ngram, majority = sparse([1.0, 1.0, 0.5, 0.5, 0.5]), np.array([0.4])
    np.testing.assert_array_equal(horizon(sparse(accuracy), ngram, majority), [expected])
    np.testing.assert_array_equal(
        horizon(sparse(accuracy), ngram - 0.3, majority + 0.1), [expected], "the better of the two counts"
    )
    found = over_untrained(sparse(accuracy), sparse([0.0] * 5), ngram, majority)
    np.testing.assert_array_equal(found, [expected])


def over_untrained(accuracy: np.ndarray, untrained: np.ndarray, ngram: np.ndarray, majority: np.ndarray) -> np.ndarray:
    """With looks at the untrained network, in between (not measured) and at the end."""
    never = np.full_like(accuracy, np.nan)
    three = [np.stack([first, never, last], axis=1) for first, last in ((untrained, accuracy), (ngram, ngram))]
    return horizon_over_untrained(*three, np.stack([majority, np.full_like(majority, np.nan), majority], axis=1))


def test_horizon_over_the_untrained_network() -> None:
    accuracy, ngram = sparse([1.0, 1.0, 0.9, 0.8, 0.7]), sparse([1.0, 1.0, 0.5, 0.5, 0.5])
    untrained = np.concatenate([sparse([1.0, 1.0, 0.8, 0.74, 0.66]), sparse([1.0, 1.0, 0.9, 0.1, 0.1])])
    both = (np.concatenate([x, x]) for x in (accuracy, ngram))
    accuracy, ngram = both
    majority = np.array([0.4, 0.4])
    np.testing.assert_array_equal(over_untrained(accuracy, untrained, ngram, majority), [4, 2])
    never = np.full_like(untrained, np.nan)
    assert np.isnan(over_untrained(accuracy, never, ngram, majority)).all(), "the untrained network was not looked at"


def test_bins_are_means_of_what_was_measured() -> None:
    values = spread_lags(np.arange(len(LAGS), dtype=float)[None])
    assert values.shape == (1, 51)
    found = bin_means("memory", values)
    assert {name: float(value[0]) for name, value in found.items()} == {
        "memory_1_3": 1.0,
        "memory_4_7": 4.5,
        "memory_8_12": 8.5,  # lags 8, 9, 10 and 12
        "memory_13_18": 12.0,
        "memory_19_25": 15.0,
        "memory_26_50": 19.0,
    }


def test_only_symbols_are_remembered() -> None:
    series = TASKS["series"](TaskSpec(name="series"), None)
    with pytest.raises(NotApplicable, match="task.name: got 'series'; expected a text"):
        memory(Spec(task=TaskSpec(name="series"), inputs=1, outputs=1), series)
    with pytest.raises(BadInput, match=r"has 101 characters; need >= 117"):
        memory(register_spec(), copy_task()._replace(validation_N=np.zeros(103, np.int32)))

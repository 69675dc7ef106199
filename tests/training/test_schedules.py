"""Learning rates against optax's schedules, which take their lengths as Python numbers, and against hand counts."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rnnjax.settings import HParams
from rnnjax.training.schedules import SAMPLING_SCHEDULES, SCHEDULES, learning_rate_at, sampling_probability_at

HP = HParams(learning_rate=0.2, decay_steps=8.0, decay_factor=0.3)
STEPS = np.arange(40)
OPTAX = {
    "constant": optax.constant_schedule(0.2),
    "step": optax.exponential_decay(0.2, 8, 0.3, staircase=True),
    "exponential": optax.exponential_decay(0.2, 8, 0.3),
    "cosine": optax.cosine_decay_schedule(0.2, 8, alpha=0.3),
    "plateau": optax.constant_schedule(0.2),
}


def rates(name: str, hp: HParams) -> np.ndarray:
    """Traced: step and all numbers of `hp` are arrays of a program that is compiled once."""
    of_step = jax.jit(jax.vmap(lambda hp, step: learning_rate_at(name, hp, step), in_axes=(None, 0)))
    return np.asarray(of_step(jax.tree.map(jnp.float32, hp), jnp.asarray(STEPS)))


def test_every_schedule_has_an_oracle() -> None:
    assert OPTAX.keys() == SCHEDULES.keys()


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_that_of_optax(name: str) -> None:
    np.testing.assert_allclose(rates(name, HP), [OPTAX[name](step) for step in STEPS], rtol=1e-5)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [1.0, 5.0])
def test_the_warm_up_rises_in_a_line_and_comes_before(name: str, warmup: float) -> None:
    found, after = rates(name, HP._replace(warmup_steps=warmup)), [float(OPTAX[name](step)) for step in STEPS]
    length = int(warmup)
    np.testing.assert_allclose(found[:length], 0.2 * np.arange(1, length + 1) / length, rtol=1e-5)
    np.testing.assert_allclose(found[length:], after[: len(STEPS) - length], rtol=1e-5)


def test_a_length_is_a_number_of_a_run() -> None:
    """Runs of one program with different lengths."""
    lengths = jnp.array([2.0, 20.0])
    of_run = jax.vmap(lambda length: learning_rate_at("exponential", HP._replace(decay_steps=length), jnp.int32(10)))
    np.testing.assert_allclose(of_run(lengths), 0.2 * 0.3 ** (10 / np.array(lengths)), rtol=1e-5)


def by_hand(name: str, k: float, i: float) -> float:
    """1 - epsilon of Bengio et al., section 2.4: their linear, exponential and inverse sigmoid decay of epsilon."""
    return (
        1
        - {
            "linear": max(0.0, 1 - i / k),
            "exponential": np.exp(-1 / k) ** i,
            "inverse_sigmoid": k / (k + np.exp(i / k)),
        }[name]
    )


@pytest.mark.parametrize("name", SAMPLING_SCHEDULES)
def test_the_share_of_own_words_is_that_of_the_paper(name: str) -> None:
    hp = jax.tree.map(jnp.float32, HP._replace(sampling_probability=0.4, sampling_steps=7.0))
    found = jax.jit(jax.vmap(lambda step: sampling_probability_at(name, hp, step)))(jnp.arange(100))
    np.testing.assert_allclose(found, [0.4 * by_hand(name, 7.0, i) for i in range(100)], rtol=1e-4, atol=1e-6)
    assert found[0] < 0.4 / 7
    assert found[-1] == pytest.approx(0.4, rel=1e-3)
    assert np.all(np.diff(found) >= 0)
    assert sampling_probability_at(name, hp, jnp.float32(1e6)) == pytest.approx(0.4), "exp of it is infinite"

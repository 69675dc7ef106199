"""Learning rates against optax's schedules, which take their lengths as Python numbers, and against hand counts."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rnnjax.schedules import SCHEDULES, rate
from rnnjax.settings import HParams

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
    of_step = jax.jit(jax.vmap(lambda hp, step: rate(name, hp, step), in_axes=(None, 0)))
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
    of_run = jax.vmap(lambda length: rate("exponential", HP._replace(decay_steps=length), jnp.int32(10)))
    np.testing.assert_allclose(of_run(lengths), 0.2 * 0.3 ** (10 / np.array(lengths)), rtol=1e-5)

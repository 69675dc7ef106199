"""The streams of random numbers of a run."""

import jax
import numpy as np

from rnnjax.networks.keys import RANDOM_STREAMS, key_for
from rnnjax.settings import HParams


def test_the_numbers_of_the_streams_never_change() -> None:
    """May change: never; another number changes every run. A new purpose takes a number that is not used yet."""
    numbers = {"start": 0, "data": 1, "fixed start": 2, "noise": 3, "samples": 4, "evaluation": 5}
    assert numbers.items() <= RANDOM_STREAMS.items()
    assert len(set(RANDOM_STREAMS.values())) == len(RANDOM_STREAMS)


def test_a_key_is_a_function_of_seed_and_purpose() -> None:
    expected = jax.random.key_data(jax.random.fold_in(jax.random.key(7), 3))
    np.testing.assert_array_equal(jax.random.key_data(key_for(HParams(seed=7), "noise")), expected)

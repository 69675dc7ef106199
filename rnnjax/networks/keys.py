"""Random numbers of a run: one stream for each purpose, all from its integer seed."""

from typing import Literal

import jax
from jax import Array

from rnnjax.settings import HParams

Purpose = Literal["start", "data", "fixed start", "noise", "samples", "evaluation"]
RANDOM_STREAMS: dict[
    Purpose, int
] = {  # fixed numbers: to change one changes every run, so a new purpose takes a new number
    "start": 0,
    "data": 1,
    "fixed start": 2,
    "noise": 3,
    "samples": 4,
    "evaluation": 5,
}


def key_for(hp: HParams, purpose: Purpose) -> Array:
    """fold_in(key(seed), stream): a function of the seed alone, so that runs with one seed are paired over arms."""
    return jax.random.fold_in(jax.random.key(hp.seed), RANDOM_STREAMS[purpose])

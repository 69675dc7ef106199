"""A run's random numbers: one stream for each purpose, all from its integer seed."""

from typing import Literal, get_args

import jax
from jax import Array

from rnnjax.settings import HParams

Purpose = Literal["start", "data", "fixed start", "noise", "samples", "evaluation"]


def key_for(hp: HParams, purpose: Purpose) -> Array:
    """The key of a run for a purpose: a function of its seed alone, so that runs with one seed are paired over arms."""
    return jax.random.fold_in(jax.random.key(hp.seed), get_args(Purpose).index(purpose))

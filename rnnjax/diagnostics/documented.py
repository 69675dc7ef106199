"""What stands in the documentation and the literature: nothing is measured, so that a statement can be judged by it."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.settings import HParams, Spec
from rnnjax.train import TrainState
from rnnjax.types import Probe, Task

FACTS = {
    "torch_takes_tanh": 1.0,
    "torch_takes_relu": 1.0,
    "torch_takes_sigmoid": 0.0,
    "glorot_recurrent": 0.0,
    "he_recurrent": 0.0,
}


def documented(spec: Spec, task: Task) -> Probe:
    """1 where it is so, 0 where it is not, the same for every run.

    torch_takes_x       `torch.nn.RNN(nonlinearity="x")` is accepted; its documentation has tanh and relu, and another
                        word is a ValueError (torch 2.13; tests/diagnostics/test_documented.py tries it)
    glorot_recurrent    the scheme of Glorot and Bengio 2010 was derived for, or tried on, recurrent networks; it was
                        derived for and tried on feed-forward ones
    he_recurrent        likewise He et al. 2015, arXiv:1502.01852
    """
    del spec, task

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del state, hp
        return {name: jnp.zeros_like(step, float) for name in FACTS}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.full(len(values[name]), fact, np.float32) for name, fact in FACTS.items()}

    return Probe(measure, summarise)

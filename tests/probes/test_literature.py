"""What is said to stand in a documentation, where that can be tried."""

import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.probes.facts.literature import FACTS, documented
from rnnjax.settings import HParams, Spec


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "sigmoid"])
def test_torch_takes_what_is_documented(nonlinearity: str) -> None:
    torch = pytest.importorskip("torch")
    taken = True
    try:
        torch.nn.RNN(1, 2, nonlinearity=nonlinearity)
    except ValueError:
        taken = False
    assert taken == FACTS[f"torch_takes_{nonlinearity}"]


def test_facts_are_the_same_for_every_run() -> None:
    probe = documented(Spec(), None)  # type: ignore[arg-type]
    measured = probe.measure(None, HParams(), jnp.int32(3))
    values = probe.summarise({name: np.zeros(5) for name in measured})
    assert {name: found.tolist() for name, found in values.items()} == {
        name: [fact] * 5 for name, fact in FACTS.items()
    }

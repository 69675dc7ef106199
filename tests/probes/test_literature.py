"""What is said to stand in a documentation, where that can be tried."""

import pytest

from rnnjax.probes.facts.literature import FACTS, documented
from rnnjax.settings import Spec


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "sigmoid"])
def test_torch_takes_what_is_documented(nonlinearity: str) -> None:
    torch = pytest.importorskip("torch")
    taken = True
    try:
        torch.nn.RNN(1, 2, nonlinearity=nonlinearity)
    except ValueError:
        taken = False
    assert taken == FACTS[f"torch_takes_{nonlinearity}"]


def test_facts_need_no_network() -> None:
    facts = documented(Spec(), None)  # type: ignore[arg-type]
    assert facts.values == FACTS
    assert all(metric.source for metric in facts.metrics.values())

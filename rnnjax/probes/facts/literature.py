"""Facts of documentation and literature: not measured here, so that claims that depend on them can be judged."""

from rnnjax.settings import Spec
from rnnjax.settings.metrics import SHARE, Metric
from rnnjax.types import Facts, Task

FACTS = {
    "torch_takes_tanh": 1.0,
    "torch_takes_relu": 1.0,
    "torch_takes_sigmoid": 0.0,
    "glorot_recurrent": 0.0,
    "he_recurrent": 0.0,
}

TORCH_SOURCE = "documentation of torch.nn.RNN, torch 2.13"
LITERATURE_METRICS = {
    **{
        f"torch_takes_{name}": Metric(
            f'1 if `torch.nn.RNN(nonlinearity="{name}")` is accepted, 0 if it is a ValueError',
            source=TORCH_SOURCE,
            looked_up=True,
            range=SHARE,
        )
        for name in ("tanh", "relu", "sigmoid")
    },
    "glorot_recurrent": Metric(
        "1 if the initialisation of Glorot and Bengio was derived for or tested on recurrent networks, else 0",
        source="Glorot and Bengio 2010, AISTATS 9:249",
        looked_up=True,
        range=SHARE,
    ),
    "he_recurrent": Metric(
        "1 if the initialisation of He et al. was derived for or tested on recurrent networks, else 0",
        source="He et al. 2015, arXiv:1502.01852",
        looked_up=True,
        range=SHARE,
    ),
}


def documented(spec: Spec, task: Task) -> Facts:
    """FACTS: 1 where a statement of LITERATURE_METRICS holds, else 0. tests/probes/test_literature.py tries torch's."""
    del spec, task
    return Facts(FACTS, LITERATURE_METRICS)

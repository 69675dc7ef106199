"""What stands in the documentation and the literature: nothing is measured, so that a statement can be judged by it."""

from rnnjax.probes.facts.constant import fixed
from rnnjax.settings import Spec
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
    return fixed(FACTS)

"""A network against the outputs of its source: the slip in its weights is named, and a right one gets no alarm."""

import numpy as np
import pytest

import rnnjax as rj
from benchmarks.doctor.abroad import weights
from rnnjax.errors import BadInput

CASES = {case.name: case for case in weights.CASES}
QUICK = ("gates_of_keras",)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_the_slip_is_named_first(name: str) -> None:
    found = CASES[name].build()
    assert [finding.name for finding in found.findings][:1] == ([CASES[name].expected] if CASES[name].expected else [])
    if name == "gates_of_keras":
        assert "are those of update, reset, new" in found.findings[0].remark


def test_a_reference_of_another_shape_or_network_is_refused() -> None:
    network = rj.from_torch({"weight_ih": np.ones((4, 3)), "weight_hh": np.ones((4, 4))})
    x, y = np.zeros((5, 2, 3), np.float32), np.zeros((5, 2, 4), np.float32)
    with pytest.raises(BadInput, match=r"^reference: got shape \[5, 2, 3\]; expected \[5, 2, 4\], time first$"):
        rj.examine(network, (x, y), reference=x)
    with pytest.raises(BadInput, match=r"^examine: got an imported network without a batch; expected batch"):
        rj.examine(network)
    with pytest.raises(BadInput, match=r"^reference: got one for function; expected a Spec"):
        rj.examine(lambda p, c, x: (c, x @ p["w"]), {"w": np.ones((3, 4))}, (x, y), carry=y[0], reference=y)

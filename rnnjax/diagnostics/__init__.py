"""What can be measured on a network, its gradients and the texts it writes.

A probe is a factory (spec, task) -> `types.Probe`, entered in `PROBES`.
"""

from collections.abc import Callable

from rnnjax.diagnostics.gradients import gradients, jacobian
from rnnjax.diagnostics.outputs import validation
from rnnjax.diagnostics.spectrum import spectrum
from rnnjax.diagnostics.text import text
from rnnjax.settings import Spec
from rnnjax.types import Probe, Task

PROBES: dict[str, Callable[[Spec, Task], Probe]] = {
    "spectrum": spectrum,
    "gradients": gradients,
    "jacobian": jacobian,
    "validation": validation,
    "text": text,
}

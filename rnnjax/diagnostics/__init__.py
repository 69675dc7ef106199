"""What can be measured on a network, its gradients and the texts it writes.

A probe is a factory (spec, task) -> `types.Probe`, entered in `PROBES`.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import jax
import numpy as np

from rnnjax.diagnostics.batches import batches
from rnnjax.diagnostics.by_position import by_position
from rnnjax.diagnostics.categories import categories
from rnnjax.diagnostics.closed_loop import closed_loop
from rnnjax.diagnostics.corpus import corpus
from rnnjax.diagnostics.coverage import coverage
from rnnjax.diagnostics.cycles import cycles
from rnnjax.diagnostics.decoders import decoders
from rnnjax.diagnostics.documented import documented
from rnnjax.diagnostics.exposure import exposure
from rnnjax.diagnostics.gradients import gradients, jacobian
from rnnjax.diagnostics.memory import memory
from rnnjax.diagnostics.novel_words import novel_words
from rnnjax.diagnostics.outputs import validation
from rnnjax.diagnostics.passes import passes
from rnnjax.diagnostics.readout import readout
from rnnjax.diagnostics.reservoir import capacity, echo, growth
from rnnjax.diagnostics.responses import responses
from rnnjax.diagnostics.spectrum import spectrum
from rnnjax.diagnostics.text import text
from rnnjax.diagnostics.units import identities, units
from rnnjax.diagnostics.updates import updates
from rnnjax.errors import NotApplicable
from rnnjax.settings import HParams, Spec
from rnnjax.train import init
from rnnjax.types import Probe, Task

PROBES: dict[str, Callable[[Spec, Task], Probe]] = {
    "spectrum": spectrum,
    "gradients": gradients,
    "jacobian": jacobian,
    "validation": validation,
    "text": text,
    "memory": memory,
    "readout": readout,
    "capacity": capacity,
    "echo": echo,
    "growth": growth,
    "units": units,
    "identities": identities,
    "corpus": corpus,
    "updates": updates,
    "passes": passes,
    "coverage": coverage,
    "by_position": by_position,
    "categories": categories,
    "novel_words": novel_words,
    "exposure": exposure,
    "decoders": decoders,
    "cycles": cycles,
    "closed_loop": closed_loop,
    "responses": responses,
    "batches": batches,
    "documented": documented,
}


def applicable(names: Iterable[str], spec: Spec, task: Task) -> dict[str, Probe]:
    """The probes of these names, without those that have nothing to look at in such a network or task."""
    found = {}
    for name in names:
        try:
            found[name] = PROBES[name](spec, task)
        except NotApplicable:
            continue
    return found


def outline(probe: Probe, spec: Spec) -> dict[str, np.ndarray]:
    """What a look at one run gives, [1, ...], with meaningless numbers: nothing is compiled to know its shape."""
    scalars = (jax.ShapeDtypeStruct((), np.uint32 if name == "seed" else np.float32) for name in HParams._fields)
    hp: Any = HParams._make(scalars)
    state = jax.eval_shape(partial(init, spec), hp)
    shapes = jax.eval_shape(probe.measure, state, hp, jax.ShapeDtypeStruct((), np.int32))
    return probe.summarise(jax.tree.map(lambda leaf: np.ones((1, *leaf.shape), leaf.dtype), shapes))

"""Measurements on a network between two chunks of training. A probe is a factory (spec, task) -> `types.Probe`, or
`types.Facts` where no network determines the values.

May import: the root modules, `networks`, `tasks` and `training`. No files, clocks, prints or global random state.
Begin reading: `PROBES` below, then `dynamics/spectrum.py` as an example.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

from rnnjax.errors import NotApplicable
from rnnjax.probes.dynamics.dimension import dimension
from rnnjax.probes.dynamics.fixed_points import fixed_points
from rnnjax.probes.dynamics.gradients import gradients, jacobian
from rnnjax.probes.dynamics.lyapunov import lyapunov
from rnnjax.probes.dynamics.reservoir import capacity, echo, growth
from rnnjax.probes.dynamics.spectrum import spectrum
from rnnjax.probes.dynamics.units import identities, units
from rnnjax.probes.facts.corpus import corpus
from rnnjax.probes.facts.literature import documented
from rnnjax.probes.generation.cycles import cycles
from rnnjax.probes.generation.decoders import decoders
from rnnjax.probes.generation.exposure_bias import exposure
from rnnjax.probes.generation.free_running import text
from rnnjax.probes.memory.linear_readout import readout
from rnnjax.probes.memory.symbol_recall import memory
from rnnjax.probes.optimization.clipping import updates
from rnnjax.probes.optimization.epoch_direction import passes
from rnnjax.probes.optimization.gradient_coverage import coverage
from rnnjax.probes.prediction.classes import classes
from rnnjax.probes.prediction.loss_by_position import by_position
from rnnjax.probes.prediction.validation import validation
from rnnjax.probes.series.batch_mixing import batches
from rnnjax.probes.series.closed_loop import closed_loop
from rnnjax.probes.series.sensitivity import responses
from rnnjax.probes.words.categories import categories
from rnnjax.probes.words.novel_words import novel_words
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.settings.metrics import Metric
from rnnjax.tasks import TASKS
from rnnjax.tasks.sequences.arrays import raw_from_lists
from rnnjax.training.state import init_state
from rnnjax.types import Facts, Probe, Task

PROBES: dict[str, Callable[[Spec, Task], Probe | Facts]] = {
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
    "lyapunov": lyapunov,
    "fixed_points": fixed_points,
    "dimension": dimension,
    "classes": classes,
}


SEQUENCE_PROBES = (
    "spectrum",
    "validation",
    "classes",
    "identities",
    "documented",
    "lyapunov",
    "fixed_points",
    "dimension",
)  # those of a set of sequences


def build_probe(name: str, spec: Spec, task: Task) -> Probe | Facts:
    """The probe of a name. Raises NotApplicable for a network or task that it does not apply to; BadInput."""
    if task.sequences is not None and name not in SEQUENCE_PROBES:
        expected = "one stream of data; of sequences there are " + ", ".join(SEQUENCE_PROBES)
        raise NotApplicable(f"task.name: got '{spec.task.name}' with the probe '{name}'; expected {expected}")
    return PROBES[name](spec, task)


def applicable(names: Iterable[str], spec: Spec, task: Task) -> dict[str, Probe | Facts]:
    """The probes of these names, without those that are not applicable to such a network or task."""
    found = {}
    for name in names:
        try:
            found[name] = build_probe(name, spec, task)
        except NotApplicable:
            continue
    return found


def outline(probe: Probe | Facts, spec: Spec) -> dict[str, np.ndarray]:
    """The shapes and dtypes of the values [1, ...] of one run, with meaningless numbers; nothing is compiled."""
    if isinstance(probe, Facts):
        return {name: np.full(1, value) for name, value in probe.values.items()}
    scalars = (jax.ShapeDtypeStruct((), np.uint32 if name == "seed" else np.float32) for name in HParams._fields)
    hp: Any = HParams._make(scalars)
    state = jax.eval_shape(partial(init_state, spec), hp)
    shapes = jax.eval_shape(probe.measure, state, hp, jax.ShapeDtypeStruct((), np.int32))
    return probe.summarise(jax.tree.map(lambda leaf: np.ones((1, *leaf.shape), leaf.dtype), shapes))


EXAMPLES = (
    Spec(task=TaskSpec(extra_letters="jxz"), layers=2, window=16),
    Spec(cell="lstm", task=TaskSpec(name="text"), window=16),
    Spec(task=TaskSpec(name="series"), window=16),
    Spec(task=TaskSpec(name="recall"), window=16),
    Spec(task=TaskSpec(name="sequences", path="a.npz"), window=4),
)
EXAMPLE_SOURCES = {"sequences": raw_from_lists([np.zeros((4, 2))] * 90, ["CLASS", "OTHER"] * 45)}  # else: included data


def all_metrics() -> dict[str, dict[str, Metric]]:
    """The metrics of every probe by its name, those of all EXAMPLES together. Nothing is compiled."""
    found: dict[str, dict[str, Metric]] = {name: {} for name in PROBES}
    for example in EXAMPLES:
        task = TASKS[example.task.name](example.task, EXAMPLE_SOURCES.get(example.task.name))
        spec = replace(example, inputs=task.inputs, outputs=task.outputs, loss=task.loss)
        for name, probe in applicable(PROBES, spec, task).items():
            found[name] |= probe.metrics
    return found

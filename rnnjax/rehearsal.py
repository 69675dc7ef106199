"""A study on shapes alone, before its folder is made: does every text fit, is every metric there, how large will it be.

Nothing is compiled; what would be a mistake found after hours of training is one line after a second.
"""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnjax import sweep, train
from rnnjax.diagnostics import PROBES
from rnnjax.errors import BadInput
from rnnjax.losses import UNITS
from rnnjax.results import curve_metrics, thresholds
from rnnjax.settings import HParams, Spec
from rnnjax.study import Arm, Study
from rnnjax.tasks.windows import held_out_window, task_windows
from rnnjax.train import Row
from rnnjax.types import Task

KEPT_STEPS = 4  # checkpoints on the disk at once: three, and the one being written


class Rehearsed(NamedTuple):
    """What one program will leave behind."""

    bytes_per_run: int  # of one checkpoint
    probes: dict[str, np.ndarray]  # name -> the values [1, ...] that one look gives, with meaningless numbers


def rehearse(spec: Spec, task: Task, probes: Sequence[str], points: int) -> Rehearsed:
    """Trace a program and its probes, which are looked at `points` times.

    Raises:
        BadInput: the task's text is too short for a window or a probe.
    """
    task_windows(task, task.train_N, spec.batch, spec.window)
    if spec.check_every:
        held_out_window(task, spec.window, spec.carry == "carried")
    hp = jax.tree.map(lambda leaf: leaf[0], sweep.batched([sweep.Run(0, spec, HParams())]))
    state = jax.eval_shape(partial(train.init, spec), hp)
    seen: dict[str, np.ndarray] = {}
    for name in probes:
        seen |= look(name, spec, task, state, hp)
    rows = -(-spec.steps // spec.record_every)
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    return Rehearsed(size + 4 * len(Row._fields) * rows + points * sum(value.nbytes for value in seen.values()), seen)


def look(name: str, spec: Spec, task: Task, state: Any, hp: HParams) -> dict[str, np.ndarray]:
    """A probe's values on a network that is all ones."""
    try:
        probe = PROBES[name](spec, task)
    except BadInput as error:
        raise BadInput(f"probes.{name}: {error}") from None
    shapes = jax.eval_shape(probe.measure, state, hp, np.int32(0))
    return probe.summarise(jax.tree.map(lambda leaf: np.ones((1, *leaf.shape), leaf.dtype), shapes))


def disk_bytes(study: Study, rehearsed: dict[Spec, Rehearsed]) -> int:
    """What the checkpoints of a study take at most."""
    per_seed = sum(rehearsed[arm.spec.program].bytes_per_run for arm in study.arms)
    return KEPT_STEPS * len(study.seeds) * per_seed


def check_metrics(study: Study, rehearsed: dict[Spec, Rehearsed]) -> None:
    """Raises BadInput for a statement, question, advice or figure about a metric that its arms do not have."""
    for where, metric, arms in asked(study):
        for arm in study.arms:
            if any(fnmatchcase(arm.name, pattern) for pattern in arms):
                check_metric(where, metric, known_metrics(study, arm, rehearsed[arm.spec.program]))


def asked(study: Study) -> Iterator[tuple[str, str, list[str]]]:
    """(where, metric, arms) of all that is asked of the numbers of a study; `form:metric` for what figures draw."""
    file = study.file
    for claim in file.claims:
        for reading in claim.readings:
            arms = reading.arms + reading.against
            yield f"claims.{claim.id}", reading.metric, arms
            if reading.explained_by:
                yield f"claims.{claim.id}", reading.explained_by, arms
    yield from (("questions", question.metric, question.arms) for question in file.questions)
    yield from (("advice", advice.metric, advice.arms) for advice in file.advice)
    for figure in file.figures:
        yield "figures", figure.metric if figure.form == "interval" else f"{figure.form}:{figure.metric}", figure.arms


def known_metrics(study: Study, arm: Arm, rehearsed: Rehearsed) -> set[str]:
    """What may be asked of an arm; a name that ends in "@" wants a step after it."""
    of_rank = [{name for name, values in rehearsed.probes.items() if values.ndim == rank} for rank in (1, 2)]
    ending = curve_metrics(np.ones((1, 1)), np.ones((1, 1)), np.ones(1), thresholds(UNITS[arm.spec.loss]))
    drawn = study.file.draws is not None and any(fnmatchcase(arm.name, pattern) for pattern in study.file.draws.arms)
    return {
        *ending,
        *(["drawn_radius"] if drawn else []),
        *of_rank[0],
        *(f"{name}@" for name in of_rank[0]),
        *(f"curve:{name}" for name in Row._fields),
        *(f"probe:{name}" for name in of_rank[0]),
        *(f"lag:{name}" for name in of_rank[1]),
    }


def check_metric(where: str, metric: str, known: set[str]) -> None:
    name, at, step = metric.partition("@")
    if name + at not in known or (at and not step.isdecimal()):
        wanted = name.partition(":")[0] + ":" if ":" in name else ""
        names = [other.removeprefix(wanted) for other in sorted(known) if other.startswith(wanted)]
        plain = [other for other in names if ":" not in other and not other.endswith("@")]
        raise BadInput(f"{where}: got metric {metric.removeprefix(wanted)!r}; expected one of: {', '.join(plain)}")

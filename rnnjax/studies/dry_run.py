"""A study on shapes alone, before its folder is made: does every text fit, is every metric there, how large will it be.

Nothing is compiled; what would be a mistake found after hours of training is one line after a second.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from rnnjax.analysis.results import (
    OVER_TIME,
    RISES,
    SIZES,
    ArmResult,
    curve_metrics,
    named,
    norm_metrics,
    outcome_metrics,
    seed_values,
    thresholds,
)
from rnnjax.config.schema import Arm, Study
from rnnjax.errors import BadInput, NotApplicable
from rnnjax.probes import PROBES, outline
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import held_out_window, task_windows
from rnnjax.training import parallel as sweep
from rnnjax.training import step as train
from rnnjax.training.losses import UNITS
from rnnjax.training.step import Row
from rnnjax.types import Task

KEPT_STEPS = 4  # checkpoints on the disk at once: three, and the one being written


class Rehearsed(NamedTuple):
    """What one program will leave behind."""

    bytes_per_run: int  # of one checkpoint
    probes: dict[str, np.ndarray]  # name -> the values [1, ...] that one look gives, with meaningless numbers
    levels: dict[str, float]  # of the task's loss
    refused: dict[str, str]  # probe -> why it has nothing to look at in this program


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
    refused: dict[str, str] = {}
    for name in probes:
        try:
            seen |= look(name, spec, task)
        except NotApplicable as error:
            refused[name] = str(error)
    rows = -(-spec.steps // spec.record_every)
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    kept = 4 * len(Row._fields) * rows + points * sum(value.nbytes for value in seen.values())
    return Rehearsed(size + kept, seen, task.levels, refused)


def check_probes(rehearsed: Iterable[Rehearsed]) -> None:
    """Raises BadInput for a probe that no program of the study can have."""
    first, *others = [program.refused for program in rehearsed]
    for name, why in first.items():
        if all(name in refused for refused in others):
            raise BadInput(why)


def look(name: str, spec: Spec, task: Task) -> dict[str, np.ndarray]:
    """The outline of a probe's values."""
    try:
        return outline(PROBES[name](spec, task), spec)
    except BadInput as error:
        raise type(error)(f"probes.{name}: {error}") from None


def disk_bytes(study: Study, rehearsed: dict[Spec, Rehearsed]) -> int:
    """What the checkpoints of a study take at most."""
    runs = (len(arm.seeds(study.seeds)) * rehearsed[arm.spec.program].bytes_per_run for arm in study.arms)
    return KEPT_STEPS * sum(runs)


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
            arms = reading.patterns()
            compared = reading.arms if reading.against_metric else arms
            yield f"claims.{claim.id}", reading.metric, compared
            for metric in filter(None, [reading.explained_by, reading.given, *reading.beside]):
                yield f"claims.{claim.id}", metric, arms
            if reading.against_metric:
                yield f"claims.{claim.id}", reading.against_metric, reading.against
    if file.nearest:
        yield from (("nearest", number.metric, number.arms) for number in file.nearest.numbers)
    yield from (("tables", metric, table.arms) for table in file.tables for metric in table.metrics)
    yield from (("contradictions", one.metric, one.arms) for one in file.contradictions)
    yield from (("questions", question.metric, question.arms) for question in file.questions)
    yield from (("advice", advice.metric, advice.arms) for advice in file.advice)
    if file.explorer:
        yield from (("explorer", metric, file.explorer.arms) for metric in file.explorer.metrics)
    for figure in file.figures:
        yield "figures", figure.metric if figure.form == "interval" else f"{figure.form}:{figure.metric}", figure.arms


def known_metrics(study: Study, arm: Arm, rehearsed: Rehearsed) -> set[str]:
    """What may be asked of an arm; a name that ends in "@" wants a step after it."""
    of_rank = [{name for name, values in rehearsed.probes.items() if values.ndim == rank} for rank in (1, 2)]
    ending = curve_metrics(np.ones((1, 1)), np.ones((1, 1)), np.ones(1), thresholds(UNITS[arm.spec.loss]))
    ending |= outcome_metrics(np.ones(1), rehearsed.levels) | norm_metrics(np.ones((1, 1)))
    drawn = study.file.draws is not None and any(fnmatchcase(arm.name, pattern) for pattern in study.file.draws.arms)
    return {
        *ending,
        *SIZES,
        *(name for name, (needed, _) in OVER_TIME.items() if rehearsed.probes.keys() >= set(needed)),
        *(["drawn_radius"] if drawn else []),
        *of_rank[0],
        *(f"{name}@" for name in [*of_rank[0], *Row._fields, *RISES]),
        *(f"curve:{name}" for name in Row._fields),
        *(f"probe:{name}" for name in of_rank[0]),
        *(f"lag:{name}" for name in of_rank[1]),
        *(f"map:{name.removesuffix('_x')}" for name in of_rank[1] if name.endswith("_x")),
    }


def check_measured(study: Study, arms: Sequence[ArmResult]) -> None:
    """Raises BadInput for something asked of a finished study that it has not measured."""
    for where, metric, patterns in asked(study):
        for arm in named(arms, patterns):
            form, _, name = metric.rpartition(":")
            name = f"{name}_x" if form == "map" else name
            try:
                (arm.rows if form == "curve" else arm.probes)[name] if form else seed_values(arm, name)
            except KeyError:
                raise BadInput(f"{where}: {name!r} was not measured in arm {arm.name}") from None


def check_metric(where: str, metric: str, known: set[str]) -> None:
    name, at, step = metric.partition("@")
    of_record = name in (*Row._fields, *RISES)  # between two steps; a probe, at one
    right_step = re.fullmatch(r"\d+-\d+" if of_record else r"\d+", step) if at else not step
    if name + at not in known or not right_step:
        wanted = name.partition(":")[0] + ":" if ":" in name else ""
        names = [other.removeprefix(wanted) for other in sorted(known) if other.startswith(wanted)]
        plain = [other for other in names if ":" not in other and not other.endswith("@")]
        raise BadInput(f"{where}: got metric {metric.removeprefix(wanted)!r}; expected one of: {', '.join(plain)}")

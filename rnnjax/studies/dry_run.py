"""A dry run of a study on shapes alone: do the data fit, does every requested metric exist, how much disk is needed.

Nothing is compiled and nothing is written; a mistake that would surface after hours of training is one line here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from rnnjax.analysis.forecasts import forecast_metric_info
from rnnjax.analysis.predictions import prediction_metric_info
from rnnjax.analysis.results import ArmResult, per_seed, select_arms
from rnnjax.config.schema import Arm, Study
from rnnjax.errors import BadInput, NotApplicable
from rnnjax.probes import build_probe, outline
from rnnjax.settings import HParams, Spec
from rnnjax.settings.checks import nearest_first
from rnnjax.settings.metrics import Metric
from rnnjax.studies.forecasting import can_forecast
from rnnjax.studies.metrics import (
    DERIVED_METRICS,
    RISES,
    SIZES,
    curve_metrics,
    describe_values,
    loss_thresholds,
    norm_metrics,
    outcome_metrics,
    training_metrics,
)
from rnnjax.studies.plan import build_plan
from rnnjax.tasks.windows import held_out_window, training_data
from rnnjax.training.parallel import Run, stack_hparams
from rnnjax.training.state import StepMetrics, init_state
from rnnjax.types import Task

KEPT_STEPS = 4  # checkpoints on the disk at once: three, and the one being written


class DryRun(NamedTuple):
    """The outputs of one program, known from shapes alone."""

    bytes_per_run: int  # of one checkpoint
    probes: dict[str, np.ndarray]  # name -> the values [1, ...] of one run, with meaningless numbers
    metrics: dict[str, Metric]  # a description of each
    reference_losses: dict[str, float]  # of the task
    refused: dict[str, str]  # probe -> why it has nothing to look at in this program
    forecasts: Mapping[str, Metric] = {}  # of a series, or of predictions of sequences


def dry_run(spec: Spec, task: Task, probes: Sequence[str], points: int) -> DryRun:
    """Trace a program and its probes, which are taken at `points` steps.

    Raises:
        BadInput: the task's text is too short for a window or a probe.
    """
    training_data(task, spec)
    if spec.validate_every:
        held_out_window(task, spec.window, spec.carry == "carried")
    hp = jax.tree.map(lambda leaf: leaf[0], stack_hparams([Run(0, spec, HParams())]))
    state = jax.eval_shape(partial(init_state, spec), hp)
    values: dict[str, np.ndarray] = {}
    metrics: dict[str, Metric] = {}
    refused: dict[str, str] = {}
    for name in probes:
        try:
            of_probe, described = probe_outline(name, spec, task)
            check_distinct(name, of_probe.keys() & values.keys())
            values, metrics = values | of_probe, metrics | described
        except NotApplicable as error:
            refused[name] = str(error)
    rows = -(-spec.steps // spec.log_every)
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    kept = 4 * len(StepMetrics._fields) * rows + points * sum(value.nbytes for value in values.values())
    return DryRun(size + kept, values, metrics, task.reference_losses, refused, forecast_metrics_of(spec, task))


def forecast_metrics_of(spec: Spec, task: Task) -> dict[str, Metric]:
    """The metrics of the forecasts of a series, or of the predictions of sequences; none for another task."""
    if task.sequences is not None:
        parts = task.sequences
        classes = parts.classes or (tuple(map(str, range(task.outputs))) if task.loss == "cross_entropy" else ())
        return prediction_metric_info(parts.predict, classes, parts.columns)
    if task.series is None or task.layout is None or not can_forecast(spec, task):
        return {}
    return forecast_metric_info(task.series.columns[: task.layout.targets], task.layout.horizon)


def check_distinct(probe: str, twice: set[str]) -> None:
    """Raises BadInput for a probe with a value that another probe of the study has under the same name."""
    if twice:
        names = ", ".join(sorted(twice))
        raise BadInput(f"probes.{probe}: another probe measures {names} too; expected one of the two")


def check_probes(rehearsed: Iterable[DryRun]) -> None:
    """Raises BadInput for a probe that no program of the study can have."""
    first, *others = [program.refused for program in rehearsed]
    for name, why in first.items():
        if all(name in refused for refused in others):
            raise BadInput(why)


def probe_outline(name: str, spec: Spec, task: Task) -> tuple[dict[str, np.ndarray], dict[str, Metric]]:
    """The outline of a probe's values, and their descriptions."""
    try:
        probe = build_probe(name, spec, task)
        values = outline(probe, spec)
        return values, describe_values(probe, values)
    except BadInput as error:
        raise type(error)(f"probes.{name}: {error}") from None


def required_disk_bytes(study: Study, rehearsed: dict[Spec, DryRun]) -> int:
    """Upper bound of the disk space of a study's checkpoints."""

    def checkpoints(arm: Arm) -> int:
        return len(build_plan(study, arm.spec).saves) + 1 if study.file.keep == "all" else KEPT_STEPS

    sizes = ((arm, len(arm.seeds(study.seeds)) * rehearsed[arm.spec.program].bytes_per_run) for arm in study.arms)
    return sum(checkpoints(arm) * size for arm, size in sizes)


def check_metrics(study: Study, rehearsed: dict[Spec, DryRun]) -> None:
    """Raises BadInput for a statement, question, advice or figure about a metric that its arms do not have."""
    for where, metric, arms in requested_metrics(study):
        for arm in study.arms:
            if any(fnmatchcase(arm.name, pattern) for pattern in arms):
                check_metric(where, metric, available_metrics(study, arm, rehearsed[arm.spec.program]))


def metric_ranges(study: Study, rehearsed: dict[Spec, DryRun]) -> dict[str, dict[str, tuple[float, float]]]:
    """The range of each metric of each arm whose definition sets one: arm -> metric -> range."""
    training, programs = training_metrics(), {arm.name: rehearsed[arm.spec.program] for arm in study.arms}
    return {
        name: {
            metric: known.range
            for metric, known in (training | program.metrics | dict(program.forecasts)).items()
            if known.range is not None
        }
        for name, program in programs.items()
    }


def requested_metrics(study: Study) -> Iterator[tuple[str, str, list[str]]]:
    """(where, metric, arms) of all that is asked of the numbers of a study; `form:metric` for what figures draw."""
    file = study.file
    for claim in file.claims:
        for criterion in claim.criteria:
            arms = criterion.patterns()
            compared = criterion.arms if criterion.compared_metric else arms
            yield f"claims.{claim.id}", criterion.metric, compared
            for metric in filter(None, [criterion.explained_by, criterion.controlling_for, *criterion.other_metrics]):
                yield f"claims.{claim.id}", metric, arms
            if criterion.compared_metric:
                yield f"claims.{claim.id}", criterion.compared_metric, criterion.compared_to
    if file.conventions:
        yield from (("conventions", number.metric, number.arms) for number in file.conventions.numbers)
    yield from (("tables", metric, table.arms) for table in file.tables for metric in table.metrics)
    yield from (("contradictions", one.metric, one.arms) for one in file.contradictions)
    yield from (("questions", question.metric, question.arms) for question in file.questions)
    yield from (("advice", advice.metric, advice.arms) for advice in file.advice)
    if file.explorer:
        yield from (("explorer", metric, file.explorer.arms) for metric in file.explorer.metrics)
    for figure in file.figures:
        plain = figure.form in ("interval", "scatter", "setting")
        yield "figures", figure.metric if plain else f"{figure.form}:{figure.metric}", figure.arms
        if figure.form == "scatter":
            yield "figures.along", figure.along, figure.arms


def available_metrics(study: Study, arm: Arm, program: DryRun) -> set[str]:
    """All metrics that a study may request of an arm; a name that ends in "@" wants a step after it."""
    scalars, lags, maps = (
        {name for name, metric in program.metrics.items() if metric.kind == kind} for kind in ("scalar", "lag", "map")
    )
    ending = curve_metrics(np.ones((1, 1)), np.ones((1, 1)), np.ones(1), loss_thresholds(arm.spec.loss))
    ending |= outcome_metrics(np.ones(1), program.reference_losses) | norm_metrics(np.ones((1, 1)))
    drawn = study.file.initial_statistics is not None and any(
        fnmatchcase(arm.name, pattern) for pattern in study.file.initial_statistics.arms
    )
    return {
        *ending,
        *SIZES,
        *program.forecasts,
        *(name for name, (needed, _) in DERIVED_METRICS.items() if program.probes.keys() >= set(needed)),
        *(["drawn_radius"] if drawn else []),
        *scalars,
        *(f"{name}@" for name in [*scalars, *StepMetrics._fields, *RISES]),
        *(f"curve:{name}" for name in StepMetrics._fields),
        *(f"probe:{name}" for name in scalars),
        *(f"lag:{name}" for name in lags),
        *(f"{form}:{name}" for form in ("map", "portrait") for name in maps),
    }


def check_recorded(study: Study, arms: Sequence[ArmResult]) -> None:
    """Raises BadInput for a metric requested of a finished study that it did not record."""
    for where, metric, patterns in requested_metrics(study):
        for arm in select_arms(arms, patterns):
            form, _, name = metric.rpartition(":")
            try:
                (arm.rows if form == "curve" else arm.probes)[name] if form else per_seed(arm, name)
            except KeyError:
                raise BadInput(f"{where}: {name!r} was not measured in arm {arm.name}") from None


def check_metric(where: str, metric: str, known: set[str]) -> None:
    name, at, step = metric.partition("@")
    of_record = name in (*StepMetrics._fields, *RISES)  # between two steps; a probe, at one
    right_step = re.fullmatch(r"\d+-\d+" if of_record else r"\d+", step) if at else not step
    if name + at not in known or not right_step:
        wanted = name.partition(":")[0] + ":" if ":" in name else ""
        names = [other.removeprefix(wanted) for other in sorted(known) if other.startswith(wanted)]
        plain = [other for other in names if ":" not in other and not other.endswith("@")]
        listed = ", ".join(nearest_first(name.removeprefix(wanted), plain))
        raise BadInput(f"{where}: got metric {metric.removeprefix(wanted)!r}; expected one of: {listed}")

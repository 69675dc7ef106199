"""The one door for checks: every study, from a file, the command line or Python, becomes a `Prepared` here."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from rnnjax.config.schema import Arm, Study
from rnnjax.errors import BadInput
from rnnjax.networks.initializers import distribution
from rnnjax.settings import Spec, TaskSpec
from rnnjax.studies.criteria import check_attainable
from rnnjax.studies.datasets import load_tasks
from rnnjax.studies.dry_run import check_metrics, check_probes, dry_run, metric_ranges, required_disk_bytes
from rnnjax.studies.fine_tuning import check_source, with_source
from rnnjax.studies.plan import build_plan
from rnnjax.studies.validation import check_names
from rnnjax.training.parallel import block_width
from rnnjax.types import Task

RESOLVED = ("inputs", "outputs", "loss", "block")  # settings that follow from the data


class Prepared(NamedTuple):
    """A study in which no mistake is left that can be found without training."""

    study: Study
    tasks: dict[TaskSpec, Task]
    warnings: list[str]  # about the user's texts
    disk_bytes: int


def prepare_study(study: Study) -> Prepared:
    """Check names, data, sizes and metrics; nothing is written and nothing is compiled. Raises BadInput."""
    check_names(study)
    tasks, warnings = load_study_tasks(study)
    study = with_source(resolve_sizes(study, tasks))
    check_distributions(study)
    warnings = [*warnings, *check_source(study, tasks)]
    programs = {
        spec: dry_run(spec, tasks[spec.task], list(study.file.probes), len(build_plan(study, spec).probe_steps))
        for spec in dict.fromkeys(arm.spec.program for arm in study.arms)
    }
    if study.complete:  # a probe of arms that were left out may be impossible in those that remain
        check_probes(programs.values())
    check_metrics(study, programs)
    check_attainable(study, metric_ranges(study, programs))
    return Prepared(study, tasks, warnings, required_disk_bytes(study, programs))


def check_distributions(study: Study) -> None:
    """Raises BadInput for two arms that start from one distribution and differ in nothing else: one counted as two."""
    first: dict[Any, Arm] = {}
    for arm in study.arms:
        spec, hp = arm.spec, arm.hp
        width = spec.hidden * (1 + spec.bidirectional)
        shapes = ((spec.inputs, spec.hidden), (width, spec.hidden), (width, spec.outputs))  # readout included
        kernels = tuple(distribution(spec.kernel_initializer, shape, hp.kernel_gain) for shape in shapes)
        recurrent = distribution(spec.recurrent_initializer, (spec.hidden, spec.hidden), hp.recurrent_gain)
        key = (spec.program, spec.gate_biases, kernels, recurrent, hp._replace(kernel_gain=1.0, recurrent_gain=1.0))
        other = first.setdefault(key, arm)
        if other is not arm:
            kind, scale = recurrent
            raise BadInput(
                f"axes: arms {other.name!r} and {arm.name!r} start from the same distributions (recurrent kernel: "
                f"{kind}, scale {scale:g}, at hidden = {spec.hidden}); expected different arms"
            )


def check_ids(spec: Spec, ids: bool) -> None:
    """Raises BadInput for an embedding of sequences of numbers. Args: ids: the sequences are texts."""
    if spec.embedding and not ids:
        raise BadInput(f"embedding: got {spec.embedding}; expected 0: these sequences are numbers, not texts")


def load_study_tasks(study: Study) -> tuple[dict[TaskSpec, Task], list[str]]:
    """The tasks of a study, each made once, and warnings about their texts. Raises BadInput."""
    return load_tasks(arm.spec.task for arm in study.arms)


def resolve_sizes(study: Study, tasks: dict[TaskSpec, Task]) -> Study:
    """The study with the sizes that its tasks have, and the width of its blocks."""

    def resolve(arm: Arm) -> Arm:
        task = tasks[arm.spec.task]
        spec = replace(arm.spec, inputs=task.inputs, outputs=task.outputs, loss=task.loss)
        if task.sequences is not None:
            spec = replace(spec, window=task.sequences.lengths[-1])
            check_ids(spec, np.issubdtype(task.sequences.train.inputs_R.dtype, np.integer))
        return arm._replace(spec=replace(spec, block=block_width(spec)))

    arms = [resolve(arm) for arm in study.arms]
    resolved = {
        arm.name: study.config["arms"][arm.name] | {name: getattr(arm.spec, name) for name in (*RESOLVED, "window")}
        for arm in arms
    }
    return study._replace(arms=arms, config=study.config | {"arms": resolved})

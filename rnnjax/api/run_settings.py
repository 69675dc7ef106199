"""Settings and data of runs without a study: the same checks as those of a study, before anything is compiled."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnjax.api.arguments import plain, python_names
from rnnjax.config.arms import seed_list
from rnnjax.config.load import check_size, resolved_settings
from rnnjax.config.schema import Arm, Study, StudyFile
from rnnjax.errors import BadInput
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.studies.datasets import load_tasks
from rnnjax.studies.dry_run import dry_run
from rnnjax.studies.prepare import resolve_sizes
from rnnjax.studies.validation import check_names
from rnnjax.training.parallel import Run
from rnnjax.types import Task

ARM = "run"  # name of the only arm


class RunSettings(NamedTuple):
    """One arm with its seeds and data, checked."""

    spec: Spec  # with the sizes of the data
    hp: HParams
    task: Task
    seeds: list[int]

    def runs(self) -> list[Run]:
        """A run for each seed."""
        return [Run(0, self.spec, self.hp._replace(seed=seed)) for seed in self.seeds]


def check_run(
    spec: Spec, hp: HParams | None, task: Task | TaskSpec | None, seeds: int | Sequence[int] = 1
) -> RunSettings:
    """The settings with the sizes that the data have.

    Args:
        task: None = that of `spec.task`. seeds: how many, from 42 on, or which.

    Raises: BadInput for a name that no table has, settings that contradict each other, or data that do not fit.
    """
    hp = HParams() if hp is None else hp
    check_types(spec, hp, task)
    hp = plain_hparams(hp)
    with python_names():
        data = task if isinstance(task, Task) else load_tasks([task or spec.task])[0][task or spec.task]
        settings = data.settings if isinstance(task, Task) else task
        spec = replace(spec, task=settings or spec.task)
        file = StudyFile(question=ARM, seeds=plain(seeds))
        study = Study(ARM, file, [Arm(ARM, {}, spec, hp)], seed_list(file, "train"), {})
        study = study._replace(config=resolved_settings(study))
        check_size(study, "train")
        check_names(study)
        sized = resolve_sizes(study, {spec.task: data}).arms[0].spec
        dry_run(sized, data, [], 0)
    return RunSettings(sized, hp, data, study.seeds)


def plain_hparams(hp: HParams) -> HParams:
    """The hyperparameters as numbers of Python, checked. Raises: BadInput for arrays of several, or traced ones."""
    for name, value in hp._asdict().items():
        if np.ndim(value) or isinstance(value, jax.core.Tracer):
            found = f"an array of shape {np.shape(value)}" if np.ndim(value) else "a traced value"
            raise BadInput(f"hp.{name}: got {found}; expected a number; batches of them are for make_train")
    return HParams(**{name: value.item() if hasattr(value, "item") else value for name, value in hp._asdict().items()})


def check_types(spec: Any, hp: Any, task: Any) -> None:
    """Raises: BadInput for arguments in another order, or of another kind."""
    expected: dict[str, tuple[Any, Any]] = {
        "spec": (spec, Spec),
        "hp": (hp, HParams),
        "task": (task, Task | TaskSpec | None),
    }
    for name, (value, kind) in expected.items():
        if not isinstance(value, kind):
            words = {"spec": "Spec", "hp": "HParams"}.get(name, "Task, as of text_task(...)")
            raise BadInput(f"{name}: got {type(value).__name__}; expected {words}")

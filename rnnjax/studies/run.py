"""A study from its description to its report: the story of the program.

    prepare_study checks everything -> open_run takes the folder -> each group of runs is trained and leaves its
    metrics file -> analyse judges the statements and writes the report -> DONE

Bitwise promises (a run in any company, after any kill) come from `training.parallel` and `group`; this is their order.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnnjax.analysis.results import Results, select_arms
from rnnjax.config.schema import Arm, Study
from rnnjax.errors import AllDiverged
from rnnjax.probes.dynamics.spectrum import eigenvalue_moduli, recurrent_kernels
from rnnjax.reports.document import Statement
from rnnjax.settings import TaskSpec
from rnnjax.storage.checkpoints import Checkpoints
from rnnjax.storage.files import check_space
from rnnjax.storage.manifest import machine_fingerprint
from rnnjax.storage.run_folder import RunFolder, holds_run, open_run
from rnnjax.studies.analyse import analyse, write_study
from rnnjax.studies.callback import Callback
from rnnjax.studies.closing import closing_lines, suggest_addition
from rnnjax.studies.cluster.computed import record_computed
from rnnjax.studies.context import RunContext, stop_where_asked
from rnnjax.studies.datasets import data_hash
from rnnjax.studies.extension import extension_of
from rnnjax.studies.forecasts import write_forecasts
from rnnjax.studies.load_results import INITIAL_STATISTICS
from rnnjax.studies.predictions import write_predictions
from rnnjax.studies.prepare import prepare_study
from rnnjax.studies.progress import Clock, Display, DisplayMode, resume_command
from rnnjax.studies.reduced_runs import reduced_run_lines
from rnnjax.studies.series_files import write_series
from rnnjax.studies.signals import Interruption
from rnnjax.studies.train_groups import train_groups
from rnnjax.training import parallel
from rnnjax.types import Task

if TYPE_CHECKING:
    from rnnjax.studies.cluster.engine import Engine

Train = Callable[[RunContext, dict[TaskSpec, Task]], None]
INITIAL_SEEDS = 1_000_000  # fresh initialisations have seeds from here on, never those of runs


def run_study(
    study: Study,
    out: Path,
    resume: bool = False,
    strict: bool = False,
    own_code: str = "",
    progress: DisplayMode = "live",
    handle_signals: bool = True,
    callback: Callback | None = None,
    engine: "Engine | None" = None,
) -> None:
    """Run a study into the folder `out`, or go on with it.

    Args:
        own_code: the user's file that was run before. callback: called after each chunk of training.
        engine: of a cluster whose workers train the groups.

    Raises: every error of `errors`; nothing is written before the settings, the data and the folder are accepted.
    """
    study, tasks, warnings, disk_bytes = prepare_study(study)
    if not holds_run(out):
        check_space(out, disk_bytes)
    with (
        Display(progress) as display,
        open_run(
            *(out, study.config, machine_fingerprint(), resume, strict, display.say, data_hash(tasks)),
            extension=extension_of(study, tasks, out),
        ) as run,
        Clock.running(run.manifest.get("seconds", {})) as clock,
        Interruption(handle_signals) as interruption,
    ):
        if run.finished:
            display.say(f"{out} is finished; see {out / 'report.html'}")
            display.say(f"to go on: {resume_command(out, suggest_addition(study), own_code)}")
        else:
            run.record(**({"own_code": own_code} if own_code else {}))
            context = RunContext(study, run, display, clock, interruption, callback)
            train = partial(train_by_workers, engine=engine, strict=strict) if engine is not None else train_groups
            analysed = train_and_report(context, tasks, warnings, train)
            for line in closing_lines(*analysed, out, own_code):
                display.say(line)
        if run.manifest.get("all_diverged", False):
            raise AllDiverged(f"every run diverged; see {out / 'report.html'}")


def train_by_workers(context: RunContext, tasks: dict[TaskSpec, Task], engine: "Engine", strict: bool) -> None:
    """Have the groups trained by the workers of a cluster, then write their metrics. Raises: as `train_on_cluster`."""
    from rnnjax.studies.cluster.progress import CollectingDisplay
    from rnnjax.studies.cluster.train import train_on_cluster

    train_on_cluster(context, tasks, engine, strict)
    train_groups(context._replace(display=CollectingDisplay(context.display)), tasks)


def train_and_report(
    context: RunContext, tasks: dict[TaskSpec, Task], warnings: list[str], train: Train
) -> tuple[Results, Sequence[Statement]]:
    """Every group, then the report; only then is the folder marked as done. Args: train: trains all groups."""
    run, clock = context.run, context.clock
    for warning in [*warnings, *reduced_run_lines(context.study)]:
        context.display.say(warning)
    run.record(remarks=warnings)
    write_study(run.path, context.study)
    write_series(run, context.study, tasks)
    try:
        train(context, tasks)
        record_computed(run)
        with clock.phase("probe"):
            for write_results in (write_initial_statistics, write_forecasts, write_predictions):
                stop_where_asked(context, "stopped; all groups are trained and saved")
                write_results(run, context.study, tasks)
    finally:
        run.record(seconds=clock.seconds, compilations=clock.compilations)
    run.check_held()
    with clock.phase("report"):
        results, statements = analyse(run.path)
    run.record(seconds=clock.seconds, all_diverged=all_diverged(results))
    remove_checkpoints(run, context.study.file.keep)
    run.done()
    return results, statements


def remove_checkpoints(run: RunFolder, keep: str) -> None:
    """Only the last checkpoint of each part stays, which is also where more steps go on, unless all are to be kept.

    Raises StorageFailed.
    """
    for folder in sorted((run.path / "checkpoints").glob("*")) if keep != "all" else []:
        with Checkpoints(folder) as checkpoints:
            checkpoints.prune(1)


def all_diverged(results: Results) -> bool:
    """Whether no run of any arm has stayed finite."""
    return all(bool((arm.diverged_at >= 0).all()) for arm in results.arms)


def write_initial_statistics(run: RunFolder, study: Study, tasks: dict[TaskSpec, Task]) -> None:
    """The spectral radius of fresh initialisations, where the study asks for it. Raises StorageFailed."""
    del tasks
    requested = study.file.initial_statistics
    if requested is not None:
        chosen = select_arms(study.arms, requested.arms)
        run.write_npz(INITIAL_STATISTICS, {arm.name: initial_radius(arm, requested.count) for arm in chosen})


def initial_radius(arm: Arm, count: int) -> np.ndarray:
    """The spectral radius of `count` recurrent kernels at step 0; of the first layer's first gate."""
    runs = [parallel.Run(0, arm.spec, arm.hp._replace(seed=INITIAL_SEEDS + i)) for i in range(count)]
    kernels_RHH = next(iter(recurrent_kernels(arm.spec, parallel.init_params(runs)).values()))
    return eigenvalue_moduli(kernels_RHH).max(axis=1)

"""A study from its description to its report: the story of the program.

    prepare_study checks everything -> open_run takes the folder -> each group of runs is trained and leaves its
    metrics file -> analyse judges the statements and writes the report -> DONE

Bitwise promises (a run in any company, after any kill) come from `training.parallel` and `group`; this is their order.
"""

from pathlib import Path

import numpy as np

from rnnjax.analysis.results import Results, select_arms
from rnnjax.config.schema import Arm, Study
from rnnjax.errors import AllDiverged
from rnnjax.probes.dynamics.spectrum import kernel_spectrum, recurrent_kernels
from rnnjax.settings import TaskSpec
from rnnjax.storage.files import check_space
from rnnjax.storage.manifest import machine_fingerprint
from rnnjax.storage.run_folder import RunFolder, open_run
from rnnjax.studies.analyse import analyse, write_study
from rnnjax.studies.datasets import data_hash
from rnnjax.studies.forecasts import write_forecasts
from rnnjax.studies.group import GroupTrainer, RunContext
from rnnjax.studies.load_results import INITIAL_STATISTICS
from rnnjax.studies.prepare import prepare_study
from rnnjax.studies.progress import Clock, Display
from rnnjax.studies.series_files import write_series
from rnnjax.studies.signals import Interruption
from rnnjax.training import parallel
from rnnjax.types import Task

INITIAL_SEEDS = 1_000_000  # fresh initialisations have seeds from here on, never those of runs


def run_study(study: Study, out: Path, resume: bool = False, strict: bool = False) -> None:
    """Run a study into the folder `out`, or go on with it.

    Raises: every error of `errors`; nothing is written before the settings, the data and the folder are accepted.
    """
    study, tasks, warnings, disk_bytes = prepare_study(study)
    if not out.exists():
        check_space(out, disk_bytes)
    with (
        Display() as display,
        open_run(out, study.config, machine_fingerprint(), resume, strict, display.say, data_hash(tasks)) as run,
        Clock.running(run.manifest.get("seconds", {})) as clock,
        Interruption() as interruption,
    ):
        if run.finished:
            display.say(f"{out} is finished; see {out / 'report.html'}")
        else:
            train_and_report(RunContext(study, run, display, clock, interruption), tasks, warnings)
            display.say(f"done: {out / 'report.html'}; curves: tensorboard --logdir {out / 'tb'}")
        if run.manifest.get("all_diverged", False):
            raise AllDiverged(f"every run diverged; see {out / 'report.html'}")


def train_and_report(context: RunContext, tasks: dict[TaskSpec, Task], warnings: list[str]) -> None:
    """Every group, then the report; only then is the folder marked as done."""
    run, clock = context.run, context.clock
    for warning in warnings:
        context.display.say(warning)
    run.record(remarks=warnings)
    write_study(run.path, context.study)
    write_series(run, context.study, tasks)
    try:
        train_all(context, tasks)
        with clock.phase("probe"):
            write_initial_statistics(run, context.study)
            write_forecasts(run, context.study, tasks)
    finally:
        run.record(seconds=clock.seconds, compilations=clock.compilations)
    with clock.phase("report"):
        results = analyse(run.path)
    run.record(seconds=clock.seconds, all_diverged=all_diverged(results))
    run.done()


def train_all(context: RunContext, tasks: dict[TaskSpec, Task]) -> None:
    """Train every arm with every seed, group by group."""
    study = context.study
    runs = [
        parallel.Run(index, arm.spec, arm.hp._replace(seed=seed))
        for index, arm in enumerate(study.arms)
        for seed in arm.seeds(study.seeds)
    ]
    for number, group in enumerate(parallel.group_by_program(runs)):
        GroupTrainer(context, f"group-{number}", group, tasks[group[0].spec.task]).run()


def all_diverged(results: Results) -> bool:
    """Whether no run of any arm has stayed finite."""
    return all(bool((arm.diverged_at >= 0).all()) for arm in results.arms)


def write_initial_statistics(run: RunFolder, study: Study) -> None:
    """The spectral radius of fresh initialisations, where the study asks for it. Raises StorageFailed."""
    requested = study.file.initial_statistics
    if requested is not None:
        chosen = select_arms(study.arms, requested.arms)
        run.write_npz(INITIAL_STATISTICS, {arm.name: initial_radius(arm, requested.count) for arm in chosen})


def initial_radius(arm: Arm, count: int) -> np.ndarray:
    """The spectral radius of `count` recurrent kernels at step 0; of the first layer's first gate."""
    runs = [parallel.Run(0, arm.spec, arm.hp._replace(seed=INITIAL_SEEDS + i)) for i in range(count)]
    kernels_RHH = next(iter(recurrent_kernels(arm.spec, parallel.init_states(runs).params).values()))
    return kernel_spectrum(kernels_RHH)["spectral_radius"]

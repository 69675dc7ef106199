"""A study from its file to its report: the story of the program.

    settings are checked -> the run folder is opened -> each group of runs is trained -> the statements are judged
    -> the report is written -> DONE

Bitwise promises (a run in any company, after any kill) come from `sweep` and `training`; here is only their order.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnjax.analysis.results import ArmResult, is_text, select_arms
from rnnjax.analysis.verdicts import judge_claim
from rnnjax.config.schema import Arm, Study
from rnnjax.errors import AllDiverged
from rnnjax.probes.dynamics.spectrum import recurrent_kernels, spectrum_of
from rnnjax.reports.build import page
from rnnjax.reports.document_json import write_report_json
from rnnjax.reports.render import write_report
from rnnjax.reports.summary import summary
from rnnjax.settings import TaskSpec
from rnnjax.storage.files import check_space, write_json
from rnnjax.storage.manifest import machine_fingerprint, to_results_json
from rnnjax.storage.run_folder import RunFolder, open_run
from rnnjax.studies.datasets import data_hash, load_tasks
from rnnjax.studies.dry_run import check_metrics, check_probes, check_recorded, dry_run, required_disk_bytes
from rnnjax.studies.group import GroupTrainer, RunContext, build_plan
from rnnjax.studies.load_results import load_arms, read_finished_manifest
from rnnjax.studies.progress import Clock, Display
from rnnjax.studies.signals import Interruption
from rnnjax.studies.validation import check_names
from rnnjax.tasks.text import ids_to_text
from rnnjax.training import parallel as sweep
from rnnjax.types import Task

DRAW_SEEDS = 1_000_000  # fresh starts are drawn with seeds from here on, never with those of runs


def run_study(study: Study, out: Path, resume: bool = False, strict: bool = False) -> None:
    """Run a study into the folder `out`, or go on with it.

    Raises: every error of `errors`; nothing is written before the settings, the data and the folder are accepted.
    """
    study, tasks, remarks, size = prepare_study(study)
    if not out.exists():
        check_space(out, size)
    with (
        Display() as display,
        open_run(out, study.config, machine_fingerprint(), resume, strict, display.say, data_hash(tasks)) as run,
        Clock.running(run.manifest.get("seconds", {})) as clock,
        Interruption() as interruption,
    ):
        if run.finished:
            display.say(f"{out} is finished; see {out / 'report.html'}")
            return
        for remark in remarks:
            display.say(remark)
        run.record(remarks=remarks)
        shell = RunContext(study, run, display, clock, interruption)
        try:
            results = train_all(shell, tasks)
        finally:
            run.record(seconds=clock.seconds, compilations=clock.compilations)
        finish(shell, results, tasks)
    if all((arm.diverged_at >= 0).all() for arm in results):
        raise AllDiverged(f"every run diverged; see {out / 'report.html'}")
    display.say(f"done: {out / 'report.html'}; curves: tensorboard --logdir {out / 'tb'}")


class Prepared(NamedTuple):
    """A study of which all is known that can be wrong with it."""

    study: Study
    tasks: dict[TaskSpec, Task]
    remarks: list[str]  # about the user's texts
    disk_bytes: int


def prepare_study(study: Study) -> Prepared:
    """Check names, data, sizes and metrics; nothing is written. Raises BadInput."""
    check_names(study)
    tasks, remarks = load_study_tasks(study)
    study = resolve_sizes(study, tasks)
    rehearsed = {
        spec: dry_run(spec, tasks[spec.task], list(study.file.probes), len(build_plan(study, spec).probe_steps))
        for spec in dict.fromkeys(arm.spec.program for arm in study.arms)
    }
    if study.complete:  # among some of the arms, what the others are looked at with may have nothing to look at
        check_probes(rehearsed.values())
    check_metrics(study, rehearsed)
    return Prepared(study, tasks, remarks, required_disk_bytes(study, rehearsed))


def load_study_tasks(study: Study) -> tuple[dict[TaskSpec, Task], list[str]]:
    """The tasks of a study, each made once, and remarks about their texts."""
    return load_tasks(arm.spec.task for arm in study.arms)


def resolve_sizes(study: Study, tasks: dict[TaskSpec, Task]) -> Study:
    """The study with the sizes that its tasks have, and the width of its blocks."""

    def sized(arm: Arm) -> Arm:
        task = tasks[arm.spec.task]
        spec = replace(arm.spec, inputs=task.inputs, outputs=task.outputs, loss=task.loss)
        return arm._replace(spec=replace(spec, block=sweep.block_width(spec)))

    arms = [sized(arm) for arm in study.arms]
    found = ("inputs", "outputs", "loss", "block")
    resolved = {
        arm.name: study.config["arms"][arm.name] | {name: getattr(arm.spec, name) for name in found} for arm in arms
    }
    return study._replace(arms=arms, config=study.config | {"arms": resolved})


def train_all(shell: RunContext, tasks: dict[TaskSpec, Task]) -> list[ArmResult]:
    """Every arm with every seed, group by group; the results in the order of the arms."""
    study = shell.study
    runs = [
        sweep.Run(index, arm.spec, arm.hp._replace(seed=seed))
        for index, arm in enumerate(study.arms)
        for seed in arm.seeds(study.seeds)
    ]
    results: dict[int, ArmResult] = {}
    for number, group in enumerate(sweep.group_by_program(runs)):
        results |= GroupTrainer(shell, f"group-{number}", group, tasks[group[0].spec.task]).run()
    return [results[index] for index in sorted(results)]


def with_initial_statistics(study: Study, arms: list[ArmResult]) -> list[ArmResult]:
    """The arms with the metric `initial_radius`, the spectral radius of fresh starts, where the study asks for it."""
    draws = study.file.initial_statistics
    if draws is None:
        return arms
    chosen = {arm.name for arm in select_arms(arms, draws.arms)}
    return [
        result._replace(metrics=result.metrics | {"drawn_radius": initial_radius(arm, draws.count)})
        if arm.name in chosen
        else result
        for arm, result in zip(study.arms, arms, strict=True)
    ]


def initial_radius(arm: Arm, count: int) -> np.ndarray:
    """The spectral radius of `count` recurrent kernels at step 0; of the first layer's first gate."""
    runs = [sweep.Run(0, arm.spec, arm.hp._replace(seed=DRAW_SEEDS + i)) for i in range(count)]
    kernels_RHH = next(iter(recurrent_kernels(arm.spec, sweep.init_states(runs).params).values()))
    return spectrum_of(kernels_RHH)["spectral_radius"]


def finish(shell: RunContext, arms: list[ArmResult], tasks: dict[TaskSpec, Task]) -> None:
    """Judge, draw, write, and only then say that it is done."""
    study, run = shell.study, shell.run
    with shell.clock.phase("probe"):
        arms = with_initial_statistics(study, arms)
    with shell.clock.phase("report"):
        write_samples(run, arms, tasks, study)
        write_outputs(run.path, study, arms, tasks, run.manifest | {"seconds": shell.clock.seconds})
    run.record(seconds=shell.clock.seconds)
    run.done()


def write_outputs(
    folder: Path, study: Study, arms: list[ArmResult], tasks: dict[TaskSpec, Task], manifest: dict[str, Any]
) -> None:
    """summary.json, page.json, the report and its tables."""
    judgements = [judge_claim(claim, arms) for claim in study.file.claims]
    write_json(folder / "summary.json", to_results_json(summary(study, arms, judgements)))
    written = page(study, arms, judgements, tasks, manifest["seconds"], manifest)
    write_report_json(folder, written)
    write_report(folder, written)


def rejudge(study: Study, folder: Path) -> None:
    """Judge a finished study by what its file says now, and write its report anew; nothing is trained.

    Raises:
        BadInput: the folder holds other runs than the study's, or has not measured what is asked. DamagedState.
    """
    check_names(study)
    tasks, _ = load_study_tasks(study)
    study = resolve_sizes(study, tasks)
    arms = with_initial_statistics(study, load_arms(folder, study, tasks))
    check_recorded(study, arms)
    write_outputs(folder, study, arms, tasks, read_finished_manifest(folder))


def write_samples(run: RunFolder, arms: list[ArmResult], tasks: dict[TaskSpec, Task], study: Study) -> None:
    """samples/<arm>.txt: what each seed of an arm writes at each step, decoder by decoder."""
    for arm, result in zip(study.arms, arms, strict=True):
        alphabet = tasks[arm.spec.task].vocabulary
        texts = [
            f"--- {probe.removeprefix('text_')}, step {step:,}, seed {seed}\n{ids_to_text(ids_nQN[n, q], alphabet)}\n"
            for probe, ids_nQN in result.probes.items()
            if is_text(probe)
            for q, step in enumerate(result.probe_steps)
            if ids_nQN[:, q].any()
            for n, seed in enumerate(result.seeds)
        ]
        if texts:
            run.write_text(f"samples/{arm.name}.txt", "\n".join(texts))

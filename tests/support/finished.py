"""Folders of finished studies whose numbers are made up: everything after training, without the training."""

import json
from pathlib import Path

import numpy as np

from rnnjax.analysis.results import ArmResult, Results
from rnnjax.analysis.verdicts import judge_claim
from rnnjax.config.load import load_study
from rnnjax.config.schema import Arm, Study
from rnnjax.reports.build import build_report
from rnnjax.reports.document import Report
from rnnjax.reports.document_json import write_report_json
from rnnjax.reports.summary import summary
from rnnjax.settings.metrics import resolve_unit
from rnnjax.storage.files import write_text
from rnnjax.storage.manifest import to_results_json
from rnnjax.studies.load_results import parse_data
from rnnjax.studies.metrics import training_metrics
from rnnjax.studies.prepare import load_study_tasks
from rnnjax.studies.recording import task_metadata
from rnnjax.studies.validation import check_names

GRID = Path(__file__).parent / "grid.toml"
MACHINE = {"seconds": {"train": 1.5}, "machine": {"devices": {"count": 2, "kinds": ["cpu"]}, "versions": {"jax": "0"}}}
BEST = "hidden=64,tanh,window=50"  # and hidden=64,tanh,window=25 is not told apart from it
FAILING = "hidden=64,relu,window=50"  # one run of it diverges


def grid() -> tuple[Study, list[ArmResult]]:
    study = load_study(GRID)
    check_names(study)
    return study, [made_up(arm, study.seeds) for arm in study.arms]


def made_up(arm: Arm, seeds: list[int]) -> ArmResult:
    """Loss falls with size and window, differently for each activation; ReLU with the longest window loses a run."""
    noise_n = np.random.default_rng(arm.spec.hidden + arm.spec.window).normal(0, 0.02, len(seeds))
    price = {"tanh": 0.0, "relu": 0.2, "sigmoid": 0.7}[arm.spec.activation]
    short = 0.3 if arm.spec.window < 20 else 0.0
    loss_n = 0.5 + 5 / arm.spec.hidden + short - 1e-4 * arm.spec.window + price + noise_n
    failed_n = np.zeros(len(seeds))
    if arm.name == FAILING:
        loss_n[3], failed_n[3] = np.nan, 1
    size = arm.spec.hidden * (24 + 24 + arm.spec.hidden + 1) + 24
    horizon_n = np.minimum(arm.spec.window, 20) + 10 * noise_n
    metrics = {"final_loss": loss_n, "horizon": horizon_n, "parameters": np.full(len(seeds), size), "failed": failed_n}
    diverged_at = np.where(failed_n > 0, 50, -1)
    steps = np.array([100])
    info = {name: resolve_unit(metric, "cross_entropy") for name, metric in training_metrics().items()}
    known = (arm.name, arm.axes, np.array(seeds), steps, {}, steps, {}, diverged_at, metrics)
    return ArmResult(*known, info=info)


def results_of(study: Study, arms: list[ArmResult]) -> Results:
    """As if `load_results` had read these arms."""
    tasks, _ = load_study_tasks(study)
    data = {spec: parse_data(task_metadata(task)) for spec, task in tasks.items()}
    return Results(study, arms, data, MACHINE)


def grid_page() -> Report:
    """The report of the made-up grid."""
    study, arms = grid()
    judgements = [judge_claim(claim, arms) for claim in study.file.claims]
    return build_report(results_of(study, arms), judgements)


def finish(folder: Path) -> Path:
    """What a finished study leaves of the made-up grid, as far as the lab reads it."""
    study, arms = grid()
    judgements = [judge_claim(claim, arms) for claim in study.file.claims]
    written = summary(results_of(study, arms), judgements)
    write_text(folder / "summary.json", json.dumps(to_results_json(written)))
    write_report_json(folder, grid_page())
    return folder

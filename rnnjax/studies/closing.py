"""The last lines of a study on the terminal: verdicts, the best arm, its losses beside the levels, how to go on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnnjax.analysis.results import Results, per_seed, rank_arms, shared_unit
from rnnjax.analysis.statistics import estimate_mean
from rnnjax.config.schema import Arm, Study
from rnnjax.reports.document import VERDICTS, Statement, by_verdict
from rnnjax.reports.formatting import format_value
from rnnjax.studies.progress import resume_command

LOSSES = ("validation_loss", "final_loss")  # the first that all arms have decides which arm is best


def closing_lines(results: Results, statements: Sequence[Statement], folder: Path, own_code: str = "") -> list[str]:
    """The lines, without those about diverged runs only."""
    return [
        *verdict_lines(statements),
        *best_arm_lines(results),
        f"done: {folder / 'report.html'}; curves: tensorboard --logdir {folder / 'tb'}",
        f"to go on: {resume_command(folder, suggest_addition(results.study), own_code)}",
    ]


def verdict_lines(statements: Sequence[Statement]) -> list[str]:
    """One line for each verdict that occurs, with the claims that have it."""
    found = {name: [statement.id for statement in some] for name, some in by_verdict(statements).items() if some}
    return [f"{VERDICTS[name]} {name}: {', '.join(ids)}" for name, ids in found.items()]


def best_arm_lines(results: Results) -> list[str]:
    """The best arm with its losses, and the reference losses of its data."""
    measured = [name for name in LOSSES if all(name in arm.metrics for arm in results.arms)]
    known = rank_arms(results.arms, measured[0], "lowest")
    if not known:
        return ["no run has a finite loss"]
    best = known[0][0]
    unit = shared_unit([best], measured[0])
    losses = {name: estimate_mean(per_seed(best, name)) for name in measured}
    words = ", ".join(f"{name} {format_value(loss)}" for name, loss in losses.items() if loss is not None)
    levels = ", ".join(f"{name} {value:.4g}" for name, value in results.data_by_arm[best.name].reference_losses.items())
    which = f"best of {len(results.arms)} arms by {measured[0]}: {best.name}, " if len(results.arms) > 1 else ""
    return [f"{which}{words} ({unit})", *([f"levels of the held-out loss: {levels}"] if levels else [])]


def suggest_addition(study: Study) -> str:
    """An option that adds to a study: twice its steps, or its seeds where no steps can be added."""
    steps = {arm.spec.steps for arm in study.arms}
    cut = any(arm.spec.steps % every for arm in study.arms for every in cadences(arm))
    patient = any(np.isfinite(arm.hp.patience) for arm in study.arms)
    return f" --seeds {2 * len(study.seeds)}" if len(steps) > 1 or patient or cut else f" --steps {2 * steps.pop()}"


def cadences(arm: Arm) -> list[int]:
    """The steps after which a row of the log, or a validation check, is complete."""
    rows = -(-arm.spec.validate_every // arm.spec.log_every)
    return [arm.spec.log_every, *([rows * arm.spec.log_every] if rows else [])]

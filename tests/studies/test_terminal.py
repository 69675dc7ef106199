"""What a study says on the terminal: pace, losses, verdicts, what a reduced run means, the command to go on."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished import grid, results_of

from rnnjax.analysis.verdicts import judge_claim
from rnnjax.config.load import load_study
from rnnjax.reports.build import build_report
from rnnjax.studies.closing import closing_lines, suggest_addition
from rnnjax.studies.progress import Clock, Display, Pace, format_duration, resume_command
from rnnjax.studies.recording import describe_losses
from rnnjax.studies.reduced_runs import reduced_run_lines


def test_time_left_is_that_of_the_steps_and_stops_that_remain() -> None:
    """By hand: 50 steps in 5 s after the first chunk, and one stop of 2 s; 100 steps and two stops remain."""
    clock = Clock({})
    pace = Pace(clock, 200, [0, 50, 100, 150, 200])
    clock.seconds |= {"train": 40.0, "probe": 9.0, "io": 1.0}  # the first chunk, which traces: it counts for nothing
    assert all(np.isnan(pace.measure(50)))
    clock.seconds |= {"train": 45.0, "probe": 10.5, "io": 1.5}
    assert pace.measure(100) == pytest.approx((10.0, 100 / 10 + 2 * 2.0))


def test_time_left_is_steady() -> None:
    """Chunks whose speed varies twofold move the estimate of the whole by less than a tenth after the first few."""
    rng, clock, whole = np.random.default_rng(0), Clock({}), []
    pace = Pace(clock, 10_000, [])
    for step in range(100, 10_001, 100):
        clock.seconds["train"] += rng.uniform(0.7, 1.4)
        _, left = pace.measure(step)
        whole.append(clock.seconds["train"] + left)
    assert np.ptp(whole[20:]) < 0.1 * np.mean(whole[20:])


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (65, "1:05"), (3599.6, "1:00:00"), (90061, "25:01:01")])
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_losses_are_means_over_what_is_finite() -> None:
    loss, held_out = np.array([1.0, 3.0, np.nan]), np.array([[4.0, 2.0, np.nan], [4.0, 4.0, np.nan], [np.nan] * 3])
    assert describe_losses(loss, held_out) == "loss 2, held-out loss 3, 1 diverged"
    assert describe_losses(loss[:2], None) == "loss 2"
    assert describe_losses(np.array([np.nan]), None) == "1 diverged"


def test_plain_lines_of_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(Display, "say", lambda self, line: lines.append(line))
    monkeypatch.setattr("rnnjax.studies.progress.QUIET_SECONDS", 0.0)
    with Display() as display:
        display.plan({"group-0": 1.0, "group-1": 3.0})
        display.begin("group-0", 100, 6)
        display.advance(10, "loss 2.5", float("nan"), float("nan"))
        display.advance(50, "loss 2", 25.0, 2.0)
        display.finish(100)
        display.begin("group-1", 100, 1)
    assert lines[:3] == [
        "group-0 (1 of 2): 6 runs of 100 steps; compiling ...",
        "group-0 (1 of 2): step 10 of 100, loss 2.5",
        # 2 s for a half of this group, so 4 s for all of it, and 12 s for one that costs three times as much
        "group-0 (1 of 2): step 50 of 100, loss 2, 25 steps/s for each of 6 runs, 0:02 left, about 0:14 in all",
    ]
    assert lines[3].startswith("group-0 (1 of 2): 6 runs at step 100, loss 2 (")
    assert lines[4] == "group-1 (2 of 2): 1 run of 100 steps; compiling ..."


def test_the_command_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the run was begun: by the script of a checkout, or by the command, which notebooks name too."""
    monkeypatch.chdir(tmp_path)
    programs = {"scripts/study.py": "python scripts/study.py", "rnnjax study": "rnnjax study", "": "rnnjax study"}
    for program, command in programs.items():
        monkeypatch.setattr(sys, "argv", [program])
        assert resume_command(tmp_path / "runs" / "x") == f"{command} --resume runs/x"
        assert resume_command(Path("/else where/x"), " --steps 20", "my code.py") == (
            f"{command} --resume '/else where/x' --steps 20 --import 'my code.py'"
        )


def test_the_end_of_a_study_in_lines() -> None:
    """Of the made-up grid: each claim stands once, the best arm is the lowest, its levels are those of its data."""
    study, arms = grid()
    results = results_of(study, arms)
    report = build_report(results, [judge_claim(claim, arms) for claim in study.file.claims])
    lines = closing_lines(results, report.statements, Path("runs/grid"))
    text = "\n".join(lines)
    assert all(text.count(claim.id) == 1 for claim in study.file.claims)
    assert all(f"{statement.verdict}: " in text for statement in report.statements)
    means = {arm.name: np.nanmean(arm.metrics["final_loss"]) for arm in arms}
    best = min(means, key=means.__getitem__)
    assert f"best of {len(arms)} arms by final_loss: {best}, final_loss 0." in text
    levels = results.data_by_arm[best].reference_losses
    assert all(f"{name} {value:.4g}" in text for name, value in levels.items())
    assert lines[-2].startswith("done: runs/grid/report.html") and "--resume runs/grid" in lines[-1]


STUDY = """
question = "q"
seeds = 16
[base]
steps = 1000
log_every = {log_every}
validate_every = {validate_every}
patience = {patience}
[[claims]]
id = "spread"
text = "t"
[[claims.criteria]]
rule = "spread"
metric = "final_loss"
arms = ["*"]
high = 1.0
[[claims]]
id = "late"
text = "t"
[[claims.criteria]]
rule = "bound"
metric = "loss@800-900"
arms = ["*"]
high = 1.0
"""


def study_file(folder: Path, **changes: Any) -> Path:
    path = folder / "study.toml"
    path.write_text(STUDY.format(**{"log_every": 25, "validate_every": 0, "patience": "inf"} | changes))
    return path


def test_what_a_reduced_run_means_for_its_claims(tmp_path: Path) -> None:
    path = study_file(tmp_path)
    assert reduced_run_lines(load_study(path)) == []
    few = reduced_run_lines(load_study(path, seeds=4))
    assert few == [
        "not as in the study file: 4 seeds (file: 16); verdicts are about this run",
        "1 of 2 claims stay unresolved, too few seeds for their rules: spread",
    ]
    short = reduced_run_lines(load_study(path, ["steps=500"]))
    assert short == [
        "not as in the study file: steps 500 (file: 1,000); verdicts are about this run",
        "1 of 2 claims name steps after its end and are judged at the end: late",
    ]
    assert len(reduced_run_lines(load_study(path, ["steps=950"], 8))) == 1


def test_what_can_be_added_is_suggested(tmp_path: Path) -> None:
    assert suggest_addition(load_study(study_file(tmp_path))) == " --steps 2000"
    assert suggest_addition(load_study(study_file(tmp_path, log_every=300))) == " --seeds 32"
    assert suggest_addition(load_study(study_file(tmp_path, validate_every=300))) == " --seeds 32"
    assert suggest_addition(load_study(study_file(tmp_path, validate_every=200))) == " --steps 2000"
    assert suggest_addition(load_study(study_file(tmp_path, validate_every=50, patience=3.0))) == " --seeds 32"

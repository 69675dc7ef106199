"""The studies that come with rnnjax: each is judged in full on made-up numbers, and run, short and small."""

import json
import math
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from finished import results_of

from rnnjax.analysis.results import ArmResult, select_arms
from rnnjax.analysis.verdicts import judge_claim
from rnnjax.config.load import load_study
from rnnjax.config.schema import Arm, Study
from rnnjax.reports.build import build_report
from rnnjax.reports.document import VERDICTS
from rnnjax.reports.summary import summary
from rnnjax.studies.dry_run import requested_metrics
from rnnjax.studies.metrics import RISES
from rnnjax.training.state import StepMetrics

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "configs" / "studies").glob("*.toml"))
STATEMENTS = {
    "init": 19,
    "hidden": 8,
    "tbptt": 16,
    "activation": 17,
    "clip": 15,
    "forcing": 9,
    "reservoir": 8,
    "zog": 8,
}
STATEMENTS |= {"rate": 10, "grid": 15, "calibration": 2}
STATEMENTS |= {"parallel": 6, "precision": 6}  # of papers and of other studies, not of the documents
STATEMENTS |= {"dynamics": 14}
STATEMENTS |= {"digits": 12, "memory": 11}  # of papers, not of the five documents
STATEMENTS |= {"reduction": 18, "plateau": 36, "identical": 22, "loops": 20}
POINTS = np.array([0, 1_000, 5_000, 30_000])  # of training, at which everything is measured
LAGS = 51


def test_the_studies_are_all_here() -> None:
    assert {path.stem for path in STUDIES} == STATEMENTS.keys()


@pytest.mark.parametrize(("name", "count"), STATEMENTS.items())
def test_every_statement_has_its_place(name: str, count: int) -> None:
    claims = load_study(ROOT / "configs" / "studies" / f"{name}.toml").file.claims
    assert len(claims) == count
    assert all(claim.source and claim.expected for claim in claims)


def test_no_statement_is_judged_twice() -> None:
    ids = Counter(claim.id for path in STUDIES for claim in load_study(path).file.claims)
    assert [name for name, count in ids.items() if count > 1] == []


def test_a_contradiction_is_between_statements_that_there_are() -> None:
    studies = [load_study(path).file for path in STUDIES]
    ids = {claim.id for file in studies for claim in file.claims}
    for file in studies:
        assert {name for one in file.contradictions for name in one.between} <= ids


def made_up(study: Study, arm: Arm) -> ArmResult:
    """An arm with a positive number for all that is asked of it, at every point and lag."""
    rng, n = np.random.default_rng(crc32(arm.name.encode())), len(arm.seeds(study.seeds))
    names = {
        metric
        for _, metric, arms in requested_metrics(study)
        if arm.name in {one.name for one in named_arms(study, arms)}
    }
    plain = {name.partition("@")[0] for name in names if ":" not in name}
    rows = (*StepMetrics._fields, *RISES)
    drawn = {form: {name.split(":")[1] for name in names if name.startswith(f"{form}:")} for form in ("probe", "lag")}
    at_a_step = {name.partition("@")[0] for name in names if "@" in name and "-" not in name.partition("@")[2]}
    probes = {name: rng.uniform(0.1, 1, (n, len(POINTS))) for name in at_a_step | drawn["probe"]}
    probes |= {name: rng.uniform(0.1, 1, (n, len(POINTS), LAGS)) for name in drawn["lag"]}
    probes |= {name: rng.uniform(0.1, 1, (n, len(POINTS), 37, 2)) for name in ("map", "state_portrait")}
    return ArmResult(
        name=arm.name,
        axes=arm.axes,
        seeds=np.array(arm.seeds(study.seeds)),
        row_steps=np.arange(1_000, 31_000, 1_000),
        rows={name: rng.uniform(0.1, 1, (n, 30)) for name in rows},
        probe_steps=POINTS,
        probes=probes,
        diverged_at=np.full(n, -1),
        metrics={name: rng.uniform(0.1, 1, n) for name in plain | {"final_loss"}},
        labels={
            name: [(f"word {i}", "a" if i < 35 else "novel") for i in range(37)] for name in ("map", "state_portrait")
        },
    )


def named_arms(study: Study, patterns: list[str]) -> list[Arm]:
    return select_arms(study.arms, patterns)


LARGE = ("loops", "identical", "forcing", "activation", "tbptt")  # a second or more


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in LARGE else []) for path in STUDIES],
)
def test_a_study_can_be_judged_and_written_up(path: Path) -> None:
    """Every rule finds its arms, pairs, weights and axes; every statement gets one verdict with a number behind it."""
    study = load_study(path)
    arms = [made_up(study, arm) for arm in study.arms]
    judgements = [judge_claim(claim, arms) for claim in study.file.claims]
    assert {one.verdict for one in judgements} <= VERDICTS.keys()
    for judgement in judgements:
        assert all(measurements for _, _, measurements in judgement.criteria), judgement.claim.id
        for _, _, measurements in judgement.criteria:
            assert all(math.isfinite(one.interval.estimate) for one in measurements), judgement.claim.id
    results = results_of(study, arms)
    summary(results, judgements)
    written = build_report(results, judgements)
    assert len(written.statements) == len(study.file.claims)
    assert all(answer.answer for answer in [*written.questions, *written.contradictions])


RUN_ELSEWHERE = ("init",)  # with all its starts, below


ALWAYS_RUN = ("grammar",)  # tasks; small studies of the others are trained in tests of their own


def one_of_each_task(paths: list[Path]) -> list[Path]:
    """For each of ALWAYS_RUN the study with the most probes."""
    most: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: len(load_study(path).file.probes)):
        most[load_study(path).arms[0].spec.task.name] = path
    return sorted(most[name] for name in ALWAYS_RUN)


EVERY_STUDY = "RNNJAX_EVERY_STUDY"  # environment variable: run them all
OTHERS = [path for path in STUDIES if path.stem not in RUN_ELSEWHERE]
SHORT = OTHERS if EVERY_STUDY in os.environ else one_of_each_task(OTHERS)


def chosen_arms(study: Study) -> list[str]:
    """The baseline and one other arm of the same program."""
    baseline = next((arm for arm in study.arms if arm.name == study.file.baseline), study.arms[0])
    others = [arm for arm in study.arms if arm.spec.program == baseline.spec.program and arm is not baseline]
    return [arm.name for arm in study.arms if arm in [baseline, *others[:1]]]


def run_script(*options: object) -> None:
    """scripts/study.py in a process of its own, to its end."""
    command = [sys.executable, ROOT / "scripts" / "study.py", *options]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("path", SHORT, ids=lambda path: path.stem)
def test_a_study_runs(path: Path, tmp_path: Path) -> None:
    """As a user would run it, but small: 2 seeds, 200 steps, 2 of its arms, and no padding to larger blocks."""
    arms, out = chosen_arms(load_study(path)), tmp_path / path.stem
    patterns = [option for name in arms for option in ("--arm", name)]
    small = ["--seeds", "2", "--steps", "200", "--set", "block=1"]
    run_script(path, "--out", out, *small, *patterns)
    results = json.loads((out / "summary.json").read_text())
    assert [arm["name"] for arm in results["arms"]] == arms


def no_constants(text: str) -> Any:
    """JSON without the NaN and Infinity that Python would let pass."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.mark.slow
def test_the_main_job_end_to_end(tmp_path: Path) -> None:
    """configs/studies/init.toml, short and small: the files and the summary that the README promises."""
    study, out = ROOT / "configs" / "studies" / "init.toml", tmp_path / "init"
    one_program = ["orthogonal,*", "normal,*", "xavier_*", "he_normal", "identity"]
    chosen = [option for pattern in one_program for option in ("--arm", pattern)]
    run_script(study, "--out", out, "--seeds", 2, "--steps", 200, "--set", "hidden=16", *chosen)
    loaded = load_study(study, patterns=one_program)
    arms, claims = [arm.name for arm in loaded.arms], [claim.id for claim in loaded.file.claims]
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    expected = {
        ".lock", "DONE.json", "manifest.json", "page.json", "plotly.min.js", "report.html", "report.md",
        "study.json", "summary.json",
        "metrics/group-0.npz", "metrics/initial_statistics.npz",
        *(f"samples/{arm}.txt" for arm in arms),
        *(f"tb/{arm}/events.out.tfevents.000001" for arm in arms),
    }  # fmt: skip
    tables = {name for name in files if re.fullmatch(r"tables/[a-z_]+\.csv", name)}
    assert "tables/metrics.csv" in tables
    assert {name for name in files - tables if not name.startswith("checkpoints/group-0/")} == expected
    assert {path.name for path in (out / "checkpoints" / "group-0").iterdir()} == {"200"}
    newest = max((path for path in out.iterdir() if path.is_file()), key=lambda path: path.stat().st_mtime_ns)
    assert newest.name == "DONE.json"
    manifest = no_constants((out / "manifest.json").read_text())
    assert manifest["state"] == "done" and manifest["attempt"] == 1
    check_summary(no_constants((out / "summary.json").read_text()), arms, claims)


def check_summary(summary: dict[str, Any], arms: list[str], claims: list[str]) -> None:
    assert {"study", "arms", "claims"} <= summary.keys() and summary["study"] == "init"
    assert [arm["name"] for arm in summary["arms"]] == arms
    for arm in summary["arms"]:
        assert arm.keys() == {"name", "axes", "runs", "diverged", "metrics"}
        assert (arm["runs"], arm["diverged"]) == (2, 0) and "recurrent_initializer" in arm["axes"]
        for name, metric in arm["metrics"].items():
            assert metric.keys() == {"values", "mean", "iqm", "ci95", "unit"}
            assert len(metric["values"]) == (1000 if name == "drawn_radius" else 2)
    assert [claim["id"] for claim in summary["claims"]] == claims
    for claim in summary["claims"]:
        shown = {"text", "source", "stated", "n", "method"}
        assert claim.keys() == {"id", "verdict", "estimate", "ci95", "expected", "why"} | shown
        assert claim["verdict"] in VERDICTS
        assert claim["why"]

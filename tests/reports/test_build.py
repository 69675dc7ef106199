"""The data and the baseline in a report."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from finished import made_up

from rnnjax.analysis.results import ArmResult, DataSummary
from rnnjax.analysis.statistics import Interval
from rnnjax.config.load import load_study
from rnnjax.config.schema import Claim, Criterion, QuestionSpec, Study
from rnnjax.errors import BadInput
from rnnjax.reports.document import ReportTable
from rnnjax.reports.methods import data_line, data_table
from rnnjax.reports.tables import against_baseline, every_metric
from rnnjax.settings import TaskSpec
from rnnjax.studies.dry_run import check_recorded
from rnnjax.studies.load_results import parse_data
from rnnjax.studies.prepare import load_study_tasks
from rnnjax.studies.recording import task_metadata

FILE = """
question = "What do other data do?"
baseline = "series,hidden=8"
seeds = 12

[base]
task.name = "series"
task.length = 400
window = 10

[[axes]]
task.name = ["series"]
hidden = [8, 16]

[[axes]]
task.name = ["series"]
hidden = [32]
seeds = 4

[[axes]]
task.scale = [100.0]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    path: Path = tmp_path_factory.mktemp("study") / "other.toml"
    path.write_text(FILE)
    return load_study(path)


@pytest.fixture(scope="module")
def arms(study: Study) -> list[ArmResult]:
    return [made_up(arm, arm.seeds(study.seeds)) for arm in study.arms]


def data(study: Study) -> dict[TaskSpec, DataSummary]:
    tasks, _ = load_study_tasks(study)
    return {spec: parse_data(task_metadata(task)) for spec, task in tasks.items()}


def test_a_variant_of_a_task_is_told_by_what_is_its_own(study: Study) -> None:
    tasks = data(study)
    (table,) = data_table(tasks)
    assert [row[:4] for row in table.rows] == [["series", 400, 40, None], ["series with scale 100", 400, 40, None]]
    scaled = dict(zip(table.columns, table.rows[1], strict=True))
    assert tasks[study.arms[-1].spec.task].reference_losses.items() <= scaled.items()
    assert data_line(study, tasks) == (
        "2 sets of data: the last table lists them with their reference losses. "
        "12 seeds per arm (42 to 53), the same in every arm; some arms only the first 4."
    )


def test_one_task_for_all_is_told_in_a_sentence(study: Study) -> None:
    (spec, task), *_ = data(study).items()
    assert data_table({spec: task}) == []
    assert data_line(study, {spec: task}).startswith(
        "Task series: 400 steps to train on, 40 held out. Reference losses in "
    )


def test_the_baseline_is_compared_with_what_reads_the_same(study: Study, arms: list[ArmResult]) -> None:
    found: ReportTable = against_baseline(study, arms)
    by_name = {arm.name: arm.metrics["final_loss"] for arm in arms}
    assert [row[0] for row in found.rows] == ["series,hidden=16", "series,hidden=32"]
    for name, interval, p_value, _ in found.rows:
        assert isinstance(interval, Interval)
        differences = by_name[name] - by_name["series,hidden=8"][: len(by_name[name])]
        assert interval.estimate == pytest.approx(differences.mean()) and interval.n == len(differences)
        assert p_value == pytest.approx(min(1.0, 2 * scipy.stats.ttest_1samp(differences, 0).pvalue))
    assert found.rows[0][3] == "not shown" and found.rows[1][3] is None
    assert "is tested with 10 or more seeds in common with the baseline, not for the arms with at most 4." in found.note
    assert "Arms with another task or other data, left out: 1." in found.note


@pytest.mark.parametrize("seeds", [1, 2, 8])
def test_few_seeds_have_their_differences_and_the_reason_is_given_once(
    study: Study, arms: list[ArmResult], seeds: int
) -> None:
    few = [arm._replace(metrics={"final_loss": arm.metrics["final_loss"][:seeds]}) for arm in arms]
    found = against_baseline(study, few)
    assert list(found.columns)[1:] == [f"difference ({arms[0].loss_unit})", "p (paired t)"]
    (_, interval, p_value), _ = found.rows
    differences = few[1].metrics["final_loss"] - few[0].metrics["final_loss"]
    assert interval.estimate == pytest.approx(differences.mean()) and interval.n == seeds
    if seeds > 1:  # Student's t by hand; 97.5% each, for two rows together
        reach = scipy.stats.t.ppf(1 - 0.05 / 4, seeds - 1) * differences.std(ddof=1) / seeds**0.5
        assert interval.high - interval.estimate == pytest.approx(reach)
    assert (p_value is None) == (seeds == 1)
    assert found.note.count("10 or more seeds") == 1 and f"here are at most {seeds}." in found.note
    assert ("An interval needs two common seeds" in found.note) == (seeds == 1)


def test_a_baseline_without_a_common_run_leaves_empty_cells(study: Study, arms: list[ArmResult]) -> None:
    lost = arms[0]._replace(metrics={"final_loss": np.full(12, np.nan)})
    assert [row[1:] for row in against_baseline(study, [lost, *arms[1:]]).rows] == [[None, None], [None, None]]


def test_interval_and_p_value_of_a_row_agree(study: Study, arms: list[ArmResult]) -> None:
    """One method: p < 0.05 exactly where the interval excludes 0, whatever the distance from the baseline."""
    baseline = arms[0].metrics["final_loss"]
    noise = np.random.default_rng(3).normal(0, 1, 12) ** 3  # skewed: two methods would disagree here
    for shift in np.linspace(0.0, 3.0, 40):
        moved = arms[1]._replace(metrics=arms[1].metrics | {"final_loss": baseline + noise + shift})
        (_, interval, p_value, _), _ = against_baseline(study, [arms[0], moved, *arms[2:]]).rows
        assert (p_value < 0.05) == (interval.low > 0 or interval.high < 0), shift


def test_the_table_of_every_metric_shows_those_first_that_are_asked_for(study: Study, arms: list[ArmResult]) -> None:
    criterion = Criterion("bound", "memory@100", ["*"], low=0.0)
    asked = study._replace(
        file=replace(
            study.file,
            claims=[Claim("a", "text", [criterion, replace(criterion, metric="failed")])],
            questions=[QuestionSpec("q", "horizon")],
        )
    )
    noisy = [arm._replace(metrics=arm.metrics | {"memory": arm.metrics["horizon"]}) for arm in arms]
    table = every_metric(noisy, asked)
    assert [column.split(" ")[0] for column in table.shown] == ["horizon", "memory", "final_loss"]
    assert "failed" in table.columns, "which is 0 in all runs"


def test_a_map_has_been_measured_where_its_coordinates_have(tmp_path: Path) -> None:
    path = tmp_path / "words.toml"
    path.write_text("question = 'q'\n[[figures]]\nform = 'map'\nmetric = 'map'\ntitle = 't'\n")
    study = load_study(path)
    arm = made_up(study.arms[0], study.seeds)
    check_recorded(study, [arm._replace(probes={"map": np.zeros((1, 1, 3, 2))})])
    with pytest.raises(BadInput, match="figures: 'map' was not measured in arm base"):
        check_recorded(study, [arm])


def test_overrides_give_the_value_and_that_of_the_file(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(FILE)
    asked = load_study(path, ["steps=200", "window=10"], seeds=3, patterns=["series,*"])
    assert asked.overrides == "steps 200 (file: 30,000), 3 seeds (file: 12), some arms only"
    assert study.overrides == load_study(path, ["window=10"], seeds=12).overrides == ""

"""The data and the baseline in a report."""

from pathlib import Path

import numpy as np
import pytest
from finished import made_up

from rnnjax.analysis.results import ArmResult, DataSummary
from rnnjax.analysis.statistics import Interval
from rnnjax.config.load import load_study
from rnnjax.config.schema import Study
from rnnjax.errors import BadInput
from rnnjax.reports.build import against_baseline
from rnnjax.reports.document import ReportTable
from rnnjax.reports.methods import data_line, data_table
from rnnjax.settings import TaskSpec
from rnnjax.studies.dry_run import check_recorded
from rnnjax.studies.group import task_metadata
from rnnjax.studies.load_results import parse_data
from rnnjax.studies.prepare import load_study_tasks

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
    ((name, interval, *_),) = found.rows
    assert isinstance(interval, Interval)
    assert name == "series,hidden=16"
    assert interval.estimate == pytest.approx((by_name[name] - by_name["series,hidden=8"]).mean())
    assert "hidden=32: fewer than 10 seeds." in found.note
    assert "Arms with another task or other data, left out: 1." in found.note


def test_interval_and_p_value_of_a_row_agree(study: Study, arms: list[ArmResult]) -> None:
    """One method: p < 0.05 exactly where the interval excludes 0, whatever the distance from the baseline."""
    baseline = arms[0].metrics["final_loss"]
    noise = np.random.default_rng(3).normal(0, 1, 12) ** 3  # skewed: two methods would disagree here
    for shift in np.linspace(0.0, 3.0, 40):
        moved = arms[1]._replace(metrics=arms[1].metrics | {"final_loss": baseline + noise + shift})
        ((_, interval, p_value, _),) = against_baseline(study, [arms[0], moved, *arms[2:]]).rows
        assert (p_value < 0.05) == (interval.low > 0 or interval.high < 0), shift


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

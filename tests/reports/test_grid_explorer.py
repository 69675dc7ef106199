"""The explorer of a grid: places, ties and status of cells whose numbers are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from finished import BEST, FAILING, GRID, grid

from rnnjax.analysis.statistics import Interval
from rnnjax.config.load import load_study
from rnnjax.errors import BadInput
from rnnjax.reports import document as pages
from rnnjax.reports.grid_explorer import explorer, ranking, status, value
from rnnjax.studies.dry_run import requested_metrics
from rnnjax.studies.validation import check_names


@pytest.fixture(scope="module")
def made() -> dict[str, pages.GridCell]:
    """Arm -> cell."""
    study, arms = grid()
    assert study.file.explorer
    return {arm.name: cell for arm, cell in zip(arms, explorer(study.file.explorer, arms).cells, strict=True)}


def test_sides_and_columns_are_those_of_the_study() -> None:
    study, arms = grid()
    assert study.file.explorer
    found = explorer(study.file.explorer, arms)
    assert found.choices == [("hidden", ["16", "64"]), ("activation", ["tanh", "relu", "sigmoid"])]
    assert found.rows == ("window", ["5", "25", "50"])
    assert found.columns == ["final_loss (nats per character)", "horizon", "parameters"]
    assert [cell.at for cell in found.cells[:4]] == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 0]]
    words, cells = found.lines()[3]
    assert words == ["64", "tanh"] and cells == found.cells[9:12]


def test_the_best_is_the_lowest_and_its_ties_are_named(made: dict[str, pages.GridCell]) -> None:
    assert made[BEST].rank == 1
    assert [name for name, cell in made.items() if cell.tied] == ["hidden=64,tanh,window=25", BEST]
    ranks = sorted(cell.rank for cell in made.values() if cell.rank)
    assert ranks == list(range(1, 18)), "18 cells without the one that failed"


def test_a_cell_with_a_failed_run_has_no_place(made: dict[str, pages.GridCell]) -> None:
    cell = made[FAILING]
    assert (cell.rank, cell.tied, cell.status) == (None, False, "1 of 12 failed")
    assert isinstance(cell.values[0], Interval) and cell.values[0].n == 11
    assert made[BEST].status == "all 12 well"


def test_what_is_the_same_for_every_run_is_one_number(made: dict[str, pages.GridCell]) -> None:
    assert made[BEST].values[2] == 64 * (24 + 24 + 64 + 1) + 24
    assert value(np.array([0.5, 0.5])) == 0.5
    assert value(np.array([np.nan, np.nan])) is None
    assert isinstance(value(np.array([0.5, 0.75])), Interval)


def test_status_without_the_metric_counts_what_diverged() -> None:
    arm = next(arm for arm in grid()[1] if arm.name == FAILING)
    assert status(arm._replace(metrics={})) == "1 of 12 diverged"


def test_highest_turns_the_order_around() -> None:
    low, high, lost = np.linspace(0, 1, 12), np.linspace(5, 6, 12), np.full(12, np.nan)
    assert ranking([low, high, lost], "highest") == ([2, 1, None], [False, True, False])
    assert ranking([low, high, lost], "lowest") == ([1, 2, None], [True, False, False])


def test_with_too_few_seeds_nothing_is_told_apart() -> None:
    assert ranking([np.zeros(1), np.ones(1), np.full(1, np.nan)], "lowest") == ([1, 2, None], [True, True, False])
    assert ranking([np.zeros(12), np.ones(16)], "lowest") == ([1, 2], [True, True])
    assert ranking([np.full(3, np.nan)], "lowest") == ([None], [False])


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ('rows = "window"', 'rows = "batch"', "explorer: got 'batch'; expected one of: activation, hidden, window"),
        ('rows = "window"', 'rows = "hidden"', "expected different fields"),
        ('choose = ["hidden", "activation"]', 'choose = ["hidden"]', "for one cell; expected one arm in each"),
        ('choose = ["hidden", "activation"]', "choose = []", "explorer.choose: got .*at least 1"),
        ('rows = "window"', 'rows = "window"\narms = ["lstm*"]', "explorer.arms: got 'lstm\\*'"),
        ('rows = "window"', 'rows = "window"\nbest = "middle"', "explorer.best: got 'middle'"),
        ('rows = "window"', 'rows = "window"\ncolour = 1', "unknown field 'colour'"),
        ('rows = "window"', "", "missing field 'explorer.rows'"),
    ],
)
def test_a_grid_that_is_none_is_refused(tmp_path: Path, was: str, becomes: str, message: str) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(GRID.read_text().replace(was, becomes))
    with pytest.raises(BadInput, match=message):
        check_names(load_study(path))


def test_its_metrics_are_checked_before_training() -> None:
    study, _ = grid()
    explorer = study.file.explorer
    assert explorer
    assert ("explorer", "horizon", ["*"]) in list(requested_metrics(study))
    without = study._replace(file=replace(study.file, explorer=None))
    assert not [where for where, *_ in requested_metrics(without) if where == "explorer"]

"""The figure of a number against a setting: its lines, shares and intervals; what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnjax.analysis.results import ArmResult
from rnnjax.config.load import load_study
from rnnjax.errors import BadInput
from rnnjax.reports.figures.by_setting import setting_figure
from rnnjax.studies.validation import check_names

SEEDS = np.arange(42, 50)
LOW_OF_ALL = 0.025 ** (1 / 8)  # Clopper and Pearson's lower limit of 8 of 8


def arm(cell: str, lag: int, losses: list[float]) -> ArmResult:
    return ArmResult(
        name=f"{cell},delay={lag}",
        axes={"cell": cell, "task.copy_delay": lag},
        seeds=SEEDS,
        row_steps=np.array([100]),
        rows={},
        probe_steps=np.array([100]),
        probes={"validation_loss": np.array(losses)[:, None]},
        diverged_at=np.where(np.isnan(losses), 50, -1),
        metrics={},
    )


ARMS = [
    arm("lstm", 100, [0.1] * 4 + [1.0] * 4),
    arm("lstm", 10, [0.1] * 8),
    arm("elman", 10, [0.1] * 6 + [np.nan, 2.0]),
    arm("elman", 100, [2.0] * 8),
]
FIELDS: dict[str, Any] = {"along": "task.copy_delay", "lines": ["cell"]}


def test_a_line_is_the_share_of_seeds_below_a_limit_with_its_interval() -> None:
    title, words, figure = setting_figure(ARMS, "validation_loss", **FIELDS, title="Lags", below=0.2)
    lines = {trace.name: trace for trace in figure.data if trace.showlegend}
    assert lines.keys() == {"lstm", "elman"}
    np.testing.assert_allclose(lines["lstm"].x, [10, 100], rtol=0.05)
    np.testing.assert_allclose(lines["lstm"].x / lines["elman"].x, 1 / 1.035, rtol=1e-4)  # beside each other
    np.testing.assert_allclose(lines["lstm"].error_y.arrayminus[0], 1 - LOW_OF_ALL, rtol=1e-6)
    np.testing.assert_allclose(lines["lstm"].y, [1.0, 0.5])
    np.testing.assert_allclose(lines["elman"].y, [0.75, 0.0])  # the run that diverged is not below
    np.testing.assert_allclose(lines["lstm"].customdata[0], [10, LOW_OF_ALL, 1, 8], rtol=1e-6)
    np.testing.assert_allclose(lines["elman"].customdata[1], [100, 0, 1 - LOW_OF_ALL, 8], rtol=1e-5)
    assert title == "Lags"
    assert all(part in words for part in ("Clopper-Pearson", "8 seeds", "1 run diverged"))
    assert figure.layout.yaxis.title.text == "share of seeds with validation loss below 0.2"
    assert figure.layout.xaxis.title.text == "copy delay" and figure.layout.xaxis.ticktext == ("10", "100")


def test_without_a_limit_it_is_the_mean_of_the_runs_that_are_left() -> None:
    figure = setting_figure(ARMS, "validation_loss", **FIELDS).figure
    lines = {trace.name: trace for trace in figure.data if trace.showlegend}
    np.testing.assert_allclose(lines["elman"].y, [2.6 / 7, 2.0], rtol=1e-6)
    assert lines["elman"].customdata[0, 3] == 7


STUDY = """
question = "?"
[base]
steps = 10
[[axes]]
hidden = [8, 16]
cell = ["gru", "lstm"]
[[figures]]
form = "setting"
metric = "final_loss"
title = "By units"
"""


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('along = "cell"', "figures.along: got 'cell', which is 'gru'; expected numbers above 0"),
        ('along = "hidden"', "figures.lines: got 'hidden=8,gru' and 'hidden=8,lstm' for one place; expected fu"),
        ('along = "window"', "figures.along: got 'window'; expected one of"),
        ('along = "hidden"\nlines = ["cel"]', "figures.lines: got 'cel'; expected one of.*Did you mean 'cell'"),
    ],
)
def test_a_figure_without_lines_is_refused_in_one_line(tmp_path: Path, keys: str, message: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f"{STUDY}{keys}\n")
    with pytest.raises(BadInput, match=message):
        check_names(load_study(path))
    path.write_text(f'{STUDY}along = "hidden"\nlines = ["cell"]\n')
    check_names(load_study(path))


def test_spread_biases_are_of_gates(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text('question = "?"\n[base]\ncell = "elman"\ngate_biases = "chrono"\n')
    with pytest.raises(BadInput, match="gate_biases: got 'chrono'; expected 'constant' for a cell other than lstm"):
        check_names(load_study(path))

"""Forecasts of networks against loops that read every row anew, and from a table to the report."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from rnnjax.config.load import load_study
from rnnjax.errors import BadInput
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.studies.forecast_table import ForecastOptions, check_known_inputs
from rnnjax.studies.forecasting import forecast_ahead
from rnnjax.studies.load_networks import LoadedNetwork, load_network
from rnnjax.studies.load_results import load_results
from rnnjax.studies.prepare import prepare_study
from rnnjax.studies.run import run_study
from rnnjax.studies.sampling import SamplingOptions, sample_from_folder
from rnnjax.tasks.series import series_task
from rnnjax.types import Params, Task

RNG = np.random.default_rng(1)
VALUES = RNG.normal(size=(40, 4)).cumsum(axis=0).round(3)
FUTURE = RNG.normal(size=(6, 1)).round(3)


def table(future: bool) -> str:
    rows = [",".join(map(repr, row)) for row in VALUES.tolist()]
    rows += [f",,,{value!r}" for [value] in FUTURE.tolist()] if future else []
    return "\n".join(["y,z,u,v", *rows])


SETTINGS = {
    "plain": {},
    "raw inputs": {"standardise": "targets"},
    "roles": {"targets": "z,y", "inputs": "u", "known_inputs": "v"},
    "lags": {"targets": "z", "lags": "3,5", "differences": "1"},
    "direct": {"targets": "z", "known_inputs": "v", "forecast": "direct", "horizon": 3, "differences": "1,4"},
}


def network(task: Task, carry: str) -> tuple[Spec, Params]:
    """A small network with random parameters."""
    spec = Spec(hidden=4, window=6, carry=carry, task=TaskSpec(name="series"))
    spec = replace(spec, inputs=task.inputs, outputs=task.outputs, loss=task.loss)
    return spec, build_network(spec, HParams()).init(jax.random.key(3))


def outputs_after(params: Params, x_ND: np.ndarray) -> np.ndarray:
    """The last outputs of an Elman network that reads some rows from a state of 0."""
    layer, readout = params["layer_0"], params["readout"]
    h = np.zeros(4)
    for x in x_ND:
        h = np.tanh(
            x @ np.asarray(layer["kernel"]) + h @ np.asarray(layer["recurrent_kernel"]) + np.asarray(layer["bias"])
        )
    return h @ np.asarray(readout["kernel"]) + np.asarray(readout["bias"])


def forecast_by_hand(spec: Spec, params: Params, task: Task, fields: dict[str, str], t: int, leads: int) -> np.ndarray:
    """All rows up to t are read anew for each output; what follows from the settings is written out again."""
    names = fields.get("targets", "y,z,u,v").split(",")
    known = [3] if "known_inputs" in fields else []
    others = [place for place, name in enumerate("yzuv") if name not in names and place not in known]
    targets = ["yzuv".index(name) for name in names]
    steps = [int(step) for step in fields.get("differences", "").split(",") if step]
    lags = [int(step) for step in fields.get("lags", "").split(",") if step]
    ahead, layout = task.layout.ahead, task.layout
    rows = VALUES[: t + 1].tolist()
    v = np.concatenate([VALUES[:, 3], FUTURE[:, 0]])
    path: list[np.ndarray] = []

    def difference(values: np.ndarray) -> np.ndarray:
        for step in steps:
            values = np.concatenate([np.full_like(values[:step], np.nan), values[step:] - values[:-step]])
        return values

    while len(path) < leads:
        now = np.array(rows)
        d, first = difference(now[:, targets]), sum(steps) + max(lags, default=1) - 1
        x = [
            [*d[i], *now[i, others], *(v[min(i + j, len(v) - 1)] for j in range(1, ahead + 1) for _ in known)]
            + [value for k in lags for value in d[i + 1 - k]]
            for i in range(first, len(now))
        ]
        x_ND = (np.array(x) - layout.input_mean_D) / layout.input_scale_D
        read = x_ND if spec.carry == "carried" else x_ND[-window_read(spec, t, first, len(path)) :]
        said = outputs_after(params, read) * layout.output_scale_Q + layout.output_mean_Q
        for j in range(ahead):
            value = said[j * len(targets) : (j + 1) * len(targets)] + base(steps, now[:, targets], j)
            path.append(value)
            row = list(rows[-1])
            for place, one in zip(targets, value, strict=True):
                row[place] = one
            for place in known:
                row[place] = v[min(len(rows), len(v) - 1)]
            rows.append(row)
    return np.array(path[:leads])


def base(steps: list[int], y: np.ndarray, j: int) -> np.ndarray:
    """The row j + 1 after the last for which all differences after the last row are 0."""
    path = y.tolist()
    for _ in range(j + 1):
        if not steps:
            return np.zeros(y.shape[1])
        trial = np.array([*path, [0.0] * y.shape[1]])
        for step in steps:
            trial = np.concatenate([np.full_like(trial[:step], np.nan), trial[step:] - trial[:-step]])
        path.append((-trial[-1]).tolist())
    return np.array(path[-1])


def window_read(spec: Spec, t: int, first: int, done: int) -> int:
    """The rows that a network with a reset state reads: the last `window` of those known, then its own ones."""
    return min(spec.window, t + 1 - first) + done


@pytest.mark.parametrize("carry", ["carried", "reset"])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_forecast_reads_the_rows_then_itself(name: str, carry: str) -> None:
    fields = SETTINGS[name]
    future = "known_inputs" in fields
    task = series_task(TaskSpec(name="series", validation=0.3, **fields), table(future))
    spec, params = network(task, carry)
    assert task.series is not None and task.layout is not None
    origins = np.array([27, 31, 39])
    one = LoadedNetwork("base", 0, spec, HParams(seed=2**32 - 1), params, "")
    found = forecast_ahead(one, task.series, task.layout, origins, 5)
    for m, t in enumerate(origins):
        expected = forecast_by_hand(spec, params, task, fields, int(t), 5)
        np.testing.assert_allclose(found[:, m], expected, rtol=2e-3, atol=2e-3)


# From a table to the report

STUDY = """
question = "What comes next?"
seeds = 2
[base]
task.name = "series"
task.path = "{path}"
task.validation = 0.3
hidden = 4
window = 5
batch = 2
steps = 60
log_every = 20
block = 2
reduction = "mean"
"""
DAYS = [str(np.datetime64("2021-01-05") + np.timedelta64(day, "D")) for day in range(160)]
WAVE = np.column_stack([10 + np.sin(np.arange(160) / 3), 5 * np.cos(np.arange(160) / 5)]).round(4)


def write(folder: Path, lines: list[str], more: str = "") -> Path:
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    (folder / "tiny.toml").write_text(STUDY.format(path=folder / "table.csv") + more)
    return folder / "tiny.toml"


def dated() -> list[str]:
    return ["day,level,rain", *(f"{day},{one},{other}" for day, (one, other) in zip(DAYS, WAVE.tolist(), strict=True))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("series")
    run_study(load_study(write(place, dated()), ["task.horizon=4"]), place / "out")
    return place / "out"


def rows_of(text: str) -> list[list[str]]:
    return [line.split(",") for line in text.splitlines()]


@pytest.mark.slow
def test_a_forecast_goes_on_after_the_last_row_of_the_file(folder: Path) -> None:
    header, *rows = rows_of(sample_from_folder(folder, None, None, 3, SamplingOptions()))
    assert header == ["day", "level", "rain"]
    assert [row[0] for row in rows] == ["2021-06-14", "2021-06-15", "2021-06-16"]
    one = load_network(folder, None, None)
    by_hand = forecast_ahead(one, one.rows, one.layout, np.array([159]), 3)
    np.testing.assert_allclose([[float(cell) for cell in row[1:]] for row in rows], by_hand[:, 0], rtol=1e-6)


@pytest.mark.parametrize("start", ["2021-06-12", "159"])
def test_a_forecast_from_a_row_has_the_truth_beside_it(start: str, folder: Path) -> None:
    options = ForecastOptions(start, 0.8)
    header, *rows = rows_of(sample_from_folder(folder, None, 43, 6, SamplingOptions(), options))
    assert header[:5] == ["day", "level", "level_low", "level_high", "level_true"]
    assert [row[0] for row in rows] == [*DAYS[158:], "2021-06-14", "2021-06-15", "2021-06-16", "2021-06-17"]
    assert [row[4] for row in rows] == [*(f"{value:.9g}" for value in WAVE[158:, 0]), "", "", "", ""]
    low, said, high = (np.array([float(row[place]) for row in rows[:4]]) for place in (2, 1, 3))
    assert (low <= said).all() and (said <= high).all()
    assert all(row[2] == row[3] == "" for row in rows[4:])  # behind the horizon nothing was measured


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (
            "2022-01-01",
            "expected a row from 1 to 161 or a label from 2021-01-05 to 2021-06-13",
        ),
        ("0", "--from: got '0'; expected a row from 1 to 161"),
        ("162", "--from: got '162'; expected a row from 1 to 161"),
        ("1", "--from: got '1', row 1; expected a row >= 2: 1 are read before it"),
    ],
)
def test_a_start_that_is_no_row_is_refused(start: str, message: str, folder: Path) -> None:
    with pytest.raises(BadInput, match=message):
        sample_from_folder(folder, None, None, 3, SamplingOptions(), ForecastOptions(start))


def test_the_report_says_what_is_beaten(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    assert "Next row, on 48 held-out rows: level (RMSE" in text and "4 rows ahead, on 48 held-out rows" in text
    assert "the value one season before" in text and "Held-out part of level; 2. Held-out part of rain" in text
    lines = (folder / "tables" / "forecasts.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 2 * 5


def test_the_errors_are_those_of_the_forecasts(folder: Path) -> None:
    results = load_results(folder)
    [arm], found = results.arms, results.forecasts["base"]
    one = load_network(folder, None, 43)
    for t in (111, 140, 155):
        said = forecast_ahead(one, one.rows, one.layout, np.array([t]), 4)
        np.testing.assert_allclose(found.predictions_nLMO[1, :, t - 111], said[:, 0], rtol=1e-4)
    np.testing.assert_allclose(found.path_nPO[1, :4], found.predictions_nLMO[1, :, 0], rtol=1e-4)
    errors = [found.predictions_nLMO[1, :, t - 111] - WAVE[t + 1 : t + 5] for t in range(111, 156)]
    square = np.sqrt(np.mean(np.array(errors) ** 2, axis=0))
    assert arm.metrics["rmse[level]"][1] == pytest.approx(square[0, 0], rel=1e-4)
    assert arm.metrics["rmse[rain+4]"][1] == pytest.approx(square[3, 1], rel=1e-4)
    scale = np.abs(WAVE[found.season : 112] - WAVE[: 112 - found.season]).mean(axis=0)
    mae = np.abs(errors).mean(axis=0)[0] / scale
    assert [arm.metrics[f"mase[{name}]"][1] for name in ("level", "rain")] == pytest.approx(mae, rel=1e-4)


@pytest.mark.slow
def test_a_study_may_ask_for_the_error_of_a_column(tmp_path: Path) -> None:
    question = '[[questions]]\ntext = "Which fold?"\nmetric = "{}"\n'
    axes = "[[axes]]\ntask.fold = [0, 1]\n"
    study = load_study(write(tmp_path, dated(), axes + question.format("rmse[rain]")), ["steps=20"])
    run_study(study, tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert "By rmse\\[rain\\] in unit of rain, lowest first: fold=" in text
    assert "in each of 2 arms" in text and f"{DAYS[64]} to {DAYS[111]}" in text.replace("\\", "")
    wrong = load_study(write(tmp_path, dated(), question.format("rmse[snow]")))
    with pytest.raises(BadInput, match=r"questions: got metric 'rmse\[snow\]'; expected one of: .*rmse\[rain\]"):
        prepare_study(wrong)


@pytest.mark.slow
def test_known_inputs_end_where_the_file_ends(tmp_path: Path) -> None:
    lines = dated()
    lines += [f"{np.datetime64('2021-06-14') + np.timedelta64(day, 'D')},,0.{day}" for day in range(3)]
    settings = ["task.targets=level", "task.known_inputs=rain", "steps=20"]
    run_study(load_study(write(tmp_path, lines), settings), tmp_path / "out")
    rows = rows_of(sample_from_folder(tmp_path / "out", None, None, 3, SamplingOptions()))
    assert [row[0] for row in rows] == ["day", "2021-06-14", "2021-06-15", "2021-06-16"]
    with pytest.raises(BadInput, match=r"--length: got 4; expected <= 3: the known inputs \(rain\) end there"):
        sample_from_folder(tmp_path / "out", None, None, 4, SamplingOptions())
    one = load_network(tmp_path / "out", None, None)
    assert one.rows is not None and one.layout is not None
    check_known_inputs(one.rows, one.layout, 155, 8)
    with pytest.raises(BadInput, match=r"--length: got 4; the file has no rows of the known inputs \(rain\) after"):
        check_known_inputs(one.rows._replace(future_MK=None), one.layout, 160, 4)


def test_a_bad_setting_writes_nothing(tmp_path: Path) -> None:
    for setting in ("task.targets=snow", "task.horizon=48", "task.lags=one"):
        with pytest.raises(BadInput):
            run_study(load_study(write(tmp_path, dated()), [setting]), tmp_path / "out")
        assert not (tmp_path / "out").exists()

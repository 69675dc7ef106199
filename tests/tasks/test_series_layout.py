"""Inputs and targets of a series with roles, lags, differences and a horizon, against loops over the definitions."""

import itertools

import numpy as np
import pytest

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.seasons import calendar_seasons, find_season
from rnnjax.tasks.series import series_task
from rnnjax.tasks.series_layout import (
    difference_weights,
    pairs_of_rows,
    past_windows,
    rows_of_outputs,
    rows_read,
)
from rnnjax.tasks.series_levels import ORDER, level_losses, seasonal_scale, simple_forecasts
from rnnjax.types import RowIndex, SeriesLayout, SeriesRows, Task

RNG = np.random.default_rng(0)
COLUMNS = ("y", "z", "u", "v")
VALUES = RNG.normal(size=(60, 4)).cumsum(axis=0).round(3)


def table(values: np.ndarray = VALUES, names: tuple[str, ...] = COLUMNS, dates: bool = False) -> str:
    start = np.datetime64("2021-01-05")
    rows = [",".join("" if np.isnan(value) else repr(value) for value in row) for row in values.tolist()]
    if dates:
        return "\n".join(
            ["date," + ",".join(names), *(f"{start + np.timedelta64(i, 'D')},{row}" for i, row in enumerate(rows))]
        )
    return "\n".join([",".join(names), *rows])


def made(source: str | None = None, **fields: object) -> Task:
    return series_task(TaskSpec(name="series", **fields), table() if source is None else source)


def in_units(task: Task, rows_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets before they were standardised."""
    pairs, layout = task.make_sequence(rows_MF), task.layout
    x = pairs.inputs_N * np.array(layout.input_scale_D) + layout.input_mean_D
    return x, pairs.targets_N * np.array(layout.output_scale_Q) + layout.output_mean_Q


ROLES = {"targets": "z,y", "inputs": "u", "known_inputs": "v"}


CASES = [*itertools.product([(), (3, 5)], [(), (1,), (1, 4)], [1, 3])]


@pytest.mark.parametrize(("lags", "differences", "ahead"), CASES)
def test_inputs_and_targets_one_by_one(lags: tuple[int, ...], differences: tuple[int, ...], ahead: int) -> None:
    fields = {"lags": ",".join(map(str, lags)), "differences": ",".join(map(str, differences))}
    task = made(**ROLES, **fields, horizon=ahead, forecast="direct", validation=0.3)
    y, u, v = VALUES[:, [1, 0]], VALUES[:, 2], VALUES[:, 3]

    def difference(values: np.ndarray) -> np.ndarray:
        for step in differences:
            values = np.concatenate([np.full_like(values[:step], np.nan), values[step:] - values[:-step]])
        return values

    d = difference(y)
    split, stop = 42, 60
    first = max(max(lags, default=1), 1) - 1 + sum(differences)
    for part, start, end in ((task.train_N, first, split), (task.validation_N, split, stop)):
        x_MD, targets_MQ = in_units(task, part)
        assert len(x_MD) == end - ahead - start
        for m, t in enumerate(range(start, end - ahead)):
            known = [v[t + j] for j in range(1, ahead + 1)]
            expected = [*d[t], u[t], *known, *itertools.chain(*(d[t + 1 - k] for k in lags))]
            np.testing.assert_allclose(x_MD[m], expected, rtol=1e-4, atol=1e-4)
            for j in range(1, ahead + 1):
                path = np.concatenate([y[: t + 1], np.full((j, 2), np.nan)])
                for at in range(t + 1, t + j + 1):  # the row whose difference is 0
                    for place in range(2):
                        path[at, place] = 0
                        path[at, place] = -difference(path[: at + 1])[at, place] if differences else 0
                target = targets_MQ[m].reshape(ahead, 2)[j - 1]
                np.testing.assert_allclose(target, y[t + j] - path[t + j], rtol=1e-4, atol=1e-4)
    assert task.columns == (("z", "y") if ahead == 1 else ("z +1", "y +1", "z +2", "y +2", "z +3", "y +3"))


def test_outputs_become_rows_again() -> None:
    """Targets, standardised, are turned back into the rows that they came from."""
    for differences, ahead in (("", 1), ("1", 1), ("", 3), ("1,4", 3)):
        task = made(targets="y", differences=differences, horizon=ahead, forecast="direct", validation=0.3)
        layout, rows = task.layout, task.series
        pairs = task.make_sequence(task.validation_N)
        past = past_windows(layout, rows.values_NC)[rows.split - rows_read(layout) + 1 :][: len(pairs.targets_N)]
        said = rows_of_outputs(layout, pairs.targets_N, past)
        for m in range(len(said)):
            after = rows.values_NC[rows.split + m + 1 : rows.split + m + 1 + ahead, :1]
            np.testing.assert_allclose(said[m], after, rtol=1e-4, atol=1e-4)


def test_a_difference_is_a_polynomial_of_steps_back() -> None:
    assert difference_weights(()) == ()
    assert difference_weights((1,)) == (-1,)
    assert difference_weights((1, 3)) == (-1, 0, -1, 1)


def test_columns_in_other_roles_change_no_column_that_is_read_plainly() -> None:
    """All columns as targets are the task without roles, number by number."""
    plain, roles = made(), made(targets="y,z,u,v")
    np.testing.assert_array_equal(plain.train_N, roles.train_N)
    assert plain.reference_losses == roles.reference_losses
    x_MD, targets_MQ = pairs_of_rows(plain.layout, VALUES)
    np.testing.assert_array_equal(x_MD, VALUES[:-1])
    np.testing.assert_array_equal(targets_MQ, VALUES[1:])


@pytest.mark.parametrize(
    ("fields", "columns"),
    [
        ({"targets": "z"}, ("z", "y", "u", "v")),
        ({"targets": "z", "inputs": "v"}, ("z", "v")),
        ({"inputs": "v"}, ("y", "z", "u", "v")),
        ({"columns": "u,z", "targets": "z"}, ("z", "u")),
        ({"columns": "-u", "targets": "z"}, ("z", "y", "v")),
        ({"columns": "z", "known_inputs": "u"}, ("z", "u")),
    ],
)
def test_roles_choose_columns(fields: dict[str, str], columns: tuple[str, ...]) -> None:
    assert made(**fields).series.columns == columns


def test_scales_are_those_of_the_training_part() -> None:
    task = made(**ROLES, differences="1", validation=0.3)
    d = np.diff(VALUES[:42, [1, 0]], axis=0)
    assert task.layout.input_mean_D[:2] == pytest.approx(d[:-1].mean(axis=0))
    assert task.layout.input_scale_D[2] == pytest.approx(VALUES[:42, 2].std())
    assert task.layout.output_scale_Q == pytest.approx(d.std(axis=0), rel=0.05)
    assert made(differences="1", standardise="none").layout.output_scale_Q == (1, 1, 1, 1)


def test_missing_targets_do_not_count() -> None:
    values = VALUES.copy()
    values[[10, 50], 0] = np.nan
    task = made(table(values), targets="y", missing="mask", lags="3", validation=0.3)
    pairs = task.make_sequence(task.train_N)
    first = rows_read(task.layout) - 1
    assert np.flatnonzero(pairs.measured_N == 0).tolist() == [9 - first]
    assert np.isfinite(pairs.inputs_N).all() and np.isfinite(pairs.targets_N).all()
    held_out = task.make_sequence(task.validation_N)
    assert np.flatnonzero(held_out.measured_N == 0).tolist() == [49 - 42]


# Folds


def test_a_fold_moves_the_split_back_by_held_out_parts() -> None:
    for fold, split in ((0, 48), (1, 36), (2, 24), (3, 12)):
        rows = made(validation=0.2, fold=fold).series
        assert (rows.split, rows.stop, len(rows.values_NC)) == (split, split + 12, 60)
    with pytest.raises(BadInput, match=r"task.fold: got 4; expected <= 3 \(60 rows, 12 in each part\)"):
        made(validation=0.2, fold=4)


# Known inputs of the future


def test_rows_without_targets_are_the_future_of_known_inputs() -> None:
    values = VALUES.copy()
    values[55:, :3] = np.nan
    task = made(table(values), **ROLES)
    np.testing.assert_array_equal(task.series.future_MK, VALUES[55:, 3:])
    assert len(task.series.values_NC) == 55
    values[57:, 3] = np.nan
    assert len(made(table(values), **ROLES).series.future_MK) == 2


def test_a_known_input_that_ends_early_is_refused() -> None:
    values = VALUES.copy()
    values[55:, :2] = np.nan
    values[58, 2] = np.nan
    with pytest.raises(BadInput, match=r"task.known_inputs: column 'u' has no number in line 60, after the last row of "
                       r"the targets \(line 56\); expected numbers up to line 61"):  # fmt: skip
        made(table(values), targets="y,z", known_inputs="u,v")


# Refusals


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"targets": "w"}, "task.targets: got 'w'; expected one of: y, z, u, v"),
        ({"columns": "y,z", "targets": "u"}, "task.targets: got 'u'; expected one of task.columns: y, z"),
        ({"columns": "y,z", "inputs": "u"}, "task.inputs: got 'u'; expected one of task.columns: y, z"),
        ({"targets": "y,y"}, "task.targets: got 'y' twice; expected different names"),
        (
            {"targets": "y", "inputs": "y"},
            "task.targets: got 'y', which task.inputs has too",
        ),
        ({"inputs": "y,z,u,v"}, "task.targets: got no column to predict; expected one that is no input"),
        ({"horizon": 6}, r"task.horizon: got 6; expected <= 5 \(of 6 held-out rows\)"),
        ({"lags": "1"}, "task.lags: got '1'; expected integers >= 2 with commas between, such as 7,14"),
        ({"lags": "7;14"}, "task.lags: got '7;14'; expected integers >= 2"),
        ({"lags": "99"}, "task.lags: reads 99 rows; expected less than the 54 rows to train on"),
        ({"differences": "-1"}, "task.differences: got '-1'; expected integers >= 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(fields: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message) as refused:
        made(**fields)
    assert "\n" not in str(refused.value)


def test_a_generated_series_has_no_roles() -> None:
    for name in ("targets", "inputs", "known_inputs"):
        with pytest.raises(BadInput, match=f"task.{name}: got 'x'; expected none without a file"):
            series_task(TaskSpec(name="series", **{name: "x"}), None)
    with pytest.raises(BadInput, match="task.fold: got 1; expected none without a file"):
        series_task(TaskSpec(name="series", fold=1), None)


def test_differences_that_do_not_vary_are_refused() -> None:
    line = np.column_stack([np.arange(60.0), VALUES[:, 0]])
    with pytest.raises(BadInput, match="task.differences: the differences of 'x' do not vary"):
        made(table(line, ("x", "y")), differences="1", columns="x,y")


@pytest.mark.parametrize("setting", [{"lags": "7"}, {"differences": "7"}, {"horizon": 3}, {"season": 7}])
def test_rows_are_counted_in_a_regular_index_only(setting: dict[str, object]) -> None:
    lines = table(dates=True).split("\n")
    for name, changed in (
        ("gaps", lines[:20] + lines[22:]),
        ("repeated labels", [*lines[:20], lines[19], *lines[20:]]),
    ):
        source = "\n".join(changed)
        with pytest.raises(BadInput, match=f"task.{next(iter(setting))}: counts rows, but column 'date' has .*{name}.*"
                           "use --set task.gaps=ignore"):  # fmt: skip
            made(source, **setting)
        made(source, **setting, gaps="ignore")
        made(source)


# Seasons and simple predictors


def index(unit: str, step: float) -> RowIndex:
    return RowIndex("t", 0.0, unit, step)


def test_the_season_is_that_of_the_calendar_or_of_the_rows() -> None:
    day = 86_400_000_000
    assert calendar_seasons(index("months", 1)) == [12] and calendar_seasons(index("months", 3)) == [4]
    assert calendar_seasons(index("microseconds", day)) == [7, 365]
    assert calendar_seasons(index("microseconds", day / 24)) == [24, 168, 8766]
    assert calendar_seasons(index("weekdays", 1)) == [5] and calendar_seasons(index("count", 1)) == []
    noise = np.random.default_rng(5).normal(size=(200, 1))
    wave = np.sin(2 * np.pi * np.arange(200) / 17)[:, None] + 0.1 * noise
    assert find_season(wave, None) == 17
    assert find_season(noise, None) == 0
    assert find_season(noise[:20], index("months", 1)) == 0  # a season must be there twice


def simple(**fields: object) -> tuple[SeriesRows, SeriesLayout]:
    task = made(**fields, validation=0.3)
    return task.series, task.layout


def test_simple_predictors_one_by_one() -> None:
    rows, layout = simple(targets="z", inputs="u", known_inputs="v", season=5, horizon=7)
    origins = np.arange(41, 53)
    found = simple_forecasts(rows, layout, origins, 7)
    z = VALUES[:, 1]
    assert list(found) == ["mean", "last", "seasonal", "linear"]
    for lead in range(1, 8):
        for m, t in enumerate(origins):
            assert found["mean"][lead - 1, m, 0] == pytest.approx(z[:42].mean())
            assert found["last"][lead - 1, m, 0] == z[t]
            back = t + lead
            while back > t:
                back -= 5
            assert found["seasonal"][lead - 1, m, 0] == z[back]
    assert seasonal_scale(rows, layout) == pytest.approx(np.mean([abs(z[t] - z[t - 5]) for t in range(5, 42)]))


def test_simple_predictors_know_what_the_network_is_trained_on() -> None:
    rows, layout = simple(targets="z", redundancy=2, season=5)
    z = VALUES[:21, 1]
    assert (rows.fitted, rows.split) == (21, 42)
    assert simple_forecasts(rows, layout, np.array([41]), 1)["mean"][0, 0, 0] == pytest.approx(z.mean())
    assert seasonal_scale(rows, layout) == pytest.approx(np.abs(z[5:] - z[:-5]).mean())
    other = rows.values_NC.copy()
    other[21:30] = 7
    for name, said in simple_forecasts(rows._replace(values_NC=other), layout, np.array([41]), 1).items():
        np.testing.assert_array_equal(said, simple_forecasts(rows, layout, np.array([41]), 1)[name])


def test_the_linear_predictor_is_least_squares_on_the_past_and_the_known() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(400, 3))
    for t in range(2, 400):  # depends on its own past, on another column before, and on a known one now
        values[t, 0] = 0.5 * values[t - 1, 0] - 0.3 * values[t - 2, 1] + 2 * values[t, 2]
    task = made(table(values, ("y", "u", "v")), targets="y", inputs="u", known_inputs="v", validation=0.3)
    rows, layout = task.series, task.layout
    origins = np.arange(rows.split - 1, 398)
    found = simple_forecasts(rows, layout, origins, 1)["linear"]
    np.testing.assert_allclose(found[0, :, 0], values[origins + 1, 0], atol=1e-8)
    swapped = values.copy()
    swapped[origins[0] - ORDER :: 1] = rng.normal(size=(400 - origins[0] + ORDER, 3))
    other = simple_forecasts(rows._replace(values_NC=swapped), layout, origins, 1)["linear"]
    assert np.isfinite(other).all()


def test_levels_of_a_direct_forecast_are_means_over_its_rows() -> None:
    rows, layout = simple(targets="z", horizon=3, forecast="direct", season=4)
    found = level_losses(rows, layout)
    z = VALUES[:, 1]
    last = [(z[t + j] - z[t]) ** 2 for t in range(42, 57) for j in (1, 2, 3)]
    mean = [(z[t + j] - z[:42].mean()) ** 2 for t in range(42, 57) for j in (1, 2, 3)]
    assert found["persistence"] == pytest.approx(np.mean(last)) and found["chance"] == pytest.approx(np.mean(mean))
    assert set(found) == {"chance", "persistence", "seasonal", "linear"}


def test_the_weather_comes_with_rnnjax() -> None:
    from rnnjax.studies.datasets import read_source_text

    settings = TaskSpec(name="series", series="weather")
    found = read_source_text(settings, 10**9)
    task = series_task(settings, found.text)
    assert task.series.columns == ("temp_max", "precipitation") and len(task.series.values_NC) == 1_461
    assert (task.series.index_name, task.series.labels[-1], task.series.season) == ("date", "2015-12-31", 7)
    assert not task.notices

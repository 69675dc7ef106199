"""Series against loops, SciPy's solvers and the numbers that only the training part may set; bad files line by line."""

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.signal import lfilter

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.studies.datasets import read_source_text
from rnnjax.tasks import TASKS
from rnnjax.tasks.generators import AR_COEFFICIENTS, AR_WARM_UP, DETERMINISTIC, PERIODS, RANDOM, delayed_feedback
from rnnjax.tasks.series import held_out_reference_losses, linear_error, series_task
from rnnjax.tasks.windows import held_out_window, task_windows
from rnnjax.types import Task

SERIES = [*DETERMINISTIC, *RANDOM]


def made(source: str | None = None, **fields: object) -> Task:
    return series_task(TaskSpec(name="series", **fields), source)


def in_units(task: Task, values_O: np.ndarray) -> np.ndarray:
    """Network outputs [..., O] in the units of the series: value * scale + mean."""
    return values_O * np.array(task.target_scale_O) + np.array(task.target_mean_O)


def own_units(task: Task) -> tuple[np.ndarray, np.ndarray]:
    return in_units(task, task.train_N), in_units(task, task.validation_N)


def table(rows: int, columns: int = 2) -> np.ndarray:
    return np.random.default_rng(rows).normal(size=(rows, columns)) * np.arange(1, columns + 1) + 3


def as_csv(values: np.ndarray, header: str = "", sign: str = ",") -> str:
    lines = [sign.join(map(repr, row)) for row in values.tolist()]
    return "\n".join([header, *lines] if header else lines) + "\n"


# What is generated


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_generated_series_is_one_column_of_the_length_asked_for(series: str, seed: int) -> None:
    task = made(series=series, length=300, validation=0.25, corpus_seed=seed)
    assert task.train_N.shape == (300, 1) and task.validation_N.shape == (75, 1)
    assert task.train_N.dtype == task.validation_N.dtype == np.float32
    assert (task.inputs, task.outputs, task.loss) == (1, 1, "squared_error")
    assert (task.columns, task.vocabulary, task.text_measures) == (("x",), "", None)
    again, other = (made(series=series, length=300, validation=0.25, corpus_seed=seed + i) for i in (0, 1))
    np.testing.assert_array_equal(again.train_N, task.train_N)
    assert not np.array_equal(other.train_N, task.train_N)


@pytest.mark.parametrize("series", DETERMINISTIC)
def test_a_deterministic_series_goes_on_where_training_ends(series: str) -> None:
    parts = made(series=series, length=300, standardise="none")
    longer = made(series=series, length=330, standardise="none")
    np.testing.assert_array_equal(np.concatenate([parts.train_N, parts.validation_N]), longer.train_N)


@pytest.mark.parametrize("series", RANDOM)
def test_a_random_series_is_held_out_as_a_draw_apart(series: str) -> None:
    """No value of what is held out occurs in any longer training part."""
    task = made(series=series, length=300, standardise="none")
    assert not np.isin(task.validation_N, made(series=series, length=3_000, standardise="none").train_N).any()


def test_sines_one_by_one() -> None:
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    phases = again.uniform(0, 2 * np.pi, len(PERIODS))
    waves = zip(PERIODS, phases, strict=True)
    expected = sum(np.array([np.sin(2 * np.pi * t / period + phase) for t in range(200)]) for period, phase in waves)
    np.testing.assert_allclose(DETERMINISTIC["sines"](200, rng), expected, atol=1e-12)


def test_the_autoregression_is_the_linear_filter_of_its_innovations() -> None:
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    filtered = lfilter([1], [1, *(-a for a in AR_COEFFICIENTS)], again.normal(size=AR_WARM_UP + 200))
    np.testing.assert_allclose(RANDOM["ar"](200, rng), filtered[AR_WARM_UP:], rtol=1e-9, atol=1e-9)


def test_the_autoregression_has_its_stationary_variance() -> None:
    """(1 - a2) / ((1 + a2) ((1 - a2)^2 - a1^2)), from the first step on."""
    first, second = AR_COEFFICIENTS
    variance = (1 - second) / ((1 + second) * ((1 - second) ** 2 - first**2))
    draws = np.array([RANDOM["ar"](2, np.random.default_rng(seed)) for seed in range(2_000)])
    assert draws.var(axis=0) == pytest.approx([variance] * 2, rel=0.1)
    assert max(abs(np.roots([1, -first, -second]))) < 1


def test_a_walk_and_noise_differ_by_a_sum() -> None:
    steps = RANDOM["noise"](400, np.random.default_rng(5))
    x = 0.0
    for step, reached in zip(steps, RANDOM["walk"](400, np.random.default_rng(5)), strict=True):
        x += step
        assert reached == pytest.approx(x)
    assert steps == pytest.approx(np.random.default_rng(5).standard_normal(400))


def test_mackey_glass_is_what_scipy_solves_piece_by_piece() -> None:
    """Over one delay the delayed value is known: an ordinary equation, solved to 1e-11."""
    pieces = [lambda t: 1.2]

    def slope(t: float, x: np.ndarray) -> np.ndarray:
        delayed = float(np.squeeze(pieces[-1](t - 17)))
        return 0.2 * delayed / (1 + delayed**10) - 0.1 * x

    expected = [1.2]
    for start in range(0, 170, 17):
        units = np.arange(start + 1, start + 18)
        span = (start, start + 17)
        solved = solve_ivp(slope, span, expected[-1:], t_eval=units, rtol=1e-11, atol=1e-11, dense_output=True)
        expected += solved.y[0].tolist()
        pieces.append(solved.sol)
    np.testing.assert_allclose(delayed_feedback(171, 1.2), expected, rtol=0, atol=5e-5)


def test_mackey_glass_is_on_its_attractor() -> None:
    values = DETERMINISTIC["mackey_glass"](3_000, np.random.default_rng(0))
    assert 0.2 < values.min() < 0.5 and 1.2 < values.max() < 1.4
    assert values[:1_000].mean() == pytest.approx(values[2_000:].mean(), rel=0.1)
    whole = delayed_feedback(1_050, np.random.default_rng(0).uniform(1.1, 1.4))
    np.testing.assert_array_equal(values[:50], whole[1_000:])


# Units, redundancy, readout


@pytest.mark.parametrize("standardise", ["all", "none"])
def test_scale_and_offset_set_the_units_whatever_the_network_sees(standardise: str) -> None:
    plain = made(series="ar", length=400, standardise="none")
    task = made(series="ar", length=400, scale=2.5, offset=-7, standardise=standardise)
    for own, values in zip(own_units(task), (plain.train_N, plain.validation_N), strict=True):
        np.testing.assert_allclose(own, 2.5 * values - 7, rtol=1e-5, atol=1e-5)
    if standardise == "none":
        assert (task.target_mean_O, task.target_scale_O) == ((0,), (1,))


def test_the_training_part_alone_sets_mean_and_deviation() -> None:
    values = table(100)
    changed = np.concatenate([values[:90], values[90:] * 50 + 1_000])
    task, other = made(as_csv(values)), made(as_csv(changed))
    np.testing.assert_array_equal(task.train_N, other.train_N)
    assert (task.target_mean_O, task.target_scale_O) == (other.target_mean_O, other.target_scale_O)
    assert task.target_mean_O == pytest.approx(values[:90].mean(axis=0))
    assert task.target_scale_O == pytest.approx(values[:90].std(axis=0))
    np.testing.assert_allclose(task.train_N.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(task.train_N.std(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(own_units(other)[1], changed[90:], rtol=1e-6)


def test_only_the_targets_may_be_standardised() -> None:
    """The network reads what "none" shows it and is to say what "all" asks of it, in the units of both."""
    fields = {"series": "walk", "length": 400, "scale": 2.5, "offset": 300}
    raw, everything, targets = (made(standardise=way, **fields) for way in ("none", "all", "targets"))
    for part in ("train_N", "validation_N"):
        pairs = targets.make_sequence(getattr(targets, part))
        np.testing.assert_array_equal(pairs.inputs_N, getattr(raw, part)[:-1])
        np.testing.assert_allclose(pairs.targets_N, getattr(everything, part)[1:], atol=2e-4)
        assert pairs.targets_N.dtype == np.float32
    assert (targets.target_mean_O, targets.target_scale_O) == (everything.target_mean_O, everything.target_scale_O)
    assert targets.reference_losses == raw.reference_losses == everything.reference_losses
    data = task_windows(targets, targets.train_N, 2, 5)
    said_O = in_units(targets, data.targets_WTB[0, 0, 0])
    np.testing.assert_allclose(said_O, data.inputs_WTB[0, 1, 0], rtol=1e-5)


def test_swapped_axes_are_a_transposed_window() -> None:
    right, swapped = (made(series="noise", length=101, loss_steps="last", time_axis=axes) for axes in ("time", "batch"))
    square, turned = (task_windows(one, one.train_N, batch=5, window=5) for one in (right, swapped))
    for name in ("inputs_WTB", "targets_WTB"):
        for step in range(5):
            for stream in range(5):
                before, after = getattr(square, name)[:, step, stream], getattr(turned, name)[:, stream, step]
                np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(turned.loss_mask_WTB, square.loss_mask_WTB)
    with pytest.raises(BadInput, match="task.time_axis: got 'batch' with batch 4 x window 5; expected batch = window"):
        task_windows(swapped, swapped.train_N, batch=4, window=5)


def test_swapped_axes_are_swapped_in_what_is_held_out_too() -> None:
    """23 windows of 4 steps: five squares of four windows, the rest is left out."""
    right, swapped = (made(series="noise", length=200, validation=0.475, time_axis=a) for a in ("time", "batch"))
    windows, turned = (held_out_window(one, 4, carried=False) for one in (right, swapped))
    assert (windows.inputs_WTB.shape[1:3], turned.inputs_WTB.shape[1:3]) == ((4, 23), (4, 20))
    for name in ("inputs_WTB", "targets_WTB"):
        for square in range(5):
            of_square = getattr(windows, name)[0, :, 4 * square : 4 * square + 4]
            np.testing.assert_array_equal(
                getattr(turned, name)[0, :, 4 * square : 4 * square + 4], of_square.swapaxes(0, 1)
            )
    assert turned.loss_mask_WTB is None
    last = made(series="noise", length=200, validation=0.475, time_axis="batch", loss_steps="last")
    np.testing.assert_array_equal(held_out_window(last, 4, False).loss_mask_WTB[0].sum(axis=1), [0, 0, 0, 20])
    with pytest.raises(BadInput, match="leaves 2 windows; need >= 9"):
        held_out_window(made(series="noise", length=200, validation=0.1, time_axis="batch"), 9, carried=False)


# Levels


def test_the_levels_are_those_of_loops_over_the_held_out_rows() -> None:
    train, validation = table(80, 3), table(30, 3)
    means = [sum(column) / 80 for column in train.T.tolist()]
    targets = [(t, o) for t in range(1, 30) for o in range(3)]
    levels = held_out_reference_losses(train, validation)
    assert levels["chance"] == pytest.approx(np.mean([(validation[t, o] - means[o]) ** 2 for t, o in targets]))
    assert levels["persistence"] == pytest.approx(
        np.mean([(validation[t, o] - validation[t - 1, o]) ** 2 for t, o in targets])
    )


@pytest.mark.parametrize("order", [1, 3])
def test_the_linear_level_is_that_of_the_normal_equations(order: int) -> None:
    train, validation = table(80), table(30)

    def equations(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        past = [
            [1.0, *(rows[t - k, o] for k in range(1, order + 1) for o in range(2))] for t in range(order, len(rows))
        ]
        return np.array(past), rows[order:]

    past, future = equations(train)
    weights = np.linalg.solve(past.T @ past, past.T @ future)
    past, future = equations(validation)
    assert linear_error(train, validation, order) == pytest.approx(np.mean((past @ weights - future) ** 2))


def test_the_linear_level_does_not_depend_on_a_column_s_unit() -> None:
    train, validation = table(80), table(30)
    error = [linear_error(train[:, [o]] * 10.0**power, validation[:, [o]] * 10.0**power, 3) / 100.0**power
             for o, power in [(0, 0), (0, 12), (0, -12)]]  # fmt: skip
    assert error == pytest.approx([error[0]] * 3)
    small, smaller = (linear_error(train * [1, unit], validation * [1, unit], 3) for unit in (1e-9, 1e-16))
    assert small == pytest.approx(smaller)  # the second column helps to predict the first, however small its unit


@pytest.mark.parametrize(("rows", "columns", "order"), [(200, 2, 8), (21, 2, 6), (40, 2, 3), (12, 9, 1), (6, 9, 0)])
def test_the_linear_predictor_never_has_more_numbers_than_equations(rows: int, columns: int, order: int) -> None:
    held_out = 4 if rows == 40 else 30
    train, validation = table(rows, columns), table(held_out, columns)
    levels = held_out_reference_losses(train, validation)
    assert levels.get("linear") == (linear_error(train, validation, order) if order else None)


@pytest.mark.parametrize("series", SERIES)
def test_levels_are_in_the_series_own_units(series: str) -> None:
    plain, raw = (made(series=series, standardise=standardise) for standardise in ("all", "none"))
    assert plain.reference_losses == raw.reference_losses
    tripled = made(series=series, scale=3, offset=5)
    for name in ("chance", "persistence", "floor"):
        assert tripled.reference_losses[name] == pytest.approx(9 * plain.reference_losses[name])
    train, validation = own_units(plain)
    assert plain.reference_losses["chance"] == pytest.approx(np.mean((validation[1:] - train.mean()) ** 2), rel=1e-4)


@pytest.mark.parametrize("series", DETERMINISTIC)
def test_what_follows_from_its_past_has_the_floor_zero(series: str) -> None:
    levels = made(series=series).reference_losses
    assert levels["floor"] == 0
    assert levels["linear"] < 1e-4 * levels["persistence"] < levels["chance"]


def test_the_floor_of_what_is_drawn_is_the_error_of_who_knows_the_rule() -> None:
    """On 40,000 held-out steps, where the mean of a squared normal number is known to 0.7 %; 3 of these are allowed."""
    knowing = {
        "ar": lambda x: AR_COEFFICIENTS[0] * x[1:-1] + AR_COEFFICIENTS[1] * x[:-2],
        "walk": lambda x: x[1:-1],
        "noise": lambda x: 0 * x[1:-1],
        "uniform": lambda x: 0 * x[1:-1],
    }
    assert knowing.keys() == RANDOM.keys()
    for series, rule in knowing.items():
        task = made(series=series, length=80_000, validation=0.5, scale=0.5)
        x = own_units(task)[1][:, 0] / 0.5
        assert 0.25 * np.mean((x[2:] - rule(x)) ** 2) == pytest.approx(task.reference_losses["floor"], rel=0.02)
        assert task.reference_losses["linear"] == pytest.approx(task.reference_losses["floor"], rel=0.02)


def test_levels_of_a_repeated_training_part_are_those_of_saying_it_once() -> None:
    values = table(110)
    once = np.concatenate([values[:50], values[100:]])
    repeated = made(as_csv(values), validation=10 / 110, redundancy=2)
    assert repeated.reference_losses == made(as_csv(once), validation=10 / 60).reference_losses


# Files


def test_the_sunspots_come_with_rnnjax() -> None:
    """Known figures: the deep minimum of 1810, the highest maximum in 1957, 11 years from one to the next."""
    settings = TaskSpec(name="series", series="sunspots", validation=0.2, standardise="none")
    source = read_source_text(settings, 10**9)
    assert source is not None and source.remarks == []
    task = series_task(settings, source.text)
    values_N = np.concatenate([task.train_N, task.validation_N])[:, 0]
    of_year = dict(zip(range(1700, 2009), values_N.tolist(), strict=True))
    assert (of_year[1700], of_year[1810]) == (5, 0)
    assert max(of_year, key=of_year.__getitem__) == 1957 and of_year[1957] == pytest.approx(190.2)
    power = np.abs(np.fft.rfft(values_N - values_N.mean())) ** 2
    assert 309 / (10 + power[10:].argmax()) == pytest.approx(11, abs=0.5)
    assert (task.columns, "floor" in task.reference_losses) == (("sunspots",), False)


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_comes_back_from_its_file(sign: str, header: bool, end: str) -> None:
    values = table(40, 3)
    text = as_csv(values, sign.join(["time", '"wind speed"', " gust "]) if header else "", sign).replace("\n", end)
    task = made(text, validation=0.25, standardise="none")
    assert task.columns == (("time", "wind speed", "gust") if header else ("1", "2", "3"))
    np.testing.assert_array_equal(task.train_N, values[:30].astype(np.float32))
    np.testing.assert_array_equal(task.validation_N, values[30:].astype(np.float32))
    assert (task.inputs, task.outputs, "floor" in task.reference_losses) == (3, 3, False)


def test_columns_choose_and_order_and_the_others_may_hold_anything() -> None:
    rows = [f"2021-01-{day:02},{day},{day**2}," for day in range(1, 31)]
    task = made("\n".join(["date,a,b,note", *rows]), columns="b, a", standardise="none")
    assert task.columns == ("b", "a")
    np.testing.assert_array_equal(task.train_N[:3], [[1, 1], [4, 2], [9, 3]])
    years = made(
        "\n".join(["name,2020,2021", *rows]).replace(",\n", "\n").rstrip(","), columns="2021", standardise="none"
    )
    np.testing.assert_array_equal(years.train_N[:3], [[1], [4], [9]])


def test_scale_offset_and_redundancy_hold_for_a_file_too() -> None:
    values = table(40)
    task = made(as_csv(values), scale=2, offset=1, redundancy=3, standardise="none")
    np.testing.assert_allclose(task.train_N, np.concatenate([2 * values[:12] + 1] * 3), rtol=1e-6)


GOOD = "1,20\n2,4\n3,10\n4,5\n"
MISSED = (
    "expected a finite number; missing in column '{}': {} (line {}); use --set task.missing=interpolate (or drop, mask)"
)


@pytest.mark.parametrize(
    ("source", "fields", "message"),
    [
        ("", {}, "task.path: got an empty file; expected rows of numbers"),
        (" \r\n\n", {}, "task.path: got an empty file; expected rows of numbers"),
        ("a,b\n", {}, "task.path: got 0 rows; expected >= 4 (2 to train on and 2 held out)"),
        ("a,b\n1,2\n3,4\n5,7\n", {}, "task.path: got 3 rows; expected >= 4 (2 to train on and 2 held out)"),
        (
            GOOD,
            {},
            "task.validation: got 0.1, which leaves 4 steps to train on and 0 held out; expected >= 2 of each",
        ),
        (
            None,
            {"length": 10},
            "task.validation: got 0.1, which leaves 10 steps to train on and 1 held out; expected >= 2 of each",
        ),
        (
            "temp,wind\n" + GOOD,
            {"columns": "wind,tmp"},
            "task.columns: got 'tmp'; expected one of: temp, wind. Did you mean 'temp'?",
        ),
        (GOOD, {"columns": "x"}, "task.columns: got 'x'; expected one of: 1, 2"),
        (GOOD, {"columns": "1,"}, "task.columns: got ''; expected one of: 1, 2"),
        (GOOD, {"columns": "2,1,2"}, "task.columns: got '2' twice; expected different names"),
        (None, {"columns": "a"}, "task.columns: got 'a'; expected none without a file (task.path)"),
        (
            "a,b\n1,2\n3,\n5,7\n",
            {},
            f"task.path: line 3, column 'b': got an empty cell; {MISSED.format('b', '1 of 3', 3)}",
        ),
        (
            "a\tb\n1\t2\n3\t\n",
            {},
            f"task.path: line 3, column 'b': got an empty cell; {MISSED.format('b', '1 of 2', 3)}",
        ),
        ("a\n1\n\n5\n", {}, f"task.path: line 3, column 'a': got an empty cell; {MISSED.format('a', '1 of 3', 3)}"),
        (
            "\na\n1\n5\n",
            {},
            "task.path: line 1: got an empty line; expected 1 cells; leave it out with --set task.skip_lines=1",
        ),
        ("1,2\n3,nan\n5,7\n", {}, f"task.path: line 2, column '2': got 'nan'; {MISSED.format('2', '1 of 3', 2)}"),
        ("1,2\n3,4\n-inf,7\n", {}, f"task.path: line 3, column '1': got '-inf'; {MISSED.format('1', '1 of 3', 3)}"),
        ("1,2\n3,4\n1e999,7\n", {}, f"task.path: line 3, column '1': got '1e999'; {MISSED.format('1', '1 of 3', 3)}"),
        (
            "date,a\n" + "1,2\n" * 5 + "2021-01-03,4\n",
            {},
            (
                "task.path: line 7, column 'date': got '2021-01-03' (a date); expected a number; if it means a missing "
                "number, --set task.missing_values=2021-01-03 --set task.missing=interpolate"
            ),
        ),
        (
            "a\n1\n2021_01_03\n",
            {},
            "task.path: line 3, column 'a': got '2021_01_03'; expected a number; if it means a missing number, "
            "--set task.missing_values=2021_01_03 --set task.missing=interpolate; if the line is a remark, "
            "--set task.skip_lines=3",
        ),
        (
            "a;b\n1,5;2\n1.5;2\n",
            {},
            "task.path: line 2, column 'a': got '1,5' (a decimal comma) where others have a decimal point; expected "
            "one notation in a column",
        ),
        (
            "1,5;2,5\n3,5;4,5\n",
            {},
            "task.path: got 2 rows; expected >= 4 (2 to train on and 2 held out)",
        ),
        (
            "a,b\n1,2\n3,4,5\n",
            {"columns": "a"},
            "task.path: line 3: got 3 cells; expected 2, as in line 1; if the commas are decimal signs, "
            "--set task.decimal=comma",
        ),
        ("a,b\n1,2\n3\n", {}, "task.path: line 3: got 1 cells; expected 2, as in line 1"),
        (
            "a, b,a\n1,2,3\n",
            {},
            "task.path: line 1: got two columns 'a'; expected different names; choose columns with "
            "--set task.columns=b",
        ),
        (
            "a,,b\n1,2,3\n",
            {},
            "task.path: line 1: got no name for column 2; expected a name, or numbers only; choose columns with "
            "--set task.columns=a,b",
        ),
        (
            'a,b\n1,2\n"3,4\n5,6\n',
            {},
            "task.path: line 4: got unexpected end of data; expected cells as in a CSV file",
        ),
        (
            "a,b\n" + "".join(f"{i},0.1\n" for i in range(18)) + "1,5\n2,6\n",
            {},
            "task.columns: got 'b', which is 0.1 in all 18 rows to train on; expected columns that vary; leave it out "
            "with --set task.columns=-b",
        ),
        (
            "a\n" + "1\n" * 9 + "2\n" * 11,
            {"redundancy": 2},
            "task.columns: got 'a', which is 1 in all 9 rows to train on; expected columns that vary",
        ),
        (
            "\n".join(map(str, range(30))),
            {"redundancy": 14},
            "task.redundancy: got 14; expected <= 13 (of 27 steps)",
        ),
        (
            "a\n" + "1\n2\n" * 10 + "1e300\n",
            {"scale": 1e10},
            "task.path: line 22, column 'a': got 1e+300, once; expected a size <= 1e+18; if it is a code for a missing "
            "value, --set task.missing_values=1e+300 --set task.missing=interpolate; if it is a measurement, "
            "--set task.scale=1e-291",
        ),
        (
            "a\n" + "1\n2\n" * 10,
            {"scale": 1e20},
            "task.scale: got a size of 2e+20 in column 'a'; expected <= 1e+18",
        ),
        (
            "a\n" + "1\n2\n" * 20,
            {"scale": 1e-20},
            "task.scale: got a range of 1e-20 in column 'a'; expected >= 1e-18",
        ),
    ],
)
def test_what_is_no_series_is_refused_in_one_line(source: str | None, fields: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput) as refusal:
        made(source, **fields)
    assert str(refusal.value) == message


def test_the_shortest_file_is_accepted() -> None:
    task = made(GOOD, validation=0.5)
    assert task.reference_losses.keys() == {"chance", "persistence"}


def test_a_file_is_read_without_remarks_on_what_no_network_sees(tmp_path: Path) -> None:
    path = tmp_path / "wind.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\r\n" + GOOD.replace("\n", "\r\n").encode())
    source = read_source_text(TaskSpec(name="series", path=str(path)), 10**9)
    assert source is not None and source.remarks == []
    assert TASKS["series"](TaskSpec(validation=0.5), source.text).columns == ("a", "b")
    path.write_bytes(b"\x00\x01" * 50)
    with pytest.raises(BadInput, match=r"looks binary \(100% control characters\); expected a CSV file"):
        read_source_text(TaskSpec(name="series", path=str(path)), 10**9)

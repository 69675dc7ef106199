"""Pictures of the doctor: rows that are marked, forecasts beside the truth, loops in texts, shares of classes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.doctor import examine, report
from rnnjax.doctor.conditions import NAMES
from rnnjax.doctor.curve_view import CurveView, Mark, missing_marks, still_mark, training_marks
from rnnjax.doctor.diagnosis import Diagnosis
from rnnjax.doctor.figures import VIEWS, finding_figures, network_pictures
from rnnjax.doctor.free_running import Generated
from rnnjax.doctor.level_lines import LINE_HEIGHT, log_ticks, near_levels, round_ticks, spread, value_range
from rnnjax.doctor.text_view import TextView, build_text_view
from rnnjax.doctor.training_curves import TrainingCurves, run_that_trained
from rnnjax.doctor.view_figures import curve_figure, kept_rows, series_figure
from rnnjax.doctor.views import SeriesView, Views, class_view

ROWS = 400
STREAMS = 3


def falling(leap_at: int | None = None) -> np.ndarray:
    """A loss that falls from 2.2 to 0.2, with a leap."""
    loss_S = 2 * np.exp(-np.arange(ROWS) / 60) + 0.2 + np.random.default_rng(0).normal(size=ROWS) * 0.005
    if leap_at is not None:
        loss_S[leap_at:] += 1.5 * np.exp(-np.arange(ROWS - leap_at) / 40)
    return loss_S


def series_network() -> tuple[Any, Any, Any]:
    """A network that repeats its input, with a batch of three sines."""

    def step(params: Any, carry: Any, x: Any) -> Any:
        carry = 0.5 * carry + x
        return carry, params["gain"] * x + 0.01 * carry

    waves = np.sin(np.arange(41)[:, None, None] / 3 + np.arange(STREAMS)[None, :, None])
    return step, {"gain": jnp.ones(())}, (waves[:-1].astype(np.float32), waves[1:].astype(np.float32))


def loop_network() -> tuple[Any, Any, Any]:
    """A network whose next symbol is the next of five, always."""

    def step(params: Any, carry: Any, ids: Any) -> Any:
        return carry * 0.9, 50.0 * jax.nn.one_hot((ids + params["by"].astype(int)) % 5, 5) + 0.0 * carry

    ids = (np.arange(41)[:, None] + np.arange(STREAMS)).astype(np.int32) % 5
    return step, {"by": jnp.ones(())}, (ids[:-1], ids[1:])


@pytest.fixture(scope="module")
def leaping() -> Diagnosis:
    step, params, batch = series_network()
    return examine(
        step, params, batch, carry=jnp.zeros((STREAMS, 1)), held_out=batch,
        objective=lambda y, t: jnp.mean((y - t) ** 2), record=falling(leap_at=250),
    )  # fmt: skip


@pytest.fixture(scope="module")
def looping() -> Diagnosis:
    step, params, batch = loop_network()
    return examine(step, params, batch, carry=jnp.zeros((STREAMS, 1)))


@pytest.mark.slow
def test_the_row_of_a_leap_is_marked(leaping: Diagnosis) -> None:
    names = [finding.name for finding in leaping.findings]
    figure = finding_figures(leaping)[names.index("leap")].figure  # type: ignore[union-attr]
    [line] = [shape for shape in figure.layout.shapes if shape.type == "line" and shape.yref == "y domain"]
    assert line.x0 == line.x1 == pytest.approx(250, abs=2)
    assert any(note.text.startswith("leap by 1.") for note in figure.layout.annotations)


def test_levels_are_lines_where_the_unit_is_that_of_the_loss(leaping: Diagnosis) -> None:
    assert leaping.views is not None and leaping.views.curve is not None
    figure = network_or_finding_curve(leaping)
    lines = {shape.y0 for shape in figure.layout.shapes if shape.xref == "x domain"}
    assert lines >= {leaping.indicators.levels["chance"], leaping.indicators.levels["persistence"]}
    other = leaping.views._replace(curve=leaping.views.curve._replace(in_loss_unit=False))
    figure = network_or_finding_curve(leaping._replace(views=other))
    assert not [shape for shape in figure.layout.shapes if shape.xref == "x domain"]


def network_or_finding_curve(diagnosis: Diagnosis) -> Any:
    """The figure of the training curve, wherever it stands."""
    pictures = [*finding_figures(diagnosis), *network_pictures(diagnosis).values()]
    return next(each.figure for each in pictures if not isinstance(each, TextView) and has_loss(each.figure))


def has_loss(figure: Any) -> bool:
    return [trace.name for trace in figure.data] == ["loss"]


def test_a_forecast_stands_beside_the_true_values(leaping: Diagnosis) -> None:
    assert leaping.views is not None and leaping.views.series is not None
    view, (_, targets) = leaping.views.series, series_network()[2]
    assert view.true_T == pytest.approx(targets[:, 0, 0]) and len(view.forecast_N) > 100
    true, predicted, forecast = series_figure(view, "it").figure.data
    assert np.asarray(true.y) == pytest.approx(targets[:, 0, 0])
    assert np.asarray(predicted.y) == pytest.approx(series_network()[2][0][:, 0, 0], abs=0.05)
    assert view.forecast_N[0] == pytest.approx(view.predicted_T[-1])
    assert forecast.x[0] == len(targets) and np.asarray(forecast.y) == pytest.approx(view.forecast_N[: len(forecast.y)])
    assert leaping.views.held_out_series is not None and leaping.views.held_out_series.held_out


def test_the_value_axis_shows_the_training_range_beside_values_outside() -> None:
    view = SeriesView("y", np.array([10.0, 11.0]), np.array([10.0, np.nan]), np.zeros(0), (0.0, 2.0), True)
    low, high = series_figure(view, "it").figure.layout.yaxis.range
    assert low < 2.0 and high > 11.0


def test_the_turns_of_a_loop_are_marked(looping: Diagnosis) -> None:
    assert looping.views is not None and looping.views.text is not None
    for text in looping.views.text.texts:
        assert text.period == 5 and len(set(text.turns)) == 1 and len(text.turns) > 10
    page = report.render_page("it", looping)
    assert page.count("<mark>") == sum(len(text.turns) for text in looping.views.text.texts)


def test_a_loop_begins_where_the_text_last_differs() -> None:
    ids_N = np.array([7, 3, 9] + 79 * [1, 2, 0])
    values = np.stack([ids_N, np.random.default_rng(0).integers(0, 9, len(ids_N))])[None, :, :, None]
    view = build_text_view(Generated(np.zeros((5, 1), int), np.array([0]), values), "abcdefghij")
    assert view is not None and view.prompt == "aaaaa"
    sampled, greedy = view.texts
    assert (sampled.turns, sampled.period, len(sampled.start)) == ((), 0, len(ids_N))
    assert greedy.start == "hdj" and set(greedy.turns) == {"bca"} and greedy.period == 3


def test_classes_of_small_share_are_one_bar(looping: Diagnosis) -> None:
    assert looping.views is not None and looping.views.classes is not None
    assert all(shares.sum() == pytest.approx(1) for shares in looping.views.classes.shares.values())
    setup: Any = type("Setup", (), {"names": ""})
    view = class_view(setup, {"targets": np.full(20, 0.05)}, np.arange(20.0))
    assert view.classes[0] == "class 19" and view.classes[-1] == "8 others"
    assert view.shares["targets"][-1] == pytest.approx(0.4)


def test_marks_of_gaps_of_an_end_and_of_a_stop() -> None:
    loss_S = falling()
    loss_S[[50, 51]], loss_S[380:] = np.nan, np.inf
    run = run_that_trained(TrainingCurves(loss_S[None]), 0)
    marks = missing_marks(np.arange(ROWS), loss_S, run)
    assert [mark.first for mark in marks["missing_rows"]] == [50, 51]
    assert marks["diverged"][0][:2] == (380, ROWS - 1)
    updates_S = np.where(np.arange(ROWS) < 300, 0.1, 0.0)
    stopped = run_that_trained(TrainingCurves(falling()[None], update_norm_RS=updates_S[None]), 0)
    assert still_mark(np.arange(ROWS), stopped)["stopped"][0][:2] == (300, ROWS - 1)


def test_marks_of_a_rise_and_of_a_standstill() -> None:
    loss_S = np.concatenate([np.linspace(2, 0.5, 200), np.linspace(0.5, 1.5, 200)])
    updates_S = 0.9 ** np.arange(ROWS)
    run = run_that_trained(TrainingCurves(loss_S[None], update_norm_RS=updates_S[None]), 0)
    marks = training_marks(10 * np.arange(ROWS), run)
    assert marks["rise"][0].first == pytest.approx(2000, abs=250) and marks["rise"][0].last == 10 * (ROWS - 1)
    assert marks["standstill"][0].first == pytest.approx(430, abs=30)


def test_marks_of_the_highest_spikes() -> None:
    loss_S = falling()
    high = np.sort(np.random.default_rng(1).choice(np.arange(100, ROWS), 20, replace=False))  # more than are marked
    loss_S[high] += np.where(np.arange(len(high)) < 3, 5.0, 3.0) + np.random.default_rng(0).random(len(high))
    marks = training_marks(10 * np.arange(ROWS), run_that_trained(TrainingCurves(loss_S[None]), 0))["jumps"]
    assert len(marks) == 12 and {mark.first for mark in marks} <= set((10 * high).tolist())
    assert [mark.first for mark in marks[:3]] == (10 * high[:3]).tolist()
    assert training_marks(np.arange(ROWS), run_that_trained(TrainingCurves(falling()[None]), 0))["jumps"] == ()


def test_long_curves_keep_their_spikes() -> None:
    loss_S = np.ones(50_000)
    loss_S[[777, 31_000]], loss_S[40_000] = (9.0, 0.1), np.nan
    kept = kept_rows(loss_S)
    assert len(kept) < 2_000 and {777, 31_000, 40_000} <= set(kept.tolist())


def test_names_of_levels_do_not_overlap() -> None:
    places = spread([10.0, 11.0, 12.0, 100.0])
    assert np.diff(places).min() >= LINE_HEIGHT and places[0] == 10.0 and places[-1] == 100.0
    view = CurveView(np.arange(9), np.linspace(2, 1, 9), "row", {}, True, None)
    figure = curve_figure(view, "it", {"a": 1.5, "b": 1.5, "<c>": 1.0}, [Mark(3, 3, "here"), Mark(5, 5, "here")]).figure
    texts = [note.text for note in figure.layout.annotations]
    assert texts.count("here") == 1 and "&lt;c&gt; 1" in texts


@pytest.mark.parametrize(
    ("values", "log"), [([1.0, 2.0], False), ([0.001, 2.0], True), ([-1.0, 200.0], False), ([], False)]
)
def test_the_value_axis_is_logarithmic_over_decades(values: list[float], log: bool) -> None:
    (low, high), is_log = value_range(np.array(values), [])
    assert is_log == log and low < high


def test_far_levels_and_ticks() -> None:
    assert near_levels({"a": 1e-9, "b": 0.5}, np.array([1.0, 2.0])) == {"b": 0.5}
    assert round_ticks(1, 1000) == [200, 400, 600, 800, 1000] and round_ticks(0, 3) == [0, 1, 2, 3]
    assert log_ticks([0, 2]) == "D2" and log_ticks([0, 12]) == 2


def test_the_table_of_views_names_conditions_and_views() -> None:
    assert set(VIEWS) <= set(NAMES)
    assert {name for names, _ in VIEWS.values() for name in names} <= set(Views._fields)


def test_a_page_without_faults_has_pictures(looping: Diagnosis) -> None:
    healthy = looping._replace(findings=())
    assert list(network_pictures(healthy)) == ["Generated text"]

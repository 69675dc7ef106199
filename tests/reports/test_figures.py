"""The figures: the numbers in their traces, the words in their captions, and arms that are hard to draw."""

import json
from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
import pytest

from rnnjax.analysis.results import ArmResult
from rnnjax.analysis.statistics import mean_over_seeds
from rnnjax.reports.arm_styles import styled
from rnnjax.reports.figures.curves import MAX_POINTS, lag_figure, line_figure, probe_figure
from rnnjax.reports.figures.intervals import interval_figure
from rnnjax.reports.figures.maps import map_figure
from rnnjax.reports.figures.portraits import portrait_figure, scatter_figure
from rnnjax.reports.figures.traces import REFERENCE_SEED, CaptionedFigure
from rnnjax.settings.metrics import SLOW_POINT, STABLE, UNSTABLE

NAMES = ("orthogonal", "random/0.1", "random/0.3", "xavier_normal")
SEEDS = np.array([REFERENCE_SEED, 7, 8, 9, 10, 11])
ROW_STEPS = 50 * np.arange(1, 801)
PROBE_STEPS = np.array([0, 30, 1000, 40_000])


def _arm(name: str, diverged: int = 0) -> ArmResult:
    """A made-up arm whose last `diverged` seeds leave the finite numbers at step 20,000."""
    random = np.random.default_rng(len(name))
    diverged_at = np.where(np.arange(SEEDS.size) >= SEEDS.size - diverged, 20_000, -1)
    loss_nS = 1.2 + 2 * np.exp(-ROW_STEPS / 5000) + 0.1 * random.normal(size=(SEEDS.size, ROW_STEPS.size))
    loss_nS[(diverged_at >= 0)[:, None] & (ROW_STEPS >= 20_000)] = 99  # whatever a dead run goes on to record
    decay_nQL = np.exp(-0.2 * np.arange(10) + 0.1 * random.normal(size=(SEEDS.size, PROBE_STEPS.size, 1)))
    decay_nQL[..., -1] = 0  # under the smallest float
    radius_nQ = 1 + 0.1 * random.normal(size=(SEEDS.size, PROBE_STEPS.size))
    return ArmResult(
        name=name,
        axes={},
        seeds=SEEDS,
        row_steps=ROW_STEPS,
        rows={"loss": loss_nS},
        probe_steps=PROBE_STEPS,
        probes={"spectral_radius": radius_nQ, "gradient_decay": decay_nQL},
        diverged_at=diverged_at,
        metrics={"final_loss": np.where(diverged_at < 0, loss_nS[:, -1], np.nan)},
    )


ARMS = [_arm(name, diverged) for name, diverged in zip(NAMES, (0, 0, 2, 6), strict=True)]

FIGURES: dict[str, Callable[[list[ArmResult]], CaptionedFigure]] = {
    "line": lambda arms: line_figure(arms, "loss", log_x=True, levels={"floor": 1.0}),
    "line, log y": lambda arms: line_figure(arms, "loss", log_y=True, levels={"floor": 1.0}),
    "probe": lambda arms: probe_figure(arms, "spectral_radius"),
    "lag": lambda arms: lag_figure(arms, "gradient_decay"),
    "interval": lambda arms: interval_figure(arms, "final_loss", levels={"stated": 1.12, "floor": 1.0}),
}


AMONG: dict[str, Callable[[list[ArmResult]], CaptionedFigure]] = {
    "line": lambda arms: line_figure(arms, "loss", among=ARMS),
    "line, log y": lambda arms: line_figure(arms, "loss", log_y=True, among=ARMS),
    "probe": lambda arms: probe_figure(arms, "spectral_radius", among=ARMS),
    "lag": lambda arms: lag_figure(arms, "gradient_decay", among=ARMS),
    "interval": lambda arms: interval_figure(arms, "final_loss", among=ARMS),
}


def _lines(figure: go.Figure) -> dict[str, go.Scatter]:
    return {trace.name: trace for trace in figure.data if trace.showlegend}


@pytest.mark.parametrize("name", FIGURES)
def test_every_caption_says_n_and_method(name: str) -> None:
    caption = FIGURES[name](ARMS).caption
    assert "n\u00a0=\u00a06 seeds per arm" in caption and "95%" in caption
    assert "8 runs" in caption and "diverged" in caption


@pytest.mark.parametrize("name", FIGURES)
def test_every_colour_has_one_for_the_dark(name: str) -> None:
    figure = FIGURES[name](ARMS).figure
    dark = figure.layout.meta["dark"]
    for trace in figure.data:
        for color in (
            trace.line.color,
            trace.marker.color,
            trace.marker.line.color,
            trace.fillcolor,
            trace.error_x.color,
        ):
            assert color is None or color in dark
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("diverged", [SEEDS.size, SEEDS.size - 1])
def test_an_arm_with_hardly_a_run_left_is_drawn(name: str, diverged: int) -> None:
    arm = _arm("all/lost", diverged)
    arm.rows["loss"][-diverged:] = np.nan
    json.loads(FIGURES[name]([arm]).figure.to_json(), parse_constant=lambda word: pytest.fail(word))


def test_the_band_is_the_interval_over_the_seeds_that_have_not_diverged() -> None:
    arm = ARMS[2]
    figure = line_figure([arm], "loss").figure
    low, high, line = (trace for trace in figure.data if trace.mode == "lines")
    assert line.x.size <= MAX_POINTS and line.x[0] == ROW_STEPS[0] and line.x[-1] == ROW_STEPS[-1]
    for i, kept in ((0, slice(None)), (-1, slice(0, 4))):
        wanted = mean_over_seeds(arm.rows["loss"][kept, i])
        assert (line.y[i], low.y[i], high.y[i]) == pytest.approx(wanted[:3], rel=1e-5)
        assert line.customdata[i].tolist() == pytest.approx([ROW_STEPS[i], wanted.low, wanted.high, wanted.n], rel=1e-5)
    assert high.fill == "tonexty"


def test_a_cross_stands_where_a_seed_diverged() -> None:
    figure = line_figure(ARMS[:3], "loss").figure
    (crosses,) = (trace for trace in figure.data if trace.marker.symbol == "x-thin")
    assert crosses.name == "random/0.3"
    assert list(crosses.customdata) == [f"seed {seed} diverged at step 20,000" for seed in SEEDS[-2:]]
    assert (np.abs(crosses.x - 20_000) < ROW_STEPS[-1] / MAX_POINTS + 50).all()


def test_the_untrained_network_has_a_place_on_the_logarithmic_axis() -> None:
    figure = probe_figure(ARMS, "spectral_radius").figure
    line = _lines(figure)["orthogonal"]
    axis = figure.layout.xaxis
    assert axis.type == "log" and axis.ticktext[0] == "start" and line.x[0] == axis.tickvals[0]
    assert list(axis.ticktext[1:]) == ["100", "1,000", "10,000"]
    assert 0 < line.x[0] < line.x[1] == 30 and line.customdata[0][0] == 0


def test_a_logarithmic_value_axis_takes_the_geometric_mean_and_keeps_zeros() -> None:
    drawing = lag_figure(ARMS[:1], "gradient_decay")
    line = _lines(drawing.figure)["orthogonal"]
    logs = mean_over_seeds(np.log(ARMS[0].probes["gradient_decay"][:, -1, 3]))
    assert line.y[3] == pytest.approx(np.exp(logs.estimate), rel=1e-5)
    assert 0 < line.y[-1] < 1e-30 and line.customdata[-1][3] == SEEDS.size
    assert "geometric mean" in drawing.caption


def test_the_axis_of_lags_says_what_they_are() -> None:
    titles = [lag_figure(ARMS, "gradient_decay", along=said).figure.layout.xaxis.title.text for said in ("", "place")]
    assert titles == ["lag, steps back in time", "place"]


def test_every_seed_is_a_point_and_seed_42_a_ring() -> None:
    figure = interval_figure(ARMS, "final_loss").figure
    arm = ARMS[2]
    points, ring, bar = (trace for trace in figure.data if trace.name == arm.name)
    assert points.x.size == SEEDS.size - 1 and list(ring.customdata) == [REFERENCE_SEED]
    assert ring.marker.symbol == "circle-open" and ring.x[0] == arm.metrics["final_loss"][0]
    wanted = mean_over_seeds(arm.metrics["final_loss"][:4])
    assert bar.x[0] + bar.error_x.array[0] == pytest.approx(wanted.high)
    assert bar.customdata[0].endswith("n = 4")
    assert figure.layout.yaxis.ticktext[2:] == ("random/0.3 (4 of 6)", "xavier_normal (0 of 6)")


def test_a_caption_names_the_ring_only_where_there_is_one() -> None:
    elsewhere = [arm._replace(seeds=arm.seeds + 1000) for arm in ARMS]
    assert f"ring: seed {REFERENCE_SEED};" in interval_figure(ARMS, "final_loss").caption
    assert "ring" not in interval_figure(elsewhere, "final_loss").caption


def test_levels_are_named_and_in_sight() -> None:
    figure = line_figure(ARMS, "loss", levels={"floor": 0.01}, log_y=True).figure
    (shape,), (note,) = figure.layout.shapes, figure.layout.annotations
    assert shape.y0 == shape.y1 == 0.01 and note.y == -2 and note.text == "floor 0.01"


def test_a_family_shares_its_symbol_and_not_its_colour() -> None:
    lines = _lines(probe_figure(ARMS, "spectral_radius").figure)
    first, second, other = (lines[name] for name in ("random/0.1", "random/0.3", "orthogonal"))
    assert first.meta["family"] == second.meta["family"] == "random" and first.meta["label"] == "0.1"
    assert first.marker.symbol == second.marker.symbol != other.marker.symbol
    assert len({line.line.color for line in lines.values()}) == len(lines)


def test_a_name_is_no_markup() -> None:
    arm = ARMS[0]._replace(name="<a href='javascript:alert(1)'>x</a>")
    for draw in FIGURES.values():
        figure = draw([arm]).figure
        shown = [trace.name for trace in figure.data] + list(figure.layout.yaxis.ticktext or ())
        assert all("<" not in text for text in shown)


def test_an_arm_that_is_alone_in_its_family_keeps_its_whole_name() -> None:
    """Where a family has several arms its name stands over them, and each is called by the rest."""
    arms = [_arm(name) for name in ("orthogonal,gain=1", "normal,gain=0.1", "normal,gain=0.3")]
    labels = [style.label for _, style in styled(arms)]
    assert labels == ["orthogonal, gain=1", "gain=0.1", "gain=0.3"]


@pytest.mark.parametrize("name", FIGURES)
def test_an_arm_has_one_colour_whatever_arms_are_beside_it(name: str) -> None:
    def colors(arms: list[ArmResult]) -> dict[str, tuple[str, str]]:
        figure = AMONG[name](arms).figure
        return {trace.legendgroup: (trace.meta["color"], trace.meta["symbol"]) for trace in figure.data}

    everywhere = colors(ARMS)
    assert len(set(everywhere.values())) == len(ARMS)
    for chosen in ([ARMS[3]], ARMS[2:], ARMS[1::2]):
        assert colors(chosen) == {arm.name: everywhere[arm.name] for arm in chosen}


def test_arms_of_more_families_than_hues_are_told_apart_by_dash_and_symbol() -> None:
    arms = [_arm(f"family{i},gain={j}") for i in range(18) for j in range(2)]
    styles = [style for _, style in styled(arms)]
    assert len({(style.light, style.dash) for style in styles}) == len({(s.light, s.symbol) for s in styles}) == 36
    assert {style.dash for style in styles[:12]} == {"solid"} and styles[12].dash == "dash"
    traces = line_figure(arms, "loss").figure.data
    assert {trace.line.dash for trace in traces if trace.showlegend} == {"solid", "dash", "dot"}


LABELS = [("boy", "HUMAN"), ("cat", "ANIMAL"), ("girl", "HUMAN"), ("<zog>", "novel")]


def _mapped(lost: int = 0) -> ArmResult:
    """An arm with a map at two probes: its first `lost` seeds have none."""
    x_nQP = np.arange(6.0 * 2 * 4).reshape(6, 2, 4)
    points_nQP2 = np.stack([x_nQP, x_nQP + 0.5], axis=-1)
    points_nQP2[:lost, 1] = np.nan
    return _arm("trained")._replace(probe_steps=PROBE_STEPS[:2], probes={"map": points_nQP2})


@pytest.mark.parametrize(("lost", "row"), [(0, 0), (2, 2)])
def test_a_map_is_that_of_seed_42_or_of_the_first_that_is_left(lost: int, row: int) -> None:
    drawing = map_figure(_mapped(lost), "map", LABELS)
    groups = {trace.name: trace for trace in drawing.figure.data}
    first = 8 * row + 4  # the last probe's
    assert groups["HUMAN"].x.tolist() == [first, first + 2]
    assert groups["ANIMAL"].y.tolist() == [first + 1.5]
    assert list(groups["HUMAN"].text) == ["boy", "girl"]
    assert groups["novel"].marker.symbol == "star" and list(groups["novel"].text) == ["&lt;zog&gt;"]
    assert f"seed {SEEDS[row]}, one run of 6" in drawing.caption
    dark = drawing.figure.layout.meta["dark"]
    assert len({dark[trace.marker.color] for trace in groups.values()}) == 3


def test_a_map_looks_for_seed_42_wherever_it_is() -> None:
    drawing = map_figure(_mapped()._replace(seeds=SEEDS[::-1]), "map", LABELS)
    assert f"seed {REFERENCE_SEED}, one run of 6" in drawing.caption
    assert drawing.figure.data[0].x.tolist() == [44, 46]


def test_a_map_without_a_run_is_empty() -> None:
    drawing = map_figure(_mapped(6), "map", LABELS)
    assert not drawing.figure.data and "no run left" in drawing.caption


PLACES = [("a", "a"), ("b", "b"), ("", ""), ("", STABLE), ("", STABLE), ("", UNSTABLE), ("", SLOW_POINT)]


def test_a_portrait_draws_the_paths_and_the_points_that_there_are() -> None:
    places_P2 = np.array([[0, 1], [2, 3], [np.nan] * 2, [4, 5], [6, 7], [np.nan] * 2, [np.nan] * 2])
    places = np.broadcast_to(places_P2, (6, 1, 7, 2)).copy()
    places[1:] += 1
    drawing = portrait_figure(_arm("trained")._replace(probes={"portrait": places}), "portrait", PLACES)
    path, *traces = drawing.figure.data
    assert [list(path.x), list(path.y)] == [[0, 2, None], [1, 3, None]]
    assert {trace.name: (list(trace.x), list(trace.y)) for trace in traces} == {
        "a": ([0], [1]), "b": ([2], [3]), STABLE: ([4, 6], [5, 7])
    }  # fmt: skip
    assert [trace.showlegend for trace in drawing.figure.data] == [False, True, True, True]
    assert drawing.caption.startswith("trained: seed 42, one run of 6. 2 stable fixed points with the input held")
    assert "NaN" not in json.dumps(drawing.figure.to_plotly_json(), default=list)
    lost = portrait_figure(
        _arm("trained")._replace(probes={"portrait": np.full_like(places, np.nan)}), "portrait", PLACES
    )
    assert "no run left. No fixed or slow point" in lost.caption


def test_a_scatter_draws_every_run_that_has_both_values() -> None:
    arms = [
        _arm(name)._replace(metrics={"reach": np.arange(6.0), "exponent": np.array([-1, 2, np.nan, 0, 0.5, 1])})
        for name in NAMES[:2]
    ]
    drawing = scatter_figure(arms, "reach", "exponent", units=("characters", "nats per step"))
    assert [list(trace.x) for trace in drawing.figure.data] == 2 * [[-1, 2, 0, 0.5, 1]]
    assert list(drawing.figure.data[0].y) == [0, 1, 3, 4, 5]
    assert drawing.figure.layout.xaxis.title.text == "exponent (nats per step)"
    assert len(drawing.figure.layout.shapes) == 1  # the line at 0
    assert "2 runs without both values are left out" in drawing.caption

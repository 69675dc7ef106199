"""The figures of a report: plotly pictures of the arms of a study, each with a caption that says n and method.

A figure carries its colours twice: those for a light page in its
traces and, in `layout.meta["dark"]`, what each becomes on a dark page; backgrounds are transparent.
"""

import html
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from rnnjax.analysis.results import ArmResult
from rnnjax.analysis.statistics import Interval, mean_interval
from rnnjax.reports.arm_styles import Ink, faint, inked
from rnnjax.reports.plot_axes import (
    BAND,
    NEUTRAL,
    POINT,
    Levels,
    add_levels,
    arms_axis,
    axis,
    empty,
    log_positions,
    steps_axis,
)

MOST_POINTS = 300  # of one curve
SMALLEST = 1e-38  # what a zero counts as on a logarithmic scale
FAMOUS_SEED = 42  # the one seed of the documents
CURVE_HOVER = "%{customdata[0]:,}: %{y:.4g}<br>[%{customdata[1]:.4g}, %{customdata[2]:.4g}], n = %{customdata[3]}"
SILENT = {"showlegend": False}


class Drawing(NamedTuple):
    """A figure with its words."""

    title: str
    caption: str
    figure: go.Figure


class Points(NamedTuple):
    """Where one arm has values, before they are summarised over its n seeds; m points."""

    x: np.ndarray  # [m] on the axis
    at: np.ndarray  # [m] the step or lag this is, for the reader
    values_nm: np.ndarray  # NaN where a run has diverged


def line_figure(
    arms: Sequence[ArmResult],
    metric: str,
    title: str = "",
    unit: str = "",
    levels: Levels | None = None,
    log_x: bool = False,
    log_y: bool = False,
    median: bool = False,
) -> Drawing:
    """A recorded metric over training: one line and band per arm, a cross where a seed diverged.

    Args: unit: the words at the value axis; levels: horizontal references, as "floor", "unigram" and "chance";
        median: a dotted line besides the mean.
    """

    def points(arm: ArmResult) -> Points:
        kept = _thinned(arm.row_steps, log_x)
        values_nS = _alive_only(arm, arm.rows[metric], arm.row_steps)
        return Points(arm.row_steps[kept], arm.row_steps[kept], values_nS[:, kept])

    figure = empty(arms, steps_axis([arm.row_steps for arm in arms], log_x), axis(unit or _words(metric), log_y))
    _draw_curves(figure, arms, points, "step", log_y, marks=False, median=median)
    add_levels(figure, levels, log_y)
    title = title or f"{_words(metric).capitalize()} over training"
    return Drawing(title, _curves_caption(arms, log_y, median), figure)


def probe_figure(
    arms: Sequence[ArmResult],
    probe: str,
    title: str = "",
    unit: str = "",
    levels: Levels | None = None,
    log_y: bool = False,
) -> Drawing:
    """A probe's value over training, on a logarithmic axis that also has a place for the untrained network."""

    def points(arm: ArmResult) -> Points:
        values_nQ = _alive_only(arm, arm.probes[probe], arm.probe_steps)
        return Points(log_positions(arm.probe_steps), arm.probe_steps, values_nQ)

    figure = empty(arms, steps_axis([arm.probe_steps for arm in arms], True), axis(unit or _words(probe), log_y))
    _draw_curves(figure, arms, points, "step", log_y)
    add_levels(figure, levels, log_y)
    return Drawing(title or f"{_words(probe).capitalize()} over training", _curves_caption(arms, log_y), figure)


def lag_figure(
    arms: Sequence[ArmResult],
    probe: str,
    title: str = "",
    unit: str = "",
    levels: Levels | None = None,
    at: int = -1,
    first_lag: int = 0,
    log_y: bool = True,
    along: str = "",
) -> Drawing:
    """A probe's value by lag, at probe number `at` (the last one by default). Args: along: what the lags are."""

    def points(arm: ArmResult) -> Points:
        values_nL = _alive_only(arm, arm.probes[probe], arm.probe_steps)[:, at]
        lags = first_lag + np.arange(values_nL.shape[1])
        return Points(lags, lags, values_nL)

    figure = empty(arms, axis(along or "lag, steps back in time"), axis(unit or _words(probe), log_y))
    _draw_curves(figure, arms, points, "lag", log_y, crosses=False)
    add_levels(figure, levels, log_y)
    step = int(arms[0].probe_steps[at])
    title = title or f"{_words(probe).capitalize()} by lag, {f'after {step:,} steps' if step else 'untrained'}"
    return Drawing(title, _curves_caption(arms, log_y, crosses=False), figure)


def interval_figure(
    arms: Sequence[ArmResult],
    metric: str,
    title: str = "",
    unit: str = "",
    levels: Levels | None = None,
    log_x: bool = False,
    summarise: Callable[[np.ndarray], Interval] = mean_interval,
    center: str = "mean",
    each: str = "seed",
) -> Drawing:
    """One number per arm: its interval, every seed as a point, seed 42 as a ring.

    Args: summarise: makes the interval, `mean_interval` by default; center: the word for what it estimates;
        each: what the points are, where they are no seeds; then there is no ring.
    """
    known = [_finite(arm.metrics[metric]) for arm in arms]
    figure = empty(arms, axis(unit or _words(metric), log_x), arms_axis(arms, known))
    intervals = [summarise(values) if values.size > 1 else None for values in known]
    for row, ((arm, ink), interval) in enumerate(zip(inked(arms), intervals, strict=True)):
        figure.add_traces(list(_seed_points(arm, ink, row, arm.metrics[metric], each)))
        if interval:
            figure.add_trace(_interval_bar(arm, ink, row, interval))
    figure.update_layout(height=110 + 30 * len(arms))
    add_levels(figure, levels, log_x, vertical=True)
    methods = ", ".join(dict.fromkeys(interval.method for interval in intervals if interval))
    method = (
        f"bar: {center} with its interval ({methods})" if methods else "no arm has two seeds to make an interval of"
    )
    famous = each == "seed" and any(FAMOUS_SEED in arm.seeds for arm in arms)
    ring = f" ring: seed {FAMOUS_SEED};" if famous else ""
    caption = f"Points: single {each}s;{ring} {method}. {_seed_count(arms)}{_lost(arms, known)}"
    return Drawing(title or _words(metric).capitalize(), caption, figure)


def map_figure(
    arm: ArmResult, probe: str, places: Sequence[tuple[str, str]], title: str = "", unit: str = "", at: int = -1
) -> Drawing:
    """Points of a plane by name, for one run of one arm: that of seed 42, or of the first seed that did not diverge.

    The probe's values are `<probe>_x` and `<probe>_y`. Args: places: (name, group) of each point; the last group is the
        one to look for and has stars.
    """
    finite_n = np.isfinite(arm.probes[f"{probe}_x"][:, at]).all(axis=1)
    run = int(np.argmax(finite_n * (1 + (arm.seeds == FAMOUS_SEED))))
    x, y = (arm.probes[f"{probe}_{axis}"][run, at].astype(np.float32) for axis in "xy")
    groups = list(dict.fromkeys(group for _, group in places))
    coloured = inked([arm._replace(name=group) for group in groups])
    figure = empty([one for one, _ in coloured], axis("first component"), axis(unit or "second component"))
    for of_group, ink in coloured if finite_n.any() else []:
        own = [i for i, (_, group) in enumerate(places) if group == of_group.name]
        star = of_group.name == groups[-1]
        figure.add_trace(_named_points(of_group, ink, x[own], y[own], [places[i][0] for i in own], star))
    seed = f"seed {arm.seeds[run]}" if finite_n.any() else "no run left"
    caption = f"{arm.name}: {seed}, one run of {arm.seeds.size}. Principal components, so there is no interval."
    return Drawing(title or _words(probe).capitalize(), caption, figure)


# Numbers


def _alive_only(arm: ArmResult, values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """A float copy of values [n, S, ...] with NaN from the step on at which a run diverged."""
    dead_nS = (arm.diverged_at[:, None] >= 0) & (steps[None, :] >= arm.diverged_at[:, None])
    alive = np.array(values, dtype=float)
    alive[dead_nS] = np.nan
    return alive


def _finite(values: np.ndarray) -> np.ndarray:
    return np.asarray(values[np.isfinite(values)])


def _interval(values: np.ndarray, geometric: bool) -> Interval:
    """Of the finite values; a single one has no width."""
    values = _finite(values)
    if values.size < 2:
        only = float(values.sum())
        return Interval(only, only, only, values.size, "one seed")
    if not geometric:
        return mean_interval(values)
    mean, low, high, n, method = mean_interval(np.log(np.maximum(values, SMALLEST)))
    return Interval(float(np.exp(mean)), float(np.exp(low)), float(np.exp(high)), n, method)


def _thinned(steps: np.ndarray, log_x: bool) -> np.ndarray:
    """Indices of at most `MOST_POINTS` rows, evenly spread over the axis."""
    last = len(steps) - 1
    spread = np.geomspace(1, last + 1, MOST_POINTS) - 1 if log_x and last else np.linspace(0, last, MOST_POINTS)
    return np.unique(np.round(spread).astype(int))


# Traces


def _draw_curves(
    figure: go.Figure,
    arms: Sequence[ArmResult],
    points_of: Callable[[ArmResult], Points],
    where: str,
    geometric: bool,
    marks: bool = True,
    median: bool = False,
    crosses: bool = True,
) -> None:
    for arm, ink in inked(arms):
        points = points_of(arm)
        summaries = [_interval(column, geometric)[:4] for column in points.values_nm.T]
        table = np.array(summaries, dtype=np.float32).reshape(-1, 4)  # of an arm that was never measured: no rows
        known = table[:, 3] > 0
        points = Points(points.x[known].astype(np.float32), points.at[known], points.values_nm[:, known])
        figure.add_traces(list(_band(arm, ink, points, table[known], where, marks)))
        if median:
            line = {"color": ink.light, "width": 1, "dash": "dot"}
            middle_m = np.nanmedian(points.values_nm, axis=0).astype(np.float32)
            figure.add_trace(_trace(arm, ink, x=points.x, y=middle_m, mode="lines", line=line, hoverinfo="skip"))
        if crosses:
            figure.add_traces(list(_crosses(arm, ink, points, table[known, 0])))


def _trace(arm: ArmResult, ink: Ink, **more: Any) -> go.Scatter:
    meta = {"family": ink.family, "label": ink.label, "symbol": ink.symbol, "color": ink.light}
    return go.Scatter(name=html.escape(arm.name, quote=False), legendgroup=arm.name, meta=meta, **SILENT | more)


def _band(arm: ArmResult, ink: Ink, points: Points, table: np.ndarray, where: str, marks: bool) -> Iterator[go.Scatter]:
    """The two edges of the band, and the line, which alone answers the pointer; table [m, (mean, low, high, n)]."""
    edge = partial(_trace, arm, ink, x=points.x, mode="lines", line_width=0, hoverinfo="skip")
    yield edge(y=table[:, 1])
    yield edge(y=table[:, 2], fill="tonexty", fillcolor=faint(ink.light, BAND))
    yield _trace(
        arm,
        ink,
        x=points.x,
        y=table[:, 0],
        mode="lines+markers" if marks else "lines",
        line={"color": ink.light, "width": 2},
        marker={"color": ink.light, "symbol": ink.symbol, "size": 6},
        customdata=np.column_stack([points.at.astype(np.float32), table[:, 1:]]),
        hovertemplate=f"<b>%{{fullData.name}}</b><br>{where} {CURVE_HOVER}<extra></extra>",
        showlegend=True,
    )


def _crosses(arm: ArmResult, ink: Ink, points: Points, mean_m: np.ndarray) -> Iterator[go.Scatter]:
    """A cross on the arm's line for every seed that diverged."""
    lost = np.flatnonzero(arm.diverged_at >= 0)
    if lost.size and points.x.size:
        place = np.clip(np.searchsorted(points.at, arm.diverged_at[lost]) - 1, 0, None)
        yield _trace(
            arm,
            ink,
            x=points.x[place],
            y=mean_m[place],
            mode="markers",
            marker={"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": ink.light}},
            customdata=[f"seed {arm.seeds[i]} diverged at step {arm.diverged_at[i]:,}" for i in lost],
            hovertemplate="<b>%{fullData.name}</b><br>%{customdata}<extra></extra>",
        )


def _seed_points(arm: ArmResult, ink: Ink, row: int, values: np.ndarray, each: str) -> Iterator[go.Scatter]:
    """Every seed, spread over the height of the row by the golden ratio so that equal values stay apart."""
    height = row + 0.5 * (np.arange(arm.seeds.size) * 0.618 % 1 - 0.5)
    point = {"symbol": "circle", "size": 5, "color": faint(ink.light, POINT)}
    ring = {"symbol": "circle-open", "size": 10, "color": ink.light, "line": {"width": 2}}
    famous = (arm.seeds == FAMOUS_SEED) & (each == "seed")
    for chosen, marker in ((~famous, point), (famous, ring)):
        places = {"x": values[chosen], "y": height[chosen], "customdata": arm.seeds[chosen]}
        hover = f"<b>%{{fullData.name}}</b><br>{each} %{{customdata}}: %{{x:.4g}}<extra></extra>"
        yield _trace(arm, ink, **places, mode="markers", marker=marker, hovertemplate=hover)


def _interval_bar(arm: ArmResult, ink: Ink, row: int, interval: Interval) -> go.Scatter:
    estimate, low, high, n, _ = interval
    reach = {"array": [high - estimate], "arrayminus": [estimate - low]}
    return _trace(
        arm,
        ink,
        x=[estimate],
        y=[row],
        mode="markers",
        marker={"color": ink.light, "symbol": ink.symbol, "size": 9},
        error_x={"type": "data", "symmetric": False, "color": ink.light, "thickness": 3, "width": 6} | reach,
        customdata=[f"[{low:.4g}, {high:.4g}], n = {n}"],
        hovertemplate="<b>%{fullData.name}</b><br>%{x:.4g}<br>%{customdata}<extra></extra>",
    )


def _named_points(
    group: ArmResult, ink: Ink, x: np.ndarray, y: np.ndarray, names: Sequence[str], star: bool
) -> go.Scatter:
    return _trace(
        group,
        ink,
        x=x,
        y=y,
        mode="markers+text",
        text=[html.escape(name, quote=False) for name in names],
        textposition="top center",
        textfont={"size": 11, "color": NEUTRAL},
        marker={"color": ink.light, "symbol": "star" if star else ink.symbol, "size": 14 if star else 8},
        hovertemplate="%{text}<br><b>%{fullData.name}</b><extra></extra>",
        showlegend=True,
    )


# Axes, levels and words


def _words(name: str) -> str:
    return name.replace("_", " ")


def _seed_count(arms: Sequence[ArmResult]) -> str:
    counts = {arm.seeds.size for arm in arms}
    fewest = f"{min(counts)} to " if len(counts) > 1 else ""
    return f"n\u00a0=\u00a0{fewest}{max(counts)} seeds per arm."


def _lost(arms: Sequence[ArmResult], known: list[np.ndarray]) -> str:
    lost = sum(arm.seeds.size - values.size for arm, values in zip(arms, known, strict=True))
    return f" {lost} runs have no value (diverged, or never got there) and are left out; the axis counts the rest." * (
        lost > 0
    )


def _curves_caption(arms: Sequence[ArmResult], log_y: bool, median: bool = False, crosses: bool = True) -> str:
    center, taken = ("geometric mean", ", taken on logarithms") if log_y else ("mean", "")
    dotted = " Dotted: median." if median else ""
    diverged = sum(int((arm.diverged_at >= 0).sum()) for arm in arms)
    fate = f"{diverged} runs diverged{' (crosses)' if crosses else ''} and count up to that step."
    lines = f"Line: {center} over seeds; band: its t interval, 95%{taken}.{dotted}"
    return f"{lines} {_seed_count(arms)} {fate if diverged else 'No run diverged.'}"

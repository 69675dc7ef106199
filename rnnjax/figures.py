"""The figures of a report: plotly pictures of the arms of a study, each with a caption that says n and method.

An arm's family is the first part of its name ("random" of "random/0.1"). Families differ in hue and in the shape of
their marks, the arms of a family in lightness. A figure carries its colours twice: those for a light page in its
traces and, in `layout.meta["dark"]`, what each becomes on a dark page; backgrounds are transparent.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from rnnjax.results import ArmResult
from rnnjax.stats import Interval, mean_interval

HUES = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#c58a00", "#3d9bd1", "#7a6a58")  # told apart by the colour-blind
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "pentagon", "star")
NEUTRAL = "#808890"  # readable on white and on black
MOST_POINTS = 300  # of one curve
SMALLEST = 1e-38  # what a zero counts as on a logarithmic scale
FAMOUS_SEED = 42  # the one seed of the documents
BAND, POINT = 0.14, 0.45  # opacity of a band and of a single seed
CURVE_HOVER = "%{customdata[0]:,}: %{y:.4g}<br>[%{customdata[1]:.4g}, %{customdata[2]:.4g}], n = %{customdata[3]}"
SILENT = {"showlegend": False}

Levels = Mapping[str, float]


class Drawing(NamedTuple):
    """A figure with its words."""

    title: str
    caption: str
    figure: go.Figure


class Ink(NamedTuple):
    """How one arm is drawn wherever it appears."""

    light: str
    dark: str
    symbol: str
    family: str
    label: str  # the name without the family


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

    figure = _figure(arms, _steps_axis([arm.row_steps for arm in arms], log_x), _axis(unit or _words(metric), log_y))
    _draw_curves(figure, arms, points, "step", log_y, marks=False, median=median)
    _add_levels(figure, levels, log_y)
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
        return Points(_log_positions(arm.probe_steps), arm.probe_steps, values_nQ)

    figure = _figure(arms, _steps_axis([arm.probe_steps for arm in arms], True), _axis(unit or _words(probe), log_y))
    _draw_curves(figure, arms, points, "step", log_y)
    _add_levels(figure, levels, log_y)
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
) -> Drawing:
    """A probe's value by lag, at probe number `at` (the last one by default)."""

    def points(arm: ArmResult) -> Points:
        values_nL = _alive_only(arm, arm.probes[probe], arm.probe_steps)[:, at]
        lags = first_lag + np.arange(values_nL.shape[1])
        return Points(lags, lags, values_nL)

    figure = _figure(arms, _axis("lag, steps back in time"), _axis(unit or _words(probe), log_y))
    _draw_curves(figure, arms, points, "lag", log_y, crosses=False)
    _add_levels(figure, levels, log_y)
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
) -> Drawing:
    """One number per arm: its interval, every seed as a point, seed 42 as a ring.

    Args: summarise: makes the interval, `mean_interval` by default; center: the word for what it estimates.
    """
    known = [_finite(arm.metrics[metric]) for arm in arms]
    figure = _figure(arms, _axis(unit or _words(metric), log_x), _arms_axis(arms, known))
    intervals = [summarise(values) if values.size > 1 else None for values in known]
    for row, ((arm, ink), interval) in enumerate(zip(_inked(arms), intervals, strict=True)):
        figure.add_traces(list(_seed_points(arm, ink, row, arm.metrics[metric])))
        if interval:
            figure.add_trace(_interval_bar(arm, ink, row, interval))
    figure.update_layout(height=110 + 30 * len(arms))
    _add_levels(figure, levels, log_x, vertical=True)
    methods = ", ".join(dict.fromkeys(interval.method for interval in intervals if interval))
    method = (
        f"bar: {center} with its interval ({methods})" if methods else "no arm has two seeds to make an interval of"
    )
    caption = f"Points: single seeds; ring: seed {FAMOUS_SEED}; {method}. {_seed_count(arms)}{_lost(arms, known)}"
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
    inked = _inked([arm._replace(name=group) for group in groups])
    figure = _figure([one for one, _ in inked], _axis("first component"), _axis(unit or "second component"))
    for of_group, ink in inked if finite_n.any() else []:
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


def _log_positions(steps: np.ndarray) -> np.ndarray:
    """Step 0 has no place on a logarithmic axis: it gets one before the first step."""
    positive = steps[steps > 0]
    return np.where(steps > 0, steps, (positive.min() if positive.size else 1) / 3).astype(float)


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
    for arm, ink in _inked(arms):
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
    yield edge(y=table[:, 2], fill="tonexty", fillcolor=_faint(ink.light, BAND))
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


def _seed_points(arm: ArmResult, ink: Ink, row: int, values: np.ndarray) -> Iterator[go.Scatter]:
    """Every seed, spread over the height of the row by the golden ratio so that equal values stay apart."""
    height = row + 0.5 * (np.arange(arm.seeds.size) * 0.618 % 1 - 0.5)
    point = {"symbol": "circle", "size": 5, "color": _faint(ink.light, POINT)}
    ring = {"symbol": "circle-open", "size": 10, "color": ink.light, "line": {"width": 2}}
    famous = arm.seeds == FAMOUS_SEED
    for chosen, marker in ((~famous, point), (famous, ring)):
        places = {"x": values[chosen], "y": height[chosen], "customdata": arm.seeds[chosen]}
        hover = "<b>%{fullData.name}</b><br>seed %{customdata}: %{x:.4g}<extra></extra>"
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


def _figure(arms: Sequence[ArmResult], x_axis: dict[str, Any], y_axis: dict[str, Any]) -> go.Figure:
    inks = [ink for _, ink in _inked(arms)]
    dark = {ink.light: ink.dark for ink in inks}
    dark |= {_faint(ink.light, alpha): _faint(ink.dark, alpha) for ink in inks for alpha in (BAND, POINT)}
    return go.Figure(
        layout={
            "template": "none",
            "height": 460,
            "margin": {"l": 60, "r": 16, "t": 32, "b": 50},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "hovermode": "closest",
            "meta": {"dark": dark},
            "xaxis": {"automargin": True, "zeroline": False} | x_axis,
            "yaxis": {"automargin": True, "zeroline": False} | y_axis,
        }
    )


def _axis(title: str, log: bool = False) -> dict[str, Any]:
    power = {"type": "log", "tickformat": "~g"} if log else {}
    return {"title": {"text": html.escape(title, quote=False)}} | power


def _steps_axis(steps_of_arms: list[np.ndarray], log: bool) -> dict[str, Any]:
    if not log:
        return _axis("optimizer steps") | {"tickformat": ",d", "rangemode": "tozero"}
    steps = np.concatenate(steps_of_arms)
    first, last = steps[steps > 0].min(initial=steps.max(initial=1)), steps.max(initial=1)
    decades = 10 ** np.arange(int(np.log10(last)) + 1)
    ticks = {float(step): f"{step:,}" for step in decades if step >= first}
    if (steps == 0).any():
        ticks = {float(_log_positions(steps).min()): "start"} | ticks
    return _axis("optimizer steps", log=True) | {"tickvals": list(ticks), "ticktext": list(ticks.values())}


def _arms_axis(arms: Sequence[ArmResult], known: list[np.ndarray]) -> dict[str, Any]:
    counts = [
        f" ({v.size} of {arm.seeds.size})" if v.size < arm.seeds.size else ""
        for arm, v in zip(arms, known, strict=True)
    ]
    names = [html.escape(arm.name, quote=False) + count for arm, count in zip(arms, counts, strict=True)]
    return {"tickvals": list(range(len(arms))), "ticktext": names, "range": [len(arms) - 0.4, -0.6], "showgrid": False}


def _add_levels(figure: go.Figure, levels: Levels | None, log: bool, vertical: bool = False) -> None:
    """Dashed lines across the whole plot, named at their end; the value axis makes room for them."""
    along, across = ("y", "x") if vertical else ("x", "y")
    levels = {name: value for name, value in (levels or {}).items() if value > 0 or not log}  # 0 has no logarithm
    for i, (name, value) in enumerate(levels.items()):
        span = {
            f"{along}0": 0,
            f"{along}1": 1,
            f"{across}0": value,
            f"{across}1": value,
            f"{along}ref": f"{along} domain",
        }
        place = {along: 1, across: float(np.log10(value)) if log else value, f"{along}ref": f"{along} domain"}
        # Names above a plot stand in rows of their own, for levels may be close to each other.
        anchor = {"xanchor": "left" if vertical else "right", "yanchor": "bottom", "yshift": 12 * i * vertical}
        words = f"{html.escape(name, quote=False)} {value:.4g}"
        figure.add_shape(type="line", layer="below", line={"color": NEUTRAL, "width": 1.2, "dash": "dash"}, **span)
        figure.add_annotation(text=words, showarrow=False, font={"size": 11, "color": NEUTRAL}, **anchor, **place)
    figure.update_layout({f"{across}axis_autorangeoptions_include": list(levels.values())})
    figure.layout.margin.t += 12 * len(levels) * vertical


def _inked(arms: Sequence[ArmResult]) -> list[tuple[ArmResult, Ink]]:
    """Every arm with its colours: hues in the order of the families, lightness in the order of a family's arms."""
    parts = [re.split(r"[/,;:\s]+", arm.name, maxsplit=1) for arm in arms]
    families = list(dict.fromkeys(family for family, *_ in parts))
    return [
        (arm, _ink(part, families.index(part[0]), [other for other in parts if other[0] == part[0]]))
        for arm, part in zip(arms, parts, strict=True)
    ]


def _ink(part: list[str], hue: int, siblings: list[list[str]]) -> Ink:
    color, symbol = HUES[hue % len(HUES)], SYMBOLS[hue % len(SYMBOLS)]
    share = siblings.index(part) / (len(siblings) - 1) if len(siblings) > 1 else 0.5
    label = part[-1] if len(siblings) > 1 else ", ".join(part)  # alone, an arm stands under no family's name
    # From strong to weak against either background, and never too weak to see.
    return Ink(_mixed(color, 0.7 * share - 0.5), _mixed(color, 0.65 - 0.65 * share), symbol, part[0], label)


def _mixed(color: str, share: float) -> str:
    """The colour with that share of white, or of black when negative."""
    target = 255 if share > 0 else 0
    channels = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(channel + abs(share) * (target - channel)):02x}" for channel in channels)


def _faint(color: str, alpha: float) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


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

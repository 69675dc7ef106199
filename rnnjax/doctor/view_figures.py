"""Figures of the views of an examination, except for texts."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from rnnjax.doctor.curve_view import CurveView, Mark
from rnnjax.doctor.level_lines import ROOM, add_level_lines, log_ticks, near_levels, round_ticks, value_range
from rnnjax.doctor.views import ClassView, SeriesView
from rnnjax.reports.arm_styles import HUES, ArmStyle, blend
from rnnjax.reports.figures.traces import CaptionedFigure
from rnnjax.reports.plot_axes import NEUTRAL, axis, empty

MARK = "#d9603b"  # readable on a light and on a dark page
HEIGHT = 400
MOST_POINTS = 600  # of a curve
FORECAST_PER_STEP = 3  # rows of a forecast that are shown for each true one, at least 60
LEAST_FORECAST = 60
PADDING = 0.08  # of the value axis


def curve_figure(
    view: CurveView, title: str, levels: Mapping[str, float], marks: Sequence[Mark], extra: str = ""
) -> CaptionedFigure:
    """The loss over training with marked rows and horizontal levels. Args: extra: sentence of the caption."""
    kept = kept_rows(view.loss_S)
    finite_S = view.loss_S[np.isfinite(view.loss_S)]
    levels = near_levels(levels, finite_S)
    bounds, log = value_range(finite_S, list(levels.values()))
    first, last = float(view.x_S[0]), float(max(view.x_S[-1], view.x_S[0] + 1))
    ticks = {"tickformat": ",d", "tickvals": round_ticks(first, last)}
    x_axis = axis(view.x_title) | ticks | {"range": [first, last + ROOM * (last - first)]}
    y_axis = axis("loss", log) | {"range": bounds} | ({"dtick": log_ticks(bounds)} if log else {})
    figure = figure_of(["loss"], x_axis, y_axis)
    figure.add_trace(trace("loss", 0, x=view.x_S[kept], y=view.loss_S[kept], mode="lines", line_width=1.6))
    add_marks(figure, marks)
    add_level_lines(figure, levels, bounds, log)
    dashed = " Dashed: losses of simple predictors and of the network." if levels else ""
    return CaptionedFigure(title, f"Training loss of the first network.{dashed}{extra}", figure)


def kept_rows(loss_S: np.ndarray) -> np.ndarray:
    """Rows of a curve that are drawn: the lowest and highest of every part, and those next to gaps."""
    if len(loss_S) <= 2 * MOST_POINTS:
        return np.arange(len(loss_S))
    finite = np.flatnonzero(np.isfinite(loss_S))
    parts = [part for part in np.array_split(finite, MOST_POINTS) if len(part)]
    extremes = [part[[np.argmin(loss_S[part]), np.argmax(loss_S[part])]] for part in parts]
    gaps = np.flatnonzero(~np.isfinite(loss_S))
    return np.unique(np.concatenate([*extremes, gaps[:MOST_POINTS]]).astype(int))


def add_marks(figure: go.Figure, marks: Sequence[Mark]) -> None:
    """Vertical lines at rows, and shaded stretches; a text that repeats is written once."""
    texts: set[str] = set()
    for mark in marks:
        single = mark.first == mark.last
        fill = {"fillcolor": MARK, "opacity": 0.12, "line_width": 0}
        shape = {"line": {"color": MARK, "width": 1.5}} if single else fill
        figure.add_shape(
            type="line" if single else "rect", x0=mark.first, x1=mark.last, y0=0, y1=1, yref="y domain", **shape
        )
        if mark.text not in texts:
            place = {"x": (mark.first + mark.last) / 2, "y": 1, "yref": "y domain", "yanchor": "bottom"}
            figure.add_annotation(text=mark.text, showarrow=False, font={"size": 12, "color": MARK}, **place)
        texts.add(mark.text)


def series_figure(view: SeriesView, title: str, whole_forecast: bool = False) -> CaptionedFigure:
    """The true values, one-step predictions, and the forecast after them."""
    steps = len(view.true_T)
    shown = len(view.forecast_N) if whole_forecast else max(LEAST_FORECAST, FORECAST_PER_STEP * steps)
    names = ["true values", "one-step predictions", *(["free-running forecast"] if len(view.forecast_N) else [])]
    drawn = np.concatenate([view.true_T, view.predicted_T, view.forecast_N[:shown]])
    figure = figure_of(names, axis("step of the window"), axis(view.column) | {"range": range_beside(drawn, view)})
    figure.add_trace(trace(names[0], 0, x=np.arange(steps), y=view.true_T, mode="lines+markers"))
    dotted = {"mode": "lines+markers", "line_dash": "dot"}
    figure.add_trace(trace(names[1], 1, x=np.arange(steps), y=view.predicted_T, **dotted))
    if len(view.forecast_N):
        forecast_N = view.forecast_N[:shown]
        figure.add_trace(trace(names[2], 2, x=steps + np.arange(len(forecast_N)), y=forecast_N, mode="lines"))
    add_training_range(figure, view)
    part = "the held-out batch" if view.held_out else "the batch"
    caption = f"One stream of {part}, first network. Shaded: the range of the training targets."
    return CaptionedFigure(title, caption, figure)


def range_beside(drawn: np.ndarray, view: SeriesView) -> list[float]:
    """The range of the drawn values, and the nearer bound of the training range if none of them is within."""
    finite = drawn[np.isfinite(drawn)]
    low, high = float(finite.min(initial=np.inf)), float(finite.max(initial=-np.inf))
    low, high = min(low, view.training_range[1]), max(high, view.training_range[0])
    padding = PADDING * (high - low) or max(abs(high), 1.0) * PADDING
    return [low - padding, high + padding]


def add_training_range(figure: go.Figure, view: SeriesView) -> None:
    """A band where the training targets lie."""
    low, high = view.training_range
    band = {"xref": "x domain", "x0": 0, "x1": 1, "y0": low, "y1": high}
    figure.add_shape(type="rect", layer="below", fillcolor=NEUTRAL, opacity=0.13, line_width=0, **band)


def class_figure(view: ClassView, title: str) -> CaptionedFigure:
    """Shares of the classes as bars beside each other."""
    figure = figure_of(list(view.shares), axis("") | {"showgrid": False}, axis("share") | {"rangemode": "tozero"})
    figure.update_xaxes(type="category")
    for hue, (name, shares) in enumerate(view.shares.items()):
        figure.add_trace(bars(name, hue, list(view.classes), shares))
    figure.update_layout(barmode="group", bargap=0.3)
    return CaptionedFigure(title, f"Share of each class among the {' and the '.join(view.shares)}.", figure)


# Parts


def figure_of(names: Sequence[str], x_axis: dict[str, Any], y_axis: dict[str, Any]) -> go.Figure:
    """An empty figure with the dark colours of its series."""
    figure = empty([], x_axis, y_axis)
    styles = [series_style(name, hue) for hue, name in enumerate(names)]
    figure.update_layout(height=HEIGHT, meta={"dark": {style.light: style.dark for style in styles}})
    return figure


def series_style(name: str, hue: int) -> ArmStyle:
    """The colours of a named series."""
    color = HUES[hue % len(HUES)]
    return ArmStyle(blend(color, -0.15), blend(color, 0.35), "circle", name, name)


def trace(name: str, hue: int, **more: Any) -> go.Scatter:
    """A line in the style of its series."""
    look = {"line_color": series_style(name, hue).light, "marker_size": 4, "hovertemplate": f"{name} %{{y:.4g}}"}
    return go.Scatter(**legend_entry(name, hue) | look | more)


def bars(name: str, hue: int, classes: list[str], shares: np.ndarray) -> go.Bar:
    hover, names = f"{name} %{{x}}: %{{y:.3g}}<extra></extra>", [html.escape(each, quote=False) for each in classes]
    return go.Bar(
        **legend_entry(name, hue), x=names, y=shares, hovertemplate=hover, marker_color=series_style(name, hue).light
    )


def legend_entry(name: str, hue: int) -> dict[str, Any]:
    """The values that the page needs for its legend."""
    style = series_style(name, hue)
    meta = {"family": style.family, "label": style.label, "symbol": style.symbol, "color": style.light}
    return {"name": name, "legendgroup": name, "meta": meta, "showlegend": True}

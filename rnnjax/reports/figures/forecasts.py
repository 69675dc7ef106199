"""The held-out part of one column of a series: truth, one-step predictions with intervals, and a free forecast."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from rnnjax.analysis.forecasts import NOMINAL, Forecasts, interval_bounds
from rnnjax.reports.arm_styles import HUES, blend, with_alpha
from rnnjax.reports.figures.traces import CaptionedFigure
from rnnjax.reports.plot_axes import axis, empty

MOST_ROWS = 500
MOST_TICKS = 5
BAND = 0.16  # opacity
TRUTH, PREDICTION, FREE = "measured", "one row ahead", "free forecast"


def forecast_figure(forecasts: Forecasts, column: int) -> CaptionedFigure:
    """One column. Args: column: its place among the targets."""
    shown = slice(0, MOST_ROWS)
    name, labels = forecasts.columns[column], forecasts.labels[shown]
    figure = empty([], rows_axis(forecasts.index_name or "row", labels), axis(name))
    shades = [(blend(HUES[hue], -0.15), blend(HUES[hue], 0.35)) for hue in range(3)]
    dark = dict(shades) | {with_alpha(light, BAND): with_alpha(night, BAND) for light, night in shades}
    figure.update_layout(meta={"dark": dark}, height=400)
    predicted_nM = forecasts.predictions_nLMO[:, 0, :, column][:, shown]
    free_nP = forecasts.path_nPO[:, :, column][:, shown]
    bounds_nM2 = predicted_nM[..., None] + interval_bounds(forecasts, 1)[:, shown, column]
    low_M, high_M = (mean_of_known(bounds_nM2[..., side]) for side in (0, 1))
    add_band(figure, PREDICTION, shades[1][0], low_M, high_M)
    add_band(figure, FREE, shades[2][0], *extremes(free_nP))
    truth_R = forecasts.truth_RO[shown, column]
    add_line(figure, TRUTH, shades[0][0], labels, truth_R, mode="lines+markers", marker_size=4)
    add_line(figure, PREDICTION, shades[1][0], labels, mean_of_known(predicted_nM), mode="lines", line_dash="dot")
    add_line(figure, FREE, shades[2][0], labels, mean_of_known(free_nP), mode="lines")
    seeds = len(predicted_nM)
    caption = (
        f"Means over {seeds} seed{'s' if seeds > 1 else ''}. One row ahead: from the rows before, with its "
        f"{NOMINAL:.0%} conformal interval in the second half. Free forecast: from the last training row on, from its "
        "own predictions; band: from the lowest to the highest seed."
    )
    return CaptionedFigure(f"Held-out part of {name}", caption, figure)


def rows_axis(title: str, labels: Sequence[str]) -> dict[str, Any]:
    """Rows in order, of which a few have their labels."""
    places = np.unique(np.linspace(0, len(labels) - 1, MOST_TICKS).astype(int)).tolist()
    ticks = [html.escape(labels[place], quote=False) for place in places]
    return axis(title) | {"tickvals": places, "ticktext": ticks, "showgrid": False}


def mean_of_known(values_nM: np.ndarray) -> np.ndarray:
    """The mean over seeds of what is finite; NaN where nothing is."""
    known_nM = np.isfinite(values_nM)
    count_M = known_nM.sum(axis=0)
    return np.where(count_M > 0, np.where(known_nM, values_nM, 0).sum(axis=0) / np.maximum(count_M, 1), np.nan)


def extremes(values_nM: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest seed; NaN where none is finite."""
    known_nM = np.isfinite(values_nM)
    some_M = known_nM.any(axis=0)
    low_M = np.where(known_nM, values_nM, np.inf).min(axis=0)
    high_M = np.where(known_nM, values_nM, -np.inf).max(axis=0)
    return np.where(some_M, low_M, np.nan), np.where(some_M, high_M, np.nan)


def add_band(figure: go.Figure, name: str, color: str, low_M: np.ndarray, high_M: np.ndarray) -> None:
    """A band between two edges where both are known; a band has no gaps."""
    known = np.flatnonzero(np.isfinite(low_M) & np.isfinite(high_M))
    if not len(known):
        return
    edge = {"legendgroup": name, "mode": "lines", "line_width": 0, "hoverinfo": "skip", "showlegend": False}
    edge |= {"meta": legend_meta(name, color), "x": known}
    figure.add_trace(go.Scatter(y=low_M[known], **edge))
    figure.add_trace(go.Scatter(y=high_M[known], fill="tonexty", fillcolor=with_alpha(color, BAND), **edge))


def add_line(figure: go.Figure, name: str, color: str, labels: Sequence[str], y: np.ndarray, **look: Any) -> None:
    hover = f"<b>{name}</b><br>%{{customdata}}: %{{y:.4g}}<extra></extra>"
    words = {"name": name, "legendgroup": name, "meta": legend_meta(name, color), "showlegend": True}
    look = {"line_color": color, "line_width": 1.8, "hovertemplate": hover} | look
    own = [html.escape(label, quote=False) for label in labels[: len(y)]]
    figure.add_trace(go.Scatter(x=np.arange(len(y)), y=y.astype(np.float32), customdata=own, **words, **look))


def legend_meta(name: str, color: str) -> dict[str, str]:
    """The values that the page needs for its legend."""
    return {"family": name, "label": name, "symbol": "circle", "color": color}

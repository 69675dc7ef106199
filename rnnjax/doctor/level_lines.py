"""Horizontal levels of a figure, with names beside the curve that do not overlap."""

import html
from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np
import plotly.graph_objects as go

from rnnjax.reports.plot_axes import NEUTRAL

ROOM = 0.3  # of the width of the curve, to its right
LOG_RATIO = 30.0  # of the highest to the lowest value, from which the axis is logarithmic
FAR_BELOW = 30.0  # times: a level so far below the lowest value of a logarithmic axis is left out
PADDING = 0.05  # of the axis
TICKS = 6
DECADES_SPLIT = 3.5  # with more decades, only powers of ten have ticks
LINE_HEIGHT = 14.0  # pixels of a name


def near_levels(levels: Mapping[str, float], values: np.ndarray) -> dict[str, float]:
    """Levels without those that would press a positive curve against the upper edge."""
    low = float(values.min()) if len(values) else 0.0
    return {name: loss for name, loss in levels.items() if low <= 0 or loss > low / FAR_BELOW or loss == 0}


def value_range(values: np.ndarray, levels: Sequence[float]) -> tuple[list[float], bool]:
    """The range of the value axis, as plotly reads it, and whether it is logarithmic."""
    every = np.array([*values, *levels] or [0.0, 1.0], float)
    log = bool(every.min() > 0 and every.max() > LOG_RATIO * every.min())
    low, high = (np.log10(bound) if log else bound for bound in (every.min(), every.max()))
    padding = PADDING * (high - low) or max(abs(high), 1.0) * PADDING
    return [float(low - padding), float(high + padding)], log


def log_ticks(bounds: Sequence[float]) -> str | int:
    """The distance of ticks between powers of ten: 1, 2, 5 and 10 of each decade, or whole decades."""
    decades = bounds[1] - bounds[0]
    return "D2" if decades < DECADES_SPLIT else max(1, round(decades / TICKS))


def round_ticks(first: float, last: float) -> list[float]:
    """About 6 round numbers from the first to the last row."""
    rough = (last - first) / TICKS
    power = 10.0 ** np.floor(np.log10(rough))
    step = max(1.0, power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough))
    return np.arange(np.ceil(first / step) * step, last + step / 1e3, step).tolist()


def add_level_lines(figure: go.Figure, levels: Mapping[str, float], bounds: Sequence[float], log: bool) -> None:
    """Dashed lines across the curve, with names to its right. Args: bounds: of the value axis."""
    margin = figure.layout.margin
    per_unit = (figure.layout.height - margin.t - margin.b) / (bounds[1] - bounds[0])
    ordered = sorted(levels.items(), key=lambda level: level[1])
    heights = [(float(np.log10(loss)) if log else loss) * per_unit for _, loss in ordered]
    end = 1 / (1 + ROOM)
    for (name, loss), height, place in zip(ordered, heights, spread(heights), strict=True):
        figure.add_shape(
            type="line", layer="below", line={"color": NEUTRAL, "width": 1.2, "dash": "dash"},
            xref="x domain", x0=0, x1=end, y0=loss, y1=loss,
        )  # fmt: skip
        figure.add_annotation(
            text=f"{html.escape(name, quote=False)} {loss:.3g}", showarrow=False, font={"size": 11, "color": NEUTRAL},
            xref="x domain", x=1, xanchor="right", y=height / per_unit, yanchor="middle", yshift=place - height,
        )  # fmt: skip


def spread(heights: Sequence[float]) -> list[float]:
    """Ascending heights moved apart by at least a line, as little as possible at the lowest ones."""
    upwards = accumulate(heights, lambda below, height: max(height, below + LINE_HEIGHT))
    return list(upwards)

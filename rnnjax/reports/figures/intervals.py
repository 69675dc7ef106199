"""One number per arm: its interval and every seed as a point."""

from collections.abc import Iterator, Sequence

import numpy as np
import plotly.graph_objects as go

from rnnjax.analysis.results import ArmResult
from rnnjax.analysis.statistics import Interval, mean_over_seeds
from rnnjax.reports.arm_styles import ArmStyle, styled, with_alpha
from rnnjax.reports.figures.traces import REFERENCE_SEED, CaptionedFigure, arm_trace, finite, seed_count, spaced
from rnnjax.reports.plot_axes import POINT, Levels, add_levels, arms_axis, axis, empty


def interval_figure(
    arms: Sequence[ArmResult],
    metric: str,
    title: str = "",
    unit: str = "",
    levels: Levels | None = None,
    log_x: bool = False,
    each: str = "seed",
    among: Sequence[ArmResult] = (),
) -> CaptionedFigure:
    """The mean of a metric with its t interval, one row per arm; every seed as a point, seed 42 as a ring.

    Args:
        unit: title of the value axis. levels: reference values, drawn as dashed lines. each: the word for one point,
            where points are not seeds; then no ring is drawn. among: all arms of the report, for the colours.
    """
    known = [finite(arm.metrics[metric]) for arm in arms]
    figure = empty(arms, axis(unit or spaced(metric), log_x), arms_axis(arms, known), among)
    intervals = [mean_over_seeds(values) if values.size > 1 else None for values in known]
    for row, ((arm, style), interval) in enumerate(zip(styled(arms, among), intervals, strict=True)):
        figure.add_traces(list(_seed_points(arm, style, row, arm.metrics[metric], each)))
        if interval:
            figure.add_trace(_interval_bar(arm, style, row, interval))
    figure.update_layout(height=110 + 30 * len(arms))
    add_levels(figure, levels, log_x, vertical=True)
    return CaptionedFigure(title or spaced(metric).capitalize(), _caption(arms, known, intervals, each), figure)


def _caption(
    arms: Sequence[ArmResult], known: Sequence[np.ndarray], intervals: Sequence[Interval | None], each: str
) -> str:
    methods = ", ".join(dict.fromkeys(interval.method for interval in intervals if interval))
    bar = f"bar: mean with its interval ({methods})" if methods else "no arm has two seeds, so there is no interval"
    has_ring = each == "seed" and any(REFERENCE_SEED in arm.seeds for arm in arms)
    ring = f" ring: seed {REFERENCE_SEED};" if has_ring else ""
    return f"Points: single {each}s;{ring} {bar}. {seed_count(arms)}{_missing_runs(arms, known)}"


def _missing_runs(arms: Sequence[ArmResult], known: Sequence[np.ndarray]) -> str:
    missing = sum(arm.seeds.size - values.size for arm, values in zip(arms, known, strict=True))
    if not missing:
        return ""
    return f" {missing} runs without a value (diverged, or never got there) are left out; the axis counts the rest."


def _seed_points(arm: ArmResult, style: ArmStyle, row: int, values: np.ndarray, each: str) -> Iterator[go.Scatter]:
    """Every seed, spread over the height of the row by the golden ratio so that equal values stay apart."""
    height = row + 0.5 * (np.arange(arm.seeds.size) * 0.618 % 1 - 0.5)
    point = {"symbol": "circle", "size": 5, "color": with_alpha(style.light, POINT)}
    ring = {"symbol": "circle-open", "size": 10, "color": style.light, "line": {"width": 2}}
    is_reference = (arm.seeds == REFERENCE_SEED) & (each == "seed")
    for chosen, marker in ((~is_reference, point), (is_reference, ring)):
        places = {"x": values[chosen], "y": height[chosen], "customdata": arm.seeds[chosen]}
        hover = f"<b>%{{fullData.name}}</b><br>{each} %{{customdata}}: %{{x:.4g}}<extra></extra>"
        yield arm_trace(arm, style, **places, mode="markers", marker=marker, hovertemplate=hover)


def _interval_bar(arm: ArmResult, style: ArmStyle, row: int, interval: Interval) -> go.Scatter:
    estimate, low, high, n, _ = interval
    reach = {"array": [high - estimate], "arrayminus": [estimate - low]}
    return arm_trace(
        arm,
        style,
        x=[estimate],
        y=[row],
        mode="markers",
        marker={"color": style.light, "symbol": style.symbol, "size": 9},
        error_x={"type": "data", "symmetric": False, "color": style.light, "thickness": 3, "width": 6} | reach,
        customdata=[f"[{low:.4g}, {high:.4g}], n = {n}"],
        hovertemplate="<b>%{fullData.name}</b><br>%{x:.4g}<br>%{customdata}<extra></extra>",
    )

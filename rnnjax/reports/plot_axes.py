"""Empty figures: axes, reference lines, and the map from light to dark colours."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from rnnjax.analysis.results import ArmResult
from rnnjax.reports.arm_styles import styled, with_alpha

NEUTRAL = "#808890"  # readable on white and on black
BAND, POINT = 0.14, 0.45  # opacity of a band and of a single seed

Levels = Mapping[str, float]


def empty(
    arms: Sequence[ArmResult], x_axis: dict[str, Any], y_axis: dict[str, Any], among: Sequence[ArmResult] = ()
) -> go.Figure:
    """A figure without traces. Args: among: as `styled` wants it."""
    styles = [style for _, style in styled(arms, among)]
    dark = {style.light: style.dark for style in styles}
    dark |= {
        with_alpha(style.light, alpha): with_alpha(style.dark, alpha) for style in styles for alpha in (BAND, POINT)
    }
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


def axis(title: str, log: bool = False) -> dict[str, Any]:
    power = {"type": "log", "tickformat": "~g", "nticks": 8} if log else {}  # more: 0.8 and 0.9 would overlap
    return {"title": {"text": html.escape(title, quote=False)}} | power


def steps_axis(steps_of_arms: list[np.ndarray], log: bool) -> dict[str, Any]:
    if not log:
        return axis("optimizer steps") | {"tickformat": ",d", "rangemode": "tozero"}
    steps = np.concatenate(steps_of_arms)
    first, last = steps[steps > 0].min(initial=steps.max(initial=1)), steps.max(initial=1)
    decades = 10 ** np.arange(int(np.log10(last)) + 1)
    ticks = {float(step): f"{step:,}" for step in decades if step >= first}
    if (steps == 0).any():
        ticks = {float(log_positions(steps).min()): "start"} | ticks
    return axis("optimizer steps", log=True) | {"tickvals": list(ticks), "ticktext": list(ticks.values())}


def arms_axis(arms: Sequence[ArmResult], known: list[np.ndarray]) -> dict[str, Any]:
    counts = [
        f" ({v.size} of {arm.seeds.size})" if v.size < arm.seeds.size else ""
        for arm, v in zip(arms, known, strict=True)
    ]
    names = [html.escape(arm.name, quote=False) + count for arm, count in zip(arms, counts, strict=True)]
    return {"tickvals": list(range(len(arms))), "ticktext": names, "range": [len(arms) - 0.4, -0.6], "showgrid": False}


def add_levels(figure: go.Figure, levels: Levels | None, log: bool, vertical: bool = False) -> None:
    """Dashed lines across the whole plot, named at their end; plotly's value axis makes room for shapes."""
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
    figure.layout.margin.t += 12 * len(levels) * vertical


def log_positions(steps: np.ndarray) -> np.ndarray:
    """Step 0 has no place on a logarithmic axis: it gets one before the first step."""
    positive = steps[steps > 0]
    return np.where(steps > 0, steps, (positive.min() if positive.size else 1) / 3).astype(float)

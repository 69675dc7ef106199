"""Parts of all figures: the captioned figure, a trace in the style of its arm, the number of seeds in words."""

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from rnnjax.analysis.results import ArmResult
from rnnjax.reports.arm_styles import ArmStyle

REFERENCE_SEED = 42  # the single seed that the documents used


class CaptionedFigure(NamedTuple):
    """A plotly figure with its title and caption."""

    title: str
    caption: str
    figure: go.Figure


def arm_trace(arm: ArmResult, style: ArmStyle, **more: Any) -> go.Scatter:
    """A trace of this arm; `meta` is for the legend, which the page builds itself."""
    meta = {"family": style.family, "label": style.label, "symbol": style.symbol, "color": style.light}
    meta |= {"dash": style.dash} if style.dash != "solid" else {}
    name = html.escape(arm.name, quote=False)
    return go.Scatter(**{"name": name, "legendgroup": arm.name, "meta": meta, "showlegend": False} | more)


def finite(values: np.ndarray) -> np.ndarray:
    return np.asarray(values[np.isfinite(values)])


def spaced(name: str) -> str:
    """A metric's name with spaces, as a default title."""
    return name.replace("_", " ")


def seed_count(arms: Sequence[ArmResult]) -> str:
    """The number of seeds per arm, as a sentence."""
    counts = {arm.seeds.size for arm in arms}
    fewest = f"{min(counts)} to " if len(counts) > 1 else ""
    return f"n\u00a0=\u00a0{fewest}{max(counts)} seeds per arm."

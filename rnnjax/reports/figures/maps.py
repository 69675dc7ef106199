"""Named points of a plane, for one run of one arm."""

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from rnnjax.analysis.results import ArmResult
from rnnjax.reports.arm_styles import ArmStyle, styled
from rnnjax.reports.figures.traces import REFERENCE_SEED, CaptionedFigure, arm_trace, spaced
from rnnjax.reports.plot_axes import NEUTRAL, axis, empty


def map_figure(
    arm: ArmResult, probe: str, labels: Sequence[tuple[str, str]], title: str = "", unit: str = ""
) -> CaptionedFigure:
    """The points of a probe at its last step, of the run of seed 42, or of the first seed that did not diverge.

    Args:
        probe: a value [n, Q, P, 2]. labels: (name, group) of each of the P points; the last group is drawn with stars.
        unit: title of the value axis.
    """
    points_nP2 = arm.probes[probe][:, -1]
    finite_n = np.isfinite(points_nP2).all(axis=(1, 2))
    run = int(np.argmax(finite_n * (1 + (arm.seeds == REFERENCE_SEED))))
    points_P2 = points_nP2[run].astype(np.float32)
    groups = list(dict.fromkeys(group for _, group in labels))
    of_groups = styled([arm._replace(name=group) for group in groups])
    figure = empty([each for each, _ in of_groups], axis("first component"), axis(unit or "second component"))
    for group, style in of_groups if finite_n.any() else []:
        own = [i for i, (_, name) in enumerate(labels) if name == group.name]
        star = group.name == groups[-1]
        figure.add_trace(_named_points(group, style, points_P2[own], [labels[i][0] for i in own], star))
    seed = f"seed {arm.seeds[run]}" if finite_n.any() else "no run left"
    caption = f"{arm.name}: {seed}, one run of {arm.seeds.size}. Principal components, so there is no interval."
    return CaptionedFigure(title or spaced(probe).capitalize(), caption, figure)


def _named_points(
    group: ArmResult, style: ArmStyle, points_P2: np.ndarray, names: Sequence[str], star: bool
) -> go.Scatter:
    return arm_trace(
        group,
        style,
        x=points_P2[:, 0],
        y=points_P2[:, 1],
        mode="markers+text",
        text=[html.escape(name, quote=False) for name in names],
        textposition="top center",
        textfont={"size": 11, "color": NEUTRAL},
        marker={"color": style.light, "symbol": "star" if star else style.symbol, "size": 14 if star else 8},
        hovertemplate="%{text}<br><b>%{fullData.name}</b><extra></extra>",
        showlegend=True,
    )

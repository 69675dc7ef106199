"""Which class is taken for which: the area of a square is a share of the class of its row."""

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from rnnjax.reports.arm_styles import HUES, blend
from rnnjax.reports.figures.traces import CaptionedFigure
from rnnjax.reports.plot_axes import axis, empty

RIGHT, WRONG = HUES[0], HUES[1]
CELL = 0.9  # of the side of a row: that of a square that is all of its class


def confusion_figure(classes: Sequence[str], counts_nCC: np.ndarray, title: str) -> CaptionedFigure:
    """The confusion of C classes over n networks; hovering over a square shows the mean count and its range.

    Args: counts_nCC: how often class i was taken for class j. Of more classes than a page has room for, see the table.
    """
    size = len(classes)
    names = [html.escape(name, quote=False) for name in classes]
    ticks = {"tickvals": list(range(size)), "ticktext": names, "showgrid": False}
    figure = empty([], axis("predicted class") | ticks | {"side": "bottom"}, axis("class of the data") | ticks)
    height = max(320, min(900, 90 + 34 * size))
    figure.update_layout(height=height, yaxis={"range": [size - 0.4, -0.6]}, xaxis={"range": [-0.6, size - 0.4]})
    figure.layout.meta["dark"] = {color: blend(color, 0.3) for color in (RIGHT, WRONG)}
    largest = CELL * (height - 90) / size  # pixels
    for name, color, chosen_CC in (
        ("right", RIGHT, np.eye(size, dtype=bool)),
        ("taken for another", WRONG, ~np.eye(size, dtype=bool)),
    ):
        figure.add_trace(squares(name, color, classes, counts_nCC, chosen_CC, largest))
    return CaptionedFigure(title, caption(len(counts_nCC)), figure)


def squares(
    name: str, color: str, classes: Sequence[str], counts_nCC: np.ndarray, chosen_CC: np.ndarray, largest: float
) -> go.Scatter:
    """The squares of some cells; cells that never occur have none."""
    mean_CC = counts_nCC.mean(axis=0)
    share_CC = mean_CC / np.maximum(mean_CC.sum(axis=1, keepdims=True), 1)
    rows, columns = np.nonzero(chosen_CC & (mean_CC > 0))
    words = [
        f"{html.escape(classes[i], quote=False)} taken for {html.escape(classes[j], quote=False)}: {mean_CC[i, j]:.3g} "
        f"({share_CC[i, j]:.1%})<br>{counts_nCC[:, i, j].min():g} to {counts_nCC[:, i, j].max():g} over seeds"
        for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
    return go.Scatter(
        x=columns,
        y=rows,
        mode="markers",
        name=name,
        meta={"family": name, "label": name, "symbol": "square", "color": color},
        marker={"symbol": "square", "color": color, "size": largest * np.sqrt(share_CC[rows, columns])},
        text=words,
        hovertemplate="%{text}<extra></extra>",
        legendgroup=name,
        showlegend=True,
    )


def caption(networks: int) -> str:
    """The meaning of a square, and the number of networks."""
    seeds = f"n\u00a0=\u00a0{networks} seeds"
    return f"Area: share of the held-out targets of a row's class, mean over seeds; a full row is one class. {seeds}."

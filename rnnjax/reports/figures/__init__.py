"""Plotly figures of the arms of a study, each with a caption that gives n and the method.

`curves` draws values over steps or lags, `intervals` one number per arm, `by_setting` one number against a setting of
the arms, `maps` named points of a plane, `portraits` states in a plane, and one metric over another. A figure holds its
colours twice: those for a light page in its traces and, in `layout.meta["dark"]`, their replacements on a dark page;
backgrounds are transparent.
"""

from rnnjax.reports.figures.by_setting import setting_figure
from rnnjax.reports.figures.curves import lag_figure, line_figure, probe_figure
from rnnjax.reports.figures.intervals import interval_figure
from rnnjax.reports.figures.maps import map_figure
from rnnjax.reports.figures.portraits import portrait_figure, scatter_figure
from rnnjax.reports.figures.traces import REFERENCE_SEED, CaptionedFigure

__all__ = [
    "REFERENCE_SEED",
    "CaptionedFigure",
    "interval_figure",
    "lag_figure",
    "line_figure",
    "map_figure",
    "portrait_figure",
    "probe_figure",
    "scatter_figure",
    "setting_figure",
]

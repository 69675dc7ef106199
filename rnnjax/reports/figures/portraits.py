"""The states of one run in a plane, with fixed and slow points; and one metric of all runs over another."""

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from rnnjax.analysis.results import ArmResult, per_seed
from rnnjax.reports.arm_styles import styled, with_alpha
from rnnjax.reports.figures.traces import REFERENCE_SEED, CaptionedFigure, arm_trace, seed_count, spaced
from rnnjax.reports.plot_axes import NEUTRAL, POINT, axis, empty
from rnnjax.settings.metrics import POINT_KINDS

KIND_SYMBOLS = dict(zip(POINT_KINDS, ("star", "x", "diamond-open"), strict=True))
MARK = "#d9603b"  # of points, readable on a light and on a dark page


def portrait_figure(arm: ArmResult, probe: str, labels: Sequence[tuple[str, str]], title: str = "") -> CaptionedFigure:
    """Trajectories and points of a probe at its last step, of the run of seed 42, or of the first that is finite.

    Args:
        probe: a value [n, Q, P, 2], NaN after each trajectory and where there is no point. labels: (name, group) of
            each of the P places; the groups of POINT_KINDS are points, "" is after a trajectory.
    """
    places_nP2 = arm.probes[probe][:, -1]
    known_n = np.isfinite(places_nP2).any(axis=(1, 2))
    run = int(np.argmax(known_n * (1 + (arm.seeds == REFERENCE_SEED))))
    places_P2, groups_P = places_nP2[run].astype(np.float32), np.array([group for _, group in labels])
    names = [name for name in dict.fromkeys(groups_P) if name and name not in POINT_KINDS]
    of_groups = styled([arm._replace(name=str(name)) for name in names])
    figure = empty([each for each, _ in of_groups], axis("first component"), axis("second component"))
    path_P = ~np.isin(groups_P, POINT_KINDS)
    if known_n.any():
        figure.add_trace(_paths(places_P2[path_P]))
    for group, style in of_groups if known_n.any() else []:
        own_P = groups_P == group.name
        words = [html.escape(name, quote=False) for (name, _), own in zip(labels, own_P, strict=True) if own]
        marker = {"color": with_alpha(style.light, POINT), "symbol": style.symbol, "size": 5}
        hover = "%{text}<br><b>%{fullData.name}</b><extra></extra>"
        x, y = places_P2[own_P].T
        figure.add_trace(
            arm_trace(
                group, style, x=x, y=y, mode="markers", text=words, marker=marker, hovertemplate=hover, showlegend=True
            )
        )
    counts = {kind: _add_points(figure, kind, places_P2[groups_P == kind]) for kind in POINT_KINDS}
    found = ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in counts.items() if count)
    seed = f"seed {arm.seeds[run]}, one run of {arm.seeds.size}" if known_n.any() else "no run left"
    caption = f"{arm.name}: {seed}. {found or 'No fixed or slow point'} with the input held; principal components of h."
    return CaptionedFigure(title or spaced(probe).capitalize(), caption, figure)


def _paths(places_P2: np.ndarray) -> go.Scatter:
    """All trajectories as thin lines with a gap after each."""
    line = {"color": with_alpha(NEUTRAL, 0.35), "width": 0.8}
    x, y = _missing_as_none(places_P2)
    return go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False)


def _add_points(figure: go.Figure, kind: str, places_M2: np.ndarray) -> int:
    """Draw the points of a kind with a symbol of their own. Returns: their number."""
    known_M2 = places_M2[np.isfinite(places_M2).all(axis=1)]
    if len(known_M2):
        meta = {"family": kind, "label": kind, "symbol": KIND_SYMBOLS[kind], "color": MARK}
        marker = {"color": MARK, "symbol": KIND_SYMBOLS[kind], "size": 12, "line": {"width": 1.5, "color": MARK}}
        x, y = known_M2.T
        figure.add_trace(
            go.Scatter(
                x=x, y=y, mode="markers", marker=marker, name=kind, legendgroup=kind, meta=meta, showlegend=True,
                hovertemplate=f"{kind}<extra></extra>",
            )
        )  # fmt: skip
    return len(known_M2)


def _missing_as_none(places_P2: np.ndarray) -> list[list[float | None]]:
    """The coordinates with None where there is none, as JSON has it."""
    return [[None if np.isnan(value) else float(value) for value in values] for values in places_P2.T]


def scatter_figure(
    arms: Sequence[ArmResult],
    metric: str,
    over: str,
    title: str = "",
    units: tuple[str, str] = ("", ""),
    among: Sequence[ArmResult] = (),
) -> CaptionedFigure:
    """A metric of every run over another, with a line at 0 of the latter where its values have both signs.

    Args: units: titles of the value axis and of the other axis. among: all arms of the report, for the colours.
    """
    x_axis = axis(f"{spaced(over)}{f' ({units[1]})' * bool(units[1])}")
    figure = empty(arms, x_axis, axis(f"{spaced(metric)}{f' ({units[0]})' * bool(units[0])}"), among)
    pairs = [(per_seed(arm, over), per_seed(arm, metric)) for arm in arms]
    for (arm, style), (x_n, y_n) in zip(styled(arms, among), pairs, strict=True):
        known_n = np.isfinite(x_n) & np.isfinite(y_n)
        marker = {"color": style.light, "symbol": style.symbol, "size": 6}
        hover = "<b>%{fullData.name}</b><br>seed %{customdata}: %{x:.3g}, %{y:.3g}<extra></extra>"
        places = {"x": x_n[known_n], "y": y_n[known_n], "customdata": arm.seeds[known_n]}
        figure.add_trace(
            arm_trace(arm, style, **places, mode="markers", marker=marker, hovertemplate=hover, showlegend=True)
        )
    all_x = np.concatenate([x_n[np.isfinite(x_n) & np.isfinite(y_n)] for x_n, y_n in pairs])
    if all_x.min(initial=0) < 0 < all_x.max(initial=0):
        figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1.2, "dash": "dash"})
    missing = sum(x_n.size for x_n, _ in pairs) - all_x.size
    lost = f" {missing} runs without both values are left out." if missing else ""
    return CaptionedFigure(
        title or spaced(metric).capitalize(), f"Points: single runs. {seed_count(arms)}{lost}", figure
    )

"""Values over optimizer steps or lags: one line and band per arm."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from rnnjax.analysis.results import ArmResult
from rnnjax.analysis.statistics import Interval, mean_over_seeds
from rnnjax.reports.arm_styles import ArmStyle, styled, with_alpha
from rnnjax.reports.figures.traces import CaptionedFigure, arm_trace, finite, seed_count, spaced
from rnnjax.reports.plot_axes import BAND, Levels, add_levels, axis, empty, log_positions, steps_axis

MAX_POINTS = 300  # of one curve
SMALLEST = 1e-38  # replaces zero on a logarithmic scale
HOVER = "%{customdata[0]:,}: %{y:.4g}<br>[%{customdata[1]:.4g}, %{customdata[2]:.4g}], n = %{customdata[3]}"


class Points(NamedTuple):
    """The values of one arm at m points, before they are summarised over its n seeds."""

    x: np.ndarray  # [m] on the axis
    at: np.ndarray  # [m] the step or lag, for the hover text
    values_nm: np.ndarray  # NaN where a run has diverged


def line_figure(
    arms: Sequence[ArmResult],
    metric: str,
    title: str = "",
    unit: str = "",
    levels: Levels | None = None,
    log_x: bool = False,
    log_y: bool = False,
    among: Sequence[ArmResult] = (),
) -> CaptionedFigure:
    """A recorded metric over training: one line and band per arm, a cross where a seed diverged.

    Args:
        unit: title of the value axis. levels: horizontal references, as "floor", "unigram" and "chance".
        among: all arms of the report, for the colours, as in every figure.
    """

    def points(arm: ArmResult) -> Points:
        kept = _thinned(arm.row_steps, log_x)
        values_nS = _until_divergence(arm, arm.rows[metric], arm.row_steps)
        return Points(arm.row_steps[kept], arm.row_steps[kept], values_nS[:, kept])

    figure = empty(arms, steps_axis([arm.row_steps for arm in arms], log_x), axis(unit or spaced(metric), log_y), among)
    _add_curves(figure, styled(arms, among), points, "step", log_y, markers=False)
    add_levels(figure, levels, log_y)
    return CaptionedFigure(title or f"{spaced(metric).capitalize()} over training", _caption(arms, log_y), figure)


def probe_figure(
    arms: Sequence[ArmResult],
    probe: str,
    title: str = "",
    unit: str = "",
    levels: Levels | None = None,
    log_y: bool = False,
    among: Sequence[ArmResult] = (),
) -> CaptionedFigure:
    """A probe's value over training, on a logarithmic axis that also has a position for the untrained network."""

    def points(arm: ArmResult) -> Points:
        values_nQ = _until_divergence(arm, arm.probes[probe], arm.probe_steps)
        return Points(log_positions(arm.probe_steps), arm.probe_steps, values_nQ)

    figure = empty(arms, steps_axis([arm.probe_steps for arm in arms], True), axis(unit or spaced(probe), log_y), among)
    _add_curves(figure, styled(arms, among), points, "step", log_y)
    add_levels(figure, levels, log_y)
    return CaptionedFigure(title or f"{spaced(probe).capitalize()} over training", _caption(arms, log_y), figure)


def lag_figure(
    arms: Sequence[ArmResult],
    probe: str,
    title: str = "",
    unit: str = "",
    levels: Levels | None = None,
    first_lag: int = 0,
    log_y: bool = True,
    along: str = "",
    among: Sequence[ArmResult] = (),
) -> CaptionedFigure:
    """A probe's value by lag, at the last probe. Args: first_lag: of the values. along: title of the lag axis."""

    def points(arm: ArmResult) -> Points:
        values_nL = _until_divergence(arm, arm.probes[probe], arm.probe_steps)[:, -1]
        lags = first_lag + np.arange(values_nL.shape[1])
        return Points(lags, lags, values_nL)

    figure = empty(arms, axis(along or "lag, steps back in time"), axis(unit or spaced(probe), log_y), among)
    _add_curves(figure, styled(arms, among), points, "lag", log_y, crosses=False)
    add_levels(figure, levels, log_y)
    step = int(arms[0].probe_steps[-1])
    title = title or f"{spaced(probe).capitalize()} by lag, {f'after {step:,} steps' if step else 'untrained'}"
    return CaptionedFigure(title, _caption(arms, log_y, crosses=False), figure)


# Numbers


def _until_divergence(arm: ArmResult, values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """A float copy of values [n, S, ...] with NaN from the step on at which a run diverged."""
    diverged_nS = (arm.diverged_at[:, None] >= 0) & (steps[None, :] >= arm.diverged_at[:, None])
    kept = np.array(values, dtype=float)
    kept[diverged_nS] = np.nan
    return kept


def _interval(values: np.ndarray, geometric: bool) -> Interval:
    """Of the finite values; a single one has no width."""
    values = finite(values)
    if values.size < 2:
        only = float(values.sum())
        return Interval(only, only, only, values.size, "one seed")
    if not geometric:
        return mean_over_seeds(values)
    mean, low, high, n, method = mean_over_seeds(np.log(np.maximum(values, SMALLEST)))
    return Interval(float(np.exp(mean)), float(np.exp(low)), float(np.exp(high)), n, method)


def _thinned(steps: np.ndarray, log_x: bool) -> np.ndarray:
    """Indices of at most `MAX_POINTS` rows, evenly spread over the axis."""
    last = len(steps) - 1
    spread = np.geomspace(1, last + 1, MAX_POINTS) - 1 if log_x and last else np.linspace(0, last, MAX_POINTS)
    return np.unique(np.round(spread).astype(int))


# Traces


def _add_curves(
    figure: go.Figure,
    arms: Sequence[tuple[ArmResult, ArmStyle]],
    points_of: Callable[[ArmResult], Points],
    where: str,
    geometric: bool,
    markers: bool = True,
    crosses: bool = True,
) -> None:
    for arm, style in arms:
        points = points_of(arm)
        summaries = [_interval(column, geometric)[:4] for column in points.values_nm.T]
        table = np.array(summaries, dtype=np.float32).reshape(-1, 4)  # of an arm that was never measured: no rows
        known = table[:, 3] > 0
        points = Points(points.x[known].astype(np.float32), points.at[known], points.values_nm[:, known])
        figure.add_traces(list(_band(arm, style, points, table[known], where, markers)))
        if crosses:
            figure.add_traces(list(_divergence_marks(arm, style, points, table[known, 0])))


def _band(
    arm: ArmResult, style: ArmStyle, points: Points, table: np.ndarray, where: str, markers: bool
) -> Iterator[go.Scatter]:
    """The two edges of the band, and the line, which alone has a hover text; table [m, (mean, low, high, n)]."""
    edge = partial(arm_trace, arm, style, x=points.x, mode="lines", line_width=0, hoverinfo="skip")
    yield edge(y=table[:, 1])
    yield edge(y=table[:, 2], fill="tonexty", fillcolor=with_alpha(style.light, BAND))
    yield arm_trace(
        arm,
        style,
        x=points.x,
        y=table[:, 0],
        mode="lines+markers" if markers else "lines",
        line={"color": style.light, "width": 2, "dash": style.dash},
        marker={"color": style.light, "symbol": style.symbol, "size": 6},
        customdata=np.column_stack([points.at.astype(np.float32), table[:, 1:]]),
        hovertemplate=f"<b>%{{fullData.name}}</b><br>{where} {HOVER}<extra></extra>",
        showlegend=True,
    )


def _divergence_marks(arm: ArmResult, style: ArmStyle, points: Points, mean_m: np.ndarray) -> Iterator[go.Scatter]:
    """A cross on the arm's line for every seed that diverged."""
    diverged = np.flatnonzero(arm.diverged_at >= 0)
    if diverged.size and points.x.size:
        place = np.clip(np.searchsorted(points.at, arm.diverged_at[diverged]) - 1, 0, None)
        yield arm_trace(
            arm,
            style,
            x=points.x[place],
            y=mean_m[place],
            mode="markers",
            marker={"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": style.light}},
            customdata=[f"seed {arm.seeds[i]} diverged at step {arm.diverged_at[i]:,}" for i in diverged],
            hovertemplate="<b>%{fullData.name}</b><br>%{customdata}<extra></extra>",
        )


def _caption(arms: Sequence[ArmResult], log_y: bool, crosses: bool = True) -> str:
    center, on_logs = ("geometric mean", ", taken on logarithms") if log_y else ("mean", "")
    diverged = sum(int((arm.diverged_at >= 0).sum()) for arm in arms)
    end = f"{diverged} runs diverged{' (crosses)' if crosses else ''} and count up to that step."
    lines = f"Line: {center} over seeds; band: its t interval, 95%{on_logs}."
    return f"{lines} {seed_count(arms)} {end if diverged else 'No run diverged.'}"

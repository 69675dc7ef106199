"""A metric against a setting that is a number: one line for each group of arms, such as success over the lag."""

import re
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from rnnjax.analysis.results import ArmResult, per_seed
from rnnjax.analysis.statistics import Interval, mean_over_seeds, share_interval
from rnnjax.reports.arm_styles import DASHES, ArmStyle, styled
from rnnjax.reports.figures.curves import HOVER
from rnnjax.reports.figures.traces import CaptionedFigure, arm_trace, finite, seed_count, spaced
from rnnjax.reports.plot_axes import axis, empty

APART = 1.035  # the factor between the points of two lines at one place of the axis


def setting_figure(
    arms: Sequence[ArmResult],
    metric: str,
    along: str,
    lines: Sequence[str],
    title: str = "",
    unit: str = "",
    below: float | None = None,
    log_y: bool = False,
) -> CaptionedFigure:
    """The mean of a metric over seeds, or the share of seeds with a value below a limit, against a setting.

    Args:
        along: the field of the horizontal axis, which is logarithmic. lines: the fields whose values name a line.
        below: the limit; a run that diverged is not below it. None = the mean.
    """
    groups = grouped_arms(arms, lines)
    what = unit or spaced(metric) if below is None else f"share of seeds with {spaced(metric)} below {below:g}"
    at = sorted({arm.axes[along] for arm in arms})
    x_axis = axis(spaced(along.rpartition(".")[2]), log=True) | {"tickvals": at, "ticktext": [f"{x:g}" for x in at]}
    y_axis = axis(what, log_y) | ({} if below is None else {"range": [-0.04, 1.04]})
    heads = [members[0]._replace(name=name) for name, members in groups.items()]
    figure = empty(heads, x_axis, y_axis)
    for k, ((head, style), members) in enumerate(zip(with_dashes(styled(heads)), groups.values(), strict=True)):
        ordered = sorted(members, key=lambda arm: float(arm.axes[along]))
        known = [(arm, summary) for arm in ordered if (summary := summarise(per_seed(arm, metric), below))]
        x_m = np.array([arm.axes[along] for arm, _ in known], np.float32)
        table = np.array([summary[:4] for _, summary in known], np.float32).reshape(-1, 4)
        beside = APART ** (k - (len(groups) - 1) / 2)  # so that intervals at one place can be seen
        figure.add_trace(line_with_bars(head, style, x_m, x_m * beside, table))
    return CaptionedFigure(title or f"{what} by {along}", caption(arms, below), figure)


def with_dashes(styles: Sequence[tuple[ArmResult, ArmStyle]]) -> list[tuple[ArmResult, ArmStyle]]:
    """The same styles, the lines of one family told apart by their dashes too: there are few of them."""
    families = [style.family for _, style in styles]
    places = [families[:k].count(family) for k, family in enumerate(families)]
    return [(arm, style._replace(dash=DASHES[k % len(DASHES)])) for (arm, style), k in zip(styles, places, strict=True)]


def line_with_bars(arm: ArmResult, style: ArmStyle, at_m: np.ndarray, x_m: np.ndarray, table: np.ndarray) -> go.Scatter:
    """A line with an interval at each point. Args: table: [m, (estimate, low, high, n)]."""
    estimate_m, low_m, high_m = table.T[:3]
    bars = {"array": high_m - estimate_m, "arrayminus": estimate_m - low_m, "symmetric": False}
    return arm_trace(
        arm,
        style,
        x=x_m,
        y=estimate_m,
        mode="lines+markers",
        line={"color": style.light, "width": 2, "dash": style.dash},
        marker={"color": style.light, "symbol": style.symbol, "size": 8},
        error_y={"type": "data", "color": style.light, "thickness": 1.2, "width": 4} | bars,
        customdata=np.column_stack([at_m, table[:, 1:]]),
        hovertemplate=f"<b>%{{fullData.name}}</b><br>{HOVER}<extra></extra>",
        showlegend=True,
    )


def grouped_arms(arms: Sequence[ArmResult], lines: Sequence[str]) -> dict[str, list[ArmResult]]:
    """The arms of each line, by its name: the parts of their own name that tell the lines apart."""
    groups: dict[tuple[object, ...], list[ArmResult]] = {}
    for arm in arms:
        groups.setdefault(tuple(arm.axes[name] for name in lines), []).append(arm)
    parts = {values: shown_parts(members[0].name, lines) for values, members in groups.items()}
    shared = set.intersection(*map(set, parts.values())) if len(parts) > 1 else set()
    names = {values: " ".join(part for part in own if part not in shared) for values, own in parts.items()}
    if len(set(names.values())) < len(names):  # their names do not tell them apart
        names = {values: " ".join(map(str, values)) for values in groups}
    return {names[values] or " ".join(parts[values]): members for values, members in groups.items()}


def shown_parts(name: str, lines: Sequence[str]) -> list[str]:
    """The words of an arm's name, and those of its numbers whose fields tell lines apart: `rate=0.1`."""
    fields = [re.split(r"[._]", line) for line in lines]
    known = {word for line, words in zip(lines, fields, strict=True) for word in (words[-1], line.rpartition(".")[2])}
    return [part for part in name.split(",") if "=" not in part or part.partition("=")[0] in known]


def summarise(values_n: np.ndarray, below: float | None) -> Interval | None:
    """The mean or the share with its interval; None where there is no value."""
    if below is not None:
        return share_interval(int(np.sum(values_n < below)), len(values_n))
    known = finite(values_n)
    if known.size > 1:
        return mean_over_seeds(known)
    only = float(known.sum())
    return Interval(only, only, only, 1, "one seed") if known.size else None


def caption(arms: Sequence[ArmResult], below: float | None) -> str:
    """The meaning of line and bar, and the treatment of runs that diverged."""
    line, interval = ("mean", "t") if below is None else ("share", "Clopper-Pearson")
    diverged = sum(int((arm.diverged_at >= 0).sum()) for arm in arms)
    counted = "left out" if below is None else "counted as not below"
    end = f" {diverged} run{'s' * (diverged > 1)} diverged, {counted}." if diverged else ""
    return f"Line: {line} over seeds; bar: its 95% {interval} interval. {seed_count(arms)}{end}"

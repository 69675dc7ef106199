"""Results of arms as a DataFrame, an xarray, a figure, or intervals."""

import importlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from rnnjax.analysis.results import ArmResult, at_probe_steps, per_seed, shared_unit
from rnnjax.analysis.statistics import Interval, estimate_mean
from rnnjax.api.arguments import choose_name
from rnnjax.errors import BadInput
from rnnjax.reports.figures import CaptionedFigure, interval_figure, lag_figure, line_figure, probe_figure
from rnnjax.settings.checks import nearest_first, quote_commas
from rnnjax.settings.metrics import metric_name

Patterns = str | Sequence[str]
DRAWN = ("scalar", "lag")  # kinds of values that a curve or a table can hold


def import_extra(module: str) -> Any:
    """A module of the extra `notebook`. Raises: BadInput where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise BadInput(f"{module} is not installed; expected the extra: pip install 'rnnjax[notebook]'") from None


def choose_arms(arms: Sequence[ArmResult], patterns: Patterns) -> list[ArmResult]:
    """The arms that some patterns name. Raises: BadInput with the nearest names."""
    listed = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in listed:
        if not any(fnmatchcase(arm.name, pattern) for arm in arms):
            names = ", ".join(map(quote_commas, nearest_first(pattern, [arm.name for arm in arms])[:6]))
            raise BadInput(f"arms: got {pattern!r}; expected a pattern of some of {len(arms)} arms, nearest: {names}")
    return [arm for arm in arms if any(fnmatchcase(arm.name, pattern) for pattern in listed)]


def seed_values(arm: ArmResult, metric: str) -> np.ndarray:
    """One number per seed [n]. Raises: BadInput for a metric that the arm has not."""
    known = [*arm.metrics, *(name for name in arm.probes if arm.probes[name].ndim == 2)]
    name, _, steps = metric.partition("@")
    rows = [*arm.rows] if "-" in steps else []
    choose_name("metric", name, [*known, *rows] if steps else known)
    if steps and name not in (rows or arm.probes):
        raise BadInput(f"metric: got {metric!r}; expected a probe before '@', or a curve for '@a-b'")
    return per_seed(arm, metric)


def intervals(arms: Sequence[ArmResult], metric: str) -> dict[str, Interval | None]:
    """The mean over seeds of each arm with its interval; None where no seed has a finite value."""
    return {arm.name: estimate_mean(np.asarray(seed_values(arm, metric), float)) for arm in arms}


def frame(study: str, arms: Sequence[ArmResult], metrics: Sequence[str]) -> Any:
    """A DataFrame with a row for each arm, seed and metric."""
    pandas = import_extra("pandas")
    axes = list(dict.fromkeys(name for arm in arms for name in arm.axes))
    columns = ["study", "arm", *axes, "seed", "metric", "value", "unit"]
    return pandas.DataFrame(list(frame_rows(study, arms, axes, metrics)), columns=columns)


def frame_rows(
    study: str, arms: Sequence[ArmResult], axes: Sequence[str], metrics: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """The rows of `frame`."""
    for metric in metrics:
        for arm in arms:
            unit, values = shared_unit([arm], metric), seed_values(arm, metric)
            for seed, value in zip(arm.seeds.tolist(), values.tolist(), strict=True):
                yield (study, arm.name, *(arm.axes.get(name) for name in axes), seed, metric, value, unit)


def shared_metrics(arms: Sequence[ArmResult]) -> list[str]:
    """The metrics that all of these arms have."""
    return [name for name in arms[0].metrics if all(name in arm.metrics for arm in arms)]


def curve_names(arm: ArmResult) -> list[str]:
    """The rows of the record, and the values of probes that can be drawn."""
    return [*arm.rows, *(name for name in arm.probes if name not in arm.info or arm.info[name].kind in DRAWN)]


def arm_curve(arm: ArmResult, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps [S] and values [n, S, ...] of a row of the record or of a probe. Raises: BadInput."""
    choose_name("metric", metric, curve_names(arm))
    if metric in arm.rows:
        return arm.row_steps, arm.rows[metric]
    taken = at_probe_steps(arm, metric)
    return taken.probe_steps, taken.probes[metric]


def curves_array(arms: Sequence[ArmResult], metric: str) -> Any:
    """A DataArray with the dimensions arm, seed, step (and lag); NaN where an arm has no value."""
    xarray = import_extra("xarray")
    found = {arm.name: arm_curve(arm, metric) for arm in arms}
    steps = np.unique(np.concatenate([steps_S for steps_S, _ in found.values()]))
    seeds = list(dict.fromkeys(seed for arm in arms for seed in arm.seeds.tolist()))
    lags = max((values.shape[2:] for _, values in found.values()), default=())
    table = np.full((len(arms), len(seeds), len(steps), *lags), np.nan)
    for row, arm in enumerate(arms):
        steps_S, values = found[arm.name]
        places = np.searchsorted(steps, steps_S)
        pad = [(0, 0), (0, lags[0] - values.shape[2])] if lags else []
        for seed, curve in zip(arm.seeds.tolist(), values, strict=True):
            table[row, seeds.index(seed), places] = np.pad(curve, pad, constant_values=np.nan) if lags else curve
    coordinates = {"arm": [arm.name for arm in arms], "seed": seeds, "step": steps}
    dims = [*coordinates, *(["lag"] if lags else [])]
    return xarray.DataArray(table, coordinates, dims, metric, {"unit": shared_unit(arms, metric)})


def figure(arms: Sequence[ArmResult], metric: str, among: Sequence[ArmResult]) -> Any:
    """The plotly figure of a metric, with a legend and its caption below: a curve, a curve by lag, or intervals."""
    first, unit = arms[0], shared_unit(arms, metric)
    drawn = curve_names(first)
    choose_name("metric", metric_name(metric), [*drawn, *first.metrics])
    if metric in first.rows:
        made = line_figure(arms, metric, unit=unit, among=among)
    elif metric in first.probes and metric in drawn:
        by_lag = first.probes[metric].ndim > 2
        made = (lag_figure if by_lag else probe_figure)(arms, metric, unit=unit, among=among)
    else:
        known = [arm._replace(metrics={metric: seed_values(arm, metric)}) for arm in arms]
        made = interval_figure(known, metric, unit=unit, among=among)
    return with_legend(made)


def with_legend(made: CaptionedFigure) -> Any:
    """The figure for a reader outside of a report: title, legend, caption."""
    chart = made.figure
    named: set[str] = set()
    for trace in chart.data:
        shown = trace.mode != "lines" or trace.line.width != 0  # not the edges of a band
        trace.showlegend = bool(shown and trace.name not in named)
        named |= {trace.name} if trace.showlegend else set()
    caption = {"text": made.caption, "showarrow": False, "font": {"size": 11}, "x": 0, "y": -0.22}
    chart.add_annotation(xref="paper", yref="paper", xanchor="left", **caption)
    chart.update_layout(title={"text": made.title}, margin={"t": 60, "b": 100})
    return chart

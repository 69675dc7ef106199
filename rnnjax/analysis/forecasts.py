"""Forecasts of the held-out part of a series: errors of each column in its own unit, beside simple predictors.

Lead l is l rows ahead: l = 1 is the next row. Row m + l - 1 of the truth is the one that origin m has l rows ahead.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.conformal import adaptive_bounds
from rnnjax.settings.metrics import SHARE, Metric

NOMINAL = 0.9  # share of the rows that an interval should hold
ERRORS = ("rmse", "mae", "mase")
SKILLS = ("last", "linear")  # simple predictors that a metric compares with
DEFINITIONS = {
    "rmse": "root of the mean squared error over the held-out rows",
    "mae": "mean absolute error over the held-out rows",
    "mase": "mae over the mean |y_t - y_(t-s)| of the training part, s the season, 1 where there is none",
    "skill_last": "1 - rmse / that of the last value, on the same rows",
    "skill_linear": "1 - rmse / that of the linear predictor, on the same rows",
    "coverage": f"share of the last half of the held-out rows inside their adaptive conformal {NOMINAL:.0%} intervals",
}


class Forecasts(NamedTuple):
    """Forecasts of the R held-out rows by the n networks of one arm, in own units; M = R - L + 1 origins."""

    columns: tuple[str, ...]  # O
    labels: tuple[str, ...]  # of the held-out rows
    truth_RO: np.ndarray  # NaN where a number is missing
    predictions_nLMO: np.ndarray  # NaN of a run that diverged
    levels: Mapping[str, np.ndarray]  # simple predictor -> [L, M, O]
    path_nPO: np.ndarray  # from the last training row on, from own predictions
    scale_O: np.ndarray  # the unit of MASE
    season: int
    index_name: str = ""

    @property
    def leads(self) -> int:
        """L, the horizon."""
        return self.predictions_nLMO.shape[1]

    def truth_at_leads(self) -> np.ndarray:
        """The truth beside the predictions: [L, M, O]."""
        origins = self.predictions_nLMO.shape[2]
        return np.stack([self.truth_RO[lead : lead + origins] for lead in range(self.leads)])

    def residuals(self) -> np.ndarray:
        """Prediction minus truth [n, L, M, O]."""
        return self.predictions_nLMO - self.truth_at_leads()


def column_errors(residuals: np.ndarray, scale_O: np.ndarray) -> dict[str, np.ndarray]:
    """ERRORS of residuals [..., M, O]: [..., O] each. A row without a truth does not count."""
    counted = ~np.isnan(residuals)
    count = np.maximum(counted.sum(axis=-2), 1)
    known = counted.any(axis=-2)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.where(known, np.where(counted, values, 0).sum(axis=-2) / count, np.nan)

    mae = mean(np.abs(residuals))
    return {"rmse": np.sqrt(mean(residuals**2)), "mae": mae, "mase": mae / np.where(scale_O > 0, scale_O, np.nan)}


def shown_leads(forecasts: Forecasts) -> list[int]:
    """The leads that are reported: the next row, and the last of the horizon."""
    return sorted({1, forecasts.leads})


def metric_of(error: str, column: str, lead: int) -> str:
    """The name of a metric: "rmse[level]" of the next row, "rmse[level+7]" of the seventh."""
    return f"{error}[{column}]" if lead == 1 else f"{error}[{column}+{lead}]"


def forecast_metric_info(columns: tuple[str, ...], horizon: int) -> dict[str, Metric]:
    """A description of each metric of the forecasts of a series."""
    found: dict[str, Metric] = {}
    for lead in sorted({1, horizon}):
        ahead = "" if lead == 1 else f", {lead} rows ahead"
        for column in columns:
            for error in ERRORS:
                unit = "" if error == "mase" else f"unit of {column}"
                found[metric_of(error, column, lead)] = Metric(f"{DEFINITIONS[error]}{ahead}", unit, "lower")
            for level in SKILLS:
                name = f"skill_{level}"
                found[metric_of(name, column, lead)] = Metric(f"{DEFINITIONS[name]}{ahead}", better="higher")
            found[metric_of("coverage", column, lead)] = Metric(f"{DEFINITIONS['coverage']}{ahead}", range=SHARE)
    return found


def forecast_metrics(forecasts: Forecasts) -> dict[str, np.ndarray]:
    """One number per metric and seed [n], those of `forecast_metric_info`."""
    errors, levels = column_errors(forecasts.residuals(), forecasts.scale_O), level_errors(forecasts)
    unknown_LO = np.full(errors["rmse"].shape[1:], np.nan)
    level_rmse = {level: levels[level]["rmse"] if level in levels else unknown_LO for level in SKILLS}
    skills = {f"skill_{level}": 1 - errors["rmse"] / rmse_LO for level, rmse_LO in level_rmse.items()}
    found: dict[str, np.ndarray] = {}
    for lead in shown_leads(forecasts):
        coverage_nO = measured_coverage(forecasts, lead)
        for place, column in enumerate(forecasts.columns):
            found |= {
                metric_of(name, column, lead): values[:, lead - 1, place] for name, values in (errors | skills).items()
            }
            found[metric_of("coverage", column, lead)] = coverage_nO[:, place]
    return found


def level_errors(forecasts: Forecasts) -> dict[str, dict[str, np.ndarray]]:
    """The errors [L, O] of the simple predictors on the same rows: level -> error -> values."""
    truth_LMO = forecasts.truth_at_leads()
    return {name: column_errors(said - truth_LMO, forecasts.scale_O) for name, said in forecasts.levels.items()}


def interval_bounds(forecasts: Forecasts, lead: int) -> np.ndarray:
    """The adaptive intervals of truth - prediction [n, M, O, 2]; NaN in the first half, which calibrates."""
    errors_nMO = -forecasts.residuals()[:, lead - 1]
    columns = range(errors_nMO.shape[2])
    return np.stack(
        [
            np.stack([adaptive_bounds(errors_MO[:, column], NOMINAL, lead)[0] for column in columns], axis=1)
            for errors_MO in errors_nMO
        ]
    )


def measured_coverage(forecasts: Forecasts, lead: int) -> np.ndarray:
    """The share of the rows inside their intervals [n, O]; NaN where there are too few rows."""
    errors_nMO = -forecasts.residuals()[:, lead - 1]
    low_nMO, high_nMO = np.moveaxis(interval_bounds(forecasts, lead), -1, 0)
    judged_nMO = ~np.isnan(low_nMO) & ~np.isnan(errors_nMO)
    inside_nMO = judged_nMO & (errors_nMO >= low_nMO) & (errors_nMO <= high_nMO)
    count_nO = judged_nMO.sum(axis=1)
    return np.where(count_nO > 0, inside_nMO.sum(axis=1) / np.maximum(count_nO, 1), np.nan)

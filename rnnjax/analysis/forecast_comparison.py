"""Whether a network forecasts a column better than a simple predictor does: over its seeds, and over the rows."""

from typing import Literal

import numpy as np
from scipy.special import ndtri, stdtrit  # scipy.stats takes longer to load than a small study to train

from rnnjax.analysis.forecasts import Forecasts
from rnnjax.analysis.statistics import Interval, mean_over_seeds

Comparison = Literal["better", "worse", "not told apart"]
FEWEST_ROWS = 10  # for an interval over rows


def compare_with_level(forecasts: Forecasts, level: str, lead: int) -> list[Comparison]:
    """The comparison for each column, by squared error `lead` rows ahead.

    "better" needs two 95% intervals below 0: of the mean difference of squared errors over seeds (with one seed there
    is none), and over rows (`row_interval`); "worse" both above 0.
    """
    truth_LMO = forecasts.truth_at_leads()
    level_MO = (forecasts.levels[level] - truth_LMO)[lead - 1] ** 2
    own_nMO = forecasts.residuals()[:, lead - 1] ** 2
    return [compare_errors(own_nMO[:, :, o], level_MO[:, o], lead) for o in range(level_MO.shape[1])]


def compare_errors(own_nM: np.ndarray, level_M: np.ndarray, lead: int) -> Comparison:
    """Of one column. Args: squared errors; NaN of a run that diverged, or where there is no truth."""
    kept_M = ~np.isnan(level_M)
    kept_n = ~np.isnan(own_nM[:, kept_M]).any(axis=1)
    differences_nM = (own_nM - level_M)[kept_n][:, kept_M]
    if not differences_nM.size:
        return "not told apart"
    intervals = [row_interval(differences_nM.mean(axis=0), lead)]
    if len(differences_nM) > 1:
        intervals.append(mean_over_seeds(differences_nM.mean(axis=1)))
    if any(one is None for one in intervals):
        return "not told apart"
    if all(one.high < 0 for one in intervals if one):
        return "better"
    return "worse" if all(one.low > 0 for one in intervals if one) else "not told apart"


def row_interval(differences_M: np.ndarray, lead: int) -> Interval | None:
    """95% interval of the mean difference of errors of two forecasts of rows in order; None for too few rows.

    Errors of rows that are close to each other depend on each other: the variance is that of Newey and West, whose
    weights fall to 0 beyond max(lead - 1, M^(1/3)) rows, the critical value that of Kiefer and Vogelsang for them,
    times that of t with M - 1 degrees of freedom over that of a normal.

    Source: Diebold and Mariano 1995, JBES 13:253; Kiefer and Vogelsang 2005, Econometric Theory 21:1130.
    """
    rows = len(differences_M)
    if rows < FEWEST_ROWS:
        return None
    mean = float(differences_M.mean())
    rest_M, reach = differences_M - mean, min(max(lead - 1, round(rows ** (1 / 3))), rows - 1)
    variance = float(np.mean(rest_M**2))
    for lag in range(1, reach + 1):
        variance += 2 * (1 - lag / (reach + 1)) * float(rest_M[lag:] @ rest_M[:-lag]) / rows
    margin = critical_value(rows, reach) * np.sqrt(max(variance, 0.0) / rows)
    return Interval(mean, mean - margin, mean + margin, rows, "Diebold-Mariano, 95%")


def critical_value(rows: int, reach: int) -> float:
    """Of a mean over its Newey-West deviation, two-sided at 5%: b = (reach + 1) / rows is not taken as small."""
    b = (reach + 1) / rows
    fixed = 1.9600 + 2.9694 * b + 0.4160 * b**2 - 0.5324 * b**3
    return fixed * float(stdtrit(rows - 1, 0.975) / ndtri(0.975))

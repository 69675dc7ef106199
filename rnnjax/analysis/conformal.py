"""Conformal intervals of forecasts: their width comes from the errors made before, whatever the distribution is.

The interval of a forecast y is [y - l, y + u]. With the n known errors e = truth - forecast, u is the k-th smallest e
and l the k-th smallest -e, k = ceil((n + 1) (1 + p) / 2): each side misses a share (1 - p) / 2, so that a skewed error
has a skewed interval. Were the errors exchangeable, the interval would hold a share p of the truths or more. Errors of
a series drift, so p follows the misses: a_{t+1} = a_t + g (a - miss_t), p_t = 1 - a_t, a = 1 - p; then the share held
approaches p over a long time.

Source: Vovk, Gammerman and Shafer 2005 (split conformal); Gibbs and Candes 2021, arXiv:2106.00170 (adaptive).
"""

import bisect
import math
from collections.abc import Sequence

import numpy as np

RATE = 0.05  # g: a hundred rows must be enough to follow a season


def conformal_bounds(sorted_errors: Sequence[float], share: float) -> tuple[float, float]:
    """(lower, upper) of truth - forecast for a share of the truths. Args: sorted_errors: in rising order."""
    known = len(sorted_errors)
    rank = max(math.ceil((known + 1) * (1 + max(share, 0.0)) / 2 - 1e-9), 1)
    return (
        (-math.inf, math.inf) if rank > known else (float(sorted_errors[known - rank]), float(sorted_errors[rank - 1]))
    )


def adaptive_bounds(errors_M: np.ndarray, share: float, lead: int) -> tuple[np.ndarray, tuple[float, float]]:
    """The bounds [M, 2] of truth - forecast of each of M forecasts in order, and those of the forecast behind the last.

    The first half calibrates and has NaN. The error of a forecast is known `lead` rows later.

    Args: errors: truth - forecast, NaN where there is no truth.
    """
    first, miss_share = len(errors_M) // 2, 1 - share
    bounds_M2, current = np.full((len(errors_M), 2), np.nan), miss_share
    known = sorted(error for error in errors_M[: max(first - lead, 0)].tolist() if not math.isnan(error))
    for m in range(first, len(errors_M) + lead):
        newest = m - lead  # the newest forecast whose truth is there
        if newest >= 0 and not math.isnan(errors_M[newest]):
            bisect.insort(known, float(errors_M[newest]))
            low, high = bounds_M2[newest]
            current += RATE * (miss_share - float(not low <= errors_M[newest] <= high)) if newest >= first else 0.0
        if m < len(errors_M):
            bounds_M2[m] = conformal_bounds(known, 1 - current)
    return bounds_M2, conformal_bounds(known, 1 - current)

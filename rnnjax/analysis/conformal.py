"""Conformal intervals of forecasts: their width comes from the errors made before, whatever the distribution is.

The interval of a forecast y is [y - l, y + u]. With the n known errors e = truth - forecast, u is the k-th smallest e
and l the k-th smallest -e, k = ceil((n + 1) (1 + p) / 2): each side misses a share (1 - p) / 2, so that a skewed error
has a skewed interval. Were the errors exchangeable, the interval would hold a share p of the truths or more. Errors of
a series drift, so p follows the misses: a_{t+1} = a_t + g (a - miss_t), p_t = 1 - a_t, a = 1 - p; then the share held
approaches p over a long time.

Source: Vovk, Gammerman and Shafer 2005 (split conformal); Gibbs and Candes 2021, arXiv:2106.00170 (adaptive).
"""

import math

import numpy as np

RATE = 0.05  # g: a hundred rows must be enough to follow a season


def conformal_quantile(scores_N: np.ndarray, share: float) -> float:
    """The ceil((n + 1) share)-th smallest of n scores; inf where there are too few."""
    rank = max(math.ceil((len(scores_N) + 1) * share - 1e-9), 1)
    return math.inf if rank > len(scores_N) else float(np.partition(scores_N, rank - 1)[rank - 1])


def conformal_bounds(errors_N: np.ndarray, share: float) -> tuple[float, float]:
    """(lower, upper) of truth - forecast for a share of the truths; NaN among the errors does not count."""
    known_N = errors_N[~np.isnan(errors_N)]
    side = (1 + max(share, 0.0)) / 2
    return -conformal_quantile(-known_N, side), conformal_quantile(known_N, side)


def adaptive_bounds(errors_M: np.ndarray, share: float, lead: int) -> tuple[np.ndarray, float]:
    """The bounds [M, 2] of truth - forecast of each of M forecasts in order, and the share p_t behind the last.

    The first half calibrates and has NaN. The error of a forecast is known `lead` rows later.

    Args: errors: truth - forecast, NaN where there is no truth.
    """
    first, miss_share = len(errors_M) // 2, 1 - share
    bounds_M2, current = np.full((len(errors_M), 2), np.nan), miss_share
    for m in range(first, len(errors_M) + lead):
        known = m - lead  # the newest forecast whose truth is there
        if known >= first and not math.isnan(errors_M[known]):
            low, high = bounds_M2[known]
            current += RATE * (miss_share - float(not low <= errors_M[known] <= high))
        if m < len(errors_M):
            bounds_M2[m] = conformal_bounds(errors_M[: max(known + 1, 0)], 1 - current)
    return bounds_M2, 1 - current


def next_bounds(errors_M: np.ndarray, share: float, lead: int) -> tuple[float, float]:
    """The bounds of truth - forecast of the forecast behind the last of M."""
    return conformal_bounds(errors_M, adaptive_bounds(errors_M, share, lead)[1])

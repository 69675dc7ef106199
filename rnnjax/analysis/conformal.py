"""Conformal intervals of forecasts: their width comes from the errors made before, whatever the distribution is.

The interval of a forecast y is y -+ q, q the k-th smallest of the n known errors |y' - truth'|, k = ceil((n + 1) p).
Were the errors exchangeable, it would hold a share p of the truths or more. Errors of a series drift, so p follows the
misses: a_{t+1} = a_t + g (a - miss_t), p_t = 1 - a_t, a = 1 - p; then the share held approaches p over a long time.

Source: Vovk, Gammerman and Shafer 2005 (split conformal); Gibbs and Candes 2021, arXiv:2106.00170 (adaptive).
"""

import math

import numpy as np

RATE = 0.02  # g


def conformal_quantile(scores_N: np.ndarray, share: float) -> float:
    """The ceil((n + 1) share)-th smallest of n scores; inf where there are too few, 0 for a share <= 0."""
    rank = math.ceil((len(scores_N) + 1) * share - 1e-9)
    if rank < 1:
        return 0.0
    return math.inf if rank > len(scores_N) else float(np.partition(scores_N, rank - 1)[rank - 1])


def adaptive_intervals(scores_nMO: np.ndarray, share: float, lead: int) -> np.ndarray:
    """Half the width of the interval of each of M forecasts in order [n, M, O]; NaN in the first half.

    The error of a forecast is known `lead` rows later. Args: scores: |forecast - truth|, NaN where there is no truth.
    """
    found = np.full(scores_nMO.shape, np.nan)
    for run in range(scores_nMO.shape[0]):
        for column in range(scores_nMO.shape[2]):
            found[run, :, column] = adaptive_widths(scores_nMO[run, :, column], share, lead)[0]
    return found


def adaptive_widths(scores_M: np.ndarray, share: float, lead: int) -> tuple[np.ndarray, float]:
    """The half-widths [M] of one column, and the share p_t that the rows behind the last would be given."""
    miss_share = 1 - share
    first, current = len(scores_M) // 2, miss_share
    widths_M = np.full(len(scores_M), np.nan)
    for m in range(first, len(scores_M) + lead):
        known = m - lead  # the newest forecast whose truth is there
        if known >= first and not math.isnan(scores_M[known]):
            current += RATE * (miss_share - float(scores_M[known] > widths_M[known]))
        if m < len(scores_M):
            before = scores_M[: max(known + 1, 0)]
            widths_M[m] = conformal_quantile(before[~np.isnan(before)], 1 - current)
    return widths_M, 1 - current


def next_half_width(scores_M: np.ndarray, share: float, lead: int) -> float:
    """Half the width of the interval of the forecast behind the last of M."""
    known = scores_M[~np.isnan(scores_M)]
    return conformal_quantile(known, adaptive_widths(scores_M, share, lead)[1])

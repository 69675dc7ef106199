"""Rows with missing numbers, which are NaN: filled where a network reads them, left out of the loss."""

from collections.abc import Callable

import numpy as np

from rnnjax.types import LabelledSequence


def fill_rows(values_ND: np.ndarray) -> np.ndarray:
    """Rows in which a missing number (NaN) is the last one before it in its column; at the beginning, the first."""
    missing_ND = np.isnan(values_ND)
    if not missing_ND.any():
        return values_ND
    rows_N1 = np.arange(len(values_ND))[:, None]
    last_ND = np.maximum.accumulate(np.where(missing_ND, -1, rows_N1), axis=0)
    first_D = (~missing_ND).argmax(axis=0)
    return np.take_along_axis(values_ND, np.where(last_ND < 0, first_D, last_ND), axis=0)


def masked_pairs(make_pairs: Callable[[np.ndarray], LabelledSequence], values_ND: np.ndarray) -> LabelledSequence:
    """Pairs of filled rows; a target row with a missing number (NaN) does not count in the loss."""
    measured_N = (~np.isnan(values_ND).any(axis=1)).astype(np.float32)
    return make_pairs(fill_rows(values_ND))._replace(measured_N=measured_N[1:])

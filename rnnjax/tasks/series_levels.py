"""Simple predictors of a series, some rows ahead: the forecasts that a network has to beat.

A forecast [L, M, O] has the leads 1 ... L behind M origins t, of which the rows up to t are known, in own units.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rnnjax.tasks.missing_rows import fill_rows
from rnnjax.types import SeriesLayout, SeriesRows

ORDER = 8  # rows that the linear predictor reads
LEVELS = {
    "mean": "the mean of the training part",
    "last": "the last value",
    "seasonal": "the value one season before",
    "linear": "a linear predictor",
}


def first_origin(rows: SeriesRows, layout_rows: int) -> int:
    """The first row whose successor is judged: the last training row, or where a part apart has a past long enough.

    Args: layout_rows: `rows_read` of the layout.
    """
    if rows.joined:
        return rows.split - 1
    need = max(layout_rows, ORDER, rows.season)
    held_out = rows.stop - rows.split
    return rows.split + min(need, held_out // 2) - 1


def simple_forecasts(
    rows: SeriesRows, layout: SeriesLayout, origins_M: np.ndarray, leads: int
) -> dict[str, np.ndarray]:
    """The forecasts of LEVELS by name; "seasonal" and "linear" only where there are a season and rows enough."""
    y_NO = fill_rows(rows.values_NC[:, : layout.targets])
    mean_O = np.nanmean(rows.values_NC[: rows.fitted, : layout.targets], axis=0)
    found = {
        "mean": np.broadcast_to(mean_O, (leads, len(origins_M), layout.targets)),
        "last": np.broadcast_to(y_NO[origins_M], (leads, len(origins_M), layout.targets)),
    }
    if rows.season and origins_M[0] + 1 >= rows.season:
        ahead_L = np.arange(1, leads + 1)
        back_L = ahead_L - rows.season * -(-ahead_L // rows.season)
        found["seasonal"] = y_NO[origins_M[None] + back_L[:, None]]
    order = linear_order(rows, int(origins_M[0]), leads)
    if order:
        found["linear"] = np.stack(
            [linear_forecast(rows, layout, origins_M, lead, order) for lead in range(1, leads + 1)]
        )
    return found


def linear_order(rows: SeriesRows, first: int, leads: int) -> int:
    """The rows that a linear predictor can read: fewer where they are few, 0 for none."""
    columns = rows.values_NC.shape[1]
    known = first + 1 if rows.joined else first - rows.split + 1
    return max(min(ORDER, (rows.fitted - leads) // (2 * (columns + 1)), known), 0)


def linear_forecast(rows: SeriesRows, layout: SeriesLayout, origins_M: np.ndarray, lead: int, order: int) -> np.ndarray:
    """y_{t+j} = c + sum_k A_k (y, u)_{t-k} + B v_{t+j}, k = 0 ... order - 1, by least squares in training: [M, O].

    Rows with a missing target (NaN) are not fitted.
    """
    filled_NC = fill_rows(rows.values_NC)
    mean_C, unit_C = filled_NC[: rows.fitted].mean(axis=0), filled_NC[: rows.fitted].std(axis=0)
    z_NC = (filled_NC - mean_C) / np.where(unit_C > 0, unit_C, 1)
    own = layout.targets + layout.inputs
    past_NF = sliding_window_view(z_NC[:, :own], order, axis=0).reshape(len(z_NC) - order + 1, -1)

    def features(t_M: np.ndarray) -> np.ndarray:
        known_MK = z_NC[np.minimum(t_M + lead, len(z_NC) - 1), own:]
        return np.hstack([np.ones((len(t_M), 1)), past_NF[t_M - order + 1], known_MK])

    fitted_M = np.arange(order - 1, rows.fitted - lead)
    measured_M = ~np.isnan(rows.values_NC[fitted_M + lead, : layout.targets]).any(axis=1)
    fitted_M = fitted_M[measured_M]
    weights = np.linalg.lstsq(features(fitted_M), z_NC[fitted_M + lead, : layout.targets])[0]
    return features(origins_M) @ weights * unit_C[: layout.targets] + mean_C[: layout.targets]


def seasonal_scale(rows: SeriesRows, layout: SeriesLayout) -> np.ndarray:
    """mean |y_t - y_{t-s}| of the training part [O], the unit of MASE; s is the season, 1 where there is none.

    Source: Hyndman and Koehler 2006, International Journal of Forecasting 22:679.
    """
    y_NO = rows.values_NC[: rows.fitted, : layout.targets]
    return np.nanmean(np.abs(y_NO[max(rows.season, 1) :] - y_NO[: -max(rows.season, 1)]), axis=0)


def level_losses(rows: SeriesRows, layout: SeriesLayout) -> dict[str, float]:
    """The squared errors of the simple predictors, mean over the held-out rows that a network predicts and columns."""
    start = rows.split if rows.joined else first_origin(rows, 1) + 1
    origins_M = np.arange(start, rows.stop - layout.ahead)
    y_NO = rows.values_NC[:, : layout.targets]
    truth_LMO = y_NO[origins_M[None] + 1 + np.arange(layout.ahead)[:, None]]
    names = {"mean": "chance", "last": "persistence"}
    return {
        names.get(name, name): float(np.nanmean((said_LMO - truth_LMO) ** 2))
        for name, said_LMO in simple_forecasts(rows, layout, origins_M, layout.ahead).items()
    }

"""Rows of a series as the inputs and targets of a network, and its outputs as rows again.

With y_t the O targets, u_t the X further inputs and v_t the K known inputs of row t, a network that has read row t gets

    x_t = (d_t, u_t, v_{t+1} ... v_{t+A}, d_{t+1-k} for each lag k),    d_t = y_t + sum_i c_i y_{t-i}

and says the rows t + j, j = 1 ... A, as y_{t+j} - base_{t,j}, each column standardised. Without differences d = y and
base = 0. Else base_{t,j} is what the rows up to t give where the differences after t are 0: the last value for
differences "1", the seasonal last value for "12". An error of the output is then one of y, whatever the differences.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rnnjax.errors import BadInput
from rnnjax.tasks.missing_rows import fill_rows
from rnnjax.types import SeriesLayout


def parse_steps(text: str, setting: str, least: int) -> tuple[int, ...]:
    """Numbers of rows with commas between, in rising order. Raises: BadInput for anything else, or one twice."""
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if not all(word.isascii() and word.isdigit() and least <= int(word) < 2**31 for word in words):
        raise BadInput(f"task.{setting}: got {text!r}; expected integers >= {least} with commas between, such as 7,14")
    return tuple(sorted(map(int, words)))


def difference_weights(steps: tuple[int, ...]) -> tuple[float, ...]:
    """c_1 ... c_P of prod_k (1 - B^k) = 1 + sum_i c_i B^i, B one row back."""
    weights = np.ones(1)
    for step in steps:
        factor = np.zeros(step + 1)
        factor[0], factor[-1] = 1, -1
        weights = np.convolve(weights, factor)
    return tuple(weights[1:].tolist())


def rows_read(layout: SeriesLayout) -> int:
    """P, the rows up to t that x_t depends on."""
    return max(layout.lags, default=1) + len(layout.difference)


def is_plain(layout: SeriesLayout) -> bool:
    """Whether a network reads the rows and says the next one, so that an output can be its next input."""
    extra = layout.inputs, layout.known, layout.lags, layout.difference
    return layout.ahead == 1 and not any(extra)


def inputs_at(layout: SeriesLayout, past_MPC: np.ndarray, known_MAK: np.ndarray) -> np.ndarray:
    """x_t [M, D] before it is standardised. Args: past: the last rows up to t. known: v_{t+1} ... v_{t+A}."""
    y_MPO = past_MPC[..., : layout.targets]
    read = [_differenced(layout, y_MPO, back) for back in (1, *layout.lags)]
    others_MX = past_MPC[:, -1, layout.targets : layout.targets + layout.inputs]
    return np.concatenate([read[0], others_MX, known_MAK.reshape(len(past_MPC), -1), *read[1:]], axis=1)


def _differenced(layout: SeriesLayout, y_MPO: np.ndarray, back: int) -> np.ndarray:
    """d_{t+1-back} [M, O]."""
    return y_MPO[:, -back] + sum(c * y_MPO[:, -back - i] for i, c in enumerate(layout.difference, 1) if c)


def base_rows(layout: SeriesLayout, past_MPC: np.ndarray) -> np.ndarray:
    """base_{t,j} [M, A, O], j = 1 ... A: where the rows lead without further differences; 0 without differences."""
    rows = list(np.moveaxis(past_MPC[..., : layout.targets], 1, 0))
    read, size = len(rows), (len(past_MPC), layout.ahead, layout.targets)
    if not layout.difference:
        return np.zeros(size)
    for _ in range(layout.ahead):
        rows.append(-sum(c * rows[-i] for i, c in enumerate(layout.difference, 1) if c))
    return np.stack(rows[read:], axis=1)


def rows_of_outputs(layout: SeriesLayout, outputs_MQ: np.ndarray, past_MPC: np.ndarray) -> np.ndarray:
    """The predicted rows [M, A, O] in own units."""
    predicted_MQ = np.asarray(outputs_MQ, np.float64) * layout.output_scale_Q + layout.output_mean_Q
    return predicted_MQ.reshape(len(predicted_MQ), layout.ahead, layout.targets) + base_rows(layout, past_MPC)


def standardised_inputs(layout: SeriesLayout, past_MPC: np.ndarray, known_MAK: np.ndarray) -> np.ndarray:
    """x_t [M, D] as the network reads it, float32."""
    x_MD = inputs_at(layout, past_MPC, known_MAK)
    return ((x_MD - layout.input_mean_D) / layout.input_scale_D).astype(np.float32)


def past_windows(layout: SeriesLayout, values_NC: np.ndarray) -> np.ndarray:
    """The last P rows up to each row t = P - 1 ... N - 1: [N - P + 1, P, C]."""
    return np.moveaxis(sliding_window_view(values_NC, rows_read(layout), axis=0), -1, 1)


def known_columns(layout: SeriesLayout, values_NC: np.ndarray, future_MK: np.ndarray | None = None) -> np.ndarray:
    """v_t of all rows, and of those after the last where they are known."""
    known_NK = values_NC[:, layout.targets + layout.inputs :]
    return known_NK if future_MK is None else np.concatenate([known_NK, future_MK])


def known_ahead(layout: SeriesLayout, known_NK: np.ndarray) -> np.ndarray:
    """v_{t+1} ... v_{t+A} for each row t: [N, A, K]; behind the last row, that row again."""
    padded = np.concatenate([known_NK, np.repeat(known_NK[-1:], layout.ahead, axis=0)])
    windows_NKA = sliding_window_view(padded[1:], layout.ahead, axis=0)
    return np.moveaxis(windows_NKA, -1, 1)


def pairs_of_rows(layout: SeriesLayout, values_NC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x_t [M, D] and the targets [M, Q] of all rows t that have both, neither standardised, M = N - P + 1 - A.

    A target that was not measured (NaN) stays NaN; what is read is filled.
    """
    filled_NC = fill_rows(values_NC)
    read, count = rows_read(layout), len(values_NC) - rows_read(layout) + 1 - layout.ahead
    past_MPC = past_windows(layout, filled_NC)[:count]
    x_MD = inputs_at(layout, past_MPC, known_ahead(layout, known_columns(layout, filled_NC))[read - 1 :][:count])
    next_MOA = sliding_window_view(values_NC[read:, : layout.targets], layout.ahead, axis=0)
    targets_MAO = np.moveaxis(next_MOA, -1, 1) - base_rows(layout, past_MPC)
    return x_MD, targets_MAO.reshape(count, -1)

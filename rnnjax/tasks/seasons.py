"""The season of a series: from its calendar, else from its autocorrelation."""

import numpy as np

from rnnjax.types import RowIndex

MICROSECONDS_OF_DAY = 86_400_000_000
LONGEST_SHARE = 3  # a season found in the autocorrelation lies in the training part at least this many times
LEAST_CORRELATION = 0.2  # of a peak, and at least 4 deviations of what noise has by chance


def find_season(train_NO: np.ndarray, end: RowIndex | None) -> int:
    """Rows of one season, 0 where there is none; of several, the one whose last value errs least in training.

    Args: train: filled rows. end: the index, whose step is known.
    """
    for found in (calendar_seasons(end), correlation_seasons(train_NO)):
        fitting = [season for season in dict.fromkeys(found) if 2 <= season <= len(train_NO) // 2]
        if fitting:
            return min(fitting, key=lambda season: seasonal_error(train_NO, season))
    return 0


def seasonal_error(train_NO: np.ndarray, season: int) -> float:
    """Mean |y_t - y_{t-s}| over the mean |y_t - y_{t-1}|, mean over columns."""
    apart, next_to = (np.abs(train_NO[k:] - train_NO[:-k]).mean(axis=0) for k in (season, 1))
    return float(np.mean(apart / np.maximum(next_to, 1e-300)))


def calendar_seasons(end: RowIndex | None) -> list[int]:
    """A year of months or quarters, a week and a year of days, five weekdays, a day and a week of shorter steps."""
    if end is None or end.unit in ("count", "rows"):
        return []
    if end.unit == "weekdays":
        return [5]
    if end.unit == "months":
        return [round(12 / end.step)] if 12 % end.step == 0 else []
    day = MICROSECONDS_OF_DAY / end.step
    lengths = [day, 7 * day, 365.2425 * day]
    return [round(length) for length in lengths if length > 1.5 and abs(length - round(length)) < 0.01 * length]


def correlation_seasons(train_NO: np.ndarray) -> list[int]:
    """The lag of the highest peak of each column's autocorrelation behind its first passage below 0."""
    longest = len(train_NO) // LONGEST_SHARE
    least = max(LEAST_CORRELATION, 4 / len(train_NO) ** 0.5)
    peaks = [highest_peak(autocorrelation(y_N, longest), least) for y_N in train_NO.T] if longest > 2 else []
    return [peak for peak in peaks if peak]


def autocorrelation(y_N: np.ndarray, longest: int) -> np.ndarray:
    """At the lags 0 ... longest, of a column without its straight line."""
    steps_N = np.arange(len(y_N))
    rest_N = y_N - np.polynomial.Polynomial.fit(steps_N, y_N, 1)(steps_N)
    power = np.abs(np.fft.rfft(rest_N, 2 * len(rest_N))) ** 2
    sums_L = np.fft.irfft(power)[: longest + 1]
    return sums_L / max(float(sums_L[0]), 1e-300)


def highest_peak(correlation_L: np.ndarray, least: float) -> int:
    """The lag of the highest peak behind the first value below 0, above `least`; 0 for none."""
    below = np.flatnonzero(correlation_L < 0)
    if not len(below):
        return 0
    inner_L = correlation_L[1:-1]
    peaks = 1 + np.flatnonzero((inner_L >= correlation_L[:-2]) & (inner_L > correlation_L[2:]))
    peaks = peaks[(peaks > below[0]) & (correlation_L[peaks] > least)]
    return int(peaks[correlation_L[peaks].argmax()]) if len(peaks) else 0

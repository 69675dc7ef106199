"""Statistics over seeds: intervals, paired comparisons and the choice between arms. NumPy and SciPy, no global state.

There are no random draws, so a report can be made again to the last digit. A NaN or an infinity is a ValueError that
names the argument: a diverged run is counted by the caller and never averaged in silently; only `estimate_mean`
leaves them out. Fewer values than a method needs are `TooFew`, a ValueError that a caller may handle.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

FEWEST_FOR_SKEWNESS = 8  # the skewness of fewer values says nothing; below, Student's t alone
SKEWNESS_FACTOR = 2.0  # simulated: samples of 16 show a third of a lognormal's skewness; 2 keeps families of 8 below 8%
ROUNDING = 1e-12  # relative deviation of values that differ by rounding only
LOOKED_UP = "looked up"  # method of an interval whose value stands in documentation: nothing was measured


class TooFew(ValueError):
    """Fewer values, or fewer distinct ones, than the method needs: the question cannot be answered from them."""


class Interval(NamedTuple):
    """An estimate, the interval around it, the number of values behind it and how it was made."""

    estimate: float
    low: float
    high: float
    n: int
    method: str  # short words for the report: "t, 95%"; `LOOKED_UP` for a value from documentation

    def to_json(self) -> dict[str, Any]:
        """{"estimate", "ci95": [low, high], "n", "method"}; the bounds are at the level that `method` gives."""
        return {"estimate": self.estimate, "ci95": [self.low, self.high], "n": self.n, "method": self.method}

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> "Interval":
        """The inverse of `to_json`; other keys are ignored, null is NaN. Raises KeyError, TypeError, ValueError."""
        estimate, low, high = (
            math.nan if each is None else float(each) for each in (table["estimate"], *table["ci95"])
        )
        return cls(estimate, low, high, int(table["n"]), str(table["method"]))


NO_INTERVAL: Mapping[str, None] = {"estimate": None, "ci95": None, "n": None, "method": None}
"""`Interval.to_json` of no interval."""


# Intervals of one sample


def mean_over_seeds(values: np.ndarray, confidence: float = 0.95) -> Interval:
    """Interval of the mean: the wider, on each side, of Student's t and Hall's skewness-corrected t.

    Student's m -+ t(n - 1) s / sqrt(n) is exact for normal values, but up to 17% of its 95% intervals miss the mean of
    lognormal ones on one side. Hall's bounds are m - s T(+-t(n - 1) / sqrt(n)), with
    T(y) = (3 / g) (cbrt(1 + g (y - g / (6 n))) - 1) and g = 2 x the sample skewness; from n = 8 on.

    Args: values [n], n >= 2; confidence in (0, 1).
    Raises: TooFew for fewer than 2 values; ValueError for NaN or infinity.
    Source: Hall 1992, JRSS B 54:221.
    """
    sample = check_sample("values", values, fewest=2)
    mean, low, high = mean_bounds(sample, confidence)
    corrected = "skewness-corrected " if sample.size >= FEWEST_FOR_SKEWNESS else ""
    return Interval(mean, low, high, sample.size, f"{corrected}t, {percent(confidence)}")


def estimate_mean(values: np.ndarray) -> Interval | None:
    """The mean of what is finite with its interval; NaN bounds around a single value, None where nothing is."""
    kept = values[np.isfinite(values)]
    if kept.size == 0:
        return None
    return mean_over_seeds(kept) if kept.size > 1 else Interval(float(kept[0]), np.nan, np.nan, 1, "one value")


def prediction_interval(values: np.ndarray) -> Interval:
    """The 95% prediction interval of one new seed, m +- t(n - 1) s sqrt(1 + 1/n); exact for normal values only.

    Args: values [n], n >= 2.
    Raises: TooFew for fewer than 2 values; ValueError for NaN or infinity.
    """
    sample = check_sample("values", values, fewest=2)
    return _student(sample, np.sqrt(1 + 1 / sample.size), 0.95, "t for one new seed, 95%")


def iqm(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Interquartile mean: the mean without the floor(n / 4) smallest and the floor(n / 4) largest values.

    Args: values [..., n]; axis is reduced.
    Raises: ValueError for no values, NaN or infinity.
    Source: Agarwal et al. 2021, NeurIPS, arXiv:2108.13264.
    """
    sample = np.moveaxis(check_finite("values", values), axis, -1)
    n = sample.shape[-1]
    if n == 0:
        return np.full(sample.shape[:-1], np.nan)
    cut = n // 4
    return np.asarray(np.partition(sample, (cut, n - cut - 1), axis=-1)[..., cut : n - cut].mean(axis=-1))


def average_ranks(values: np.ndarray) -> np.ndarray:
    """The ranks along the last axis from 1 on, equal values with the mean of theirs; NaN where a row has a NaN."""
    less = (values[..., None, :] < values[..., :, None]).sum(axis=-1)
    equal = (values[..., None, :] == values[..., :, None]).sum(axis=-1)
    return np.where(np.isnan(values).any(axis=-1, keepdims=True), np.nan, less + (equal + 1) / 2)


def share_interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Clopper and Pearson's interval of a share: never more than 1 - confidence of them miss it, whatever the share.

    The n trials must be independent: count seeds; 32 texts of one network are not 32 trials.

    Raises: TooFew for n = 0; ValueError unless 0 <= successes <= n.
    Source: Clopper and Pearson 1934, Biometrika 26:404.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be in [0, n], got successes = {successes}, n = {n}")
    if n < 1:
        raise TooFew("successes must be of n >= 1 trials, got n = 0")
    import scipy.stats  # not at the top: it takes longer to load than a small study to train

    bounds = scipy.stats.binomtest(successes, n).proportion_ci(confidence, method="exact")
    method = f"Clopper-Pearson, {percent(confidence)}"
    return Interval(successes / n, float(bounds.low), float(bounds.high), n, method)


# Comparisons of two arms with the same seeds


def paired_t_comparisons(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[tuple[Interval, float]]:
    """For each of m pairs Student's t interval of mean(first - second) and its two-sided p-value, for all m together.

    Both are corrected after Bonferroni: level 1 - 0.05 / m, and min(1, m p). So p < 0.05 exactly where the interval
    excludes 0.

    Raises: TooFew for fewer than 2 pairs of values; ValueError for unequal shapes, NaN or infinity.
    """
    m = max(len(pairs), 1)
    compared = []
    for first, second in pairs:
        differences = paired_sample(first, second)
        method = f"Student's t, paired, together 95% over {m}"
        interval = _student(differences, 1 / np.sqrt(differences.size), 1 - 0.05 / m, method)
        compared.append((interval, min(1.0, m * paired_p_value(first, second))))
    return compared


def paired_p_value(first: np.ndarray, second: np.ndarray) -> float:
    """Two-sided paired t-test of mean(first - second) = 0; 1 where all differences are zero.

    Raises: TooFew for fewer than 2 pairs; ValueError for unequal shapes, NaN or infinity.
    """
    differences = paired_sample(first, second)
    return float(2 * stdtr(differences.size - 1, -abs(_t_statistic(differences, 0.0))))


def equivalence_p_value(first: np.ndarray, second: np.ndarray, margin: float) -> float:
    """Two one-sided paired t-tests (TOST): small where |mean(first - second)| < margin is shown.

    p = max(P(T >= t(-margin)), P(T <= t(margin))), t(c) = (mean - c) / standard error.

    Args: first, second [n], n >= 2, paired; margin > 0 in their unit.
    Raises: TooFew for fewer than 2 pairs; ValueError for a margin <= 0, unequal shapes, NaN or infinity.
    Source: Schuirmann 1987, J. Pharmacokinet. Biopharm. 15:657.
    """
    if not margin > 0:
        raise ValueError(f"margin must be > 0, got {margin}")
    differences = paired_sample(first, second)
    below, above = -_t_statistic(differences, -margin), _t_statistic(differences, margin)
    return float(max(stdtr(differences.size - 1, below), stdtr(differences.size - 1, above)))


# Parts


def mean_bounds(sample: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Mean, low and high of `mean_over_seeds`."""
    n, mean = sample.size, float(sample.mean())
    deviation = float(sample.std(ddof=1))
    half = _student_quantile(confidence, n - 1) / n**0.5
    low, high = mean - half * deviation, mean + half * deviation
    if n < FEWEST_FOR_SKEWNESS or deviation <= ROUNDING * abs(mean):
        return mean, low, high
    g = SKEWNESS_FACTOR * skewness(sample)
    return mean, min(low, mean - deviation * _hall(half, g, n)), max(high, mean - deviation * _hall(-half, g, n))


def skewness(sample: np.ndarray) -> float:
    """G1 = sqrt(n (n - 1)) / (n - 2) mean((x - m)^3) / mean((x - m)^2)^(3/2), the nearly unbiased one; n >= 3."""
    n, centred = sample.size, sample - sample.mean()
    return float((n * (n - 1)) ** 0.5 / (n - 2) * np.mean(centred**3) / np.mean(centred**2) ** 1.5)


def _hall(y: float, g: float, n: int) -> float:
    """T(y), the inverse of Hall's cubic y = x + g x^2 / 3 + g^2 x^3 / 27 + g / (6 n)."""
    if abs(g) < 1e-6:
        return y
    return float(3 / g * (np.cbrt(1 + g * (y - g / (6 * n))) - 1))


@lru_cache(maxsize=4096)
def _student_quantile(confidence: float, freedom: int) -> float:
    return float(stdtrit(freedom, (1 + confidence) / 2))


def check_finite(name: str, values: np.ndarray) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {np.sum(~np.isfinite(array))} NaN or infinite of {array.size}")
    return array


def check_sample(name: str, values: np.ndarray, fewest: int) -> np.ndarray:
    array = check_finite(name, values)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one row of values, got shape {array.shape}")
    if array.size < fewest:
        raise TooFew(f"{name} must be one row of at least {fewest} values, got {array.size}")
    return array


def check_same_shape(first_name: str, first: np.ndarray, second_name: str, second: np.ndarray) -> None:
    if first.shape != second.shape:
        raise ValueError(f"{first_name} and {second_name} must be paired, got shapes {first.shape} and {second.shape}")


def paired_sample(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    first, second = check_sample("first", first, 2), check_sample("second", second, 2)
    check_same_shape("first", first, "second", second)
    return first - second


def percent(confidence: float) -> str:
    return f"{100 * confidence:.5g}%"


def _student(sample: np.ndarray, width: float, confidence: float, method: str) -> Interval:
    mean = float(sample.mean())
    half = float(stdtrit(sample.size - 1, (1 + confidence) / 2) * sample.std(ddof=1) * width)
    return Interval(mean, mean - half, mean + half, sample.size, method)


def _t_statistic(differences: np.ndarray, center: float) -> float:
    """(mean - center) / standard error; its limit where all differences are equal."""
    gap = float(differences.mean()) - center
    error = float(differences.std(ddof=1)) / np.sqrt(differences.size)
    if error > 0:
        return gap / error
    return float(np.copysign(np.inf, gap)) if gap else 0.0

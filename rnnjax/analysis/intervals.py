"""The interval behind every verdict: a mean over seeds, a ratio of two, or any statistic of the seeds (jackknife).

One method serves all rules: Student's t, widened where the seeds are skewed. Its error rates, simulated through the
rules themselves, are in results/judge; `scripts/judge_error.py` makes them. No random draws.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import scipy.stats

from rnnjax.analysis.statistics import Interval, TooFew, check_same_shape, check_sample, percent

FEWEST_FOR_SKEWNESS = 8  # the skewness of fewer values says nothing; below, Student's t alone
SKEWNESS_FACTOR = 2.0  # simulated: samples of 16 show a third of a lognormal's skewness; 2 keeps families of 8 below 8%
ROUNDING = 1e-12  # relative deviation of values that differ by rounding only
BISECTIONS = 60


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
    mean, low, high = _bounds(sample, confidence)
    corrected = "skewness-corrected " if sample.size >= FEWEST_FOR_SKEWNESS else ""
    return Interval(mean, low, high, sample.size, f"{corrected}t, {percent(confidence)}")


def intervals_together(samples: Sequence[np.ndarray], confidence: float = 0.95) -> list[Interval]:
    """Intervals of m means that all hold together with `confidence` (Bonferroni): each at 1 - (1 - confidence) / m.

    Raises: as `mean_over_seeds`.
    """
    each = together(len(samples), confidence)
    return [state_family(mean_over_seeds(sample, each), len(samples), confidence) for sample in samples]


def together(count: int, confidence: float = 0.95) -> float:
    """The confidence of each of `count` intervals that hold together with `confidence` (Bonferroni)."""
    return 1 - (1 - confidence) / max(count, 1)


def state_family(interval: Interval, count: int, confidence: float = 0.95) -> Interval:
    """The interval with the size of its family in the words of its method, where there is more than one."""
    words = f", together {percent(confidence)} over {count}" if count > 1 else ""
    return interval._replace(method=interval.method + words)


def ratio_over_seeds(above: np.ndarray, below: np.ndarray, confidence: float = 0.95) -> Interval:
    """Interval of mean(above) / mean(below) over paired seeds: all r for which mean(above - r below) may be 0.

    Unbounded where the mean of `below` may be 0 itself.

    Raises: TooFew for fewer than 2 pairs or a mean of 0 below; ValueError for unequal shapes, NaN or infinity.
    Source: Fieller 1954, JRSS B 16:175.
    """
    above, below = check_sample("above", above, 2), check_sample("below", below, 2)
    check_same_shape("above", above, "below", below)
    if not below.mean():
        raise TooFew("the mean to divide by is 0")
    sign = np.sign(below.mean())
    above, below = sign * above, sign * below
    estimate = float(above.mean() / below.mean())
    method = f"Fieller, {mean_over_seeds(below, confidence).method}"
    if _bounds(below, confidence)[1] <= 0:
        return Interval(estimate, -np.inf, np.inf, above.size, method)
    low = _first_crossing(lambda r: _bounds(above - r * below, confidence)[1] > 0, estimate, -1)
    high = _first_crossing(lambda r: _bounds(above - r * below, confidence)[2] < 0, estimate, 1)
    return Interval(estimate, low, high, above.size, method)


def statistic_over_seeds(
    statistic: Callable[[np.ndarray], float],
    n: int,
    link: Callable[[float], float],
    inverse: Callable[[float], float],
    confidence: float = 0.95,
) -> Interval:
    """Interval of a statistic of n seeds, from the mean of its jackknife pseudo-values n l - (n - 1) l_(-i).

    l is link(statistic), on a scale on which the statistic is nearly symmetric; an increasing function.

    Args: statistic(places) of the seeds at these places, each once; n >= 8; inverse of the link.
    Raises: TooFew for fewer than 8 seeds.
    Source: Tukey 1958, Ann. Math. Stat. 29:614; Miller 1968, Ann. Math. Stat. 39:567.
    """
    if n < FEWEST_FOR_SKEWNESS:
        raise TooFew(f"a jackknife needs {FEWEST_FOR_SKEWNESS} seeds, got {n}")
    places = np.arange(n)
    estimate = float(statistic(places))
    without = np.array([link(statistic(np.delete(places, i))) for i in places])
    _, low, high = _bounds(n * link(estimate) - (n - 1) * without, confidence)
    low, high = min(estimate, inverse(low)), max(estimate, inverse(high))
    return Interval(estimate, float(low), float(high), n, f"jackknife, skewness-corrected t, {percent(confidence)}")


# Parts


def _bounds(sample: np.ndarray, confidence: float) -> tuple[float, float, float]:
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
    return float(scipy.stats.t.ppf((1 + confidence) / 2, freedom))


def _first_crossing(outside: Callable[[float], bool], inside: float, sign: int) -> float:
    """The nearest point beyond `inside`, below (-1) or above (1) it, that is outside; infinity where none is found."""
    step = 1e-6 * max(abs(inside), 1e-6)
    while not outside(inside + sign * step):
        step *= 2
        if step > 1e12 * max(abs(inside), 1.0):
            return sign * np.inf
    near, far = 0.0, step
    for _ in range(BISECTIONS):
        middle = (near + far) / 2
        near, far = (near, middle) if outside(inside + sign * middle) else (middle, far)
    return float(inside + sign * far)

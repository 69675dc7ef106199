"""Intervals behind verdicts and ties: of several means together, of a ratio, of any statistic of the seeds (jackknife).

One method serves all: Student's t, widened where the seeds are skewed (`statistics.mean_over_seeds`). Its
error rates, simulated through the rules themselves, are in results/judge; `scripts/judge_error.py` makes them.
No random draws.
"""

from collections.abc import Callable, Sequence

import numpy as np

from rnnjax.analysis.statistics import (
    FEWEST_FOR_SKEWNESS,
    Interval,
    TooFew,
    check_same_shape,
    check_sample,
    mean_bounds,
    mean_over_seeds,
    percent,
)

BISECTIONS = 60
CONFIDENCE = 0.95  # of a family of intervals


def intervals_together(samples: Sequence[np.ndarray]) -> list[Interval]:
    """Intervals of m means that all hold together with a confidence of 95% (Bonferroni): each at 1 - 0.05 / m.

    Raises: as `mean_over_seeds`.
    """
    each = together(len(samples))
    return [state_family(mean_over_seeds(sample, each), len(samples)) for sample in samples]


def together(count: int) -> float:
    """The confidence of each of `count` intervals that hold together with a confidence of 95% (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / max(count, 1)


def state_family(interval: Interval, count: int) -> Interval:
    """The interval with the size of its family in the words of its method, where there is more than one."""
    words = f", together {percent(CONFIDENCE)} over {count}" if count > 1 else ""
    return interval._replace(method=interval.method + words)


def not_told_apart(values_An: np.ndarray, reference: int) -> list[bool]:
    """Whether each of A arms may have the mean of the arm `reference`: the interval of the paired difference has 0.

    The A - 1 intervals hold together (Bonferroni). If `reference` is the arm with the lowest measured mean, the arm
    with the lowest true mean is told apart from it with a probability of at most 2.5%.

    Args: values_An [A, n], n >= 2, the same seed at the same index.
    Raises: TooFew for fewer than 2 seeds; ValueError for NaN or infinity.
    """
    each = together(len(values_An) - 1)
    gaps = [mean_over_seeds(values_n - values_An[reference], each) for values_n in values_An]
    return [gap.low <= 0 <= gap.high for gap in gaps]


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
    if mean_bounds(below, confidence)[1] <= 0:
        return Interval(estimate, -np.inf, np.inf, above.size, method)
    low = _first_crossing(lambda r: mean_bounds(above - r * below, confidence)[1] > 0, estimate, -1)
    high = _first_crossing(lambda r: mean_bounds(above - r * below, confidence)[2] < 0, estimate, 1)
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
    _, low, high = mean_bounds(n * link(estimate) - (n - 1) * without, confidence)
    low, high = min(estimate, inverse(low)), max(estimate, inverse(high))
    return Interval(estimate, float(low), float(high), n, f"jackknife, skewness-corrected t, {percent(confidence)}")


# Parts


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

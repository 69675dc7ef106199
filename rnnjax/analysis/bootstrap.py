"""Bootstrap statistics over seeds: intervals, paired differences, the chance of each arm to be the best.

The rules of claims do not use them: their interval is that of `intervals`.

The same habits as in `statistics`: an explicit integer seed for every random draw, ValueError for NaN and infinity,
`TooFew` for fewer values than a method needs.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from rnnjax.analysis.statistics import (
    FEWEST_FOR_BOOTSTRAP,
    Interval,
    TooFew,
    check_finite,
    check_sample,
    mean_interval,
    paired_sample,
    percent,
)

Statistic = Callable[..., np.ndarray]  # statistic(values, axis=-1) reduces the last axis, as np.mean does

BOOTSTRAP_SEED = 0  # of the resamples behind every interval of a report
BATCH_ELEMENTS = 10**6  # numbers resampled at once: 8 MB an array


class BestArm(NamedTuple):
    """Which of A arms has the smallest mean, and how sure that is."""

    arm: int  # its index
    probability_A: np.ndarray  # [A], sums to 1


def bootstrap_interval(
    seed: int, values: np.ndarray, statistic: Statistic, confidence: float = 0.95, resamples: int = 10_000
) -> Interval:
    """Bootstrap interval of any statistic: BCa, or percentile where BCa is undefined (constant data).

    Args: values [n], n >= 10; statistic(values, axis=-1), for instance np.median or `iqm`.
    Raises: TooFew for fewer than 10 values; ValueError for NaN or infinity.
    Source: Efron 1987, JASA 82:171.
    """
    sample = check_sample("values", values, fewest=FEWEST_FOR_BOOTSTRAP)
    result = _resample(seed, sample, statistic, confidence, resamples)
    low, high = result.confidence_interval
    method = "BCa bootstrap"
    if not np.isfinite([low, high]).all():
        low, high = np.quantile(result.bootstrap_distribution, [(1 - confidence) / 2, (1 + confidence) / 2])
        method = "percentile bootstrap"
    estimate = float(statistic(sample, axis=-1))
    return Interval(estimate, float(low), float(high), sample.size, f"{method}, {percent(confidence)}")


def paired_difference(seed: int, first: np.ndarray, second: np.ndarray, confidence: float = 0.95) -> Interval:
    """Interval of mean(first - second) over paired seeds: BCa from 10 pairs on, Student's t below.

    Measured on normal differences, a nominal 95% of BCa covers 89% at n = 10, 92% at 16, 94% at 32 and 64.

    Args: seed of the bootstrap; first, second [n], n >= 2, the same seed at the same index.
    Raises: TooFew for fewer than 2 pairs; ValueError for unequal shapes, NaN or infinity.
    """
    differences = paired_sample(first, second)
    if differences.size < FEWEST_FOR_BOOTSTRAP:
        return mean_interval(differences, confidence)
    return bootstrap_interval(seed, differences, np.mean, confidence)


def best_arm(seed: int, values_An: np.ndarray, resamples: int = 10_000) -> BestArm:
    """The arm with the smallest mean, and for each arm the share of resamples in which its mean is smallest.

    The n seeds are resampled jointly for all A arms, because they are paired; arms that tie share the resample.

    Raises: TooFew for n < 10; ValueError unless values_An has rank 2 with A >= 1, and for NaN or infinity.
    """
    means = resampled_means(seed, values_An, resamples)
    smallest = means == means.min(axis=0)
    return BestArm(int(np.mean(values_An, axis=1).argmin()), (smallest / smallest.sum(axis=0)).mean(axis=1))


def resampled_means(seed: int, values_An: np.ndarray, resamples: int = 10_000) -> np.ndarray:
    """The means [A, resamples] of A arms over bootstrap draws of their n seeds, the same draws for all arms.

    Raises: TooFew for n < 10; ValueError unless values_An has rank 2 with A >= 1, and for NaN or infinity.
    """
    values_An = check_finite("values_An", values_An)
    if values_An.ndim != 2 or not len(values_An):
        raise ValueError(f"values_An must be [arms, at least {FEWEST_FOR_BOOTSTRAP} seeds], got {values_An.shape}")
    n = values_An.shape[1]
    if n < FEWEST_FOR_BOOTSTRAP:
        raise TooFew(f"values_An must be [arms, at least {FEWEST_FOR_BOOTSTRAP} seeds], got {values_An.shape}")
    # How often each seed is drawn: the means of all resamples are then one matrix product.
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    return values_An @ counts.T / n


def _resample(seed: int, sample: np.ndarray, statistic: Statistic, confidence: float, resamples: int) -> Any:
    """SciPy's result: `.confidence_interval`, NaN where BCa is undefined, and `.bootstrap_distribution`."""
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # The caller answers an undefined BCa, so SciPy's warning about it says nothing new.
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        return scipy.stats.bootstrap(
            (sample,),
            statistic,
            n_resamples=resamples,
            batch=max(1, BATCH_ELEMENTS // sample.size),
            vectorized=True,
            confidence_level=confidence,
            method="BCa",
            rng=np.random.default_rng(seed),
        )

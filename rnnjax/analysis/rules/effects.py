"""Rules about many arms at once: contrasts of their means, trends along axes, the size and sum of effects.

As in `rules`, each is a function (reading, arms) -> measurements.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import scipy.stats

from rnnjax.analysis import statistics as stats
from rnnjax.analysis.measurement import SEED, Measurement, common, finite, likely, measured, of_seeds
from rnnjax.analysis.results import ArmResult, named, seed_values
from rnnjax.analysis.statistics import Interval, TooFew
from rnnjax.config.schema import Reading


def contrast(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """sum_p w_p mean_p lies in [low, high], mean_p over the arms of pattern p; with `over`, the ratio of two such sums.

    With scale "log" it is the metric's logarithm that is averaged, so that a difference is a relative one.
    """
    groups = [[seed_values(arm, reading.metric) for arm in named(arms, [pattern])] for pattern in reading.arms]
    sizes = np.cumsum([0, *map(len, groups)])
    values = scaled(common([of_arm for group in groups for of_arm in group]), reading.scale)
    means_Pn = np.stack([values[a:b].mean(axis=0) for a, b in pairwise(sizes)])
    above_n = np.asarray(reading.weights) @ means_Pn
    if reading.over:
        below_n = np.asarray(reading.over) @ means_Pn
        interval = ratio_interval(above_n, below_n)
    else:
        interval = of_seeds(above_n)
    return [measured(f"contrast of {reading.metric}", interval, reading.low, reading.high)]


def scaled(values: np.ndarray, scale: str) -> np.ndarray:
    """The values [A, n], or their logarithms at the seeds at which all are positive."""
    return np.log(values[:, (values > 0).all(axis=0)]) if scale == "log" else values


def ratio_interval(above_n: np.ndarray, below_n: np.ndarray) -> Interval:
    """mean(above) / mean(below) with a bootstrap interval over paired seeds."""
    if not below_n.any():
        raise TooFew("the contrast to divide by is 0 for every seed")

    def statistic(seeds: np.ndarray, axis: int) -> np.ndarray:
        chosen = seeds.astype(int)
        return above_n[chosen].mean(axis=axis) / below_n[chosen].mean(axis=axis)

    return stats.bootstrap_interval(SEED, np.arange(len(above_n)), statistic)


def trend(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """How a metric goes along an axis over several arms, seed by seed: the mean over seeds lies in [low, high].

    scale "log": slope of log(metric) on log(axis); "difference": change of the metric per doubling of the axis;
    "rank": Spearman's correlation.
    """
    chosen = named(arms, reading.arms)
    x_A = np.array([float(arm.axes[reading.axes[0]]) for arm in chosen])
    values_An = scaled(common([seed_values(arm, reading.metric) for arm in chosen]), reading.scale)
    if reading.scale == "rank":
        x_A, values_An = scipy.stats.rankdata(x_A), scipy.stats.rankdata(values_An, axis=0)
        spread_n = values_An.std(axis=0)
        slopes_n = slopes(x_A, values_An) * x_A.std() / np.where(spread_n == 0, 1, spread_n)
    else:
        slopes_n = slopes(np.log(x_A) if reading.scale == "log" else np.log2(x_A), values_An)
    return [measured(f"{reading.metric} along {reading.axes[0]}", of_seeds(slopes_n), reading.low, reading.high)]


def slopes(x_A: np.ndarray, values_An: np.ndarray) -> np.ndarray:
    """Least-squares slopes [n] of each seed's values over the arms."""
    centred_A = x_A - x_A.mean()
    return centred_A @ values_An / (centred_A @ centred_A)


def interaction(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The coefficient of log a * log b, both centred, in the linear model of a metric on two axes; in [low, high]."""
    chosen = named(arms, reading.arms)
    a_A, b_A = (np.log([float(arm.axes[axis]) for arm in chosen]) for axis in reading.axes)
    a_A, b_A = a_A - a_A.mean(), b_A - b_A.mean()
    values_An = scaled(common([seed_values(arm, reading.metric) for arm in chosen]), reading.scale)
    design = np.column_stack([np.ones_like(a_A), a_A, b_A, a_A * b_A])
    coefficients_n = np.linalg.lstsq(design, values_An, rcond=None)[0][3]
    what = f"{reading.metric}: {' x '.join(reading.axes)}"
    return [measured(what, of_seeds(coefficients_n), reading.low, reading.high)]


def spread(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The standard deviation of a metric over seeds lies in [low, high]; its interval is that of normal values."""
    found = []
    for arm in named(arms, reading.arms):
        interval = stats.deviation_interval(finite(seed_values(arm, reading.metric)))
        found.append(measured(arm.name, interval, reading.low, reading.high))
    return found


def widest(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """Among `factors`, the first is the one whose arms' means lie furthest apart: a bootstrap chance, as in `best`."""
    groups = [[seed_values(arm, reading.metric) for arm in named(arms, names)] for names in reading.factors.values()]
    sizes = np.cumsum([0, *map(len, groups)])
    table = common([of_arm for group in groups for of_arm in group])
    means = stats.resampled_means(SEED, table)
    ranges = np.stack([np.ptp(means[a:b], axis=0) for a, b in pairwise(sizes)])
    chance = np.mean(ranges.argmax(axis=0) == 0)
    names = list(reading.factors)
    what = f"chance; widest is {names[int(np.argmax(ranges.mean(axis=1)))]}"
    return [likely(reading, what, float(chance), table.shape[1])]


def additive(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The cell that the effects of single factors predict to be lowest is the lowest: a bootstrap chance, as in `best`.

    Predicted: the baseline (`against`) plus, for each of `axes`, what the arm differs from it that differs in that
    alone.
    """
    cells = named(arms, reading.arms)
    [baseline] = named(arms, reading.against)
    table = common([seed_values(arm, reading.metric) for arm in cells])
    means = stats.resampled_means(SEED, table)
    by_axes = {tuple(arm.axes[axis] for axis in reading.axes): row for row, arm in enumerate(cells)}
    origin = tuple(baseline.axes[axis] for axis in reading.axes)
    base = means[by_axes[origin]]
    predicted = np.stack(
        [
            base + sum(means[by_axes[(*origin[:i], value, *origin[i + 1 :])]] - base for i, value in enumerate(place))
            for place in by_axes
        ]
    )
    hit = np.mean(predicted.argmin(axis=0) == means[list(by_axes.values())].argmin(axis=0))
    return [likely(reading, "chance that the prediction is the best", float(hit), table.shape[1])]

"""Rules about many arms at once: contrasts of their means, trends along axes, interactions.

As in `rules`, each is a function (criterion, arms) -> measurements.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from rnnjax.analysis.intervals import ratio_over_seeds
from rnnjax.analysis.measurement import Measurement, common_seeds, measure_interval
from rnnjax.analysis.results import ArmResult, per_seed, select_arms
from rnnjax.analysis.statistics import average_ranks, mean_over_seeds
from rnnjax.config.schema import Criterion


def contrast_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """sum_p w_p mean_p lies in [low, high], mean_p over the arms of pattern p; with `divided_by`, a ratio.

    `divided_by` holds the weights of the denominator. With scale "log" the logarithm of the metric is averaged, so that
    differences are relative.
    """
    groups = [[per_seed(arm, criterion.metric) for arm in select_arms(arms, [pattern])] for pattern in criterion.arms]
    sizes = np.cumsum([0, *map(len, groups)])
    values = on_scale(common_seeds([of_arm for group in groups for of_arm in group]), criterion.scale)
    means_Pn = np.stack([values[a:b].mean(axis=0) for a, b in pairwise(sizes)])
    above_n = np.asarray(criterion.weights) @ means_Pn
    if criterion.divided_by:
        below_n = np.asarray(criterion.divided_by) @ means_Pn
        interval = ratio_over_seeds(above_n, below_n)
    else:
        interval = mean_over_seeds(above_n)
    return [measure_interval(f"contrast of {criterion.metric}", interval, criterion.low, criterion.high)]


def on_scale(values: np.ndarray, scale: str) -> np.ndarray:
    """The values [A, n], or their logarithms at the seeds at which all are positive."""
    return np.log(values[:, (values > 0).all(axis=0)]) if scale == "log" else values


def trend_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The trend of a metric along an axis over several arms, per seed: its mean over seeds lies in [low, high].

    scale "log": slope of log(metric) on log(axis); "difference": change of the metric per doubling of the axis;
    "rank": Spearman's correlation.
    """
    chosen = select_arms(arms, criterion.arms)
    x_A = np.array([float(arm.axes[criterion.axes[0]]) for arm in chosen])
    values_An = on_scale(common_seeds([per_seed(arm, criterion.metric) for arm in chosen]), criterion.scale)
    if criterion.scale == "rank":
        x_A, values_An = average_ranks(x_A), average_ranks(values_An.T).T
        spread_n = values_An.std(axis=0)
        slopes_n = slopes(x_A, values_An) * x_A.std() / np.where(spread_n == 0, 1, spread_n)
    else:
        slopes_n = slopes(np.log(x_A) if criterion.scale == "log" else np.log2(x_A), values_An)
    return [
        measure_interval(
            f"{criterion.metric} along {criterion.axes[0]}", mean_over_seeds(slopes_n), criterion.low, criterion.high
        )
    ]


def slopes(x_A: np.ndarray, values_An: np.ndarray) -> np.ndarray:
    """Least-squares slopes [n] of each seed's values over the arms."""
    centred_A = x_A - x_A.mean()
    return centred_A @ values_An / (centred_A @ centred_A)


def interaction_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The coefficient of log a * log b, both centred, in the linear model of a metric on two axes; in [low, high]."""
    chosen = select_arms(arms, criterion.arms)
    a_A, b_A = (np.log([float(arm.axes[axis]) for arm in chosen]) for axis in criterion.axes)
    a_A, b_A = a_A - a_A.mean(), b_A - b_A.mean()
    values_An = on_scale(common_seeds([per_seed(arm, criterion.metric) for arm in chosen]), criterion.scale)
    design = np.column_stack([np.ones_like(a_A), a_A, b_A, a_A * b_A])
    coefficients_n = np.linalg.lstsq(design, values_An, rcond=None)[0][3]
    what = f"{criterion.metric}: {' x '.join(criterion.axes)}"
    return [measure_interval(what, mean_over_seeds(coefficients_n), criterion.low, criterion.high)]

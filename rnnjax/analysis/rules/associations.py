"""Rules on associations: rank correlation of two metrics over all runs, and variance decomposition.

As in `rules`, each is a function (criterion, arms) -> measurements.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.stats

from rnnjax.analysis import bootstrap
from rnnjax.analysis.bootstrap import BOOTSTRAP_SEED
from rnnjax.analysis.measurement import Measurement, common_seeds, measure_interval
from rnnjax.analysis.results import ArmResult, per_seed, select_arms
from rnnjax.analysis.statistics import FEWEST_FOR_BOOTSTRAP, Interval, TooFew
from rnnjax.config.schema import Criterion

PARTS = ("columns", "arms", "interaction", "seeds")  # of a variance, as `variance_decomposition` has them
FLAT = 1e-12  # of a variance that is 1: what lies below is rounding


def correlation_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """Spearman's rank correlation of `metric` with `explained_by` over all runs of the arms lies in [low, high].

    With `controlling_for`, the partial correlation given that metric z:
    (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2) (1 - r_yz^2)). Runs are resampled as if independent, so the interval is only
    approximate where one arm or seed contributes several runs.
    """
    chosen = select_arms(arms, criterion.arms)
    names = [
        criterion.explained_by,
        criterion.metric,
        *([criterion.controlling_for] if criterion.controlling_for else []),
    ]
    table = np.stack([np.concatenate([per_seed(arm, name) for arm in chosen]) for name in names])
    table = table[:, np.isfinite(table).all(axis=0)]
    if table.shape[1] < FEWEST_FOR_BOOTSTRAP:
        raise TooFew(f"a correlation needs {FEWEST_FOR_BOOTSTRAP} runs, got {table.shape[1]}")
    if any(np.ptp(row) == 0 for row in table):
        raise TooFew(f"{criterion.metric}: one of the metrics is the same in all runs")

    def statistic(runs: np.ndarray, axis: int) -> np.ndarray:  # runs [..., n]: the axis is always the last
        return partial_correlation(scipy.stats.rankdata(np.moveaxis(table[:, runs.astype(int)], 0, -2), axis=-1))

    interval = bootstrap.bootstrap_interval(BOOTSTRAP_SEED, np.arange(table.shape[1]), statistic)
    words = f", given {criterion.controlling_for}" if criterion.controlling_for else ""
    words += f", runs of {len(chosen)} arms as if independent"
    return [
        measure_interval(
            f"{criterion.metric} with {criterion.explained_by}{words}", interval, criterion.low, criterion.high
        )
    ]


def partial_correlation(rows: np.ndarray) -> np.ndarray:
    """The correlation [...] of the first two rows [..., 2 or 3, n], given the third.

    0 where one of the two does not vary, or only as the third does; a third that does not vary takes nothing away.
    """
    centred = rows - rows.mean(axis=-1, keepdims=True)
    products = centred @ np.matrix_transpose(centred)
    if rows.shape[-2] == 3:
        across = products[..., :2, 2:]
        of_third = products[..., 2:, 2:]
        products = products[..., :2, :2] - across @ np.matrix_transpose(across) / np.where(of_third == 0, 1, of_third)
    size = np.sqrt(np.clip(products[..., 0, 0] * products[..., 1, 1], 0, None))
    scale = np.mean(centred**2, axis=(-2, -1)) * rows.shape[-1]
    flat = size <= FLAT * np.where(scale == 0, 1, scale)
    return np.where(flat, 0.0, np.clip(products[..., 0, 1] / np.where(flat, 1, size), -1, 1))


def variance_share_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The share of the variance that the component `share_of` explains lies in [low, high].

    The columns of a two-way table are `metric` and `other_metrics`, its rows the arms; see `variance_decomposition`.
    Columns are metrics of one kind, such as the loop rates of several decoders.
    """
    columns = [criterion.metric, *criterion.other_metrics]
    interval = variance_shares(select_arms(arms, criterion.arms), columns)[criterion.share_of]
    what = f"share of the {criterion.share_of} in {', '.join(columns)}"
    return [measure_interval(what, interval, criterion.low, criterion.high)]


def variance_shares(
    arms: Sequence[ArmResult], metrics: Sequence[str], factors: Sequence[str] = ()
) -> dict[str, Interval]:
    """`variance_decomposition` of metrics of one kind, one a column, over the seeds that all runs have; bootstrap
    over seeds.

    Args: factors: fields in which the arms differ; each adds a share of its own.
    Raises: TooFew where nothing varies, or for fewer seeds than a bootstrap needs.
    """
    rows = common_seeds([per_seed(arm, name) for arm in arms for name in metrics])
    if not rows.shape[1] or np.ptp(rows) == 0:
        raise TooFew(f"{', '.join(metrics)}: the same in all runs")
    values_nAD = rows.T.reshape(-1, len(arms), len(metrics))
    levels = {name: np.unique([repr(arm.axes[name]) for arm in arms], return_inverse=True)[1] for name in factors}

    def of(part: str) -> Interval:
        def statistic(seeds: np.ndarray, axis: int) -> np.ndarray:  # seeds [..., n]: the axis is always the last
            return variance_decomposition(values_nAD, seeds.astype(int), levels)[part]

        return bootstrap.bootstrap_interval(BOOTSTRAP_SEED, np.arange(len(values_nAD)), statistic)

    return {part: of(part) for part in [*PARTS, *factors]}


def variance_decomposition(
    values_nAD: np.ndarray, seeds: np.ndarray, levels: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Shares of a variance by its parts, [...] among some seeds [..., n]; 0 where nothing varies.

    y_sad is column d of arm a with seed s. With m for means over what is not named,
    sum (y - m)^2 = sum (m_d - m)^2 + sum (m_a - m)^2 + sum (m_ad - m_a - m_d + m)^2 + sum (y - m_ad)^2: the shares of
    the columns, of the arms, of both together beyond their sum (interaction), and of the seeds. Of the share of the
    arms each factor has sum (m_f - m)^2; where all its values are combined with all others, factors do not overlap.

    Args: levels: which value of a factor each arm has, [A] from 0 on.
    """
    times = (seeds[..., None] == np.arange(len(values_nAD))).mean(axis=-2)  # how often each seed is taken, [..., n]
    mean_AD = np.tensordot(times, values_nAD, 1)
    square = times @ np.mean(values_nAD**2, axis=(1, 2))
    mean = mean_AD.mean(axis=(-2, -1), keepdims=True)
    of_arm, of_column = mean_AD.mean(axis=-1, keepdims=True), mean_AD.mean(axis=-2, keepdims=True)
    together = mean_AD - of_arm - of_column + mean
    total = square - mean[..., 0, 0] ** 2
    parts = {"columns": of_column - mean, "arms": of_arm - mean, "interaction": together}
    for name, level_A in (levels or {}).items():
        same_AA = level_A[:, None] == level_A
        parts[name] = (same_AA / same_AA.sum(axis=1, keepdims=True)) @ of_arm - mean
    sizes = {name: np.mean(part**2, axis=(-2, -1)) for name, part in parts.items()}
    sizes["seeds"] = square - np.mean(mean_AD**2, axis=(-2, -1))
    flat = total <= FLAT * np.where(square == 0, 1, square)
    return {name: np.where(flat, 0.0, np.clip(size / np.where(flat, 1, total), 0, 1)) for name, size in sizes.items()}

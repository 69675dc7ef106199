"""Rules on associations: rank correlation of two metrics, variance explained by a metric, variance decomposition.

As in `rules`, each is a function (criterion, arms) -> measurements. Their intervals are over seeds: an arm's runs of
one seed go together, whatever the number of arms.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy.special

from rnnjax.analysis.intervals import statistic_over_seeds
from rnnjax.analysis.measurement import Measurement, common_seeds, measure_interval
from rnnjax.analysis.results import ArmResult, per_seed, select_arms
from rnnjax.analysis.rules.single_arms import tolerance_range
from rnnjax.analysis.statistics import Interval, TooFew, average_ranks
from rnnjax.config.schema import Criterion

PARTS = ("columns", "arms", "interaction", "seeds")  # of a variance, as `variance_decomposition` has them
FLAT = 1e-12  # of a variance that is 1: what lies below is rounding
ROUNDING = 1e-9  # relative: values that differ by less are constant
DEGREE = 3  # of the polynomial that explains a metric


def correlation_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """Spearman's rank correlation of `metric` with `explained_by` over all runs of the arms lies in [low, high].

    With `controlling_for`, the partial correlation given that metric z:
    (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2) (1 - r_yz^2)). The interval is over seeds, by the jackknife of Fisher's
    atanh r; needs 8 seeds.
    """
    names = [criterion.metric, criterion.explained_by, criterion.controlling_for]
    table, seeds = table_of_runs(select_arms(arms, criterion.arms), list(filter(None, names)))
    if any(is_constant(row) for row in table):
        raise TooFew(f"{criterion.metric}: one of the metrics is the same in all runs")

    def statistic(runs: np.ndarray) -> float:
        return float(partial_correlation(average_ranks(table[:, runs])))

    interval = jackknife_over_runs(statistic, seeds, "atanh")
    words = f", given {criterion.controlling_for}" if criterion.controlling_for else ""
    what = f"{criterion.metric} with {criterion.explained_by}{words}, {table.shape[1]} runs"
    return [measure_interval(what, interval, criterion.low, criterion.high)]


def table_of_runs(arms: Sequence[ArmResult], metrics: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The metrics [M, R] of all runs of some arms in which all are finite, and the seed of each run [R]."""
    table = np.stack([np.concatenate([per_seed(arm, name) for arm in arms]) for name in metrics])
    seeds = np.concatenate([arm.seeds[: len(per_seed(arm, metrics[0]))] for arm in arms])
    kept = np.isfinite(table).all(axis=0)
    return table[:, kept], seeds[kept]


def is_constant(values: np.ndarray) -> bool:
    """Whether values differ by rounding only, or there are none."""
    return not values.size or bool(np.ptp(values) <= ROUNDING * np.abs(values).max())


LINKS = {  # scales on which a statistic is nearly symmetric, with their inverses; of an interval that may end at 1
    "atanh": (lambda r: np.arctanh(np.clip(r, -1 + FLAT, 1 - FLAT)), np.tanh),
    "logit": (lambda p: scipy.special.logit(np.clip(p, FLAT, 1 - FLAT)), scipy.special.expit),
    "-log(1 - p)": (lambda p: -np.log(np.clip(1 - p, FLAT, 1)), lambda y: float(np.clip(-np.expm1(-y), 0, 1))),
}


def jackknife_over_runs(statistic: Callable[[np.ndarray], float], seeds_R: np.ndarray, link: str) -> Interval:
    """Interval of a statistic of runs, where the runs of one seed are left out together.

    Args: statistic(places of runs); seeds_R: the seed of each run.
    Raises: TooFew for fewer than 8 seeds.
    """
    places = [np.flatnonzero(seeds_R == seed) for seed in np.unique(seeds_R)]

    def seed_statistic(chosen: np.ndarray) -> float:
        return statistic(np.sort(np.concatenate([places[i] for i in chosen])))

    return statistic_over_seeds(seed_statistic, len(places), *LINKS[link])


def explained_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The share of the variance of a metric that a cubic in the logarithm of another explains lies in [low, high].

    `expected` and `tolerance`, where given, keep only the runs whose value of `explained_by` is within that range. The
    interval is over seeds, needs 8 of them, and is the wider of two, by the jackknife of logit R^2 and of log(1 - R^2).
    """
    table, seeds = table_of_runs(select_arms(arms, criterion.arms), [criterion.explained_by, criterion.metric])
    kept = table[0] > 0  # what is not has no logarithm
    if criterion.expected is not None:
        low, high = tolerance_range(criterion)
        kept &= (low <= table[0]) & (table[0] <= high)
    interval = explained_share(np.log(table[0, kept]), table[1, kept], seeds[kept])
    what = f"{criterion.metric} by log {criterion.explained_by}, {kept.sum()} runs"
    return [measure_interval(what, interval, criterion.low, criterion.high)]


def explained_share(x_R: np.ndarray, y_R: np.ndarray, seeds_R: np.ndarray) -> Interval:
    """R^2 = 1 - RSS / TSS of the least-squares cubic of y on x, with an interval over seeds.

    R^2 is that of the sample, not adjusted for the fitted terms.

    Raises: TooFew for fewer than 8 seeds, constant y or x with at most 3 distinct values.
    """
    if is_constant(y_R):
        raise TooFew("the metric is constant: there is nothing to explain")
    if np.unique(x_R).size <= DEGREE:
        raise TooFew(f"a cubic needs more than {DEGREE} distinct values, got {np.unique(x_R).size}")

    def statistic(runs: np.ndarray) -> float:
        return r_squared(x_R[runs], y_R[runs])

    one, other = (jackknife_over_runs(statistic, seeds_R, link) for link in ("logit", "-log(1 - p)"))
    return one._replace(low=min(one.low, other.low), high=max(one.high, other.high))


def r_squared(x: np.ndarray, y: np.ndarray) -> float:
    """1 - RSS / TSS of the least-squares cubic of y on x; 0 where y is constant up to rounding."""
    if is_constant(y):
        return 0.0
    centred = y - y.mean()
    basis = np.vander((x - x.mean()) / (x.std() or 1.0), DEGREE + 1)
    left = centred - basis @ np.linalg.lstsq(basis, centred, rcond=None)[0]
    return float(np.clip(1 - left @ left / (centred @ centred), 0.0, 1.0))


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
    """`variance_decomposition` of metrics of one kind, one a column, with intervals over the seeds that all runs have.

    The intervals are by the jackknife of the logit of a share.

    Args: factors: fields in which the arms differ; each adds a share of its own.
    Raises: TooFew where nothing varies, or for fewer than 8 seeds.
    """
    rows = common_seeds([per_seed(arm, name) for arm in arms for name in metrics])
    if is_constant(rows):
        raise TooFew(f"{', '.join(metrics)}: the same in all runs")
    values_nAD = rows.T.reshape(-1, len(arms), len(metrics))
    levels = {name: np.unique([repr(arm.axes[name]) for arm in arms], return_inverse=True)[1] for name in factors}

    def of(part: str) -> Interval:
        def statistic(seeds: np.ndarray) -> float:
            return float(variance_decomposition(values_nAD, seeds, levels)[part])

        return statistic_over_seeds(statistic, len(values_nAD), *LINKS["logit"])

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

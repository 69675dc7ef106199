"""Indicators that compare the loss of a network with what simple predictors reach, and held-out with training data."""

from typing import NamedTuple

import numpy as np

from rnnjax.doctor.batch import Batch, boolean_mask, is_ids
from rnnjax.doctor.indicators.predictability import Predictability
from rnnjax.doctor.indicators.types import Indicator, per_network

CONSTANT = ("chance", "unigram", "persistence")  # predictors that foresee nothing: of ids, `chance` is not the best
FORESEEING = ("linear", "seasonal", "bigram", "trigram", "4-gram", "5-gram", "6-gram", "floor")


class Levels(NamedTuple):
    """Losses of simple predictors, by name: see `predictability`, and `reference_losses` of the tasks."""

    losses: dict[str, float]
    held_out: bool = False  # of the held-out data, not of the training data


class DataShift(NamedTuple):
    """How far held-out values differ from those of training."""

    distance: float  # Kolmogorov-Smirnov distance of a column, or the total variation of ids: 0 to 1
    unseen: float  # share of ids that training lacks, beyond what a sample explains; 0 of numbers
    remark: str


def level_indicators(loss_R: np.ndarray, levels: Levels, explained: float = 0.0) -> dict[str, Indicator]:
    """The loss of R networks against the levels.

    over_persistence  loss / that of repeating the last value
    over_linear       loss / that of the linear predictor
    linear_gain       (loss - that of the linear predictor) / that of the best constant or of the last value
    foreseeable       the share of the best constant's loss, or of the last value's, that any predictor saves, the
                      network itself included

    Args: explained: the share of the variance that a regression explains.
    """
    known = {name: value for name, value in levels.losses.items() if np.isfinite(value)}
    base = min((known[name] for name in CONSTANT if name in known), default=np.nan)
    if not base > 0:
        return {}
    best_R = np.fmin(loss_R, min((known[name] for name in FORESEEING if name in known), default=np.inf))
    values = {"foreseeable": np.maximum(1 - best_R / base, explained)}
    if "persistence" in known:
        values["over_persistence"] = loss_R / max(known["persistence"], 1e-12 * base)
    if "linear" in known:
        values["over_linear"] = loss_R / max(known["linear"], 1e-12 * base)
        values["linear_gain"] = (loss_R - known["linear"]) / base
    return {name: per_network(value) for name, value in values.items()}


def memory_lag(found: Predictability | None) -> int | None:
    """The lag of the input on which the target depends most, if it is not among the last 4; else None."""
    if found is None or not len(found.explained_L):
        return None
    lag = int(np.argmax(found.explained_L))
    return lag if lag > 4 and found.explained_L[lag] > max(0.1, 2 * found.explained_L[:5].max()) else None


def data_shift(train: Batch, held_out: Batch) -> DataShift:
    """The distance of held-out targets from those of training, in the column in which it is largest."""
    return shift_of_values(*(np.asarray(each.targets)[boolean_mask(each)] for each in (train, held_out)))


def shift_of_values(train: np.ndarray, held_out: np.ndarray) -> DataShift:
    """Args: ids [N], or numbers [N, O]."""
    if is_ids(train):
        return shift_of_ids(train, held_out)
    distances = [distribution_distance(a, b) for a, b in zip(train.T, held_out.T, strict=True)]
    column = int(np.argmax(distances))
    low, high = train[:, column].min(), train[:, column].max()
    outside = float(np.mean((held_out[:, column] < low) | (held_out[:, column] > high)))
    ranges = f"{held_out[:, column].min():.3g} to {held_out[:, column].max():.3g} against {low:.3g} to {high:.3g}"
    return DataShift(distances[column], 0.0, f"{outside:.0%} of them are outside the range of training: {ranges}")


def distribution_distance(a_N: np.ndarray, b_M: np.ndarray) -> float:
    """The largest difference of the two distribution functions."""
    points = np.concatenate([a_N, b_M])
    shares = [np.searchsorted(np.sort(each), points, side="right") / len(each) for each in (a_N, b_M)]
    return float(np.abs(shares[0] - shares[1]).max())


def shift_of_ids(train_N: np.ndarray, held_out_M: np.ndarray) -> DataShift:
    size = int(max(train_N.max(), held_out_M.max())) + 1
    a, b = (np.bincount(ids, minlength=size) / len(ids) for ids in (train_N, held_out_M))
    unseen = float(b[a == 0].sum())
    once = float(np.mean(np.bincount(train_N, minlength=size)[train_N] == 1))  # a new id has about this probability
    new = np.flatnonzero((a == 0) & (b > 0))
    return DataShift(
        float(np.abs(a - b).sum() / 2), max(0.0, unseen - 2 * once), f"{len(new):,} ids that training does not have"
    )

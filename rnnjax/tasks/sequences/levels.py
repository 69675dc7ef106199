"""Reference losses of sequences: held-out losses of predictors that read nothing, or the last rows alone."""

import numpy as np

from rnnjax.tasks.seasons import find_season
from rnnjax.types import SequenceSet

ORDER = 8  # rows that the linear forecast reads
MOST_SEARCHED = 100  # sequences in which a season is looked for


def prior_log_loss(train: SequenceSet, held_out: SequenceSet, classes: int) -> float:
    """The held-out cross-entropy of the class shares of the training part, each count one higher."""
    counts_O = class_counts(train, classes) + 1
    log_share_O = np.log(counts_O / counts_O.sum())
    return float(-np.average(log_share_O[held_out.targets_R], weights=held_out.loss_mask_R))


def class_counts(sequences: SequenceSet, classes: int) -> np.ndarray:
    """The number of targets of each class that count [O]."""
    counted = sequences.targets_R[sequences.loss_mask_R > 0]
    return np.bincount(counted, minlength=classes)


def value_losses(train: SequenceSet, held_out: SequenceSet) -> dict[str, float]:
    """The held-out squared error of the mean of the targets of the training part: {"chance"}. Before any scale."""
    mean_O = train.targets_R[train.loss_mask_R > 0].mean(axis=0)
    counted = held_out.targets_R[held_out.loss_mask_R > 0]
    return {"chance": float(np.mean((counted - mean_O) ** 2))}


def next_row_losses(train: SequenceSet, held_out: SequenceSet) -> dict[str, float]:
    """As `value_losses`, and the errors of simple forecasts: {"chance", "persistence", "linear", "seasonal"}."""
    forecasts = next_row_levels(train, held_out)
    names = {"last": "persistence"}
    counted = held_out.loss_mask_R > 0
    errors = {
        names.get(name, name): np.mean((held_out.targets_R - one)[counted] ** 2) for name, one in forecasts.items()
    }
    return value_losses(train, held_out) | {name: float(error) for name, error in errors.items()}


def next_row_levels(train: SequenceSet, held_out: SequenceSet) -> dict[str, np.ndarray]:
    """Forecasts [R, D] of every next row that is held out, from the rows before it in its own sequence.

    last      the row before
    linear    c + sum_k A_k x_{t-k}, k = 0 ... p - 1, by least squares over the training part; rows before the first
              one of a sequence are taken for that one
    seasonal  the row one season before the next one, where a season is found in the training part; the row before at
              the first ones of a sequence
    """
    found = {"last": held_out.inputs_R}
    order = linear_order(train)
    if order:
        weights = np.linalg.lstsq(past_rows(train, order), train.targets_R)[0]
        found["linear"] = past_rows(held_out, order) @ weights
    season = common_season(train)
    if season:
        found["seasonal"] = held_out.inputs_R[steps_back(held_out, season - 1, otherwise=0)]
    return found


def linear_order(train: SequenceSet) -> int:
    """The rows that a linear forecast reads: fewer where there are few, 0 for none."""
    rows, width = train.inputs_R.shape
    return max(min(ORDER, rows // (2 * width) - 1, int(train.lengths.max())), 0)


def past_rows(sequences: SequenceSet, order: int) -> np.ndarray:
    """1 and the last rows up to each step, [R, 1 + order D]."""
    past = [sequences.inputs_R[steps_back(sequences, k)] for k in range(order)]
    return np.hstack([np.ones((len(sequences.inputs_R), 1)), *past])


def steps_back(sequences: SequenceSet, back: int, otherwise: int | None = None) -> np.ndarray:
    """For each row [R] the one so many steps before it in its sequence, or its first one.

    Args: otherwise: steps back where there are not so many; None = all up to the first row.
    """
    rows_R = np.arange(sequences.offsets_N[-1])
    place_R = rows_R - np.repeat(sequences.offsets_N[:-1], sequences.lengths)
    fewer_R = place_R if otherwise is None else np.full_like(place_R, otherwise)
    return rows_R - np.where(place_R >= back, back, fewer_R)


def common_season(train: SequenceSet) -> int:
    """The season that most of the training sequences with one have; 0 where fewer than half have any."""
    seasons = [
        find_season(rows_TD, None) for rows_TD in np.split(train.inputs_R, train.offsets_N[1:-1])[:MOST_SEARCHED]
    ]
    known = [season for season in seasons if season]
    return max(set(known), key=lambda season: (known.count(season), -season)) if 2 * len(known) >= len(seasons) else 0

"""Reference losses of sequences: what predictors that read nothing, or only the last row, lose on the held-out part."""

import numpy as np

from rnnjax.types import SequenceSet


def prior_log_loss(train: SequenceSet, held_out: SequenceSet, classes: int) -> float:
    """The held-out cross-entropy of the class shares of the training part, each count one higher."""
    counts_O = class_counts(train, classes) + 1
    log_share_O = np.log(counts_O / counts_O.sum())
    return float(-np.average(log_share_O[held_out.targets_R], weights=held_out.loss_mask_R))


def class_counts(sequences: SequenceSet, classes: int) -> np.ndarray:
    """How often each class is a target that counts [O]."""
    counted = sequences.targets_R[sequences.loss_mask_R > 0]
    return np.bincount(counted, minlength=classes)


def value_losses(train: SequenceSet, held_out: SequenceSet) -> dict[str, float]:
    """The held-out squared error of the mean of the targets of the training part: {"chance"}. Before any scale."""
    mean_O = train.targets_R[train.loss_mask_R > 0].mean(axis=0)
    counted = held_out.targets_R[held_out.loss_mask_R > 0]
    return {"chance": float(np.mean((counted - mean_O) ** 2))}


def next_row_losses(train: SequenceSet, held_out: SequenceSet) -> dict[str, float]:
    """As `value_losses`, and the squared error of the row before: {"chance", "persistence"}."""
    error = np.mean((held_out.targets_R - held_out.inputs_R) ** 2)
    return value_losses(train, held_out) | {"persistence": float(error)}

"""How the arrays of a batch are laid out: their axes, padding, and codes for missing values."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.doctor.batch import Batch, batch_step_losses, boolean_mask, is_ids

MIN_PAIRS = 60  # of neighbouring steps; fewer say nothing about an axis
PADDED_SHARE = 0.1  # of all steps
PADDED_STREAMS = 0.5  # of the streams end in padding


def wrong_axis(batch: Batch) -> float:
    """1 if the targets are the next inputs along the second axis; else by how much more successive inputs are related
    along the second axis than along the first, as a correlation from 0 to 1. NaN if there are too few steps.
    """
    inputs, targets = np.asarray(batch.inputs), np.asarray(batch.targets)
    if inputs.shape == targets.shape:
        along = [np.array_equal(inputs[1:], targets[:-1]), np.array_equal(inputs[:, 1:], targets[:, :-1])]
        if any(along):
            return float(along[1] and not along[0])
    if min(inputs.shape[:2]) < 4 or inputs.shape[0] * inputs.shape[1] < MIN_PAIRS:
        return np.nan
    first, second = relation(inputs), relation(np.swapaxes(inputs, 0, 1))
    return second if first < 0.2 else 0.0


def relation(inputs: np.ndarray) -> float:
    """The information of each input about the next one along the first axis, 0 to 1, beyond that about any other one.

    Of numbers, the largest autocorrelation of a column that varies along both axes; of ids, the share of pairs that are
    repeated beyond chance.
    """
    if is_ids(inputs):
        return max(0.0, pair_information(inputs[:-1], inputs[1:]))
    columns = inputs.astype(float) - inputs.mean(axis=(0, 1))
    varies = (np.ptp(inputs, axis=0).max(axis=0) > 0) & (np.ptp(inputs, axis=1).max(axis=0) > 0)
    energy = np.mean(columns**2, axis=(0, 1))
    correlations = np.mean(columns[1:] * columns[:-1], axis=(0, 1))[varies] / np.maximum(energy[varies], 1e-30)
    return float(np.max(np.abs(correlations), initial=0.0))


def pair_information(first: np.ndarray, second: np.ndarray) -> float:
    """The share of the entropy of an id that its neighbour saves, minus the same for neighbours drawn at random."""
    drawn = np.random.default_rng(0).permutation(second.ravel())
    return saved_entropy(first.ravel(), second.ravel()) - saved_entropy(first.ravel(), drawn)


def saved_entropy(first_N: np.ndarray, second_N: np.ndarray) -> float:
    symbols = int(max(first_N.max(), second_N.max())) + 1
    table = np.zeros((symbols, symbols))
    np.add.at(table, (first_N, second_N), 1 / len(first_N))
    marginal = entropy(table.sum(axis=0))
    return (entropy(table.sum(axis=1)) + marginal - entropy(table.ravel())) / marginal if marginal > 0 else 0.0


def entropy(share: np.ndarray) -> float:
    return float(-np.sum(share[share > 0] * np.log(share[share > 0])))


def padded_steps(batch: Batch) -> np.ndarray:
    """True [T, B] at the steps that look like padding, at the end or at the start of the streams."""
    values = np.asarray(batch.targets)
    values = values if values.ndim == 3 else values[..., None]
    at_end_TB = padded_tail(values)
    return at_end_TB if at_end_TB.any() else padded_tail(values[::-1])[::-1]


def padded_tail(values: np.ndarray) -> np.ndarray:
    """True [T, B] where most streams end in one value that they have nowhere else.

    Streams must end at different steps, and the padded ones make up a tenth of all.
    """
    equal_TB = np.all(values == values[-1], axis=-1)
    tail_TB = np.logical_and.accumulate(equal_TB[::-1], axis=0)[::-1]
    lengths = tail_TB.sum(axis=0)
    symbols, counts = np.unique(values[-1], axis=0, return_counts=True)
    padding = symbols[np.argmax(counts)]
    ends_B = np.all(values[-1] == padding, axis=-1) & (lengths > 1)
    padded_TB = tail_TB & ends_B
    elsewhere = np.all(values == padding, axis=-1) & ~tail_TB
    varied = len(np.unique(lengths[ends_B])) > 1
    few = elsewhere.sum() <= 0.02 * max(int((~padded_TB).sum()), 1)
    enough = padded_TB.mean() > PADDED_SHARE and ends_B.mean() >= PADDED_STREAMS
    return padded_TB if varied and few and enough else np.zeros_like(padded_TB)


def counted_padding(
    coverage_RTB: np.ndarray, batch: Batch, masked: bool, outputs_RTBO: np.ndarray | None = None
) -> np.ndarray:
    """The share [R] of the steps that change the objective although they do not count, or are padding.

    Args: coverage: the gradient of the objective by the outputs. masked: the loss mask was given with the batch.
        outputs: of a network that keeps its output at padding, one step of which may stand for the last one.
    """
    known_R = np.isfinite(coverage_RTB).all(axis=(1, 2))
    changes_RTB = coverage_RTB > 1e-6 * coverage_RTB.max(axis=(1, 2), keepdims=True)
    excluded_TB = ~boolean_mask(batch) if masked else padded_steps(batch)
    if batch.segments_TB is not None:
        excluded_TB = np.asarray(batch.segments_TB) == 0
        if outputs_RTBO is not None and (changes_RTB.sum(axis=1) <= 1).all():
            excluded_TB = excluded_TB & ~kept_outputs(outputs_RTBO, np.asarray(batch.segments_TB))
        excluded_TB = excluded_TB | (~boolean_mask(batch) & (np.asarray(batch.segments_TB) > 0) if masked else False)
    share_R = (changes_RTB & excluded_TB).sum(axis=(1, 2)) / np.maximum(changes_RTB.sum(axis=(1, 2)), 1)
    return np.where(known_R, share_R, np.nan)


def divided_by_padding(values: dict[str, Any], batch: Batch) -> np.ndarray:
    """The share of padding among all steps [R] where the objective is the sum of the losses over their number; else 0.

    Its size then depends on how much padding a batch has; with one target of each sequence it does not.
    """
    losses_RTB = jax.vmap(partial(batch_step_losses, batch))(jnp.asarray(values["outputs"]))
    counted_TB = boolean_mask(batch)
    share = float(counted_TB.mean())
    means_R = np.mean(np.asarray(losses_RTB) * counted_TB, axis=(1, 2))
    near_R = np.abs(values["objective"] - means_R) <= 1e-4 * np.abs(means_R)
    every_step = counted_TB.sum() > np.asarray(batch.segments_TB > 0).any(axis=0).sum()
    return np.where(near_R & every_step & (share < 1) & (means_R > 0), 1 - share, 0.0)


def kept_outputs(outputs_RTBO: np.ndarray, segments_TB: np.ndarray) -> np.ndarray:
    """True [T, B] at steps of padding after a sequence whose outputs are those of its last step."""
    last_TB = np.maximum.accumulate(np.where(segments_TB > 0, np.arange(len(segments_TB))[:, None], -1), axis=0)
    before = outputs_RTBO[:, np.maximum(last_TB, 0), np.arange(segments_TB.shape[1])[None]]
    near = np.abs(outputs_RTBO - before) <= 1e-5 * (np.abs(before).max() + 1e-30)
    return np.asarray(near.all(axis=(0, 3)) & (segments_TB == 0) & (last_TB >= 0))


def uncounted_targets(coverage_RTB: np.ndarray, batch: Batch) -> np.ndarray:
    """The share [R] of the steps that count which change nothing in the objective."""
    changes_RTB = coverage_RTB > 1e-6 * coverage_RTB.max(axis=(1, 2), keepdims=True)
    return np.asarray((~changes_RTB & boolean_mask(batch)).sum(axis=(1, 2)) / boolean_mask(batch).sum())

"""The sequences of an examination: those of a task, or of a user's batches."""

from typing import Any, NamedTuple

import numpy as np

from rnnjax.doctor.batch import Batch, boolean_mask, is_ids
from rnnjax.doctor.segments import sequence_orders
from rnnjax.types import SequenceParts, SequenceSet


class SequenceData(NamedTuple):
    """Sequences to train on and held-out ones."""

    train: SequenceSet
    held_out: SequenceSet | None
    predict: str  # as `TaskSpec.predict`; "tags" for values of each step too
    empty: tuple[str, ...] = ()  # where sequences without a step stand


def from_parts(parts: SequenceParts) -> SequenceData:
    """The sequences of a task."""
    return SequenceData(parts.train, parts.validation, parts.predict)


def from_batches(batch: Batch, held_out: Batch | None, empty_B: np.ndarray) -> SequenceData | None:
    """The sequences of batches with segments; None without. Args: empty_B: streams without a step whose loss counts."""
    if batch.segments_TB is None:
        return None
    known = held_out is not None and held_out.segments_TB is not None
    empty = tuple(f"stream {b}" for b in np.flatnonzero(empty_B))
    sets = batch_sequences(batch), batch_sequences(held_out) if held_out is not None and known else None
    return SequenceData(*sets, predicted_kind(batch), empty)


def batch_sequences(batch: Batch) -> SequenceSet:
    """The sequences of a batch, row by row."""
    steps, rows, offsets_N = step_places(batch.segments_TB)
    leaves = (np.asarray(leaf)[steps, rows] for leaf in (batch.inputs, batch.targets, boolean_mask(batch)))
    inputs_R, targets_R, mask_R = leaves
    return SequenceSet(inputs_R, targets_R, mask_R.astype(np.float32), offsets_N)


def step_places(segments_TB: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The steps and rows of a batch, sequence by sequence, and where each sequence begins among them [N + 1]."""
    orders_BT = sequence_orders(segments_TB).T
    rows, steps = np.nonzero(orders_BT)
    numbers_R = rows * (int(orders_BT.max(initial=0)) + 1) + orders_BT[rows, steps]
    offsets_N = np.concatenate([[0], np.flatnonzero(np.diff(numbers_R)) + 1, [len(numbers_R)]]).astype(np.int64)
    return steps, rows, offsets_N


def predicted_kind(batch: Batch) -> str:
    """The kind of targets: "next" input, one "label" or "values" for each sequence, or "tags", one for each step."""
    if batch.predicts_next_input:
        return "next"
    sequences = batch_sequences(batch)
    counts_N = np.add.reduceat(sequences.loss_mask_R > 0, sequences.offsets_N[:-1])
    if counts_N.max(initial=0) > 1 and not same_targets(sequences):
        return "tags"
    return "label" if is_ids(np.asarray(batch.targets)) else "values"


def same_targets(sequences: SequenceSet) -> bool:
    """Whether all targets of a sequence that count are equal, as where its label stands at every step."""
    counted = sequences.loss_mask_R > 0
    number_R = np.repeat(np.arange(sequences.size), sequences.lengths)[counted]
    targets = sequences.targets_R[counted].reshape(len(number_R), -1)
    together = number_R[1:] == number_R[:-1]
    return bool(np.all(targets[1:][together] == targets[:-1][together]))


def target_rows(sequences: SequenceSet) -> np.ndarray:
    """The row of the last target that counts of each sequence [N]; its last row where none counts."""
    places_R = np.where(sequences.loss_mask_R > 0, np.arange(len(sequences.loss_mask_R)), -1)
    last_N = np.maximum.reduceat(places_R, sequences.offsets_N[:-1])
    return np.where(last_N >= 0, last_N, sequences.offsets_N[1:] - 1)


def one_target(sequences: SequenceSet) -> np.ndarray:
    """The last target that counts of each sequence [N, ...]."""
    found: np.ndarray = sequences.targets_R[target_rows(sequences)]
    return found


def select(sequences: SequenceSet, numbers: Any) -> SequenceSet:
    """The sequences with these numbers, in their order."""
    spans = [slice(sequences.offsets_N[n], sequences.offsets_N[n + 1]) for n in numbers]
    leaves = (
        np.concatenate([leaf[span] for span in spans])
        for leaf in (sequences.inputs_R, sequences.targets_R, sequences.loss_mask_R)
    )
    inputs_R, targets_R, mask_R = leaves
    offsets_N = np.concatenate([[0], np.cumsum(sequences.lengths[list(numbers)])]).astype(np.int64)
    names = tuple(sequences.names[n] for n in numbers) if sequences.names else ()
    return SequenceSet(inputs_R, targets_R, mask_R, offsets_N, names)


def evenly(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers 0 ... count - 1, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def spread_out(sequences: SequenceSet, most: int) -> SequenceSet:
    """At most `most` of the sequences, evenly spaced."""
    return sequences if sequences.size <= most else select(sequences, evenly(sequences.size, most).tolist())

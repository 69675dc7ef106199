"""Examination inputs of networks that rnnjax has trained on a set of sequences."""

from collections.abc import Sequence

import numpy as np

from rnnjax.doctor.adapters import make_adapter
from rnnjax.doctor.batch import MIN_STEPS, Batch, batch_chance_loss
from rnnjax.doctor.indicators.levels import Levels, shift_of_values
from rnnjax.doctor.indicators.predictability import measure_predictability
from rnnjax.doctor.inputs import ExaminationInput, spec_objective
from rnnjax.doctor.sequences.data import evenly, from_parts
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.sequences.layout import lay_out, packed_rows
from rnnjax.types import Params, SequenceSet, Task

SEQUENCES, HELD_OUT = 64, 256  # of an examination
PACKED_ROWS = 8
MOST_NUMBERS = 2**21  # of the outputs for held-out sequences, about


def build_sequence_input(
    spec: Spec, hp: HParams, task: Task, params: Params, before: Params | None = None
) -> ExaminationInput:
    """R networks of one arm, with padded sequences of both parts, and packed rows where they are trained on some.

    Args: params: [R, ...]. before: the initial parameters.
    """
    assert task.sequences is not None
    parts, scale = task.sequences, task.target_scale_O
    longest = parts.lengths[-1]
    most = max(2, min(HELD_OUT, MOST_NUMBERS // (longest * max(task.outputs, 1))))
    batch = padded_batch(parts.train, evenly(parts.train.size, SEQUENCES), scale)
    held_out = padded_batch(parts.validation, evenly(parts.validation.size, most), scale)
    return ExaminationInput(
        make_adapter(spec, hp, sequences=True),
        params,
        batch,
        objective=spec_objective(spec),
        held_out=held_out,
        before=before,
        record_is_mean=True,
        levels=sequence_levels(task, held_out),
        shift=shift_of_values(*(one.targets_R[one.loss_mask_R > 0] for one in (parts.train, parts.validation))),
        notices=tuple(str(notice) for notice in task.notices if notice.kind == "code"),
        names=task.vocabulary if parts.predict == "next" and task.vocabulary else parts.classes or parts.columns,
        sequences=from_parts(parts),
        packed=packed_batch(parts.train, longest) if parts.packed else None,
        target_mean_O=np.asarray(task.target_mean_O) if task.target_mean_O else None,
    )


def padded_batch(sequences: SequenceSet, numbers: np.ndarray, target_scale_O: Sequence[float]) -> Batch:
    """Some sequences as the streams of one batch, filled up to the longest of them."""
    longest = max(MIN_STEPS, int(sequences.lengths[numbers].max()))
    return batch_of_rows(sequences, [[int(n)] for n in numbers], longest, target_scale_O)


def packed_batch(sequences: SequenceSet, longest: int) -> Batch | None:
    """Some of the rows that training reads, the ones with most sequences; None if all rows have one."""
    rows = sorted(packed_rows(sequences.lengths, longest), key=len, reverse=True)[:PACKED_ROWS]
    return batch_of_rows(sequences, rows, max(longest, MIN_STEPS), ()) if rows and len(rows[0]) > 1 else None


def batch_of_rows(
    sequences: SequenceSet, rows: Sequence[Sequence[int]], length: int, target_scale_O: Sequence[float]
) -> Batch:
    """Rows of some sequences after each other as a batch, with their segments."""
    laid = lay_out(sequences, rows, length, flags=True)
    assert laid.starts_MT is not None
    segments_MT = np.cumsum(laid.starts_MT, axis=1) * laid.valid_MT
    leaves = laid.inputs_MT, laid.targets_MT, laid.loss_mask_MT, segments_MT.astype(np.int32)
    inputs, targets, mask_TB, segments_TB = (np.swapaxes(leaf, 0, 1) for leaf in leaves)
    scale = np.asarray(target_scale_O, np.float32) if target_scale_O else None
    return Batch(inputs, targets, mask_TB, scale, segments_TB=segments_TB)


def sequence_levels(task: Task, held_out: Batch) -> Levels:
    """The losses of simple predictors on the held-out part; of steps, those of n-grams and of a regression too."""
    assert task.sequences is not None
    losses = dict(task.reference_losses)
    found = measure_predictability(held_out, batch_chance_loss(held_out)) if has_steps(task) else None
    return Levels((found.levels if found is not None else {}) | losses, held_out=True)


def has_steps(task: Task) -> bool:
    """Whether each step has a target."""
    return task.sequences is not None and task.sequences.predict in ("tags", "next")

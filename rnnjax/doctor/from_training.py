"""Examination inputs of networks trained by rnnjax: windows of their training, initial states and loss floor."""

from typing import Any

import jax
import numpy as np

from rnnjax.doctor.adapters import from_spec
from rnnjax.doctor.batch import Batch
from rnnjax.doctor.from_sequences import build_sequence_input
from rnnjax.doctor.indicators.levels import Levels, shift_of_values
from rnnjax.doctor.indicators.types import Floor
from rnnjax.doctor.inputs import ExaminationInput, spec_objective
from rnnjax.doctor.training_curves import TrainingCurves
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.entropy import carried_floor, window_floor
from rnnjax.tasks.ngrams import LONGEST_NGRAM, ngram_losses
from rnnjax.tasks.recall import copy_floor
from rnnjax.tasks.text import document_id
from rnnjax.tasks.windows import task_windows
from rnnjax.types import Params, Task, WindowData

STREAMS = 64  # windows of an examination


def build_input(spec: Spec, hp: HParams, task: Task, params: Params, before: Params | None = None) -> ExaminationInput:
    """R networks of one arm, with windows of their training and held-out data.

    Args: params: [R, ...]. before: the initial parameters.
    """
    if task.sequences is not None:
        return build_sequence_input(spec, hp, task, params, before)
    data = task_windows(task, task.train_N, spec.batch, spec.window)
    continued = spec.carry == "carried" and task.make_sequence(task.train_N).example_length == 1
    batch, warm_up_inputs = select_streams(data, continued)
    held_out, held_out_warm_up_inputs = select_streams(task_windows(task, task.validation_N, 1, spec.window), continued)
    return ExaminationInput(
        from_spec(spec, hp, document=document_id(spec.task, task.vocabulary) if task.vocabulary else None),
        params,
        batch,
        objective=spec_objective(spec),
        held_out=held_out,
        floor=loss_floor(spec, task, data),
        before=before,
        warm_up_inputs=warm_up_inputs,
        held_out_warm_up_inputs=held_out_warm_up_inputs,
        record_is_mean=True,
        levels=task_levels(task),
        shift=shift_of_values(*(task.make_sequence(part).targets_N for part in (task.train_N, task.validation_N))),
        notices=tuple(str(notice) for notice in task.notices if notice.kind == "code") if spec.task.path else None,
        names=task.vocabulary or task.columns,
        target_mean_O=np.asarray(task.target_mean_O) if task.target_mean_O else None,
    )


def task_levels(task: Task) -> Levels:
    """The losses of simple predictors on the held-out data."""
    if task.loss == "squared_error":
        return Levels(dict(task.reference_losses), held_out=True)
    train_N, held_out_N = (task.make_sequence(part).targets_N for part in (task.train_N, task.validation_N))
    longest = min(LONGEST_NGRAM, len(train_N), len(held_out_N))
    losses = task.ngram_losses or ngram_losses(train_N, held_out_N, task.outputs, longest).tolist()
    names = ("unigram", "bigram", "trigram", "4-gram", "5-gram", "6-gram")
    known = {name: value for name, value in task.reference_losses.items() if name in ("chance", "floor")}
    return Levels(known | dict(zip(names, losses, strict=False)), held_out=True)


def select_streams(data: WindowData, continued: bool) -> tuple[Batch, Any]:
    """At most 64 evenly spaced windows as the streams of one batch, and the inputs of the window before each.

    Args: continued: whether a window continues the previous one; the first window of a text is then omitted.
    """
    windows, _, streams = data.inputs_WTB.shape[:3]
    first = 1 if continued and windows > 1 else 0
    indices = np.arange(first * streams, windows * streams)
    indices = indices[np.unique(np.linspace(0, len(indices) - 1, min(STREAMS, len(indices))).astype(int))]

    def take(leaf: np.ndarray, back: int = 0) -> np.ndarray:
        return np.moveaxis(np.asarray(leaf)[indices // streams - back, :, indices % streams], 0, 1)

    loss_mask_TB = None if data.loss_mask_WTB is None else take(data.loss_mask_WTB)
    batch = Batch(take(data.inputs_WTB), take(data.targets_WTB), loss_mask_TB, data.target_scale_O)
    return batch, take(data.inputs_WTB, back=1) if first else None


def loss_floor(spec: Spec, task: Task, data: WindowData) -> Floor | None:
    """The loss floor of a network; None if it is unknown.

    For a user's text, the floor of its training windows; for other tasks, that of the held-out data.
    """
    if task.columns or task.loss == "squared_error":
        return Floor(task.reference_losses["floor"], held_out=True) if "floor" in task.reference_losses else None
    if spec.task.name == "recall" and spec.task.recall == "copy":
        reset = spec.carry == "reset"
        return Floor(copy_floor(spec.task.copy_delay, spec.window, spec.task.symbols) if reset else 0.0, held_out=True)
    if "floor" in task.reference_losses:
        return Floor(task.reference_losses["floor"], held_out=True)
    return Floor(carried_floor(data) if spec.carry == "carried" else window_floor(data))


def build_curves(
    spec: Spec, hp: HParams, rows: dict[str, Any], steps_S: np.ndarray, diverged_at: Any
) -> TrainingCurves:
    """The curves [R, S] that training has recorded."""
    rows = jax.tree.map(np.asarray, rows)
    return TrainingCurves(
        rows["loss"],
        rows["gradient_norm"],
        rows["clip_share"],
        rows["update_norm"],
        steps_S,
        float(hp.clip_norm),
        (np.asarray(diverged_at) >= 0).astype(float),
    )

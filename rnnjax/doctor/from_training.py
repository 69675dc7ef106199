"""Networks that rnnjax trained, with the windows, the start states and the floor that their training had."""

from typing import Any

import jax
import numpy as np
from jax import Array

from rnnjax.doctor.adapters import subject_of
from rnnjax.doctor.batch import Batch
from rnnjax.doctor.indicators import Floor
from rnnjax.doctor.inputs import Patient, of_spec
from rnnjax.doctor.training_curves import Record
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.entropy import carried_floor, window_floor
from rnnjax.tasks.recall import copy_floor
from rnnjax.tasks.windows import task_windows
from rnnjax.types import Params, Task, WindowData

STREAMS = 64  # windows that a network is examined on


def patient_of(spec: Spec, hp: HParams, task: Task, params: Params, before: Params | None = None) -> Patient:
    """R networks of one arm, on windows of their training and of what was held out.

    Args: params: [R, ...]. before: those they started with.
    """
    data = task_windows(task, task.train_N, spec.batch, spec.window)
    warms = spec.carry == "carried" and task.make_sequence(task.train_N).example_length == 1
    batch, warm = chosen(data, warms)
    held_out, held_out_warm = chosen(task_windows(task, task.validation_N, 1, spec.window), warms)
    return Patient(
        subject_of(spec, hp),
        params,
        batch,
        objective=of_spec(spec),
        held_out=held_out,
        floor=floor_of(spec, task, data),
        before=before,
        warm=warm,
        held_out_warm=held_out_warm,
    )


def chosen(data: WindowData, warms: bool) -> tuple[Batch, Any]:
    """At most 64 windows of all, evenly spread, as the streams of one batch; and the inputs of the window before each.

    Args: warms: whether a window goes on from the one before; the first of a text, which has none, is then left out.
    """
    windows, _, streams = data.inputs_WTB.shape[:3]
    first = 1 if warms and windows > 1 else 0
    places = np.arange(first * streams, windows * streams)
    places = places[np.unique(np.linspace(0, len(places) - 1, min(STREAMS, len(places))).astype(int))]

    def taken(leaf: np.ndarray, back: int = 0) -> np.ndarray:
        return np.moveaxis(np.asarray(leaf)[places // streams - back, :, places % streams], 0, 1)

    counted = None if data.loss_mask_WTB is None else taken(data.loss_mask_WTB)
    batch = Batch(taken(data.inputs_WTB), taken(data.targets_WTB), counted, data.target_scale_O)
    return batch, taken(data.inputs_WTB, back=1) if first else None


def floor_of(spec: Spec, task: Task, data: WindowData) -> Floor | None:
    """The floor that holds for such a network; None where it is not known.

    Of a user's text that of its training windows, on these; of all else the task's own, on what was held out.
    """
    if task.columns or task.loss == "squared_error":
        return Floor(task.reference_losses["floor"], held_out=True) if "floor" in task.reference_losses else None
    if spec.task.name == "recall":
        reset = spec.carry == "reset"
        return Floor(copy_floor(spec.task.copy_delay, spec.window, spec.task.symbols) if reset else 0.0, held_out=True)
    if "floor" in task.reference_losses:
        return Floor(task.reference_losses["floor"], held_out=True)
    return Floor(carried_floor(data) if spec.carry == "carried" else window_floor(data))


def record_of(spec: Spec, hp: HParams, rows: dict[str, Any], steps_S: np.ndarray, diverged_at: Array) -> Record:
    """The record [R, S] that training has kept."""
    rows = jax.tree.map(np.asarray, rows)
    return Record(
        rows["loss"],
        rows["gradient_norm"],
        rows["clip_share"],
        rows["update_norm"],
        steps_S,
        float(hp.clip_norm),
        (np.asarray(diverged_at) >= 0).astype(float),
    )

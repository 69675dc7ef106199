"""Predictions of the held-out sequences by every trained network: metrics/predictions.npz."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.analysis.predictions import Predictions
from rnnjax.config.schema import Study
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.storage.run_folder import RunFolder
from rnnjax.studies.forecasting import array_settings
from rnnjax.studies.load_networks import LoadedNetwork, load_networks
from rnnjax.studies.load_predictions import FIELDS, PREDICTIONS
from rnnjax.tasks.sequences.layout import held_out_sequences_window
from rnnjax.tasks.sequences.levels import class_counts, next_row_levels
from rnnjax.types import Params, SequenceSet, Task, WindowData

MOST_NUMBERS = 20_000_000  # outputs of one arm that are kept


def write_predictions(run: RunFolder, study: Study, tasks: dict[TaskSpec, Task]) -> None:
    """Predict the held-out sequences with the networks of every arm that reads some. Raises StorageFailed."""
    arrays: dict[str, np.ndarray] = {}
    for number, arm in enumerate(study.arms):
        task = tasks[arm.spec.task]
        if task.sequences is not None:
            found = arm_predictions(load_networks(run.path, arm.name), task)
            arrays |= {f"{number}/{name}": np.asarray(getattr(found, name)) for name in FIELDS}
            arrays |= {f"{number}/levels/{name}": values for name, values in found.levels.items()}
            arrays[f"{number}/predict"] = np.array(found.predict)
    if arrays:
        run.write_npz(PREDICTIONS, arrays)


def arm_predictions(networks: Sequence[LoadedNetwork], task: Task) -> Predictions:
    """The predictions of the held-out sequences of a task by the networks of one arm."""
    assert task.sequences is not None
    parts, held_out = task.sequences, task.sequences.validation
    window = held_out_sequences_window(parts, task.outputs, ())
    counted = held_out.loss_mask_R > 0
    most = max(1, MOST_NUMBERS // (len(networks) * task.outputs))
    outputs = np.stack([predict_sequences(network, window, held_out.lengths)[counted][:most] for network in networks])
    sequence_R = np.repeat(np.arange(held_out.size), held_out.lengths)[counted][:most]
    truth = held_out.targets_R[counted][:most]
    known = Predictions(parts.predict, held_out.names, held_out.lengths, sequence_R, truth, outputs)
    if task.loss == "cross_entropy":
        counts_C = class_counts(parts.train, task.outputs) + 1
        return known._replace(
            classes=parts.classes or tuple(map(str, range(task.outputs))), prior_C=counts_C / counts_C.sum()
        )
    return with_values(known, task, counted, most)


def with_values(known: Predictions, task: Task, counted: np.ndarray, most: int) -> Predictions:
    """Predicted values in their own units, beside the mean of the training part, and simple forecasts of a next row."""
    assert task.sequences is not None
    train, held_out = (in_own_units(task, part) for part in (task.sequences.train, task.sequences.validation))
    mean_O, scale_O = np.array(task.target_mean_O), np.array(task.target_scale_O)
    truth_RO = held_out.targets_R[counted][:most]
    mean = train.targets_R[train.loss_mask_R > 0].mean(axis=0)
    levels, steps_O = {"mean": np.broadcast_to(mean, truth_RO.shape)}, np.zeros(0)
    if known.predict == "next":
        levels |= {
            name: predicted_RO[counted][:most] for name, predicted_RO in next_row_levels(train, held_out).items()
        }
        steps_O = np.abs(train.targets_R - train.inputs_R).mean(axis=0)
    outputs = known.outputs_nRO * scale_O + mean_O
    more: dict[str, Any] = {"truth_R": truth_RO, "outputs_nRO": outputs, "levels": levels, "scale_O": steps_O}
    return known._replace(columns=task.sequences.columns, **more)


def in_own_units(task: Task, part: SequenceSet) -> SequenceSet:
    """The sequences before any scale."""
    assert task.sequences is not None
    inputs_RD = part.inputs_R * np.array(task.sequences.input_scale_D) + np.array(task.sequences.input_mean_D)
    targets_RO = part.targets_R * np.array(task.target_scale_O) + np.array(task.target_mean_O)
    return part._replace(inputs_R=inputs_RD, targets_R=targets_RO)


@lru_cache(maxsize=32)
def compile_apply(program: Spec) -> Any:
    """The outputs [T, B, O] of a window, compiled once for all networks of a program."""

    def apply(hp: HParams, params: Params, inputs: Array, valid_TB: Array) -> Array:
        model = build_network(program, hp)
        carry = model.carry(params, key_for(hp, "evaluation"), inputs.shape[1])
        return model.apply(params, carry, inputs, valid_TB)[1]

    return jax.jit(apply)


def predict_sequences(network: LoadedNetwork, window: WindowData, lengths_N: np.ndarray) -> np.ndarray:
    """The outputs of a network at the steps of all sequences, one after the other [R, O].

    Args: window: all sequences as rows of W windows. lengths_N: their steps.
    """
    apply, hp = compile_apply(network.spec.program), array_settings(network.hp)
    assert window.valid_WTB is not None
    rows: list[np.ndarray] = []
    for inputs, valid_TB in zip(window.inputs_WTB, window.valid_WTB, strict=True):
        outputs_TBO = np.asarray(apply(hp, network.params, jnp.asarray(inputs), jnp.asarray(valid_TB)))
        rows += list(outputs_TBO.swapaxes(0, 1))
    return np.concatenate([row[:length] for row, length in zip(rows, lengths_N, strict=False)])

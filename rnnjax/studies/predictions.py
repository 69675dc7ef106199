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
from rnnjax.tasks.sequences.own_scale import moments_of_rows
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
    """Predicted values in their own units, beside the mean of the training part, and simple forecasts of a next row.

    Where each sequence has a scale of its own, the simple predictors are fitted in these scales, as the network is.
    """
    assert task.sequences is not None
    both = task.sequences.train, task.sequences.validation
    train, held_out = (in_own_units(task, part) for part in both)
    truth_RO = held_out.targets_R[counted][:most]
    steps_O = np.abs(train.targets_R - train.inputs_R).mean(axis=0) if known.predict == "next" else np.zeros(0)
    alone = both[1].scale_ND is not None and known.predict == "next"
    fitted, scored = both if alone else (train, held_out)
    mean = fitted.targets_R[fitted.loss_mask_R > 0].mean(axis=0)
    levels = {"mean": np.broadcast_to(mean, truth_RO.shape)}
    if known.predict == "next":
        levels |= {name: predicted_RO[counted][:most] for name, predicted_RO in next_row_levels(fitted, scored).items()}
    mean_RO, scale_RO = (moments[counted][:most] for moments in target_moments(task, both[1]))
    if alone:
        levels = {name: level_RO * scale_RO + mean_RO for name, level_RO in levels.items()}
    outputs = known.outputs_nRO * scale_RO + mean_RO
    more: dict[str, Any] = {"truth_R": truth_RO, "outputs_nRO": outputs, "levels": levels, "scale_O": steps_O}
    return known._replace(columns=task.sequences.columns, **more)


def in_own_units(task: Task, part: SequenceSet) -> SequenceSet:
    """The sequences before any scale."""
    assert task.sequences is not None
    inputs_RD = part.inputs_R * np.array(task.sequences.input_scale_D) + np.array(task.sequences.input_mean_D)
    mean_RO, scale_RO = target_moments(task, part)
    targets_RO = part.targets_R * scale_RO + mean_RO
    if part.scale_ND is not None:
        mean_RD, scale_RD = moments_of_rows(part)
        inputs_RD = part.inputs_R * scale_RD + mean_RD
    return part._replace(inputs_R=inputs_RD, targets_R=targets_RO)


def target_moments(task: Task, part: SequenceSet) -> tuple[np.ndarray, np.ndarray]:
    """What was subtracted from the targets of each row, and what they were then divided by [R, O]."""
    assert task.sequences is not None
    if part.scale_ND is not None and task.sequences.predict == "next":
        return moments_of_rows(part)
    shape = len(part.targets_R), task.outputs
    mean_RO, scale_RO = (np.broadcast_to(one, shape) for one in (task.target_mean_O, task.target_scale_O))
    return mean_RO, scale_RO


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

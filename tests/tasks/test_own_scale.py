"""Sequences with a scale of their own, against loops; what lies behind the known rows changes no scale."""

import numpy as np
import pytest

from rnnjax.analysis.predictions import Predictions
from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.studies.predictions import in_own_units, with_values
from rnnjax.tasks.sequences.arrays import raw_from_lists
from rnnjax.tasks.sequences.own_scale import moments_of_rows
from rnnjax.tasks.sequences.task import sequences_task
from rnnjax.tasks.series import series_task
from rnnjax.types import SequenceSet, Task

KNOWN = 5
SETTINGS = {"name": "sequences", "path": "x.npz", "standardise": "each", "validation": 0.25, "known_steps": KNOWN}


def series(count: int = 8) -> list[np.ndarray]:
    """Waves of very different levels and sizes."""
    rng = np.random.default_rng(0)
    return [
        10.0 ** (n % 4) * (n + np.sin(np.arange(12 + n)[:, None] + rng.uniform(0, 6, 2))) for n in range(1, count + 1)
    ]


def task_of(x: list[np.ndarray], y: list[str] | None = None, **fields: object) -> Task:
    return sequences_task(TaskSpec(**{**SETTINGS, "predict": "next", **fields}), raw_from_lists(x, y))  # type: ignore[arg-type]


def parts(task: Task) -> list[SequenceSet]:
    assert task.sequences is not None
    return [task.sequences.train, task.sequences.validation]


def test_next_rows_are_scaled_by_what_is_known_before_them() -> None:
    x = series()
    for part in parts(task_of(x)):
        for n, name in enumerate(part.names):
            rows_TD = x[int(name.split()[1]) - 1]
            mean_D, scale_D = rows_TD[:KNOWN].mean(axis=0), rows_TD[:KNOWN].std(axis=0)
            own = slice(part.offsets_N[n], part.offsets_N[n + 1])
            np.testing.assert_allclose(part.inputs_R[own], (rows_TD[:-1] - mean_D) / scale_D, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(part.targets_R[own], (rows_TD[1:] - mean_D) / scale_D, rtol=1e-5, atol=1e-5)
            assert part.loss_mask_R[own].tolist() == [0.0] * (KNOWN - 1) + [1.0] * (len(rows_TD) - KNOWN)


def test_rows_behind_the_known_ones_change_no_earlier_number() -> None:
    x = series()
    changed = [np.concatenate([rows[: KNOWN + 2], 1e3 + rows[KNOWN + 2 :]]) for rows in x]
    for one, other in zip(parts(task_of(x)), parts(task_of(changed)), strict=True):
        for n in range(one.size):
            first = slice(one.offsets_N[n], one.offsets_N[n] + KNOWN + 2)
            assert np.array_equal(one.inputs_R[first], other.inputs_R[first])
        assert np.array_equal(one.mean_ND, other.mean_ND) and np.array_equal(one.scale_ND, other.scale_ND)  # type: ignore[arg-type]


def test_predictions_come_back_in_the_unit_of_each_sequence() -> None:
    """Predictions that are right in the own scale are right in the data's; the level of the row before is known."""
    x = series()
    task = task_of(x)
    train, held_out = parts(task)
    back = in_own_units(task, held_out)
    whole = np.concatenate([x[int(name.split()[1]) - 1][:-1] for name in held_out.names])
    np.testing.assert_allclose(back.inputs_R, whole, rtol=1e-5)
    counted = held_out.loss_mask_R > 0
    right = held_out.targets_R[counted][None]
    known = Predictions("next", held_out.names, held_out.lengths, np.zeros(0), np.zeros(0), right)
    found = with_values(known, task, counted, 10**6)
    np.testing.assert_allclose(found.outputs_nRO[0], found.truth_R, rtol=1e-6)
    np.testing.assert_allclose(found.levels["last"], whole[counted], rtol=1e-5)
    mean_R, scale_R = (moments[counted] for moments in moments_of_rows(held_out))
    level = train.targets_R[train.loss_mask_R > 0].mean(axis=0)
    np.testing.assert_allclose(found.levels["mean"], level * scale_R + mean_R, rtol=1e-5)
    losses = task.reference_losses
    assert losses["persistence"] == pytest.approx(np.mean((held_out.targets_R - held_out.inputs_R)[counted] ** 2))


def test_labelled_sequences_are_scaled_by_all_of_their_rows() -> None:
    x, labels = series(), ["a", "b"] * 4
    x[0][:, 1] = 7.0  # does not vary: the deviation of the training part stands in
    for part in parts(task_of(x, labels, predict="label")):
        for n in range(part.size):
            rows = part.inputs_R[part.offsets_N[n] : part.offsets_N[n + 1]]
            np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)
            assert np.isclose(rows.std(axis=0), 1, atol=1e-4)[0] and np.isfinite(rows).all()


def test_what_has_no_known_part_is_refused() -> None:
    short = [*series(), np.ones((KNOWN, 2))]
    with pytest.raises(
        BadInput, match=r"^task.path: sequence 9: got 5 steps; expected at least 6, as task.known_steps"
    ):
        task_of(short)
    with pytest.raises(BadInput, match=r"^task.standardise: got 'each', for sets of sequences"):
        series_task(TaskSpec(name="series", standardise="each"), None)

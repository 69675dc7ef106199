"""Planted jumps, and a loop over rows as the oracle."""

import numpy as np
import pytest

from rnnjax.analysis.loss_spikes import BEFORE, first_jump, jump_rate, jump_recovery, medians_before

STEPS = 25 * np.arange(1, 201)  # 5,000 optimizer steps


def record(*planted: tuple[int, int, float], level: float = 1.2) -> np.ndarray:
    """A flat loss [1, 200] with (first row, rows, height) on top."""
    loss_nS = np.full((1, 200), level)
    for first, rows, height in planted:
        loss_nS[0, first : first + rows] += height
    return loss_nS


@pytest.mark.parametrize(
    ("planted", "count", "first", "recovery"),
    [
        ((), 0, np.nan, np.nan),
        (((100, 1, 1.1),), 1, 2525, 25),
        (((100, 4, 1.1),), 1, 2525, 100),  # successive rows are one jump
        (((100, 2, 1.1), (150, 6, 3.0)), 2, 2525, 100),  # 50 and 150 steps
        (((100, 1, 0.9),), 0, np.nan, np.nan),  # not high enough
        (((39, 1, 5.0),), 0, np.nan, np.nan),  # without 40 rows before it
        (((40, 1, 5.0),), 1, 1025, 25),
        (((190, 10, 2.0),), 1, 4775, 225),  # never back: counted to the end
        (((100, 1, 1.1), (101, 1, 0.5)), 1, 2525, 50),  # lower, but not back
    ],
)
def test_planted_jumps(planted: tuple[tuple[int, int, float], ...], count: int, first: float, recovery: float) -> None:
    loss_nS = record(*planted)
    assert jump_rate(loss_nS, STEPS) == pytest.approx([2 * count]), "per 10,000 steps"
    assert first_jump(loss_nS, STEPS) == pytest.approx([first], nan_ok=True)
    assert jump_recovery(loss_nS, STEPS) == pytest.approx([recovery], nan_ok=True)


def test_a_lasting_rise_is_one_jump() -> None:
    """The median follows it, but the loss is never back where it was."""
    loss_nS = record((100, 100, 2.0))
    assert jump_rate(loss_nS, STEPS) == [2]
    assert jump_recovery(loss_nS, STEPS) == [5000 - 2525]


def test_runs_do_not_touch_each_other_and_a_diverged_one_has_no_rate() -> None:
    diverged = record((60, 1, 2.0))
    diverged[0, 120:] = np.nan
    loss_nS = np.concatenate([record(), diverged, record((100, 1, 1.1), level=7.0)])
    np.testing.assert_array_equal(jump_rate(loss_nS, STEPS), [0, np.nan, 2])
    np.testing.assert_array_equal(first_jump(loss_nS, STEPS), [np.nan, 1525, 2525])


def test_a_record_shorter_than_the_median_has_no_jumps() -> None:
    assert jump_rate(record()[:, :BEFORE], STEPS[:BEFORE]) == [0]


def test_medians_are_a_loop() -> None:
    loss_nS = np.random.default_rng(0).normal(size=(2, 60))
    expected = np.full(loss_nS.shape, np.nan)
    for run in range(2):
        for row in range(BEFORE, 60):
            expected[run, row] = np.median(loss_nS[run, row - BEFORE : row])
    np.testing.assert_allclose(medians_before(loss_nS), expected)

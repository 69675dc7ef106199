"""Jumps of a training loss: how often it rises suddenly, when first, and how long until it has come back."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

JUMP = 1.0  # nats above the median of the rows before
BEFORE = 40  # rows of the record in that median
PER_STEPS = 10_000


def jump_rate(loss_nS: np.ndarray, steps_S: np.ndarray) -> np.ndarray:
    """Jumps per 10,000 optimizer steps of each run [n]; NaN where it diverged.

    A row of the record, the mean loss of some 25 steps, is high where it is more than 1 nat above the median of the 40
    rows before it. A jump is a high row after one that is not: of successive high rows only the first counts. The first
    40 rows have no such median and no jumps.

    Args: loss_nS [n, S], NaN from the divergence of a run on; steps_S [S], the steps done at the end of each row.
    """
    count_n = spike_starts(loss_nS).sum(axis=1)
    return np.where(np.isnan(loss_nS[:, -1]), np.nan, count_n * PER_STEPS / steps_S[-1])


def first_jump(loss_nS: np.ndarray, steps_S: np.ndarray) -> np.ndarray:
    """Optimizer steps until the end of the row of a run's first jump [n]; NaN where it has none."""
    starts_nS = spike_starts(loss_nS)
    return np.where(starts_nS.any(axis=1), steps_S[np.argmax(starts_nS, axis=1)], np.nan)


def jump_recovery(loss_nS: np.ndarray, steps_S: np.ndarray) -> np.ndarray:
    """Optimizer steps from a jump until the loss is back, the mean over the jumps of a run [n]; NaN where it has none.

    Back is at or below the median of the 40 rows before the jump: that of later rows contains the jump itself. A loss
    that never comes back counts as if it did after the last row, so the mean is then too small.
    """
    before_nS = medians_before(loss_nS)
    means_n = np.full(len(loss_nS), np.nan)
    for run, starts_S in enumerate(spike_starts(loss_nS)):
        jumps_J = np.flatnonzero(starts_S)
        if len(jumps_J):
            means_n[run] = np.mean(steps_until_back(loss_nS[run], before_nS[run], steps_S, jumps_J))
    return means_n


def steps_until_back(loss_S: np.ndarray, before_S: np.ndarray, steps_S: np.ndarray, jumps_J: np.ndarray) -> np.ndarray:
    """For each jump the steps [J] from the end of its row to that of the first row that is back."""
    later_JS = np.arange(len(loss_S)) > jumps_J[:, None]
    back_JS = later_JS & (loss_S <= before_S[jumps_J][:, None])
    ends_J = np.where(back_JS.any(axis=1), steps_S[np.argmax(back_JS, axis=1)], steps_S[-1])
    return ends_J - steps_S[jumps_J]


def spike_starts(loss_nS: np.ndarray) -> np.ndarray:
    """True [n, S] at the rows where a jump begins."""
    high_nS = loss_nS > medians_before(loss_nS) + JUMP  # false where a loss or a median is NaN
    return high_nS & ~np.pad(high_nS, ((0, 0), (1, 0)))[:, :-1]


def medians_before(loss_nS: np.ndarray) -> np.ndarray:
    """The median [n, S] of the 40 rows before each row; NaN where there are fewer, or one is NaN."""
    medians_nS = np.full(loss_nS.shape, np.nan)
    if loss_nS.shape[1] > BEFORE:
        medians_nS[:, BEFORE:] = np.median(sliding_window_view(loss_nS, BEFORE, axis=1)[:, :-1], axis=-1)
    return medians_nS

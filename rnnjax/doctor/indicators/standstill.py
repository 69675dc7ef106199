"""Stretches of training in which nothing moves: a rate that has decayed, rounding, an optimizer that is frozen."""

import numpy as np

from rnnjax.doctor.indicators.trends import learned_loss, segment_noise
from rnnjax.doctor.training_curves import MIN_ROWS, RunCurves

PATH_SHARE = 0.99  # of the sum of the update norms: after it, nothing moves
LATE_PATH = 0.8  # of the path: what the loss lost after it would have been lost further on
ALIVE = 0.03  # of the gradient norm before: a smaller gradient has ended by itself
OVERFLOW_NORM = 1e17  # of a gradient whose square no float32 can average
HUGE = 100.0  # times the median gradient before: its square rules the mean for thousands of steps
STOPPED = 0.01  # of the updates before: after such a gradient the optimizer is frozen
NEIGHBOURS = 40  # rows on either side; as many are left out after it, in which the momentum of the gradient ends


def standstill_indicators(run: RunCurves) -> dict[str, float]:
    """standstill: share of training after 99% of the path; still_falling: what the loss lost on the path's last fifth.

    standstill is 0 if the gradient ended too. still_falling is a share of all that was learned, or a quarter of the
    share of the last loss if that is more. Absent without update norms. optimizer_frozen: median update after a
    huge gradient / median update before; absent without one, see `freezing_row`.
    """
    if run.update_norm_S is None or len(run.loss_S) < 2 or not run.update_norm_S.any():
        return {}
    weights_S = np.ones(len(run.loss_S)) if run.steps_S is None else np.diff(run.steps_S, prepend=0)
    path_S = np.cumsum(run.update_norm_S * weights_S)
    path_S = path_S / path_S[-1]
    stop = int(np.searchsorted(path_S, PATH_SHARE))
    late = int(np.searchsorted(path_S, LATE_PATH))
    fall = window_mean(run.loss_S, late) - window_mean(run.loss_S, stop)
    values = {
        "standstill": max(1 - (stop + 1) / rows_to_move(run), 0.0) * is_alive(run, stop),
        "still_falling": fall / min(learned_loss(run.loss_S), 4 * max(abs(window_mean(run.loss_S, stop)), 1e-12)),
    }
    return values | frozen_optimizer(run)


def rows_to_move(run: RunCurves) -> int:
    """The rows in which parameters should have moved: all, or those before an early stop.

    A run that has stopped early stands still at once, and often with other parameters, the best ones, whose loss
    differs. A rate that decays to 0 slows down first; one that is set to 0 leaves the loss where it was.
    """
    if not run.still_rows or run.update_norm_S is None:
        return run.rows
    slowed = np.median(run.update_norm_S[-10:]) < 0.01 * np.median(run.update_norm_S)
    noise = segment_noise(run.loss_S) if len(run.loss_S) >= MIN_ROWS else np.inf
    shifted = abs(run.still_loss - run.loss_S[-10:].mean()) > noise
    return run.rows if slowed or not shifted else run.rows - run.still_rows


def window_mean(loss_S: np.ndarray, at: int) -> float:
    """The mean of the rows about a row, 1% of all on either side."""
    half = len(loss_S) // 100
    return float(loss_S[max(0, at - half) : at + half + 1].mean())


def is_alive(run: RunCurves, stop: int) -> bool:
    """Whether there still is a gradient after a row; true if it is not known."""
    if run.gradient_norm_S is None or stop + 1 >= len(run.loss_S):
        return True
    before, after = run.gradient_norm_S[stop // 2 : stop + 1], run.gradient_norm_S[stop + 1 :]
    return bool(np.median(after) > ALIVE * np.median(before))


def frozen_optimizer(run: RunCurves) -> dict[str, float]:
    """Squares of such a gradient are infinite in the mean that Adam divides by: its weights never move again."""
    if run.gradient_norm_S is None or run.update_norm_S is None:
        return {}
    row = freezing_row(run)
    if row is None or not 5 <= row < run.rows - 5:
        return {}
    before = run.update_norm_S[:row]
    after = np.append(run.update_norm_S[row + 1 :], np.zeros(run.still_rows))
    return {"optimizer_frozen": float(np.median(after) / max(np.median(before), 1e-30))}


def freezing_row(run: RunCurves) -> int | None:
    """The first row with a gradient of 1e17, or with the largest gradient if updates end soon after it; else None."""
    gradient_S, update_S = run.gradient_norm_S, run.update_norm_S
    assert gradient_S is not None and update_S is not None
    overflow = np.flatnonzero(gradient_S >= OVERFLOW_NORM)
    if len(overflow):
        return int(overflow[0])
    row = int(np.argmax(gradient_S))
    before, after = slice(max(0, row - NEIGHBOURS), row), slice(row + NEIGHBOURS, row + 2 * NEIGHBOURS)
    if row < 5 or not len(update_S[after]) or gradient_S[row] < HUGE * np.median(gradient_S[:row]):
        return None
    return row if np.median(update_S[after]) < STOPPED * np.median(update_S[before]) else None

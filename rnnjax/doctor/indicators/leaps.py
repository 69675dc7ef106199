"""Single leaps of a training loss [S]: it rises within a few rows and stays, then is learned again."""

from typing import NamedTuple

import numpy as np

from rnnjax.doctor.indicators.trends import learned_loss, noise_deviation
from rnnjax.doctor.training_curves import RunCurves

MOST_LEAPS = 3  # more are spikes, or a rate that is too high
LEAST_SHARE = 0.2  # of all that was learned
LEAST_NOISE = 8.0  # standard deviations of the rows
SHARP = 0.6  # of a leap: its share within 3 rows
LEARNED_AGAIN = 0.2  # of a leap, until the end
FIRST_SHARE = 0.05  # of training, in which large changes are usual
GRADIENT_SPIKE = 20.0  # times the median of the rows before: the leap follows from one large step


class Leap(NamedTuple):
    """A leap of the loss."""

    row: int  # of the first high row, among the rows that trained
    height: float
    after_spike: bool  # of the gradient norm


def find_leaps(run: RunCurves) -> list[Leap]:
    """At most 3 leaps, the highest first; none if there are more, or if they return with the data."""
    loss_S = run.loss_S
    width = max(3, min(20, len(loss_S) // 50))
    if len(loss_S) < 4 * width:
        return []
    heights = leap_heights(loss_S, width)
    least = max(LEAST_SHARE * learned_loss(loss_S), LEAST_NOISE * noise_deviation(loss_S))
    found: list[Leap] = []
    while len(found) <= MOST_LEAPS and heights.max() > least:
        middle = int(np.argmax(heights))
        height = float(heights[middle])
        heights[max(0, middle - 2 * width) : middle + 2 * width] = -np.inf
        index, rise = steepest_row(loss_S, middle, width)
        if rise > SHARP * height and is_learned_again(loss_S, index, height, width):
            found.append(Leap(index, height, follows_spike(run, index)))
    return found if len(found) <= MOST_LEAPS else []


def leap_heights(loss_S: np.ndarray, width: int) -> np.ndarray:
    """The median of the rows from each one on minus that of the rows before it, `width` of each; -inf at the ends."""
    medians = np.median(np.lib.stride_tricks.sliding_window_view(loss_S, width), axis=1)
    heights = np.full(len(loss_S), -np.inf)
    heights[width : len(loss_S) - width + 1] = medians[width:] - medians[:-width]
    heights[: max(width, int(FIRST_SHARE * len(loss_S)))] = -np.inf
    return heights


def steepest_row(loss_S: np.ndarray, middle: int, width: int) -> tuple[int, float]:
    """The row near a leap at which 3 rows exceed the 3 rows before by most, and by how much.

    Medians of several rows place a leap only to within half of them.
    """
    rows = range(max(3, middle - width // 2 - 1), min(len(loss_S) - 2, middle + width // 2 + 2))
    rises = [loss_S[row : row + 3].mean() - loss_S[row - 3 : row].mean() for row in rows]
    best = int(np.argmax(rises))
    return rows[best], float(rises[best])


def is_learned_again(loss_S: np.ndarray, index: int, height: float, width: int) -> bool:
    """Whether the loss falls again: else it has risen, which is another condition."""
    return bool(np.median(loss_S[index : index + width]) - np.median(loss_S[-width:]) > LEARNED_AGAIN * height)


def follows_spike(run: RunCurves, index: int) -> bool:
    """Whether the gradient norm was far above its median just before the leap."""
    if run.gradient_norm_S is None:
        return False
    before = run.gradient_norm_S[max(0, index - 40) : index - 2]
    around = run.gradient_norm_S[max(0, index - 2) : index + 1]
    return bool(len(before) and around.max() > GRADIENT_SPIKE * np.median(before))

"""Indicators of training curves [R, S] of R runs."""

from functools import partial

import numpy as np

from rnnjax.analysis.loss_spikes import BEFORE, medians_before
from rnnjax.doctor.indicators.types import Curve
from rnnjax.doctor.training_curves import MIN_ROWS, TrainingCurves

SEGMENTS = 10  # of training: the first, the last and the lowest are compared
CURVE_INDICATORS = ("jumps", "rise", "fall_at_end", "clip", "clip_ratio", "path")
JUMP_SIZE = 0.5  # a row of the loss above the median of the previous rows by this share of it is a jump
NOISE_ERRORS = 4.0  # standard errors of a segment's mean; a smaller rise or fall is noise
CURVATURE_MEDIAN = 6**0.5 * 0.6745  # median of |x - 2 y + z| of three normal values, in standard deviations


def curve_indicators(curves: TrainingCurves, weight_norm_R: np.ndarray) -> dict[str, np.ndarray]:
    """Values [R]; NaN if a run has diverged, absent if the curves are too short or a curve is not given.

    jumps        share of rows with a loss above m + |m| / 2, m the median of the 40 previous rows
    rise         (last loss - lowest loss) / (first loss - lowest loss), of tenths of training
    fall_at_end  (loss of the tenth before the last - last loss) / (first loss - lowest loss)
    clip         share of clipped steps in the second half
    clip_ratio   median gradient norm in the second half / threshold
    path         sum of the update norms / norm of the parameters; absent without the steps of the rows

    Of rise and fall_at_end, 4 standard errors of a segment's mean are subtracted as noise.

    Args: weight_norm_R: the norm of the parameters of each run.
    """
    if curves.loss_RS.shape[1] < MIN_ROWS:
        return {}
    return trend_indicators(curves.loss_RS) | clip_indicators(curves) | path_indicator(curves, weight_norm_R)


def trend_indicators(loss_RS: np.ndarray) -> dict[str, np.ndarray]:
    """rise, fall_at_end and jumps of a loss."""
    rows = loss_RS.shape[1]
    tenths_RM = np.stack([part.mean(axis=1) for part in np.array_split(loss_RS, SEGMENTS, axis=1)], axis=1)
    start_RS = loss_RS[:, : max(1, rows // 100)]
    first_R, last_R = start_RS.mean(axis=1), tenths_RM[:, -1]
    noise_R = NOISE_ERRORS * noise_deviation(loss_RS)
    first_noise_R, tenth_noise_R = noise_R / start_RS.shape[1] ** 0.5, noise_R / (rows // SEGMENTS) ** 0.5
    learned_R = np.maximum(first_R - tenths_RM.min(axis=1), 0.05 * np.abs(first_R) + 1e-12)
    lowest_R = np.minimum(first_R + first_noise_R, tenths_RM.min(axis=1) + tenth_noise_R)
    values = {
        "rise": np.maximum(last_R - lowest_R, 0) / learned_R,
        "fall_at_end": np.maximum(tenths_RM[:, -2] - last_R - tenth_noise_R, 0) / learned_R,
    }
    return values | ({"jumps": jump_share(loss_RS, last_R)} if rows > 2 * BEFORE else {})


def jump_share(loss_RS: np.ndarray, last_R: np.ndarray) -> np.ndarray:
    """The share [R] of rows far above the median of the previous ones, of all rows that have such a median."""
    median_RS = medians_before(loss_RS)[:, BEFORE:]
    with np.errstate(invalid="ignore"):
        jumps_RS = loss_RS[:, BEFORE:] > median_RS + JUMP_SIZE * np.abs(median_RS)
    return np.where(np.isfinite(last_R), jumps_RS.mean(axis=1), np.nan)


def noise_deviation(loss_RS: np.ndarray) -> np.ndarray:
    """The standard deviation [R] of rows about their neighbours; 0 for a straight line."""
    with np.errstate(invalid="ignore"):
        return np.median(np.abs(np.diff(loss_RS, n=2, axis=1)), axis=1) / CURVATURE_MEDIAN


def clip_indicators(curves: TrainingCurves) -> dict[str, np.ndarray]:
    """clip and clip_ratio, over the second half of training."""
    if curves.clip_share_RS is None:
        return {}
    late = slice(curves.clip_share_RS.shape[1] // 2, None)
    values = {"clip": curves.clip_share_RS[:, late].mean(axis=1)}
    if curves.gradient_norm_RS is not None and curves.clip_norm and np.isfinite(curves.clip_norm):
        values["clip_ratio"] = np.median(curves.gradient_norm_RS[:, late], axis=1) / curves.clip_norm
    return values


def path_indicator(curves: TrainingCurves, weight_norm_R: np.ndarray) -> dict[str, np.ndarray]:
    """Absent without the steps: a row may be the mean of many steps, and the path is that many times as long."""
    if curves.update_norm_RS is None or curves.steps_S is None:
        return {}
    path_R = curves.update_norm_RS @ np.diff(curves.steps_S, prepend=0)
    return {"path": path_R / np.maximum(weight_norm_R, 1e-12)}


def curves_by_indicator(curves: TrainingCurves) -> dict[str, Curve]:
    """The training curve behind each indicator, for figures."""
    rows = curves.loss_RS.shape[1]
    steps_S = np.arange(1, rows + 1) if curves.steps_S is None else curves.steps_S
    build = partial(Curve, steps_S, over="runs", x_title="optimizer steps")
    loss = build(values_nm=curves.loss_RS, y_title="loss")
    by_name = dict.fromkeys(("rise", "jumps", "fall_at_end", "finite"), loss)
    if curves.update_norm_RS is not None:
        by_name["path"] = build(values_nm=curves.update_norm_RS, y_title="norm of an update")
    if curves.gradient_norm_RS is not None:
        norm = build(values_nm=curves.gradient_norm_RS, y_title="norm of the gradient")
        by_name |= dict.fromkeys(("clip_ratio", "clip"), norm)
    return by_name

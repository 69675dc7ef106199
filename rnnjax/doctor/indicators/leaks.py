"""Whether the inputs contain the targets, in any form: another unit, rounded, with another sign, late, or as codes."""

from typing import NamedTuple

import numpy as np

from rnnjax.doctor.batch import Batch, boolean_mask, is_ids
from rnnjax.doctor.indicators.predictability import explained_share, features

MIN_CHANGES = 10  # of a target column; fewer matches with an input column may be chance
MIN_SAMPLES = 30
LONGEST_DELAY = 8  # steps by which a column may be late
EXACT = 0.999  # share of the variance, from which a relation is one of units
ROUNDED = 0.9  # the same, if the residuals are those of rounding
OWN_PAST = 0.1  # a leak leaves at most this share of what the target's own past leaves


class Leak(NamedTuple):
    """How well the best input column gives a target."""

    share: float  # of the targets; NaN if it cannot be told
    relation: str  # in words, "" without a leak


def find_leak(batch: Batch) -> Leak:
    """The largest leak of the inputs at the same step, or a few steps before."""
    inputs, targets, mask_TB = np.asarray(batch.inputs), np.asarray(batch.targets), boolean_mask(batch)
    same_kind = is_ids(inputs) == is_ids(targets)
    found = [Leak(target_overlap(inputs, targets, mask_TB), "equal at the same step")] if same_kind else []
    if is_ids(targets) and not is_ids(inputs):
        found.append(coded_leak(inputs, targets, mask_TB))
    if not is_ids(targets) and not is_ids(inputs):
        found.append(related_leak(batch, mask_TB))
        found += [coded_leak(inputs, target_TB.astype(int), mask_TB) for target_TB in two_valued(targets)]
    known = [leak for leak in found if not np.isnan(leak.share)]
    return max(known, key=lambda leak: leak.share) if known else Leak(np.nan, "")


def two_valued(targets: np.ndarray) -> list[np.ndarray]:
    """Target columns of two values as classes 0 and 1 [T, B]."""
    columns = np.moveaxis(targets, -1, 0)
    return [column == column.max() for column in columns if len(np.unique(column)) == 2]


def target_overlap(inputs: np.ndarray, targets: np.ndarray, mask_TB: np.ndarray) -> float:
    """The largest share, over pairs of an input and a target column, of steps at which the input equals the target.

    The share is the smaller of two: over all steps that count, and over those at which the target differs from the
    previous step. A column that rarely changes equals its own past at most steps, which is no leakage.

    Args: ids [T, B], or numbers [T, B, D] and [T, B, O]. Returns: NaN if no target column changes at 10 steps.
    """
    if is_ids(inputs):
        inputs, targets = inputs[..., None], targets[..., None]
    largest = np.nan
    changes_TBO = np.diff(targets, axis=0, prepend=targets[:1]) != 0
    for o in range(targets.shape[-1]):
        target_TB1, changed_TB = targets[..., o, None], changes_TBO[..., o] & mask_TB
        if changed_TB.sum() >= MIN_CHANGES:
            equal_TBD = np.abs(inputs - target_TB1) <= 1e-6 * np.abs(target_TB1) + 1e-12
            shares_D = np.minimum(equal_TBD[mask_TB].mean(axis=0), equal_TBD[changed_TB].mean(axis=0))
            largest = np.fmax(largest, shares_D.max())
    return float(largest)


def coded_leak(inputs: np.ndarray, targets_TB: np.ndarray, mask_TB: np.ndarray) -> Leak:
    """Ids whose number stands in an input column up to unit and offset, or each of which has an indicator column.

    Two classes alone would be given by any column of two values that separates them: only 0 and 1 count then.
    """
    ids_N, columns_ND = targets_TB[mask_TB], inputs[mask_TB]
    classes, counts = np.unique(ids_N, return_counts=True)
    if len(ids_N) < MIN_SAMPLES or len(classes) < 2 or len(ids_N) - counts.max() < MIN_CHANGES:
        return Leak(np.nan, "")
    indicators = [np.isclose(columns_ND, (ids_N == each)[:, None]).all(axis=0).any() for each in classes]
    if all(indicators) or (len(classes) == 2 and any(indicators)):
        return Leak(1.0, "as one-hot columns at the same step")
    if len(classes) > 2:
        for column, values_N in enumerate(columns_ND.T):
            slope, offset, explained = fit_line(values_N, ids_N.astype(float))
            if explained > 1 - 1e-6:
                return Leak(1.0, f"input column {column} is {describe(1 / slope, -offset / slope, 'the id')}")
    return Leak(0.0, "")


def related_leak(batch: Batch, mask_TB: np.ndarray) -> Leak:
    """A column that gives a target by a line, at the same step or late.

    A series' own column is no leak of its next value, however slowly it changes; nor is a column that says no more than
    the target's own past does. What is late is a leak only of the next input: else remembering is the task.
    """
    inputs, targets = np.asarray(batch.inputs, float), np.asarray(batch.targets, float)
    own = own_columns(inputs, targets)
    best = Leak(0.0, "")
    for o in range(targets.shape[-1]):
        past_left = 1 - own_past_share(targets[..., o : o + 1], mask_TB)
        for d in range(inputs.shape[-1]):
            delays = range(min(LONGEST_DELAY, len(inputs) // 3) + 1) if o in own else range(1)
            for delay in () if own.get(o) == d else delays:
                leak = line_leak(inputs[..., d], targets[..., o], mask_TB, delay, past_left, (d, o))
                best = max(best, leak, key=lambda each: each.share)
    return best


def own_columns(inputs: np.ndarray, targets: np.ndarray) -> dict[int, int]:
    """The input column of which a target is the next value, by target."""
    return {
        o: d
        for o in range(targets.shape[-1])
        for d in range(inputs.shape[-1])
        if np.allclose(inputs[1:, :, d], targets[:-1, :, o], rtol=1e-5, atol=1e-6)
    }


def own_past_share(target_TB1: np.ndarray, mask_TB: np.ndarray) -> float:
    """The share of a target's variance that its own last values explain."""
    lags = tuple(range(1, min(8, len(mask_TB) // 3) + 1))
    return explained_share(features(target_TB1, squares=False), features(target_TB1, squares=False), mask_TB, lags)


def line_leak(
    input_TB: np.ndarray,
    target_TB: np.ndarray,
    mask_TB: np.ndarray,
    delay: int,
    past_left: float,
    names: tuple[int, int],
) -> Leak:
    """How well a line gives the target from the input `delay` steps before. Args: names: of both columns."""
    counted_TB = mask_TB[delay:]
    x_N, y_N = input_TB[: len(input_TB) - delay][counted_TB], target_TB[delay:][counted_TB]
    if len(x_N) < MIN_SAMPLES or len(np.unique(y_N)) < 3:
        return Leak(0.0, "")
    slope, offset, explained = fit_line(x_N, y_N)
    exact = explained > EXACT or (explained > ROUNDED and is_rounding(x_N, y_N, slope, offset))
    if not exact or 1 - explained > OWN_PAST * max(past_left, 1e-9):
        return Leak(0.0, "")
    late = f", {delay} steps late" if delay else ""
    relation = f"input column {names[0]} is {describe(1 / slope, -offset / slope, f'target {names[1]}')}{late}"
    return Leak(1.0, relation)


def fit_line(x_N: np.ndarray, y_N: np.ndarray) -> tuple[float, float, float]:
    """Slope and offset of y = slope x + offset by least squares, and the share of the variance of y it explains."""
    x, y = x_N - x_N.mean(), y_N - y_N.mean()
    if not np.any(x) or not np.any(y):
        return 1.0, 0.0, 0.0
    slope = float(x @ y / (x @ x))
    residual = y - slope * x
    return slope or 1e-30, float(y_N.mean() - slope * x_N.mean()), float(1 - residual @ residual / (y @ y))


def is_rounding(x_N: np.ndarray, y_N: np.ndarray, slope: float, offset: float) -> bool:
    """Whether one of both is rounded to a grid, and the line's residuals are within half a step of it."""
    residual = np.abs(y_N - slope * x_N - offset).max()
    steps = grid_step(x_N) * abs(slope), grid_step(y_N)
    return any(step > 0 and residual <= 0.75 * step for step in steps)


def grid_step(values_N: np.ndarray) -> float:
    """The step of a grid on which all values lie; 0 if there is none."""
    gaps = np.diff(np.unique(values_N))
    scale = np.abs(values_N).max() * 1e-4
    gaps = gaps[gaps > scale]
    if not len(gaps) or len(gaps) > len(values_N) // 2:
        return 0.0
    step = float(gaps.min())
    return step if np.all(np.abs(gaps / step - np.round(gaps / step)) < 0.02) else 0.0


def describe(slope: float, offset: float, name: str) -> str:
    """A line in words."""
    factor = "" if abs(slope - 1) < 1e-3 else "-" if abs(slope + 1) < 1e-3 else f"{slope:.3g} x "
    shift = "" if abs(offset) < 1e-3 * max(abs(slope), 1e-30) else f" {'-' if offset < 0 else '+'} {abs(offset):.3g}"
    return f"{factor}{name}{shift}"

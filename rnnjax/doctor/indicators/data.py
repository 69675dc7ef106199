"""Indicators of the data alone: target leakage and scale."""

import numpy as np

from rnnjax.doctor.batch import Batch, boolean_mask, is_ids
from rnnjax.doctor.indicators.types import Indicator

MIN_CHANGES = 10  # of a target column; fewer matches with an input column may be chance


def data_indicators(batch: Batch) -> dict[str, Indicator]:
    """target_leak: see `target_overlap`; size: |log10 of the root mean square of the largest column|.

    All steps of the inputs are used, and the steps of the targets that count. Columns of zeros and ones are codes and
    have no size. target_leak is absent if only one of inputs and targets are ids.
    """
    inputs, targets, mask_TB = np.asarray(batch.inputs), np.asarray(batch.targets), boolean_mask(batch)
    values = {}
    sizes = [root_mean_square(each) for each in (inputs, targets[mask_TB]) if not is_ids(each) and not is_code(each)]
    if sizes:
        values["size"] = np.abs(np.log10(np.maximum(sizes, 1e-12))).max()
    if is_ids(inputs) == is_ids(targets):
        values["target_leak"] = target_overlap(inputs, targets, mask_TB)
    return {name: Indicator(np.array([value]), "network") for name, value in values.items()}


def root_mean_square(values: np.ndarray) -> float:
    """Of the largest column."""
    return float(np.sqrt(np.mean(values.astype(float) ** 2, axis=tuple(range(values.ndim - 1)))).max())


def is_code(values: np.ndarray) -> bool:
    return bool(np.isin(values, (0, 1)).all())


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

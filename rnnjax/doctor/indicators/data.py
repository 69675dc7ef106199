"""Indicators of the data alone: leakage, scale, axes, classes given as numbers, differences of the held-out part."""

import numpy as np

from rnnjax.doctor.batch import Batch, boolean_mask, is_ids
from rnnjax.doctor.indicators.layout import wrong_axis
from rnnjax.doctor.indicators.leaks import find_leak
from rnnjax.doctor.indicators.levels import DataShift, data_shift
from rnnjax.doctor.indicators.predictions import classes_as_numbers
from rnnjax.doctor.indicators.types import Indicator, Indicators
from rnnjax.doctor.inputs import ExaminationInput
from rnnjax.tasks.tables.suspicions import missing_codes


def data_indicators(setup: ExaminationInput) -> Indicators:
    """Indicators of a batch, each one number of all networks.

    suspicious_values    values of a file, or of the batch, that look like codes for missing ones
    wrong_axis           see `layout.wrong_axis`
    target_leak          see `leaks.find_leak`; absent if it cannot be told
    size                 |log10 of the root mean square of the largest column|; columns of 0 and 1 have no size
    classes_as_numbers   see `predictions.classes_as_numbers`
    shift, unseen        see `levels.DataShift`
    """
    leak, shift = find_leak(setup.batch), find_shift(setup)
    notices = code_notices(setup.batch) if setup.notices is None else setup.notices
    values = {
        "wrong_axis": wrong_axis(setup.batch),
        "target_leak": leak.share,
        "size": size(setup.batch),
        "classes_as_numbers": np.nan if is_ids(np.asarray(setup.batch.targets)) else classes_as_numbers(setup.batch),
        "shift": shift.distance if shift else np.nan,
        "unseen": shift.unseen if shift else np.nan,
        "suspicious_values": float(len(notices)),
    }
    known = {name: Indicator(np.array([value]), "network") for name, value in values.items() if not np.isnan(value)}
    remarks = {
        "target_leak": leak.relation,
        "suspicious_values": "; ".join(notices),
        **(dict.fromkeys(("shift", "unseen"), shift.remark) if shift else {}),
    }
    return Indicators(known, {}, {name: text for name, text in remarks.items() if text})


def code_notices(batch: Batch) -> tuple[str, ...]:
    """The numbers in the columns of a batch that are known codes for missing values, and far from all others."""
    columns = {"inputs": np.asarray(batch.inputs), "targets": np.asarray(batch.targets)[boolean_mask(batch)]}
    return tuple(
        f"{name}, column {column}: {one.value:g}, {len(one.rows_N)} times"
        for name, values in columns.items()
        if not is_ids(values)
        for column, values_N in enumerate(values.reshape(-1, values.shape[-1]).T.astype(float))
        for one in missing_codes(values_N)
    )


def find_shift(setup: ExaminationInput) -> DataShift | None:
    """Of all data if they are known, else of both batches."""
    if setup.shift is not None or setup.held_out is None:
        return setup.shift
    return data_shift(setup.batch, setup.held_out)


def size(batch: Batch) -> float:
    """All steps of the inputs are used, and the steps of the targets that count; NaN if neither has a size."""
    columns = np.asarray(batch.inputs), np.asarray(batch.targets)[boolean_mask(batch)]
    sizes = [root_mean_square(each) for each in columns if not is_ids(each) and not is_code(each)]
    return float(np.abs(np.log10(np.maximum(sizes, 1e-12))).max()) if sizes else np.nan


def root_mean_square(values: np.ndarray) -> float:
    """Of the largest column."""
    return float(np.sqrt(np.mean(values.astype(float) ** 2, axis=tuple(range(values.ndim - 1)))).max())


def is_code(values: np.ndarray) -> bool:
    return bool(np.isin(values, (0, 1)).all())

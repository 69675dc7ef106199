"""A series of numbers as a task: the next row is predicted from those before it.

All reference losses are mean squared errors in the units of the series: after `scale` and `offset`, before it is
standardised, and before it is rounded to float32.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.generators import INNOVATION_VARIANCE, RANDOM
from rnnjax.tasks.missing_rows import fill_rows, masked_pairs
from rnnjax.tasks.seasons import find_season
from rnnjax.tasks.series_checks import check_length, check_values
from rnnjax.tasks.series_columns import (
    check_horizon,
    held_out_rows,
    moments,
    output_names,
    prepared_rows,
    sequence_maker,
    series_layout,
    with_scales,
)
from rnnjax.tasks.series_layout import is_plain
from rnnjax.tasks.series_levels import level_losses
from rnnjax.tasks.series_source import Series, generate_rows, read_rows, scale_rows
from rnnjax.tasks.windows import next_step
from rnnjax.types import LabelledSequence, SeriesLayout, SeriesRows, Task

ORDER = 8  # p, the rows that the linear predictor sees


def series_task(settings: TaskSpec, source: str | None) -> Task:
    """A generated series of one column, or columns of a CSV file, each row to be followed by the next.

    Of a file the last `validation` share is held out; with `fold` n the n parts of that size after it are left out.
    Generated are `length` steps to train on and round(length * validation) more: where the future follows from the past
    they go on from there; where it is drawn they are a draw apart. So the held-out part shares nothing with the
    training part, and does not depend on `redundancy`.

    With redundancy r the training part is its first N // r rows, r times. Mean and deviation are those of the training
    part, which do not depend on the repetition.

    With `standardise` = "targets" a network reads the numbers as they are; only the targets are standardised. Columns
    with roles, lags, differences and direct forecasts are described in `series_layout`.

    The reference loss "floor" is the variance of the innovations: no predictor can expect less on a new draw, and one
    finite draw may lie a little below. It is 0 where the future follows from enough of the past, and not known for a
    file. The others are those of `held_out_reference_losses`, or of `series_levels.level_losses`.

    Args:
        settings: `series`, `length`, `corpus_seed`, `columns`, `validation`, `scale`, `offset`, `redundancy`,
            `standardise`, `loss_steps`, `time_axis`, of a table and SERIES_FIELDS are used.
        source: the text of a CSV file, see `tables.read.read_table`; None for a generated series. "sunspots" is a file.
    Raises:
        BadInput: a file that is no table of numbers, columns without a file, too few rows, a column that does not
            vary, or values too large or too small for float32; a horizon or lags longer than a part.
    """
    if settings.standardise == "each":
        raise BadInput("task.standardise: got 'each', for sets of sequences; expected 'all', 'targets' or 'none'")
    unscaled = generate_rows(settings) if source is None else read_rows(settings, source)
    series = scale_rows(unscaled, settings)
    check_length(series, settings)
    once_ND = series.train_ND[: len(series.train_ND) // settings.redundancy]
    check_values(series, unscaled, once_ND, settings)
    layout = series_layout(
        settings, series.targets, series.inputs, len(series.columns) - series.targets - series.inputs
    )
    check_horizon(settings, len(once_ND), len(series.validation_ND), layout)
    layout = with_scales(layout, once_ND, settings.standardise, series.columns)
    rows = _all_rows(series, settings, len(once_ND))
    learn = _plain_task if is_plain(layout) else _prepared_task
    train_N, validation_N, make_sequence, losses = learn(settings, layout, once_ND, rows)
    return Task(
        train_N=np.tile(train_N, (settings.redundancy, 1)),
        validation_N=validation_N,
        make_sequence=make_sequence,
        inputs=len(layout.input_mean_D),
        outputs=len(layout.output_mean_Q),
        loss="squared_error",
        reference_losses=losses | _noise_floor(settings, source),
        columns=output_names(layout, series.columns),
        target_mean_O=layout.output_mean_Q,
        target_scale_O=layout.output_scale_Q,
        last_only=settings.loss_steps == "last",
        axes_swapped=settings.time_axis == "batch",
        notices=series.notices,
        series=rows,
        layout=layout,
    )


Learned = tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], LabelledSequence], dict[str, float]]


def _plain_task(settings: TaskSpec, layout: SeriesLayout, once_ND: np.ndarray, rows: SeriesRows) -> Learned:
    """Training part, held-out part, pairs and reference losses where a network says the next of the rows it reads."""
    mean_D, unit_D = np.array(layout.output_mean_Q), np.array(layout.output_scale_Q)
    validation_ND = rows.values_NC[rows.split : rows.stop]
    read = np.array(layout.input_mean_D), np.array(layout.input_scale_D)
    parts = _training_part(once_ND, *read), _training_part(validation_ND, *read)
    return *parts, _sequence_maker(settings, mean_D, unit_D), held_out_reference_losses(once_ND, validation_ND)


def _prepared_task(settings: TaskSpec, layout: SeriesLayout, once_ND: np.ndarray, rows: SeriesRows) -> Learned:
    """The same where inputs and targets are other numbers, which stand beside each other."""
    parts = prepared_rows(layout, once_ND), held_out_rows(layout, rows)
    return *parts, sequence_maker(layout, settings.missing == "mask"), level_losses(rows, layout)


def _all_rows(series: Series, settings: TaskSpec, fitted: int) -> SeriesRows:
    """All rows of the series, with its season."""
    parts = [series.train_ND, series.validation_ND, *([] if series.later_ND is None else [series.later_ND])]
    train_NO = fill_rows(series.train_ND[:fitted, : series.targets])
    return SeriesRows(
        series.columns,
        np.concatenate(parts),
        fitted=fitted,
        split=len(series.train_ND),
        stop=len(series.train_ND) + len(series.validation_ND),
        season=settings.season or find_season(train_NO, series.end),
        joined=series.joined,
        index_name=series.index_name,
        labels=series.labels,
        end=series.end,
        future_MK=series.future_MK,
    )


def _sequence_maker(
    settings: TaskSpec, mean_D: np.ndarray, unit_D: np.ndarray
) -> Callable[[np.ndarray], LabelledSequence]:
    pairs = partial(next_row_pairs, mean_D, unit_D) if settings.standardise == "targets" else next_step
    return partial(masked_pairs, pairs) if settings.missing == "mask" else pairs


def next_row_pairs(mean_D: np.ndarray, unit_D: np.ndarray, values_ND: np.ndarray) -> LabelledSequence:
    """Every row is to be followed by the next one, which alone is standardised."""
    return LabelledSequence(values_ND[:-1], _training_part(values_ND[1:], mean_D, unit_D))


def held_out_reference_losses(train_ND: np.ndarray, validation_ND: np.ndarray) -> dict[str, float]:
    """The squared error, mean over held-out rows and columns, of three simple predictors.

    "chance" predicts the mean of the training part, "persistence" the row before; "linear" is `linear_error`,
    absent where there are too few rows. The first held-out row is read only. A row with a missing number (NaN) is
    predicted from and not predicted.
    """
    if np.isnan(train_ND).any() or np.isnan(validation_ND).any():
        return _masked_reference_losses(train_ND, validation_ND)
    predicted_ND = {"chance": train_ND.mean(axis=0), "persistence": validation_ND[:-1]}
    found = {name: float(np.mean((validation_ND[1:] - prediction) ** 2)) for name, prediction in predicted_ND.items()}
    columns = train_ND.shape[1]
    order = min(ORDER, (len(train_ND) - 1) // (columns + 1), len(validation_ND) - 1)  # no more numbers than equations
    return found | ({"linear": linear_error(train_ND, validation_ND, order)} if order else {})


def _masked_reference_losses(train_ND: np.ndarray, validation_ND: np.ndarray) -> dict[str, float]:
    """Those of rows without a missing number, predicted from filled rows."""
    counted_N = ~np.isnan(validation_ND[1:]).any(axis=1)
    filled_ND = fill_rows(validation_ND)
    target_ND = filled_ND[1:][counted_N]
    predicted_ND = {"chance": np.nanmean(train_ND, axis=0), "persistence": filled_ND[:-1][counted_N]}
    found = {name: float(np.mean((target_ND - prediction) ** 2)) for name, prediction in predicted_ND.items()}
    columns, fitted = train_ND.shape[1], int((~np.isnan(train_ND).any(axis=1)).sum())
    order = min(ORDER, (fitted - 1) // (columns + 1), len(validation_ND) - 1)
    counted = order > 0 and counted_N[order - 1 :].any()
    return found | ({"linear": linear_error(train_ND, validation_ND, order)} if counted else {})


def linear_error(train_ND: np.ndarray, validation_ND: np.ndarray, order: int) -> float:
    """Held-out squared error of x_t = c + sum_k A_k x_{t-k}, k = 1 ... order, fitted by least squares in training.

    The first `order` held-out rows serve as past only. Fitted on standardised columns, so that none counts as noise
    because of its unit.
    """
    mean_D, unit_D = moments(train_ND)
    past, future_ND = _lagged_rows((train_ND - mean_D) / unit_D, order)
    weights = np.linalg.lstsq(past, future_ND)[0]
    past, future_ND = _lagged_rows((validation_ND - mean_D) / unit_D, order)
    return float(np.mean(((past @ weights - future_ND) * unit_D) ** 2))


def _lagged_rows(values_ND: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """For each row after the first `order`: a 1 and all columns of the rows before it [N - order, 1 + D*order].

    Rows with a missing number (NaN) are filled where they are past, and left out where they are to be predicted.
    """
    past = sliding_window_view(fill_rows(values_ND)[:-1], order, axis=0).reshape(len(values_ND) - order, -1)
    past, future_ND = np.hstack([np.ones((len(past), 1)), past]), values_ND[order:]
    counted_N = ~np.isnan(future_ND).any(axis=1)
    return (past, future_ND) if counted_N.all() else (past[counted_N], future_ND[counted_N])


def _noise_floor(settings: TaskSpec, source: str | None) -> dict[str, float]:
    if source is not None:
        return {}
    return {"floor": INNOVATION_VARIANCE * settings.scale**2 if settings.series in RANDOM else 0.0}


def _training_part(values_ND: np.ndarray, mean_D: np.ndarray, unit_D: np.ndarray) -> np.ndarray:
    return ((values_ND - mean_D) / unit_D).astype(np.float32)

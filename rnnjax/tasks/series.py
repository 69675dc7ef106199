"""A series of numbers as a task: the next row is predicted from those before it.

All reference losses are mean squared errors in the units of the series: after `scale` and `offset`, before it is
standardised, and before it is rounded to float32.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.generators import DETERMINISTIC, INNOVATION_VARIANCE, RANDOM
from rnnjax.tasks.missing_rows import fill_rows, masked_pairs
from rnnjax.tasks.tables.notation import option
from rnnjax.tasks.tables.read import read_table
from rnnjax.tasks.windows import next_step
from rnnjax.types import DataNotice, LabelledSequence, RowIndex, Task

ORDER = 8  # p, the rows that the linear predictor sees
SMALLEST_VALUE, LARGEST_VALUE = 1e-18, 1e18  # float32 holds the square of what lies between


class Series(NamedTuple):
    """The training part and the held-out part, float64, a row for each time step."""

    columns: tuple[str, ...]
    train_ND: np.ndarray
    validation_ND: np.ndarray
    notices: tuple[DataNotice, ...] = ()
    row_index: RowIndex | None = None  # of the last row to train on


def series_task(settings: TaskSpec, source: str | None) -> Task:
    """A generated series of one column, or columns of a CSV file, each row to be followed by the next.

    Of a file the last `validation` share is held out. Generated are `length` steps to train on and round(length *
    validation) more: where the future follows from the past they go on from there; where it is drawn they are a draw
    apart. So the held-out part shares nothing with the training part, and does not depend on `redundancy`.

    With redundancy r the training part is its first N // r rows, r times. Mean and deviation are those of the training
    part, which do not depend on the repetition.

    With `standardise` = "targets" a network reads the numbers as they are; only the targets are standardised.

    The reference loss "floor" is the variance of the innovations: no predictor can expect less on a new draw, and one
    finite draw may lie a little below. It is 0 where the future follows from enough of the past, and not known for a
    file. The others are those of `held_out_reference_losses`.

    Args:
        settings: `series`, `length`, `corpus_seed`, `columns`, `validation`, `scale`, `offset`, `redundancy`,
            `standardise`, `loss_steps`, `time_axis` and those of a table are used.
        source: the text of a CSV file, see `tables.read.read_table`; None for a generated series. "sunspots" is a file.
    Raises:
        BadInput: a file that is no table of numbers, columns without a file, too few rows, a column that does not
            vary, or values too large or too small for float32.
    """
    series = _standardise(_generate_rows(settings) if source is None else _read_rows(settings, source), settings)
    _check_length(series, settings)
    once_ND = series.train_ND[: len(series.train_ND) // settings.redundancy]
    _check_values(series, once_ND, settings)
    columns = len(series.columns)
    as_it_is = np.zeros(columns), np.ones(columns)
    mean_D, unit_D = as_it_is if settings.standardise == "none" else _moments(once_ND)
    read = (mean_D, unit_D) if settings.standardise == "all" else as_it_is
    return Task(
        train_N=np.tile(_training_part(once_ND, *read), (settings.redundancy, 1)),
        validation_N=_training_part(series.validation_ND, *read),
        make_sequence=_sequence_maker(settings, mean_D, unit_D),
        inputs=columns,
        outputs=columns,
        loss="squared_error",
        reference_losses=held_out_reference_losses(once_ND, series.validation_ND) | _noise_floor(settings, source),
        columns=series.columns,
        target_mean_O=tuple(mean_D.tolist()),
        target_scale_O=tuple(unit_D.tolist()),
        last_only=settings.loss_steps == "last",
        axes_swapped=settings.time_axis == "batch",
        notices=series.notices,
        row_index=series.row_index,
    )


def _moments(values_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column, over the numbers that it has."""
    if np.isnan(values_ND).any():
        return np.nanmean(values_ND, axis=0), np.nanstd(values_ND, axis=0)
    return values_ND.mean(axis=0), values_ND.std(axis=0)


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
    mean_D, unit_D = _moments(train_ND)
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


def _generate_rows(settings: TaskSpec) -> Series:
    if settings.columns:
        raise BadInput(f"task.columns: got {settings.columns!r}; expected none without a file (task.path)")
    train_rng, validation_rng = np.random.default_rng(settings.corpus_seed).spawn(2)
    held_out = round(settings.length * settings.validation)
    if settings.series in RANDOM:
        draw = RANDOM[settings.series]
        parts = draw(settings.length, train_rng), draw(held_out, validation_rng)
    else:
        values_N = DETERMINISTIC[settings.series](settings.length + held_out, train_rng)
        parts = values_N[: settings.length], values_N[settings.length :]
    return Series(("x",), parts[0][:, None], parts[1][:, None])


def _read_rows(settings: TaskSpec, source: str) -> Series:
    _check_mask(settings)
    table = read_table(source, settings)
    if len(table.values_ND) < 4:
        raise BadInput(f"task.path: got {len(table.values_ND)} rows; expected >= 4 (2 to train on and 2 held out)")
    split = len(table.values_ND) - round(len(table.values_ND) * settings.validation)
    last = max(split // settings.redundancy - 1, 0)
    return Series(table.names, table.values_ND[:split], table.values_ND[split:], table.notices, table.index_at(last))


def _check_mask(settings: TaskSpec) -> None:
    for name, usual in {"loss_steps": "every", "time_axis": "time"}.items():
        if settings.missing == "mask" and getattr(settings, name) != usual:
            raise BadInput(
                f"task.missing: got 'mask' with task.{name} = {getattr(settings, name)!r}; expected "
                f"{option('missing=drop')} or {option('missing=interpolate')}"
            )


def _standardise(series: Series, settings: TaskSpec) -> Series:
    """scale * x + offset; a number too large for that becomes inf, which is refused with its column."""
    with np.errstate(over="ignore"):
        train_ND, validation_ND = (settings.scale * part_ND + settings.offset for part_ND in series[1:3])
    return series._replace(train_ND=train_ND, validation_ND=validation_ND)


def _training_part(values_ND: np.ndarray, mean_D: np.ndarray, unit_D: np.ndarray) -> np.ndarray:
    return ((values_ND - mean_D) / unit_D).astype(np.float32)


def _check_length(series: Series, settings: TaskSpec) -> None:
    train, held_out = len(series.train_ND), len(series.validation_ND)
    if min(train, held_out) < 2:
        raise BadInput(
            f"task.validation: got {settings.validation:g}, which leaves {train:,} steps to train on and "
            f"{held_out:,} held out; expected >= 2 of each"
        )
    if train // settings.redundancy < 2:
        raise BadInput(f"task.redundancy: got {settings.redundancy}; expected <= {train // 2} (of {train:,} steps)")


def _check_values(series: Series, once_ND: np.ndarray, settings: TaskSpec) -> None:
    """Each column must vary where it is trained on, in sizes that float32 can square."""
    both_ND = np.concatenate([series.train_ND, series.validation_ND])
    for name, once_N, both_N in zip(series.columns, once_ND.T, both_ND.T, strict=True):
        once_N, both_N = once_N[~np.isnan(once_N)], both_N[~np.isnan(both_N)]
        if not len(once_N):
            raise BadInput(f"task.columns: got {name!r}, which has no number in the rows to train on")
        spread, size = np.ptp(once_N), np.abs(both_N).max()
        if size > LARGEST_VALUE:
            raise BadInput(f"task.scale: got a size of {size:g} in column {name!r}; expected <= {LARGEST_VALUE:g}")
        if spread == 0:
            raise BadInput(
                f"task.columns: got {name!r}, which is {once_N[0]:g} in all {len(once_N):,} rows to train on; "
                "expected columns that vary"
            )
        if spread < SMALLEST_VALUE:
            raise BadInput(f"task.scale: got a range of {spread:g} in column {name!r}; expected >= {SMALLEST_VALUE:g}")

"""The rows of a series: generated, or from a table; split into a training part and a held-out part."""

from typing import NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.generators import DETERMINISTIC, RANDOM
from rnnjax.tasks.series_columns import check_regular
from rnnjax.tasks.tables.notation import option
from rnnjax.tasks.tables.read import read_table
from rnnjax.types import DataNotice, RowIndex


class Series(NamedTuple):
    """The training part and the held-out part, float64, a row for each time step."""

    columns: tuple[str, ...]
    train_ND: np.ndarray
    validation_ND: np.ndarray
    notices: tuple[DataNotice, ...] = ()
    targets: int = 1  # the first columns are predicted, then come inputs, then known inputs
    inputs: int = 0
    joined: bool = True  # the held-out part follows the training part
    later_ND: np.ndarray | None = None  # rows of the file after the held-out part (task.fold)
    future_MK: np.ndarray | None = None  # known inputs of the rows after the last
    index_name: str = ""
    labels: tuple[str, ...] = ()
    end: RowIndex | None = None
    lines_N: np.ndarray | None = None  # of the file, for each row


def generate_rows(settings: TaskSpec) -> Series:
    for name in ("columns", "targets", "inputs", "known_inputs", "fold"):
        if value := getattr(settings, name):
            raise BadInput(f"task.{name}: got {value!r}; expected none without a file (task.path)")
    train_rng, validation_rng = np.random.default_rng(settings.corpus_seed).spawn(2)
    held_out = round(settings.length * settings.validation)
    random = settings.series in RANDOM
    if random:
        draw = RANDOM[settings.series]
        parts = draw(settings.length, train_rng), draw(held_out, validation_rng)
    else:
        values_N = DETERMINISTIC[settings.series](settings.length + held_out, train_rng)
        parts = values_N[: settings.length], values_N[settings.length :]
    return Series(("x",), parts[0][:, None], parts[1][:, None], joined=not random)


def read_rows(settings: TaskSpec, source: str) -> Series:
    _check_mask(settings)
    table = read_table(source, settings)
    rows = len(table.values_ND)
    if rows < 4:
        raise BadInput(f"task.path: got {rows} rows; expected >= 4 (2 to train on and 2 held out)")
    check_regular(settings, table.notices)
    held_out = round(rows * settings.validation)
    stop = rows - held_out * settings.fold
    if settings.fold and stop - held_out < 2:
        most = max((rows - 2) // max(held_out, 1) - 1, 0)
        raise BadInput(f"task.fold: got {settings.fold}; expected <= {most} ({rows:,} rows, {held_out:,} in each part)")
    split = stop - held_out
    return Series(
        table.names,
        table.values_ND[:split],
        table.values_ND[split:stop],
        table.notices,
        table.targets,
        table.inputs,
        later_ND=table.values_ND[stop:],
        future_MK=table.future_MK,
        index_name=table.row_labels.name if table.row_labels else "",
        labels=table.row_labels.labels if table.row_labels else (),
        end=table.index_at(rows - 1),
        lines_N=table.lines_N,
    )


def _check_mask(settings: TaskSpec) -> None:
    for name, usual in {"loss_steps": "every", "time_axis": "time"}.items():
        if settings.missing == "mask" and getattr(settings, name) != usual:
            raise BadInput(
                f"task.missing: got 'mask' with task.{name} = {getattr(settings, name)!r}; expected "
                f"{option('missing=drop')} or {option('missing=interpolate')}"
            )


def scale_rows(series: Series, settings: TaskSpec) -> Series:
    """scale * x + offset; a number too large for that becomes inf, which is refused with its column."""

    def scaled(part: np.ndarray) -> np.ndarray:
        return settings.scale * part + settings.offset

    with np.errstate(over="ignore"):
        return series._replace(
            train_ND=scaled(series.train_ND),
            validation_ND=scaled(series.validation_ND),
            later_ND=None if series.later_ND is None else scaled(series.later_ND),
            future_MK=None if series.future_MK is None else scaled(series.future_MK),
        )

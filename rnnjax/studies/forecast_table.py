"""A forecast of a series as a table: after the last row or from any row on, with the index, the truth and intervals."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.conformal import adaptive_bounds
from rnnjax.errors import BadInput
from rnnjax.reports.formatting import csv_cell
from rnnjax.storage.manifest import read_manifest
from rnnjax.studies.forecasting import forecast_ahead
from rnnjax.studies.forecasts import row_labels
from rnnjax.studies.load_forecasts import load_forecasts
from rnnjax.studies.load_networks import LoadedNetwork
from rnnjax.tasks.series_layout import rows_read
from rnnjax.tasks.tables.spacing import continue_index
from rnnjax.types import SeriesLayout, SeriesRows


class ForecastOptions(NamedTuple):
    """The options of a user for a series."""

    start: str | None = None  # label or number of the first row that is forecast; None: the row after the last
    interval: float | None = None  # share of the truths that intervals should hold; None: no intervals


class ForecastTable(NamedTuple):
    """Rows of a forecast, in own units."""

    columns: tuple[str, ...]  # O
    rows_NO: np.ndarray
    index_name: str | None  # None: the rows have no labels
    labels: list[str]
    truth_NO: np.ndarray | None = None  # where rows of the file are forecast; NaN behind its last row
    bounds_NO2: np.ndarray | None = None  # of truth - forecast; NaN further ahead than the horizon


def forecast_table(folder: Path, network: LoadedNetwork, length: int, options: ForecastOptions) -> ForecastTable:
    """The forecast of a network. Raises: BadInput for a start that is no row, or known inputs that end too early."""
    rows, layout = network.rows, network.layout
    assert rows is not None and layout is not None
    start = len(rows.values_NC) if options.start is None else find_row(rows, layout, options.start)
    check_known_inputs(rows, layout, start, length)
    rows_NO = forecast_ahead(network, rows, layout, np.array([start - 1]), length)[:, 0]
    truth_NO = rows.values_NC[start : start + length, : layout.targets]
    return ForecastTable(
        rows.columns[: layout.targets],
        rows_NO,
        rows.index_name if rows.end is not None else None,
        labels_from(rows, start, length),
        pad_rows(truth_NO, length) if len(truth_NO) else None,
        None if options.interval is None else bounds_ahead(folder, network, length, options.interval),
    )


def labels_from(rows: SeriesRows, start: int, length: int) -> list[str]:
    """The labels of the rows from a start on; behind the last row they go on in the usual step of the index."""
    known = row_labels(rows, start, min(start + length, len(rows.values_NC)))
    return known + (continue_index(rows.end, length - len(known)) if rows.end else [])


def pad_rows(rows: np.ndarray, length: int) -> np.ndarray:
    """Rows of NaN behind some rows, up to a length."""
    return np.concatenate([rows, np.full((length - len(rows), *rows.shape[1:]), np.nan)])


def find_row(rows: SeriesRows, layout: SeriesLayout, start: str) -> int:
    """The row that a label names, or a number from 1; a label that is a number, such as a year, comes first.

    Raises: BadInput for no such row, several, or one with too few rows before it.
    """
    count, least = len(rows.values_NC), rows_read(layout)
    places = [row for row, label in enumerate(rows.labels) if label.strip() == start.strip()]
    if len(places) > 1:
        raise BadInput(f"--from: got {start!r}, the label of {len(places)} rows; expected a number in 1..{count + 1}")
    if not places and start.isascii() and start.isdigit() and 1 <= int(start) <= count + 1:
        places = [int(start) - 1]
    if not places:
        labels = f" or a label from {rows.labels[0]} to {rows.labels[-1]}" if rows.labels else ""
        raise BadInput(f"--from: got {start!r}; expected a row from 1 to {count + 1}{labels}")
    if places[0] < least:
        row = places[0] + 1
        raise BadInput(f"--from: got {start!r}, row {row}; expected a row >= {least + 1}: {least} are read before it")
    return places[0]


def check_known_inputs(rows: SeriesRows, layout: SeriesLayout, start: int, length: int) -> None:
    """Raises BadInput for a forecast that needs known inputs of more rows than the file has."""
    future = 0 if rows.future_MK is None else len(rows.future_MK)
    known = len(rows.values_NC) + future - start
    if layout.known and length > known:
        names = ", ".join(rows.columns[layout.targets + layout.inputs :])
        if not known:
            raise BadInput(
                f"--length: got {length}; the file has no rows of the known inputs ({names}) after the last row of the "
                "targets; expected some, or --from"
            )
        raise BadInput(f"--length: got {length}; expected <= {known}: the known inputs ({names}) end there")


def bounds_ahead(folder: Path, network: LoadedNetwork, length: int, share: float) -> np.ndarray:
    """The conformal bounds of truth - forecast of each row [N, O, 2], from the errors on the held-out rows.

    Raises: BadInput where the folder has no forecasts yet.
    """
    manifest = read_manifest(folder)
    assert manifest is not None  # a network was loaded from here
    forecasts = load_forecasts(folder, list(manifest["config"]["arms"])).get(network.arm)
    if forecasts is None:
        raise BadInput(f"--interval: {folder} has no forecasts of held-out rows yet; expected a finished study")
    errors_LMO = -forecasts.residuals()[manifest["config"]["seeds"].index(network.hp.seed)]
    bounds = [
        [adaptive_bounds(errors_M, share, lead)[1] for errors_M in errors_MO.T]
        for lead, errors_MO in enumerate(errors_LMO[:length], 1)
    ]
    return pad_rows(np.array(bounds), length)


def format_forecast(table: ForecastTable) -> str:
    """The table as CSV with the digits that float32 has, without the last line end.

    Behind each column: `<name>_low` and `<name>_high` of the intervals, `<name>_true` of the file; empty where they are
    not known.
    """
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    header, cells = [] if table.index_name is None else [table.index_name], []
    for place, name in enumerate(table.columns):
        predicted_N = table.rows_NO[:, place]
        header.append(name)
        cells.append(predicted_N)
        if table.bounds_NO2 is not None:
            header += [f"{name}_low", f"{name}_high"]
            cells += [predicted_N + table.bounds_NO2[:, place, side] for side in (0, 1)]
        if table.truth_NO is not None:
            header.append(f"{name}_true")
            cells.append(table.truth_NO[:, place])
    writer.writerow([csv_cell(name) for name in header])
    for row, numbers in enumerate(zip(*cells, strict=True)):
        label = [] if table.index_name is None else [csv_cell(table.labels[row])]
        writer.writerow([*label, *("" if np.isnan(number) else f"{number:.9g}" for number in numbers)])
    return lines.getvalue().removesuffix("\n")

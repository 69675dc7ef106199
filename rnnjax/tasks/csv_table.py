"""A CSV file as columns of numbers; each mistake is one line with its place in the file."""

import csv
import difflib
import math
from typing import NamedTuple

import numpy as np

from rnnjax.errors import BadInput

DELIMITERS = ("\t", ";", ",")  # the first that the first line has; a comma last, as it may be a decimal sign
MOST_SHOWN = 40  # characters of a cell in a message


class CsvTable(NamedTuple):
    """Numbers in rows of time and named columns."""

    names: tuple[str, ...]
    values_ND: np.ndarray  # float64


class CsvRow(NamedTuple):
    """The cells of a line, which is numbered from 1."""

    line: int
    cells: list[str]


def read_table(text: str, columns: str) -> CsvTable:
    """The numbers of a CSV file: commas, semicolons or tabs between cells, a point as decimal sign.

    The first line names the columns unless all its cells are numbers; then they are called "1", "2" ...

    Args:
        columns: names with commas between, which choose and order columns; empty means all. Other columns may hold
            anything.
    Raises:
        BadInput: an empty file, rows of different lengths, names that are empty, double or unknown, or a chosen cell
            that is no finite number.
    """
    names, rows = _column_names(_rows(text))
    places = {name: names.index(name) for name in _choose_columns(names, columns)}
    values = [[_number(row, name, place) for name, place in places.items()] for row in rows]
    return CsvTable(tuple(places), np.array(values, dtype=np.float64).reshape(-1, len(places)))


def _rows(text: str) -> list[CsvRow]:
    """Every line; an empty one between others is a gap in time, so it is not skipped."""
    lines = text.rstrip("\r\n").splitlines()
    if not text.strip():
        raise BadInput("task.path: got an empty file; expected rows of numbers")
    reader = csv.reader(lines, delimiter=_delimiter(lines[0]), strict=True)
    try:
        rows = [CsvRow(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise BadInput(f"task.path: line {reader.line_num}: got {error}; expected cells as in a CSV file") from None
    for row in rows:
        if len(row.cells) != len(rows[0].cells) or not row.cells:
            expected = len(rows[0].cells) or "at least 1"
            raise BadInput(f"task.path: line {row.line}: got {len(row.cells)} cells; expected {expected}, as in line 1")
    return rows


def _delimiter(line: str) -> str:
    return next((sign for sign in DELIMITERS if sign in line), ",")


def _column_names(rows: list[CsvRow]) -> tuple[list[str], list[CsvRow]]:
    """The names of the columns, and the rows that hold numbers."""
    first = rows[0].cells
    if all(_parse_number(cell) is not None for cell in first):
        return [str(number + 1) for number in range(len(first))], rows
    names = [cell.strip() for cell in first]
    for number, name in enumerate(names, 1):
        if not name:
            raise BadInput(f"task.path: line 1: got no name for column {number}; expected a name, or numbers only")
        if names.index(name) + 1 < number:
            raise BadInput(f"task.path: line 1: got two columns {name!r}; expected different names")
    return names, rows[1:]


def _choose_columns(names: list[str], columns: str) -> list[str]:
    chosen = [name.strip() for name in columns.split(",")] if columns else names
    for number, name in enumerate(chosen):
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f". Did you mean {close[0]!r}?" if close else ""
            raise BadInput(f"task.columns: got {name!r}; expected one of: {', '.join(names)}{hint}")
        if name in chosen[:number]:
            raise BadInput(f"task.columns: got {name!r} twice; expected different names")
    return chosen


def _number(row: CsvRow, name: str, place: int) -> float:
    cell = row.cells[place]
    value = _parse_number(cell)
    if value is not None and math.isfinite(value):
        return value
    where = f"task.path: line {row.line}, column {name!r}: got"
    if not cell.strip():
        raise BadInput(f"{where} an empty cell; expected a number")
    if value is not None:
        raise BadInput(f"{where} {cell!r}; expected a finite number")
    raise BadInput(f"{where} {cell[:MOST_SHOWN]!r}; expected a number; choose columns with task.columns")


def _parse_number(cell: str) -> float | None:
    """A cell as a number, if it is one; Python alone reads 2021_01_03 as one."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None

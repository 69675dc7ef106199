"""Missing numbers of a table: refused with counts and places, or treated as the user chose."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.tasks.tables.notation import option, show
from rnnjax.types import DataNotice

MOST_LINES = 5  # in one message


class Numbers(NamedTuple):
    """The numbers of some columns; NaN where one is missing."""

    names: tuple[str, ...]
    values_ND: np.ndarray  # float64
    lines_N: np.ndarray  # of the file
    cells: list[list[str]]  # [D][N] as they are written


def list_lines(lines: Sequence[int]) -> str:
    """The first of some line numbers: "line 3", "lines 3, 5, 9 ..."."""
    shown = ", ".join(map(str, lines[:MOST_LINES])) + (" ..." if len(lines) > MOST_LINES else "")
    return f"line{'s' if len(lines) > 1 else ''} {shown}"


def check_missing(numbers: Numbers) -> None:
    """Raises BadInput with the number and places of the missing numbers of each column."""
    missing_ND = np.isnan(numbers.values_ND)
    if not missing_ND.any():
        return
    place = int(np.flatnonzero(missing_ND.any(axis=0))[0])
    row = int(np.flatnonzero(missing_ND[:, place])[0])
    cell = numbers.cells[place][row].strip()
    where = f"task.path: line {numbers.lines_N[row]}, column {numbers.names[place]!r}"
    counts = "; ".join(
        f"column {name!r}: {int(column.sum())} of {len(column)} ({list_lines(numbers.lines_N[column].tolist())})"
        for name, column in zip(numbers.names, missing_ND.T, strict=True)
        if column.any()
    )
    word = show(cell) if cell else "an empty cell"
    raise BadInput(
        f"{where}: got {word}; expected a finite number; missing in {counts}; use {option('missing=interpolate')} "
        "(or drop, mask)"
    )


def treat_missing(numbers: Numbers, way: str) -> tuple[Numbers, np.ndarray, list[DataNotice]]:
    """The numbers as `task.missing` asks for them, which rows are kept [N], and notices of what was done.

    "interpolate" takes a straight line between the neighbours in the column, and the nearest number at the ends. "drop"
    leaves out every row with a missing number. "mask" keeps NaN: `missing_rows.fill_rows` makes inputs of it.
    """
    missing_ND = np.isnan(numbers.values_ND)
    kept_N = np.ones(len(missing_ND), bool)
    if way == "refuse":
        check_missing(numbers)
    if not missing_ND.any():
        return numbers, kept_N, []
    for name, column in zip(numbers.names, missing_ND.T, strict=True):
        if column.all():
            left_out = option(f"columns=-{name}")
            raise BadInput(f"task.columns: got {name!r}, which has no number; leave the column out with {left_out}")
    done = {"interpolate": "interpolated", "drop": "left out with their rows", "mask": "not counted in the loss"}[way]
    notices = [
        DataNotice(
            name, "missing", f"lacks {int(column.sum())} of {len(column)} numbers, {done} "
            f"({list_lines(numbers.lines_N[column].tolist())})",
        )
        for name, column in zip(numbers.names, missing_ND.T, strict=True)
        if column.any()
    ]  # fmt: skip
    if way == "interpolate":
        columns = [interpolate(column) for column in numbers.values_ND.T]
        return numbers._replace(values_ND=np.stack(columns, axis=1)), kept_N, notices
    if way == "drop":
        kept_N = ~missing_ND.any(axis=1)
        return select_rows(numbers, kept_N), kept_N, notices
    return numbers, kept_N, notices


def select_rows(numbers: Numbers, rows_N: np.ndarray) -> Numbers:
    """Some rows, as a mask or as indices."""
    places = np.arange(len(numbers.lines_N))[rows_N]
    cells = [[column[place] for place in places] for column in numbers.cells]
    return Numbers(numbers.names, numbers.values_ND[places], numbers.lines_N[places], cells)


def interpolate(values_N: np.ndarray) -> np.ndarray:
    """Numbers with a straight line where some are missing; the nearest one at the ends."""
    rows_N, known_N = np.arange(len(values_N)), ~np.isnan(values_N)
    return np.interp(rows_N, rows_N[known_N], values_N[known_N])

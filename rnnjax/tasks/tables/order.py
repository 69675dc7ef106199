"""The order of the rows of a table: backwards, mixed up, or several series below or between each other."""

from itertools import pairwise

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.tasks.tables.columns import find_column
from rnnjax.tasks.tables.header import NamedRows
from rnnjax.tasks.tables.index import Index
from rnnjax.tasks.tables.notation import option
from rnnjax.tasks.tables.spacing import MOST_DST
from rnnjax.types import DataNotice

MOST_SERIES_SHARE = 0.25  # of the rows: a column with more different cells names no series
MOST_REPEATED = 0.2  # of the labels; where more occur again, the index begins again
MOST_NAMED = 4  # series in one message
CYCLES = (7, 12, 24)  # days of a week, months, hours: no series


def filter_rows(table: NamedRows, where: str) -> NamedRows:
    """The rows of a table that have a value in a column: "station=A". Raises BadInput."""
    if not where:
        return table
    name, equals, value = (part.strip() for part in where.partition("="))
    if not equals or not name:
        raise BadInput(f"task.where: got {where!r}; expected column=value")
    cells = [cell.strip() for cell in table.column(find_column(table, name, "where"))]
    rows = [row for row, cell in zip(table.rows, cells, strict=True) if cell == value]
    if not rows:
        known = list(dict.fromkeys(cells))
        shown = ", ".join(known[:MOST_NAMED]) + (" ..." if len(known) > MOST_NAMED else "")
        raise BadInput(f"task.where: got {value!r}, which column {name!r} never holds; expected one of: {shown}")
    return table._replace(rows=rows)


def ordered_rows(table: NamedRows, index: Index | None, order: str) -> np.ndarray:
    """The rows in the order in which they are read, as `task.order` asks. Raises BadInput: they are out of order."""
    rows = len(table.rows)
    if order == "reverse":
        return np.arange(rows)[::-1]
    if order == "sort":
        if index is None or index.values_N is None:
            raise BadInput("task.order: got 'sort' for a table without dates; expected a column of dates (task.index)")
        return np.argsort(index.values_N, kind="stable")
    if order == "check" and index is not None and index.values_N is not None:
        check_order(table, index, index.values_N)
    return np.arange(rows)


def check_order(table: NamedRows, index: Index, values_N: np.ndarray) -> None:
    """Raises BadInput for rows that are not in the order of their index; a clock may be put back by an hour."""
    steps = np.diff(values_N)
    if not len(steps):
        return
    what = "dates" if index.times is not None else "labels"
    name = f"column {index.name!r}" if index.name else "the first column"
    if (steps <= 0).all() and (steps < 0).any():
        raise BadInput(
            f"task.path: {name}: the {what} run backwards, from {index.labels[0]!r} (line {table.rows[0].line}) to "
            f"{index.labels[-1]!r}: a forecast would go into the past; use {option('order=reverse')}"
        )
    back = np.flatnonzero(steps < 0)
    if len(back) and index.times is not None and is_clock_change(steps):
        return
    if len(back):
        raise BadInput(f"task.path: {name}: {describe_disorder(table, index, values_N, back, what)}")
    check_interleaved(table, index, values_N, name, what)


def is_clock_change(steps: np.ndarray) -> bool:
    """Whether the only steps back are those of a clock, by an hour at most, rarely, in rows closer than a day."""
    back = steps[steps < 0]
    return bool((back >= -MOST_DST).all() and len(back) <= 2 + len(steps) / 1_000 and np.median(steps) <= MOST_DST)


def describe_disorder(table: NamedRows, index: Index, values_N: np.ndarray, back: np.ndarray, what: str) -> str:
    """Several series below each other where the index begins again few times, else rows that are mixed up."""
    row = int(back[0])
    parts = np.split(np.arange(len(values_N)), back + 1)
    place = f"{index.labels[row + 1]!r} (line {table.rows[row + 1].line}) follows {index.labels[row]!r}"
    keyed = series_column(table, index)
    cells = None if keyed is None else np.array(table.column(keyed))
    repeated = 1 - len(np.unique(values_N)) / len(values_N)
    whole = cells is not None and all(len(np.unique(cells[part])) == 1 for part in parts)
    if min(map(len, parts)) >= 2 and (whole or repeated > MOST_REPEATED):
        remedy = series_remedy(table, keyed, int(parts[1][0]))
        return f"{len(parts)} series one below the other: {place}; expected one; {remedy}"
    if keyed is not None and repeated > MOST_REPEATED:
        return f"several series in one table: {place}; expected one; {series_remedy(table, keyed, row + 1)}"
    return f"the {what} are not in order: {place}; use {option('order=sort')}"


def check_interleaved(table: NamedRows, index: Index, values_N: np.ndarray, name: str, what: str) -> None:
    """Raises BadInput where most labels occur several times beside a column that tells series apart."""
    _, counts = np.unique(values_N, return_counts=True)
    keyed = series_column(table, index)
    if (counts > 1).mean() < 0.5 or keyed is None:
        return
    raise BadInput(
        f"task.path: {name}: several series in one table: most {what} occur {int(np.median(counts))} times, first "
        f"{index.labels[0]!r}; expected one series; {series_remedy(table, keyed, 1)}"
    )


def series_column(table: NamedRows, index: Index) -> int | None:
    """The column that tells the series apart: with its cell, no label of the index occurs twice."""
    for place in range(len(table.names)):
        cells = [cell.strip() for cell in table.column(place)]
        kinds = len(set(cells))
        if place in index.places or not 2 <= kinds <= max(2, MOST_SERIES_SHARE * len(cells)):
            continue
        if len(set(zip(cells, index.labels, strict=True))) == len(cells):
            return place
    return None


def series_remedy(table: NamedRows, place: int | None, second: int) -> str:
    """How to choose one of several series. Args: second: the row with which the second one begins."""
    if place is None or not table.names[place]:
        others = f"{table.rows[second].line}-{table.rows[-1].line}"
        return f"read the first alone with {option(f'skip_lines={others}')}"
    cells = list(dict.fromkeys(cell.strip() for cell in table.column(place)))
    shown = ", ".join(cells[:MOST_NAMED]) + (" ..." if len(cells) > MOST_NAMED else "")
    return f"choose one of {shown} with {option(f'where={table.names[place]}={cells[0]}')}"


def block_notices(table: NamedRows, chosen: set[int], index: Index | None) -> list[DataNotice]:
    """A notice of a column of words that is not trained on and holds each word in one block of rows, or in turn.

    Not where an index shows that the rows follow each other.
    """
    found: list[DataNotice] = []
    if index is not None and index.values_N is not None:
        return found
    for place, name in enumerate(table.names):
        cells = [cell.strip() for cell in table.column(place)]
        kinds = len(set(cells))
        if place in chosen or (index and place in index.places) or not 2 <= kinds <= MOST_SERIES_SHARE * len(cells) / 2:
            continue
        blocks = 1 + sum(one != other for one, other in pairwise(cells))
        in_turn = kinds not in CYCLES and all(cells[row] == cells[row - kinds] for row in range(kinds, len(cells)))
        if blocks == kinds or in_turn:
            layout = "in turn" if in_turn else "one below the other"
            remedy = option(f"where={name}={cells[0]}")
            text = f"may name {kinds} series in one table, {layout}; choose one with {remedy}"
            found.append(DataNotice(name, "series", text))
    return found

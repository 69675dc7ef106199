"""Whether the first row of a table holds names or numbers; refused with the option that answers where both can be."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.tables.layout import Sheet
from rnnjax.tasks.tables.lines import Row, skip_option
from rnnjax.tasks.tables.notation import (
    MISSING_WORDS,
    Notation,
    describe_look,
    looks_numeric,
    option,
    parse_number,
)
from rnnjax.tasks.tables.times import looks_like_time

SAMPLE = 200  # rows that the first one is compared with
FEWEST = 5  # rows that show how the numbers of a column are written
YEARS = range(1500, 2201)


class NamedRows(NamedTuple):
    """The columns of a table: names, which may be empty or equal, and rows of cells."""

    names: list[str]
    rows: list[Row]
    delimiter: str
    named: bool  # the file names its columns
    row_names: bool = False

    def column(self, place: int) -> list[str]:
        """The cells of a column."""
        return [row.cells[place] for row in self.rows]


def read_names(sheet: Sheet, settings: TaskSpec) -> NamedRows:
    """The names of the columns, "1", "2" ... where the file has none.

    Raises: BadInput: the first row may hold names or numbers, or the names stand in the file again.
    """
    header = settings.header
    first, others = sheet.rows[0], sheet.rows[1:]
    named = sheet.row_names or (header == "yes" if header != "auto" else has_names(first, others))
    if not named:
        return NamedRows([str(number + 1) for number in range(len(first.cells))], sheet.rows, sheet.delimiter, False)
    check_units(first, others, settings)
    check_repeated(first, others, settings)
    names = [cell.strip() for cell in first.cells]
    if header == "yes":
        names[0] = re.sub(r"^[#%!]\s*(?=\S)", "", names[0])  # of a comment that holds the names
    return NamedRows(names, others, sheet.delimiter, True, sheet.row_names)


def check_repeated(first: Row, others: Sequence[Row], settings: TaskSpec) -> None:
    """Raises BadInput for names that stand in the file again, as where files were joined; names all such lines."""
    again = [row.line for row in others if row.cells == first.cells] if any(first.cells) else []
    if again and not all(map(looks_numeric, first.cells)):
        raise BadInput(
            f"task.path: line {again[0]}: got the names of the columns again (of line {first.line}); expected numbers; "
            f"leave {'the line' if len(again) == 1 else f'the {len(again)} lines'} out with "
            f"{skip_option(again, settings)}"
        )


def kind(cell: str) -> str:
    """number, time, missing or text."""
    plain = cell.strip()
    if plain.casefold() in MISSING_WORDS:
        return "missing"
    if looks_like_time(plain):
        return "time"
    return "number" if looks_numeric(plain) or describe_look(plain)[0].startswith("a number") else "text"


def has_names(first: Row, others: Sequence[Row]) -> bool:
    """Whether the first row differs in kind from those below it. Raises BadInput: it can be either."""
    kinds = [kind(cell) for cell in first.cells]
    sample = others[:SAMPLE]
    columns = [[row.cells[place] for row in sample if place < len(row.cells)] for place in range(len(kinds))]
    below = [usual_kind(cells) for cells in columns]
    if all(one in ("number", "missing") for one in kinds) and "number" in kinds:
        if not first.cells[0].strip() and is_counter(columns[0]):
            return True
        check_numbers_as_names(first, columns)
        return False
    if not sample:
        return "text" in kinds or "time" in kinds
    pairs = list(zip(kinds, below, strict=True))
    if any(one == "text" and other != "text" for one, other in pairs) or all(one == "text" for one in kinds):
        return True
    if any(one == "time" and other == "number" for one, other in pairs):
        return True
    numeric = [place for place, pair in enumerate(pairs) if pair == ("number", "number")]
    check_numbers_as_names(first._replace(cells=[first.cells[p] for p in numeric]), [columns[p] for p in numeric])
    return not any(one == other in ("number", "time") for one, other in pairs)


def usual_kind(cells: Sequence[str]) -> str:
    """The most frequent kind of some cells that are not missing."""
    kinds = [one for one in map(kind, cells[:20]) if one != "missing"]
    return max(set(kinds), key=kinds.count) if kinds else "missing"


def is_counter(cells: Sequence[str]) -> bool:
    """Whether cells are 0, 1, 2 ... or 1, 2, 3 ..."""
    return bool(cells) and any(
        all(cell.strip() == str(start + number) for number, cell in enumerate(cells)) for start in (0, 1)
    )


def check_numbers_as_names(first: Row, columns: Sequence[Sequence[str]]) -> None:
    """Raises BadInput for numbers in the first row that may be names: years, 0 1 2 ..., or far from all below them."""
    numbers = [parse_number(cell, Notation()) for cell in first.cells]
    if not numbers or any(number is None for number in numbers) or not any(columns):
        return
    values = np.array([number for number in numbers if number is not None])
    rows = [[parse_number(cell, Notation()) for cell in cells] for cells in columns]
    below = [np.array([value for value in cells if value is not None and math.isfinite(value)]) for cells in rows]
    whole = bool((values % 1 == 0).all()) and not any("." in cell for cell in first.cells)
    if whole and (is_sequence(values, below) or is_apart(values, below, columns)):
        raise BadInput(
            f"task.path: line {first.line}: got {','.join(first.cells)[:40]!r}, which may be names of columns or a row "
            f"of numbers; say which: {option('header=yes')} (names) or {option('header=no')} (numbers)"
        )


def is_sequence(values: np.ndarray, below: Sequence[np.ndarray]) -> bool:
    """Whether whole numbers are years, or 0 1 2 ..., unlike the numbers below them."""
    steps = np.diff(values)
    if not len(steps) or not bool((steps > 0).all()) or not bool((steps == steps[0]).all()):
        return False
    years, counted = all(value in YEARS for value in values), values[0] in (0, 1) and steps[0] == 1
    alike = all(bool((other % 1 == 0).all()) for other in below)
    inside = all(len(other) and other.min() <= value <= other.max() for value, other in zip(values, below, strict=True))
    return (years and not inside) or bool(counted and (not alike or (len(values) > 2 and not inside)))


def is_apart(values: np.ndarray, below: Sequence[np.ndarray], columns: Sequence[Sequence[str]]) -> bool:
    """Whether whole numbers stand above numbers with decimals, each further from these than they spread."""
    if min(map(len, below)) < FEWEST or not all(decimal_share(cells) > 0.9 for cells in columns):
        return False
    gaps = [max(other.min() - value, value - other.max()) for value, other in zip(values, below, strict=True)]
    return all(gap > np.ptp(other) for gap, other in zip(gaps, below, strict=True))


def decimal_share(cells: Sequence[str]) -> float:
    return sum("." in cell for cell in cells) / max(len(cells), 1)


def check_units(first: Row, others: Sequence[Row], settings: TaskSpec) -> None:
    """Raises BadInput for a second line that is neither names nor numbers, as one of units."""
    if len(others) < 3:
        return
    second, below = others[0], others[1 : SAMPLE + 1]
    odd = [
        cell
        for place, cell in enumerate(second.cells)
        if kind(cell) == "text" and usual_kind([row.cells[place] for row in below]) == "number"
    ]
    below_kinds = [usual_kind([row.cells[place] for row in below]) for place in range(len(second.cells))]
    numbers = [kind(cell) for cell, one in zip(second.cells, below_kinds, strict=True) if one == "number"]
    if odd and "number" not in numbers and not re.search(r"\d", "".join(odd)):
        full = all(second.cells) and len(set(second.cells)) == len(second.cells)
        names = f" (or {skip_option([first.line], settings)} if line {second.line} holds the names)" if full else ""
        raise BadInput(
            f"task.path: line {second.line}: got {odd[0][:40]!r}; expected numbers; a line of units or comments is "
            f"left out with {skip_option([second.line], settings)}{names}"
        )

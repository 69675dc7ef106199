"""The layout of a table: what stands between its cells, which lines are rows, and whether the first one holds names."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.tables.lines import DELIMITERS, Line, Row, number_lines, skip_option
from rnnjax.tasks.tables.notation import looks_numeric, option
from rnnjax.tasks.tables.times import looks_like_time
from rnnjax.tasks.tables.titles import check_titles

MANY = 30  # rows in which a chance pattern is unlikely
SAMPLE = 200  # rows from which the delimiter is chosen among several that fit
MARKUP = re.compile(r"\s*(<!doctype|<html|<table|<\?xml|<svg)", re.IGNORECASE)


class Sheet(NamedTuple):
    """The rows of a file, all of one width, before its names are told from its numbers."""

    delimiter: str  # a key of `DELIMITERS`; "none" for a single column
    rows: list[Row]
    row_names: bool = False  # R's: the first row, which holds names, has none for the first column and one cell less


def read_sheet(text: str, settings: TaskSpec) -> Sheet:
    """The rows of a table. Raises BadInput for a file that is none, or whose rows differ in length."""
    check_markup(text)
    lines, delimiter = number_lines(text, settings)
    candidates = candidate_delimiters(lines, delimiter or settings.delimiter, settings)
    readings = {name: parse_rows(lines, name) for name in candidates}
    fitting = [name for name, rows in readings.items() if isinstance(rows, list) and is_even(rows)]
    if fitting:
        name = max(fitting, key=lambda one: (*fit(readings[one]), -candidates.index(one)))
    else:
        name = max(candidates, key=lambda one: (usual_share(readings[one]), -candidates.index(one)))
    rows = readings[name]
    if isinstance(rows, BadInput):
        raise rows
    rows = trim(rows)
    check_titles(rows, settings)
    if all(len(row.cells) < 2 for row in rows) and rows[0].cells:
        rows = [row if row.cells else row._replace(cells=[""]) for row in rows]  # of one column: a missing number
    row_names = len(rows) > 1 and len(rows[0].cells) == len(rows[1].cells) - 1 and is_even(rows)
    check_even(rows, row_names, name, settings)
    if row_names:
        check_row_names(rows, name, settings)
        rows = [Row(rows[0].line, ["", *rows[0].cells]), *rows[1:]]
    return Sheet(name if len(rows[0].cells) > 1 else "none", rows, row_names)


def check_markup(text: str) -> None:
    if not text.strip():
        raise BadInput("task.path: got an empty file; expected rows of numbers")
    if MARKUP.match(text):
        raise BadInput("task.path: line 1: got a page of HTML or XML; expected a CSV file; save the table as CSV")
    if re.match(r"\s*(\{\s*\"|\[\s*[\[{])", text):
        raise BadInput("task.path: line 1: got JSON; expected a CSV file; save the table as CSV")


def candidate_delimiters(lines: Sequence[Line], asked: str, settings: TaskSpec) -> list[str]:
    """The delimiters that the file may have: those with which all rows have one length, else all that occur.

    A comma that is the decimal sign stands between no cells unless these are quoted.
    """
    if asked != "auto":
        return [asked]
    decimal = settings.decimal == "comma" and not any('"' in line for _, line in lines[:SAMPLE])
    found = [name for name, sign in DELIMITERS.items() if any(sign in line for _, line in lines)]
    found = [name for name in found if not (decimal and name == "comma")]
    even = [name for name in found if isinstance(rows := parse_rows(lines, name), list) and is_even(rows)]
    return even or [name for name in found if name != "blanks"] or ["tab"]


def parse_rows(lines: Sequence[Line], delimiter: str) -> list[Row] | BadInput:
    """The cells of every line, or what is wrong with the quotes.

    An empty line is a row without cells: it may be a gap in time.
    """
    reader = csv.reader(
        (line.strip(" ") if delimiter == "blanks" else line for _, line in lines),
        delimiter=DELIMITERS[delimiter],
        strict=True,
        skipinitialspace=True,
    )
    rows = []
    try:
        for cells in reader:
            rows.append(Row(lines[reader.line_num - 1][0], [cell.strip() for cell in cells]))
    except csv.Error as error:
        number = lines[min(reader.line_num, len(lines)) - 1][0]
        return BadInput(f"task.path: line {number}: got {error}; expected cells as in a CSV file")
    return rows


def is_even(rows: Sequence[Row]) -> bool:
    """Whether all rows have one number of cells, two at least; the first may have one less, as R writes it."""
    widths = Counter(len(row.cells) for row in rows[1:] if row.cells)
    if not rows[1:]:
        return len(rows[0].cells) > 1
    [width] = widths if len(widths) == 1 else [0]
    return width > 1 and len(rows[0].cells) in (width, width - 1)


def fit(rows: list[Row] | BadInput) -> tuple[float, bool]:
    """(the share of cells below the first line that are numbers, times or empty, whether that line is as long)."""
    if isinstance(rows, BadInput):
        return 0.0, False
    step = -(-len(rows) // SAMPLE)
    cells = [cell for row in rows[1::step] for cell in row.cells]
    known = sum(not cell or looks_numeric(cell) or looks_like_time(cell) for cell in cells)
    return known / max(len(cells), 1), len(rows[0].cells) == len(rows[-1].cells)


def trim(rows: list[Row]) -> list[Row]:
    """Rows without a last column that is empty everywhere, and without empty rows at the end of the file."""
    while len(rows) > 1 and len(rows[-1].cells) > 1 and not any(rows[-1].cells):
        rows = rows[:-1]
    width = max(len(row.cells) for row in rows)
    below = [row for row in rows[1:] if row.cells]
    while width > 1 and below and all(len(row.cells) == width and not row.cells[-1] for row in below):
        if len(rows[0].cells) == width and rows[0].cells[-1]:
            break
        rows = [Row(row.line, row.cells[: width - 1]) for row in rows]
        below, width = [row for row in rows[1:] if row.cells], width - 1
    return rows


def usual_share(rows: list[Row] | BadInput) -> float:
    """The share of the rows that have the most frequent number of cells, where that is more than one."""
    if isinstance(rows, BadInput):
        return -1.0
    widths = Counter(len(row.cells) for row in rows if len(row.cells) > 1)
    return max(widths.values(), default=0) / len(rows)


def check_even(rows: Sequence[Row], row_names: bool, delimiter: str, settings: TaskSpec) -> None:
    """Raises BadInput for the first row that is of another length than the others."""
    first = len(rows[0].cells) + row_names
    common = Counter(len(row.cells) for row in rows[1:] if row.cells).most_common(1)
    usual = common[0][0] if common else first
    if usual != first and common[0][1] > 0.9 * len(rows[1:]) and len(rows) > 3:
        raise BadInput(f"task.path: line {rows[0].line}: {describe_first_row(rows[0], usual, delimiter, settings)}")
    named = not all(map(looks_numeric, rows[0].cells))
    read = [rows[0]._replace(cells=[*rows[0].cells, *[""] * row_names]), *rows[1:]]
    odd = [row for row in read if len(row.cells) != first or not row.cells]
    if odd:
        expected = first or "at least 1"
        raise BadInput(
            f"task.path: line {odd[0].line}: got {len(odd[0].cells)} cells; expected {expected}, as in line "
            f"{rows[0].line}{describe_odd_rows(odd, first, delimiter, named, settings)}"
        )


def describe_first_row(row: Row, usual: int, delimiter: str, settings: TaskSpec) -> str:
    """The message of a first line that is shorter or longer than all others."""
    if not row.cells:
        return f"got an empty line; expected {usual} cells; leave it out with {skip_option([row.line], settings)}"
    got = f"got {len(row.cells)} cells ({', '.join(row.cells)[:40]!r}); expected {usual}, as in the other lines"
    if delimiter == "comma" and usual == 2 * len(row.cells) > 2:
        return f"{got}; if the commas are decimal signs, {option('decimal=comma')}"
    return f"{got}; a title or comment is left out with {skip_option([row.line], settings)}"


def describe_odd_rows(odd: Sequence[Row], expected: int, delimiter: str, named: bool, settings: TaskSpec) -> str:
    """The remedy for rows of another length; empty lines and those of words are named together."""
    row, remarks = odd[0], [one.line for one in odd if not all(map(looks_numeric, one.cells)) or not one.cells]
    if row.line in remarks:
        what = "an empty line" if not row.cells else "a title or comment"
        many = "" if len(remarks) == 1 else f" (with others, {len(remarks)} lines)"
        return f"; {what} is left out{many} with {skip_option(remarks, settings)}"
    if delimiter == "comma" and (len(row.cells) > expected or not named):
        return f"; if the commas are decimal signs, {option('decimal=comma')}"
    return ""


def check_row_names(rows: Sequence[Row], delimiter: str, settings: TaskSpec) -> None:
    """Raises BadInput where a short first line is a title, or a sign of decimal commas, instead of R's row names."""
    if len(rows) > 3 and not any(map(looks_numeric, rows[1].cells)) and any(map(looks_numeric, rows[2].cells)):
        raise BadInput(
            f"task.path: line {rows[0].line}: {describe_first_row(rows[0], len(rows[1].cells), delimiter, settings)}"
        )
    columns = [[row.cells[place] for row in rows[1:]] for place in range(len(rows[1].cells))]
    halves = any(may_be_halves(left, right) for left, right in pairwise(columns))
    if delimiter == "comma" and halves and columns[0] != [str(number + 1) for number in range(len(rows) - 1)]:
        remedy = option("decimal=comma") if len(columns) == 2 else "save the file with semicolons between the cells"
        raise BadInput(
            f"task.path: line {rows[1].line}: got {len(columns)} cells ({', '.join(rows[1].cells)[:40]}); expected "
            f"{len(columns) - 1}, as in line {rows[0].line}; if the commas are decimal signs, {remedy}"
        )


def may_be_halves(left: Sequence[str], right: Sequence[str], width: int | None = None) -> bool:
    """Whether two columns may be what stands before and behind a decimal comma.

    Both are whole, and the second has one width, or a 0 before other digits, or, in many rows, never a 0 at the end.
    """
    if not all(re.fullmatch(r"[+-]?\d+", cell) for cell in left) or not all(
        re.fullmatch(r"\d+", cell) for cell in right
    ):
        return False
    widths = {len(cell) for cell in right}
    if width is not None:
        return widths == {width}
    padded = any(cell.startswith("0") and len(cell) > 1 for cell in right)
    shortened = len(right) >= MANY and max(widths) <= 6 and not any(cell.endswith("0") for cell in right)
    return len(set(right)) > 1 and (len(widths) == 1 or padded or shortened)

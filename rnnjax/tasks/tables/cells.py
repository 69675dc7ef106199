"""The cells of the chosen columns as numbers; what a cell that is none looks like, and the option that helps."""

import re
from collections.abc import Sequence

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.tables.columns import without_columns
from rnnjax.tasks.tables.decimals import WORDS, column_notations
from rnnjax.tasks.tables.header import NamedRows, kind
from rnnjax.tasks.tables.lines import COMMENT, Row, skip_option
from rnnjax.tasks.tables.missing import Numbers, list_lines
from rnnjax.tasks.tables.notation import (
    PARENTHESES,
    Notation,
    declare,
    describe_look,
    find_affix,
    is_missing,
    option,
    parse_number,
    plain_number,
    remove_units,
    show,
)
from rnnjax.types import DataNotice

MINUS_BEHIND = re.compile(r"\d[.,]? ?[-\u2212](?![\d.,])", re.ASCII)
MOST_MARKS = 8  # different marks of numbers that one option names


def read_numbers(table: NamedRows, chosen: Sequence[int], settings: TaskSpec, indexed: bool) -> Numbers:
    """The numbers of some columns; NaN where one is missing. Raises BadInput for a cell that is neither.

    Args: indexed: the rows have an index.
    """
    notations = column_notations(table, chosen, settings)
    names = tuple(table.names[place] for place in chosen)
    columns = [
        read_column(table, place, notation, settings, indexed)
        for place, notation in zip(chosen, notations, strict=True)
    ]
    values_ND = np.array(columns, dtype=np.float64).reshape(len(chosen), -1).T
    lines_N = np.array([row.line for row in table.rows], dtype=np.int64)
    return Numbers(names, values_ND, lines_N, [table.column(place) for place in chosen])


def read_column(table: NamedRows, place: int, notation: Notation, settings: TaskSpec, indexed: bool) -> list[float]:
    """The numbers of a column."""
    values = []
    numbers = notation.missing_numbers
    for row in table.rows:
        cell = row.cells[place]
        value = parse_number(cell, notation)
        if value is None and not is_missing(cell, notation):
            raise BadInput(describe_bad_cell(table, place, notation, row, settings, indexed))
        values.append(np.nan if value is None or not np.isfinite(value) or value in numbers else value)
    return values


def describe_bad_cell(
    table: NamedRows, place: int, notation: Notation, row: Row, settings: TaskSpec, indexed: bool
) -> str:
    """The message of a cell that is neither a number nor missing: what it looks like, and the option that helps."""
    name, cell = table.names[place], row.cells[place]
    known = [parse_number(one, notation) is not None for one in table.column(place)]
    what, remedy = describe_look(cell)
    got = f"task.path: line {row.line}, column {name!r}: got {show(cell)}{f' ({what})' if what else ''}"
    if COMMENT.match(row.cells[0]) and not remedy:
        return f"{got}; expected a number; a comment is left out with {skip_option([row.line], settings)}"
    if any(known) and "decimal" in what:
        return f"{got} where others have a decimal {WORDS[notation.decimal]}; expected one notation in a column"
    if "parentheses" in what:
        return f"{got}, {describe_parentheses(cell, notation)}"
    if remedy and remedy[0].startswith("units="):
        return f"{got}; expected a number; {describe_units(table, place, notation, remedy, sum(known))}"
    if remedy:
        return f"{got}; expected a number; use {option(*remedy)}"
    if sum(known) > 0.5 * len(known) or len(table.names) == 1:
        return f"{got}; expected a number; {describe_word(row, cell, what, settings)}"
    if "a date" in what and not indexed:
        labels = option(f"index={name}")
        return f"{got}; expected a number; if it labels the rows, {labels} (their order is not checked)"
    names = [one for one in table.names if one and one != name]
    left_out = without_columns([name], names, settings).removeprefix("; leave it out with ")
    leave = f"leave the column out with {left_out}, or " if left_out and name else ""
    return f"{got}; expected a number; {leave}choose others with --set task.columns=..."


def describe_parentheses(cell: str, notation: Notation) -> str:
    """The two readings of a number in parentheses, and the options that choose."""
    negative = plain_number(cell, (PARENTHESES,)).removeprefix("-")
    affix = find_affix(negative)
    inner = remove_units(negative, affix.split()) if affix else negative
    groups = [one for one in describe_look(negative)[1] if not one.startswith("units=")]
    groups = groups if any("thousands" in one for one in groups) else []
    units = [*notation.units, *affix.split()]
    options = [option(join_units(units, more), *groups) for more in ([PARENTHESES], list(PARENTHESES))]
    return f"which may be -{inner}, as in bookkeeping ({options[0]}), or {inner} with a mark ({options[1]}); say which"


def join_units(units: Sequence[str], more: Sequence[str]) -> str:
    """The setting of `task.units` with further words."""
    return f"units={' '.join(dict.fromkeys([*units, *more]))}"


def describe_units(table: NamedRows, place: int, notation: Notation, remedy: Sequence[str], known: int) -> str:
    """The option that reads numbers with units or marks: all those of the column, if they are few."""
    cells = [one for one in table.column(place) if parse_number(one, notation) is None]
    marks = [affix for affix in dict.fromkeys(map(find_affix, cells)) if affix][:MOST_MARKS]
    words = [word for mark in marks or [remedy[0].removeprefix("units=")] for word in mark.split()]
    settings = option(join_units(notation.units, words), *remedy[1:])
    if len(marks) < 2 and not known:
        return f"use {settings}"
    listed = ", ".join(map(repr, marks))
    return f"if {listed} {'are marks' if len(marks) > 1 else 'is a mark'} beside numbers of one unit, {settings}"


def describe_word(row: Row, cell: str, what: str, settings: TaskSpec) -> str:
    """The options for a word in a column of numbers: a missing number, a limit, or a line that is no row."""
    code = option(f"missing_values={declare([cell.strip()], settings.missing_values)}", "missing=interpolate")
    remedy = f"if it means a missing number, {code}"
    if "limit" in what:
        sign = cell.strip().rstrip("0123456789., +-")
        limit = option(join_units(settings.units.split(), [sign]))
        return f"{remedy.replace('missing=interpolate', 'missing=mask')}; to read the limit itself, {limit}"
    if all(kind(one) in ("text", "missing") for one in row.cells):
        return f"{remedy}; if the line is a remark, {skip_option([row.line], settings)}"
    return remedy


def minus_notices(numbers: Numbers) -> list[DataNotice]:
    """A notice of each column with a minus behind its numbers."""
    found = []
    for name, cells in zip(numbers.names, numbers.cells, strict=True):
        rows = [row for row, cell in enumerate(cells) if MINUS_BEHIND.search(cell)]
        if rows:
            lines = numbers.lines_N[rows].tolist()
            text = f"has the minus behind {len(rows):,} of its numbers, read as negative ({list_lines(lines)})"
            found.append(DataNotice(name, "notation", text))
    return found

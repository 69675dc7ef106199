"""Rows of a table that are no rows of its series: totals, means and remarks where the others have dates."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.tables.header import NamedRows
from rnnjax.tasks.tables.lines import skip_option
from rnnjax.tasks.tables.notation import MISSING_WORDS, show
from rnnjax.tasks.tables.times import looks_like_time, parse_times

MOST_REMARKS = 0.02  # of the rows, or `FEW` of them
FEW = 3
DATES = ("date", "day", "time", "timestamp", "datum")  # names of columns whose dates may look like numbers


def check_remarks(table: NamedRows, place: int, is_index: Callable[[Sequence[str]], bool], settings: TaskSpec) -> None:
    """Raises BadInput for few cells that are remarks in a column that is an index without them.

    A cell without a digit is no typing mistake of a date; nor is an empty one at the end of the table.
    """
    cells = [cell.strip() for cell in table.column(place)]
    if place and table.names[place].casefold() not in DATES and not any(map(looks_like_time, cells[:5])):
        return
    words = any(re.search(r"[^\W\d_]{3}", cell) and re.search(r"\d", cell) for cell in cells[:20])
    remarks = [row for row, cell in enumerate(cells) if is_remark(cell, words)]
    end = len(cells) - 1
    while end > 0 and (is_blank(cells[end]) or end in remarks):
        remarks, end = sorted({*remarks, end}), end - 1
    if not remarks or len(remarks) > max(MOST_REMARKS * len(cells), FEW) or len(cells) - len(remarks) < FEW:
        return
    others = [cells[row] for row in np.setdiff1d(np.arange(len(cells)), remarks)]
    if not is_index(others):
        return
    lines = [table.rows[row].line for row in remarks]
    cell = cells[remarks[0]]
    got = show(cell) if cell else "an empty cell"
    what = "dates" if parse_times(others, numbers_too=True) is not None else "numbers of rows"
    raise BadInput(
        f"task.path: line {lines[0]}, column {table.names[place]!r}: got {got} where the "
        f"others have {what}; a row of totals or a remark is left out with {skip_option(lines, settings)}"
    )


def is_blank(cell: str) -> bool:
    return cell.casefold() in MISSING_WORDS


def is_remark(cell: str, words: bool) -> bool:
    """Whether a cell is a remark. Args: words: the dates have names of months or of days."""
    if is_blank(cell):
        return False
    return not re.search(r"\d", cell) or (not words and bool(re.search(r"[^\W\d_]{3}", cell)))

"""Rows above the numbers of a table: titles before the names, and several rows of names."""

from collections import Counter
from collections.abc import Sequence

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.tables.lines import Row, skip_option
from rnnjax.tasks.tables.notation import MISSING_WORDS, looks_numeric

MOST_ROWS = 100  # above the numbers
SAMPLE = 200  # rows from which it is known which columns hold numbers


def check_titles(rows: Sequence[Row], settings: TaskSpec) -> None:
    """Raises BadInput for titles above the names, or three or more rows of names; one row is judged elsewhere."""
    width = Counter(len(row.cells) for row in rows).most_common(1)[0][0]
    top = rows_above(rows, width)
    if len(top) < 2:
        return
    fits = [len(row.cells) == width or (row is top[-1] and len(row.cells) == width - 1 > 1) for row in top]
    start = len(top) - fits[::-1].index(False) if False in fits else 0
    titles, names = top[:start], top[start:]
    if (not titles and len(names) < 3) or (not names and len(rows[0].cells) == width):
        return
    if len(titles) == 1 and len(names) < 2 and len(titles[0].cells) != width:
        return
    kept = max(names, key=lambda row: len({cell for cell in row.cells if cell}), default=None)
    others = [row.line for row in top if row is not kept]
    shown = ",".join(rows[0].cells)[:40]
    if kept is None:
        what = "titles are left out with"
    elif not titles:
        what = f"keep the names in line {kept.line} ({','.join(kept.cells)[:40]!r}), or others, with"
    else:
        what = f"to read the names in line {kept.line} ({','.join(kept.cells)[:40]!r}), leave the others out with"
    raise BadInput(
        f"task.path: line {top[0].line}: got {len(top)} lines above the numbers, first {shown!r}; expected one row of "
        f"names; {what} {skip_option(others, settings)}"
    )


def rows_above(rows: Sequence[Row], width: int) -> list[Row]:
    """The rows before the first that has a number in a column of numbers; none where there is no such column."""
    sample = [row.cells for row in rows[-SAMPLE:] if len(row.cells) == width]
    numeric = [
        place for place in range(width) if 2 * sum(looks_numeric(cells[place]) for cells in sample) > len(sample)
    ]
    for number, row in enumerate(rows[: MOST_ROWS + 1]):
        cells = row.cells if len(row.cells) == width else []
        plain = [cells[place] for place in numeric if place < len(cells)]
        known = [cell for cell in plain if cell.casefold() not in MISSING_WORDS]
        if known and all(map(looks_numeric, known)):
            return list(rows[:number])
    return []

"""Read a user's table: text -> `Table`, or one line with the mistake, its place and the option that helps."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.tables.cells import minus_notices, read_numbers
from rnnjax.tasks.tables.columns import ChosenColumns, check_names, choose_roles, find_column
from rnnjax.tasks.tables.header import read_names
from rnnjax.tasks.tables.index import Index, find_index
from rnnjax.tasks.tables.layout import read_sheet
from rnnjax.tasks.tables.missing import Numbers, select_rows, treat_missing
from rnnjax.tasks.tables.notation import option
from rnnjax.tasks.tables.order import block_notices, filter_rows, ordered_rows
from rnnjax.tasks.tables.spacing import Spacing, find_spacing, row_index, spacing_notices
from rnnjax.tasks.tables.suspicions import find_suspicions
from rnnjax.tasks.tables.wide import wide_notices
from rnnjax.types import DataNotice, RowIndex


class Table(NamedTuple):
    """Numbers in rows of time and named columns, with the index of the rows."""

    names: tuple[str, ...]
    values_ND: np.ndarray  # float64; NaN where a number is missing, which only task.missing = "mask" leaves
    lines_N: np.ndarray  # of the file
    notices: tuple[DataNotice, ...] = ()
    row_labels: Index | None = None
    spacing: Spacing | None = None
    targets: int = 0  # the first columns are predicted, then inputs, then known inputs
    inputs: int = 0
    future_MK: np.ndarray | None = None  # known inputs of the rows after the last

    def index_at(self, row: int) -> RowIndex | None:
        """The index of a row, for a forecast that goes on from there."""
        if self.row_labels is None or self.spacing is None:
            return None
        return row_index(self.row_labels, self.spacing, row)


def read_table(text: str, settings: TaskSpec) -> Table:
    """The chosen columns of a table, in the order of time.

    Args:
        settings: `columns`, `index`, `where`, `order`, `missing` and the fields of the notation are used.
    Raises:
        BadInput: no table, one that can be read in two ways, a chosen cell that is no number, missing numbers that
            are not allowed, rows that are not in order, or several series in one table.
    """
    named = filter_rows(read_names(read_sheet(text, settings), settings), settings.where)
    index = find_index(named, settings)
    filtered = [find_column(named, settings.where.partition("=")[0].strip(), "where")] if settings.where else []
    roles = choose_roles(named, settings, [*(index.places if index else ()), *filtered])
    chosen = roles.places
    check_names(named, chosen)
    if not chosen:
        raise BadInput("task.columns: got a table with an index only; expected a column of numbers")
    rows_N = ordered_rows(named, index, settings.order)
    numbers = select_rows(read_numbers(named, chosen, settings, index is not None), rows_N)
    index = index.select(rows_N) if index else None
    spacing = find_spacing(index) if index else None
    notices = [*index_notices(index, settings), *block_notices(named, set(chosen), index), *wide_notices(named, chosen)]
    if index is not None and spacing is not None:
        notices += spacing_notices(index, spacing, numbers.lines_N)
    numbers, future_MK = split_future(numbers, roles)
    notices += [*minus_notices(numbers), *find_suspicions(numbers, settings.missing_values)]
    numbers, kept_N, treated = treat_missing(numbers, settings.missing)
    kept = np.flatnonzero(kept_N)
    if index is not None and len(kept) < len(index.labels):
        index = index.select(kept)
        spacing = spacing if kept_N.all() else find_spacing(index)
    known = (*notices, *treated)
    rows = numbers.names, numbers.values_ND, numbers.lines_N
    return Table(*rows, known, index, spacing, roles.targets, roles.inputs, future_MK)


def split_future(numbers: Numbers, roles: ChosenColumns) -> tuple[Numbers, np.ndarray | None]:
    """The rows up to the last with a number that is not known in advance, and the known inputs of those after it.

    Raises: BadInput for a known input that ends before another one, or before that row.
    """
    if not roles.known:
        return numbers, None
    own = roles.targets + roles.inputs
    measured = np.flatnonzero(~np.isnan(numbers.values_ND[:, :own]).all(axis=1))
    given = np.flatnonzero(~np.isnan(numbers.values_ND[:, own:]).all(axis=1))
    count, end = (int(rows[-1]) + 1 if len(rows) else 0 for rows in (measured, given))
    future_MK = numbers.values_ND[count:end, own:]
    for name, column in zip(numbers.names[own:], future_MK.T, strict=True):
        if np.isnan(column).any():
            row = count + int(np.flatnonzero(np.isnan(column))[0])
            lines = [int(numbers.lines_N[place]) for place in (row, count - 1, end - 1)]
            raise BadInput(
                f"task.known_inputs: column {name!r} has no number in line {lines[0]}, after the last row of the "
                f"targets (line {lines[1]}); expected numbers up to line {lines[2]}"
            )
    return select_rows(numbers, np.arange(count)), future_MK


def index_notices(index: Index | None, settings: TaskSpec) -> list[DataNotice]:
    """A notice of columns of numbers that were taken for the index and could have been trained on."""
    if index is None or settings.index or index.values_N is None:
        return []
    counters = [index.name] if index.times is None and index.name else [name for name in index.numbered if name]
    parts = [name for name in counters if len(index.numbered) > 1 and name in index.name.split(" ")]
    notices = []
    if parts:
        text = f"holds a date in parts: the index, not trained on; train on them with {choose_option(parts)}"
        notices.append(DataNotice(" ".join(parts), "index", text))
    for name in counters:
        if name not in parts:
            text = f"counts the rows: the index, not trained on; train on it with {choose_option([name])}"
            notices.append(DataNotice(name, "index", text))
    return notices


def choose_option(names: Sequence[str]) -> str:
    return option(f"columns={','.join(names)},...")

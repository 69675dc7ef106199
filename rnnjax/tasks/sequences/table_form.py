"""Sequences as a CSV table in long form: one row for each step, and a column that names the sequence."""

from collections.abc import Sequence
from itertools import pairwise

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.sequences.raw import RawSequences, bad
from rnnjax.tasks.tables.cells import read_numbers
from rnnjax.tasks.tables.columns import choose_columns, find_column, split_names
from rnnjax.tasks.tables.header import NamedRows, read_names
from rnnjax.tasks.tables.layout import read_sheet
from rnnjax.tasks.tables.order import filter_rows

TARGETS = ("label", "y", "target", "class")  # columns that are taken for the target where `task.targets` is empty


def read_long_table(text: str, settings: TaskSpec) -> RawSequences:
    """The sequences of a table, in the order in which they begin.

    The rows of a sequence stand together. `columns` are read, by default all that have no other role.

    Raises: BadInput with the line and column of the first mistake.
    """
    table = filter_rows(read_names(read_sheet(text, settings), settings), settings.where)
    by, order = sequence_place(table, settings.sequence_column), None
    if settings.order_column:
        order = find_column(table, settings.order_column, "order_column")
    wanted = (settings.group_column, settings.time_column, settings.split_column)
    key_places = {name: table.names.index(name) for name in wanted if name in table.names}
    target_places = find_targets(table, settings)
    taken = [by, *([] if order is None else [order]), *key_places.values(), *target_places]
    chosen = choose_columns(table, settings.columns, taken)
    for place in chosen:
        if place in taken:
            raise BadInput(f"task.columns: got {table.names[place]!r}, which has another role; expected a feature")
    if not chosen:
        raise BadInput("task.columns: got no column to read; expected at least one that is no target and no key")
    spans = sequence_spans(table, by)
    if order is not None:
        check_rising(table, order, spans)
    numbers = read_numbers(table, chosen, settings, True)
    found = RawSequences(
        places=[f"sequence {table.rows[a].cells[by].strip()!r} (line {table.rows[a].line})" for a, _ in spans],
        steps=[numbers.values_ND[a:b] for a, b in spans],
        names=[table.rows[a].cells[by].strip() for a, _ in spans],
        features=numbers.names,
        keys={name: constant_words(table, place, spans) for name, place in key_places.items()},
        target=", ".join(table.names[place] for place in target_places),
    )
    return found._replace(targets=targets_of(table, target_places, spans, settings)) if target_places else found


def sequence_place(table: NamedRows, name: str) -> int:
    """The column that names the sequence of a row."""
    if name not in table.names:
        names = ", ".join(repr(one) for one in table.names[:10])
        raise BadInput(
            f"task.sequence_column: got {name!r}; expected the column that names the sequence of a row, one of: {names}"
        )
    return find_column(table, name, "sequence_column")


def find_targets(table: NamedRows, settings: TaskSpec) -> list[int]:
    """The columns of the target; none where the next row is predicted."""
    if settings.predict == "next":
        return []
    if settings.targets:
        return [find_column(table, name, "targets") for name in split_names(settings.targets, table.names)]
    found = [name for name in TARGETS if name in table.names]
    if not found:
        expected = f"a column {', '.join(map(repr, TARGETS[:-1]))} or {TARGETS[-1]!r}"
        raise BadInput(f"task.targets: got none, and the file has no such column; expected {expected}, or its name")
    return [find_column(table, found[0], "targets")]


def sequence_spans(table: NamedRows, by: int) -> list[tuple[int, int]]:
    """The first row of each sequence and the row after its last. Raises BadInput where one is not together."""
    names = [cell.strip() for cell in table.column(by)]
    cuts = [0, *[row for row in range(1, len(names)) if names[row] != names[row - 1]], len(names)]
    spans = [(a, b) for a, b in pairwise(cuts) if b > a]
    first: dict[str, int] = {}
    for a, _ in spans:
        if not names[a]:
            raise bad(f"line {table.rows[a].line}", "a row without a sequence", f"a name in {table.names[by]!r}")
        if names[a] in first:
            raise bad(
                f"line {table.rows[a].line}",
                f"sequence {names[a]!r} again, which ended before (it begins in line {first[names[a]]})",
                "all rows of a sequence together; sort the file by that column",
            )
        first[names[a]] = table.rows[a].line
    return spans


def check_rising(table: NamedRows, order: int, spans: Sequence[tuple[int, int]]) -> None:
    """Raises BadInput where the order column does not rise within a sequence: numbers, or words such as ISO dates."""
    cells = [cell.strip() for cell in table.column(order)]
    keys: list[float] | list[str]
    try:
        keys = [float(cell) for cell in cells]
    except ValueError:
        keys = cells
    for a, b in spans:
        for row in range(a + 1, b):
            if not keys[row - 1] < keys[row]:  # type: ignore[operator]
                got = f"{cells[row]!r} after {cells[row - 1]!r} in column {table.names[order]!r}"
                raise bad(f"line {table.rows[row].line}", got, "values that rise within a sequence")


def constant_words(table: NamedRows, place: int, spans: Sequence[tuple[int, int]]) -> list[str]:
    """The word of each sequence in a column. Raises BadInput where it changes within one."""
    cells, words = [cell.strip() for cell in table.column(place)], []
    for a, b in spans:
        for row in range(a + 1, b):
            if cells[row] != cells[a]:
                got = f"{cells[row]!r} after {cells[a]!r} in column {table.names[place]!r}"
                raise bad(f"line {table.rows[row].line}", got, "one value for all rows of a sequence")
        words.append(cells[a])
    return words


def targets_of(
    table: NamedRows, places: Sequence[int], spans: Sequence[tuple[int, int]], settings: TaskSpec
) -> list[object]:
    """The targets: a label or numbers of each sequence, or a tag of each step."""
    if settings.predict == "values":
        for place in places:
            constant_words(table, place, spans)
        numbers = read_numbers(table, places, settings, True)
        return [numbers.values_ND[a].tolist() for a, _ in spans]
    if len(places) > 1:
        raise BadInput(f"task.targets: got {len(places)} columns; expected one column of labels, or predict = 'values'")
    if settings.predict == "tags":
        cells = [cell.strip() for cell in table.column(places[0])]
        return [list(cells[a:b]) for a, b in spans]
    return list(constant_words(table, places[0], spans))

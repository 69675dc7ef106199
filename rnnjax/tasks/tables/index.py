"""The index of the rows of a table: its column, its order, and the label of a row after the last."""

import re
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.tables.columns import asked_names, find_column, is_trained_on, split_names
from rnnjax.tasks.tables.date_parts import bad_parts, date_columns, describe_bad_parts, join_parts
from rnnjax.tasks.tables.header import NamedRows, is_counter
from rnnjax.tasks.tables.lines import Row
from rnnjax.tasks.tables.remarks import check_remarks
from rnnjax.tasks.tables.times import DAY, TimeColumn, parse_times

COUNTER_NAMES = """
    index idx id i n no no. nr nr. # t time step row rowid obs x rownames sample year years jahr month year_month day
    date datum datetime zeit hour minute second seconds timestamp epoch unixtime unix_time unix
"""
COUNTERS = frozenset(COUNTER_NAMES.split()) | {"", "unnamed: 0"}  # columns that count the rows, casefolded
CYCLIC = frozenset(["hour", "minute", "second", "month", "day"])  # begin again without being a panel
TIMES = frozenset(["t", "time", "timestamp", "seconds", "zeit", "epoch"])  # go forward, not always in equal steps
EPOCH_UNITS = ((1e9, 4e9, 1_000_000), (1e12, 4e12, 1_000), (1e15, 4e15, 1))  # from, to, microseconds in one


class Index(NamedTuple):
    """The labels of the rows."""

    places: tuple[int, ...]  # of its columns
    name: str
    labels: tuple[str, ...]
    values_N: np.ndarray | None = None  # float64: microseconds, or a count; None where the labels are only names
    times: TimeColumn | None = None
    numbered: tuple[str, ...] = ()  # names of its columns that hold numbers, which a user may want to train on

    def select(self, rows_N: np.ndarray) -> "Index":
        """Some rows, as indices."""
        times = self.times and self.times._replace(
            microseconds_N=self.times.microseconds_N[rows_N], offsets_N=self.times.offsets_N[rows_N]
        )
        values_N = None if self.values_N is None else self.values_N[rows_N]
        return self._replace(labels=tuple(self.labels[row] for row in rows_N), values_N=values_N, times=times)


def find_index(table: NamedRows, settings: TaskSpec) -> Index | None:
    """The index column of a table: the one that `task.index` names, R's names of rows, a column of dates or times,
    columns that hold a date in parts, a column without a name that counts the rows, or the first column where its name
    is that of a counter and it counts in equal steps. Columns that are chosen to be trained on are none.

    Raises: BadInput for an unknown name, or for a row of totals where the others have dates.
    """
    if settings.index:
        return asked_index(table, settings)
    asked = asked_names(settings, table.names)
    free = [place for place, name in enumerate(table.names) if name not in asked or not name]
    for place in free:
        check_remarks(table, place, partial(is_index, table.names[place], place, table.named), settings)
    for place in free:
        index = read_index(table, place)
        if index is not None and index.times is not None and not index.times.is_clock:
            return with_counter(table, with_clock(table, index, [one for one in free if one != place]), free)
    parts = read_parts(table, free, settings)
    if parts is not None:
        return with_counter(table, with_clock(table, parts, [one for one in free if one not in parts.places]), free)
    return find_counter(table, free)


def asked_index(table: NamedRows, settings: TaskSpec) -> Index:
    """The index that `task.index` names: a column, or several that hold a date in parts. Raises BadInput."""
    names = split_names(settings.index, table.names)
    places = [find_column(table, name, "index") for name in names]
    if len(places) == 1:
        place = places[0]
        check_remarks(table, place, partial(is_index, table.names[place], place, table.named), settings)
        index = read_index(table, place, forced=True)
    else:
        index = read_parts(table, places, settings)
    if index is None or (len(places) > 1 and set(index.places) != set(places)):
        raise BadInput(f"task.index: got {settings.index!r}; expected one column, or parts of a date: year,month,day")
    return index


def find_counter(table: NamedRows, free: Sequence[int]) -> Index | None:
    """A column of times of day, or one that counts the rows."""
    for place in free:
        index = read_index(table, place)
        if index is not None and index.times is not None:
            return index
    for place in free:
        unnamed = place == 0 and table.named and not table.names[0] and not any("." in one for one in table.column(0))
        index = read_index(table, place, forced=unnamed or (place == 0 and table.row_names))
        if index is not None and (place == 0 or table.names[place]):
            return index
    return None


def read_parts(table: NamedRows, places: Sequence[int], settings: TaskSpec) -> Index | None:
    """Columns that hold a date in parts as an index; None if there are none.

    Raises: BadInput for a cell that is no part of a date.
    """
    columns = date_columns(table, places)
    if not columns:
        return None
    bad = bad_parts(table, columns)
    if bad and is_trained_on(table, columns.values(), settings):
        raise BadInput(describe_bad_parts(table, columns, bad, settings))
    joined = None if bad else join_parts(table, columns)
    if joined is None:
        return None
    labels, times = joined
    names = tuple(table.names[place] for place in columns.values())
    moments_N = times.microseconds_N.astype(float)
    return Index(tuple(columns.values()), " ".join(names), tuple(labels), moments_N, times, names)


def with_counter(table: NamedRows, index: Index, free: Sequence[int]) -> Index:
    """An index of dates that takes up a first column that numbers the rows, as programs write it beside the dates."""
    cells = [cell.strip() for cell in table.column(0)]
    named = table.names[0].casefold() in COUNTERS and table.named
    if 0 not in free or 0 in index.places or not named or len(cells) < 3:
        return index
    values_N = parse_counts(cells)
    counts = values_N is not None and bool((np.diff(values_N) == 1).all())
    if not counts:
        return index
    return index._replace(places=(*index.places, 0), numbered=(*index.numbered, *filter(None, table.names[:1])))


def is_index(name: str, place: int, named: bool, cells: Sequence[str]) -> bool:
    """Whether some cells of a column are dates, or count the rows."""
    table = NamedRows([name], [Row(0, [cell]) for cell in cells], "none", named)
    index = read_index(table, 0)
    return index is not None and (index.times is not None or place == 0)


def read_index(table: NamedRows, place: int, forced: bool = False) -> Index | None:
    """A column as an index; None if it is none. Args: forced: whatever it holds."""
    name, cells = table.names[place], tuple(cell.strip() for cell in table.column(place))
    counts = table.named and name.casefold() in COUNTERS
    if not cells:
        return None
    times = parse_times(cells, numbers_too=counts or forced)
    if times is not None:
        times = times._replace(microseconds_N=unwrap(times.microseconds_N)) if times.is_clock else times
        return Index((place,), name, cells, times.microseconds_N.astype(float), times)
    values_N = parse_counts(cells)
    if values_N is not None and (forced or (counts and len(cells) > 2)):
        steps = np.diff(values_N)
        if moments := parse_epoch(values_N):
            return Index((place,), name, cells, moments.microseconds_N.astype(float), moments)
        if forced or counts_rows(name, steps) or (not name and is_counter(cells)):
            return Index((place,), name, cells, values_N)
    return Index((place,), name, cells) if forced else None


def counts_rows(name: str, steps: np.ndarray) -> bool:
    """Whether the steps of a column are those of a counter: equal, but for restarts, or those of time: all forward."""
    usual = float(np.median(steps))
    even = np.isclose(steps, usual, rtol=0.05, atol=0)
    restarts = (steps * np.sign(usual) < 0) & (name.casefold() not in CYCLIC)
    if name.casefold() in TIMES and len(steps) >= 5 and (steps > 0).all():
        return True
    return usual != 0 and bool((even | restarts).all()) and 4 * int(restarts.sum()) <= len(steps)


def unwrap(moments_N: np.ndarray) -> np.ndarray:
    """Times of day in rows that go on over midnight: a day more after each leap back by half a day or more."""
    days_N = np.cumsum(np.diff(moments_N, prepend=moments_N[:1]) <= -DAY // 2)
    return moments_N + DAY * days_N


def parse_counts(cells: Sequence[str]) -> np.ndarray | None:
    """Cells as plain numbers, if all of them are."""
    if not all(re.fullmatch(r"-?\d{1,17}(\.\d+)?(e[+-]?\d+)?", cell, re.ASCII) for cell in cells):
        return None
    return np.array([float(cell) for cell in cells])


def parse_epoch(values_N: np.ndarray) -> TimeColumn | None:
    """Numbers as seconds, milliseconds or microseconds since 1970, where they are large enough to be that."""
    for low, high, unit in EPOCH_UNITS:
        if values_N.min() >= low and values_N.max() < high:
            moments = (values_N * unit).astype(np.int64)
            return TimeColumn("epoch", moments, np.zeros_like(moments), f"epoch {unit}")
    return None


def with_clock(table: NamedRows, index: Index, others: Sequence[int]) -> Index:
    """An index of dates with the times of day in another column, as loggers write them."""
    times = index.times
    if times is None or not (times.is_clock or (times.microseconds_N % DAY == 0).all()):
        return index
    for place in others:
        other = read_index(table, place)
        if other is None or other.times is None or other.times.is_clock == times.is_clock:
            continue
        date, clock = (other, index) if times.is_clock else (index, other)
        assert date.times is not None and clock.times is not None
        moments = date.times.microseconds_N + clock.times.microseconds_N % DAY
        template = f"{date.times.template} {clock.times.template}"
        whole = TimeColumn(date.times.notation, moments, date.times.offsets_N, template)
        labels = tuple(f"{day} {hour}" for day, hour in zip(date.labels, clock.labels, strict=True))
        name = f"{date.name} {clock.name}".strip()
        return Index((*date.places, *clock.places), name, labels, moments.astype(float), whole, date.numbered)
    return index

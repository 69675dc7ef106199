"""The index of the rows of a table: its column, its order, and the label of a row after the last."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.settings import TaskSpec
from rnnjax.tasks.tables.columns import asked_names, find_column
from rnnjax.tasks.tables.header import NamedRows, is_counter
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

    def select(self, rows_N: np.ndarray) -> "Index":
        """Some rows, as indices."""
        times = self.times and self.times._replace(
            microseconds_N=self.times.microseconds_N[rows_N], offsets_N=self.times.offsets_N[rows_N]
        )
        values_N = None if self.values_N is None else self.values_N[rows_N]
        return self._replace(labels=tuple(self.labels[row] for row in rows_N), values_N=values_N, times=times)


def find_index(table: NamedRows, settings: TaskSpec) -> Index | None:
    """The index column of a table: the one that `task.index` names, R's names of rows, a column of dates or times, a
    column without a name that counts the rows, or the first column where its name is that of a counter and it counts
    in equal steps. Columns that are chosen to be trained on are none.

    Raises: BadInput for an unknown name.
    """
    if settings.index:
        return read_index(table, find_column(table, settings.index, "index"), forced=True)
    asked = asked_names(settings, table.names)
    free = [place for place, name in enumerate(table.names) if name not in asked or not name]
    for place in free:
        index = read_index(table, place)
        if index is not None and index.times is not None:
            return with_clock(table, index, [one for one in free if one != place])
    for place in free:
        unnamed = place == 0 and table.named and not table.names[0] and not any("." in one for one in table.column(0))
        index = read_index(table, place, forced=unnamed or (place == 0 and table.row_names))
        if index is not None and (place == 0 or table.names[place]):
            return index
    return None


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
        return Index((*date.places, *clock.places), name, labels, moments.astype(float), whole)
    return index

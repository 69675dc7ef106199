"""The step from a row to the next: equal, in weekdays, in months, or none; gaps; the labels of rows that follow."""

from typing import Any, NamedTuple

import numpy as np

from rnnjax.tasks.tables.index import Index
from rnnjax.tasks.tables.times import DAY, MICROSECONDS, ONE_DAY, format_time
from rnnjax.types import DataNotice, RowIndex

JITTER = 0.05  # of a step, by which equal steps may differ
USUAL = 0.5  # share of the steps that must be equal for a series to be called equally spaced
ONE_MONTH = np.timedelta64(1, "M")
MOST_DST = 3_600 * MICROSECONDS  # a clock is put forward or back by at most an hour


class Spacing(NamedTuple):
    """The usual step of an index."""

    unit: str  # as in `types.RowIndex`
    step: float
    missing_N: np.ndarray  # [N - 1] how many steps lie between two rows, less one; -1 where two rows are equal


def find_spacing(index: Index) -> Spacing:
    """The usual step of rows in order; "rows" where there is none."""
    none = Spacing("rows", 1.0, np.zeros(max(len(index.labels) - 1, 0)))
    if index.values_N is None or len(index.values_N) < 3:
        return none
    steps = np.diff(index.values_N)
    different, counts = np.unique(steps[steps > 0], return_counts=True)
    if not len(different):
        return none
    if index.times is not None and index.times.notation != "epoch":
        found = weekday_spacing(index) or month_spacing(index)
        if found is not None:
            return found
    step = float(different[counts.argmax()])
    if np.allclose(steps, np.median(steps), rtol=JITTER):
        step = step if counts.max() > USUAL * len(steps) else float(steps.mean())
    elif counts.max() < USUAL * len(steps):
        return none
    unit = "count" if index.times is None else "microseconds"
    return Spacing(unit, step, np.round(steps / step) - 1)


def local_days(index: Index) -> np.ndarray:
    """The date of each row in its own zone, as days since 1970."""
    assert index.times is not None
    return (index.times.microseconds_N + index.times.offsets_N * 60 * MICROSECONDS) // DAY


def weekday_spacing(index: Index) -> Spacing | None:
    """Monday to Friday."""
    assert index.times is not None
    days = local_days(index).astype("M8[D]")
    if len(days) < 6 or not np.is_busday(days).all() or (index.times.microseconds_N % DAY != 0).any():
        return None
    steps = np.busday_count(days[:-1], days[1:])
    if (steps == 1).mean() < USUAL or np.diff(days.astype(int)).max() < 3:
        return None
    return Spacing("weekdays", 1.0, steps.astype(float) - 1)


def month_spacing(index: Index) -> Spacing | None:
    """A whole number of months, on one day of the month or always on the last."""
    days = local_days(index).astype("M8[D]")
    months = days.astype("M8[M]")
    in_month = (days - months.astype("M8[D]")).astype(int)
    last = (days + ONE_DAY).astype("M8[M]") != months
    steps = np.diff(months.astype(int))
    if not (len(set(in_month.tolist())) == 1 or last.all()) or (steps <= 0).mean() > 0.1:
        return None
    different, counts = np.unique(steps[steps > 0], return_counts=True)
    step = int(different[counts.argmax()])
    if counts.max() < USUAL * len(steps):
        return None
    return Spacing("months", float(step), np.round(steps / step) - 1)


def spacing_notices(index: Index, spacing: Spacing, lines_N: np.ndarray) -> list[DataNotice]:
    """Gaps, repeated labels and changes of the zone."""
    if index.values_N is None:
        return []
    name, found = index.name, []
    steps = np.diff(index.values_N)
    gaps, equal = np.flatnonzero(spacing.missing_N > 0), np.flatnonzero(steps == 0)
    if spacing.unit != "rows" and len(gaps):
        lost = int(spacing.missing_N[gaps].sum())
        place = describe_place(index, lines_N, gaps[0])
        text = f"has gaps: {lost:,} rows are missing at {len(gaps):,} places, first {place}"
        found.append(DataNotice(name, "gap", f"{text}; the network reads the rows as equally spaced"))
    if spacing.unit == "rows" and len(steps) and not np.allclose(steps, steps.mean(), rtol=1e-3):
        found.append(DataNotice(name, "gap", "is not equally spaced; the network reads the rows as if it were"))
    if len(equal):
        text = f"has {len(equal):,} repeated labels, first {describe_place(index, lines_N, equal[0])}"
        found.append(DataNotice(name, "duplicate", text))
    if index.times is not None and len(index.times.unread):
        row = index.times.unread[0]
        text = f"has {len(index.times.unread)} cells that are no dates like the others, first {index.labels[row]!r}"
        found.append(DataNotice(name, "index", f"{text} (line {lines_N[row]}); placed between their neighbours"))
    return found + zone_notices(index, lines_N)


def zone_notices(index: Index, lines_N: np.ndarray) -> list[DataNotice]:
    """Changes of the zone, or of an unnamed clock that is put back by an hour."""
    if index.times is None:
        return []
    changes = np.flatnonzero(np.diff(index.times.offsets_N))
    back = np.flatnonzero(np.diff(index.times.microseconds_N) < 0)
    if len(changes):
        text = f"changes its zone {len(changes):,} times, first {describe_place(index, lines_N, changes[0])}"
        return [DataNotice(index.name, "zone", f"{text}; rows are compared in UTC")]
    if len(back):
        text = f"is put back {len(back):,} times by an hour or less, first {describe_place(index, lines_N, back[0])}"
        return [DataNotice(index.name, "zone", f"{text}: a change of the clock?")]
    return []


def describe_place(index: Index, lines_N: np.ndarray, row: int) -> str:
    """Two rows that follow each other."""
    return f"between {index.labels[row]!r} (line {lines_N[row]}) and {index.labels[row + 1]!r}"


def row_index(index: Index, spacing: Spacing, row: int) -> RowIndex:
    """The index of a row, from which `continue_index` goes on."""
    if spacing.unit == "rows" or index.values_N is None:
        return RowIndex("row", float(row + 1), "rows", 1.0)
    times = index.times
    return RowIndex(
        index.name,
        float(index.values_N[row]),
        spacing.unit,
        spacing.step,
        times.template if times else "",
        int(times.offsets_N[row]) if times else 0,
    )


def continue_index(index: RowIndex, length: int) -> list[str]:
    """The labels of the rows that follow; numbers of rows where the index is not equally spaced."""
    if not index.template:
        return [f"{index.last + index.step * number:.12g}" for number in range(1, length + 1)]
    moments = [next_moment(index, number) for number in range(1, length + 1)]
    if index.template.startswith("epoch "):
        return [str(moment // int(index.template.split()[1])) for moment in moments]
    return [format_time(index.template, moment, index.offset) for moment in moments]


def next_moment(index: RowIndex, number: int) -> int:
    """The time some steps after the last row, in microseconds since 1970."""
    last = int(index.last)
    if index.unit == "microseconds":
        return last + round(index.step) * number
    zone = index.offset * 60 * MICROSECONDS
    day: Any = np.datetime64((last + zone) // DAY, "D")
    clock = (last + zone) % DAY
    if index.unit == "weekdays":
        day = np.busday_offset(day, round(index.step) * number)
    else:
        day = month_later(day, round(index.step) * number)
    return int(day.astype("M8[D]").astype(np.int64)) * DAY + clock - zone


def month_later(day: Any, months: int) -> Any:
    """The same day some months later; the last day of a month stays the last."""
    month = day.astype("M8[M]")
    in_month, last = int((day - month.astype("M8[D]")).astype(int)), bool((day + ONE_DAY).astype("M8[M]") != month)
    target = month + months * ONE_MONTH
    longest = int(((target + ONE_MONTH).astype("M8[D]") - target.astype("M8[D]")).astype(int)) - 1
    return target.astype("M8[D]") + (longest if last else min(in_month, longest)) * ONE_DAY

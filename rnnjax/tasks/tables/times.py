"""The table of notations of dates and times, and columns of them as microseconds since 1970."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MICROSECONDS = 1_000_000
DAY = 86_400 * MICROSECONDS
ONE_DAY = np.timedelta64(1, "D")  # NumPy is about to refuse a plain number that is added to a date
MOST_UNREAD = 0.02  # share of the cells of a column of dates that may be typing mistakes
CLOCK = (
    r"(?:(?:[T ]|, ?| +)(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"(?: ?(?P<p>[AaPp]\.?[Mm]\.?))?"
    r"(?: ?(?P<z>Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})(?:\[[^]]*\])?| ?(?P<zone>[A-Z]{3,4}))?)?"
)
WEEKDAY = r"(?:[A-Za-z]{2,9}\.?,? )?"
NOTATIONS = {  # name -> pattern of a whole cell; the first that reads all cells of a column, unless two do
    "2021-01-31": r"(?P<Y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})" + CLOCK,
    "31.01.2021": r"(?P<d>\d{1,2})\. ?(?P<m>\d{1,2})\. ?(?P<Y>\d{4}|\d{2})" + CLOCK,
    "31/01/2021": r"(?P<d>\d{1,2})[/-](?P<m>\d{1,2})[/-](?P<Y>\d{4}|\d{2})" + CLOCK,
    "01/31/2021": r"(?P<m>\d{1,2})[/-](?P<d>\d{1,2})[/-](?P<Y>\d{4}|\d{2})" + CLOCK,
    "31-Jan-2021": WEEKDAY + r"(?P<d>\d{1,2})[-. /]+(?P<b>[A-Za-z]{3,9})[-., /]+(?P<Y>\d{4}|\d{2})" + CLOCK,
    "Jan 31, 2021": WEEKDAY + r"(?P<b>[A-Za-z]{3,9})\.? (?P<d>\d{1,2}),? (?P<Y>\d{4})" + CLOCK,
    "20210131": r"(?P<Y>[12]\d{3})(?P<m>\d{2})(?P<d>\d{2})" + CLOCK,
    "20210131T1200": r"(?P<Y>[12]\d{3})(?P<m>\d{2})(?P<d>\d{2})[T ]?(?P<H>\d{2})(?P<M>\d{2})(?P<S>\d{2})?(?P<z>Z)?",
    "2021-W05": r"(?P<Y>\d{4})[- ]?[WwKk][Ww]?(?P<w>\d{1,2})(?:-(?P<u>[1-7]))?",
    "2021Q1": r"(?P<Y>\d{4})[-/ ]?[Qq](?P<q>[1-4])",
    "Q1 2021": r"[Qq](?P<q>[1-4])[-/ ]?(?P<Y>\d{4})",
    "2021-01": r"(?P<Y>\d{4})[-/Mm](?P<m>\d{1,2})",
    "01/2021": r"(?P<m>\d{1,2})[-/](?P<Y>\d{4})",
    "Jan 2021": r"(?P<b>[A-Za-z]{3,9})[-. /]*(?P<Y>\d{4}|\d{2})",
    "12:30": r"(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?(?: ?(?P<p>[AaPp]\.?[Mm]\.?))?",
}
PATTERNS = {name: re.compile(pattern, re.ASCII) for name, pattern in NOTATIONS.items()}
NUMBER_LIKE = ("20210131", "20210131T1200")  # may be numbers too: only where more speaks for it
WIDTHS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "w": 2}


class TimeColumn(NamedTuple):
    """The times of the rows of a table."""

    notation: str  # a key of `NOTATIONS`
    microseconds_N: np.ndarray  # int64 since 1970, in UTC where the cells name a zone
    offsets_N: np.ndarray  # int64, minutes from UTC to the zone of each cell; 0 where none is named
    template: str  # of `format_time`
    unread: tuple[int, ...] = ()  # rows whose cell is no time; theirs lies between those of their neighbours

    @property
    def is_clock(self) -> bool:
        """Times of day without a date."""
        return self.notation == "12:30"


def parse_times(cells: Sequence[str], numbers_too: bool = False) -> TimeColumn | None:
    """The times in some cells, if all of them, but for few typing mistakes, are written in one notation.

    Of two notations that read all cells, as in 01/02/2021, that one is taken in which the rows are in order and, if
    both are, equally spaced; else there is none.
    """
    found = [
        times
        for name in NOTATIONS
        if (numbers_too or name not in NUMBER_LIKE) and (times := parse_in_notation(cells, name)) is not None
    ]
    return max(found, key=regularity) if found else None


def looks_like_time(cell: str) -> bool:
    """Whether a cell is a date or a time in some notation that is not that of a number."""
    return parse_times([cell]) is not None


def regularity(times: TimeColumn) -> tuple[bool, int]:
    """Whether the rows are in order, and how many steps have the most frequent length."""
    steps = np.diff(times.microseconds_N)
    ordered = bool((steps >= 0).all() or (steps <= 0).all())
    counts = np.unique(steps, return_counts=True)[1]
    return ordered, int(max(counts, default=0))


def parse_in_notation(cells: Sequence[str], name: str) -> TimeColumn | None:
    """The times in one notation; None where more cells than `MOST_UNREAD` are not written in it."""
    pattern, most = PATTERNS[name], int(MOST_UNREAD * len(cells))
    parsed: list[tuple[int, int]] = []
    good: list[int] = []
    matches: list[dict[str, str | None]] = []
    for row, cell in enumerate(cells):
        found = pattern.fullmatch(cell.strip())
        try:
            parsed.append(to_microseconds(found.groupdict() if found else {"m": "0"}))
        except ValueError:
            if row + 1 - len(good) > most:
                return None
            continue
        good.append(row)
        matches.append(found.groupdict() if found else {})
    if not good:
        return None
    rows = np.arange(len(cells))
    moments = np.interp(rows, good, [float(moment) for moment, _ in parsed]).astype(np.int64)
    moments[good] = [moment for moment, _ in parsed]
    offsets = np.array([offset for _, offset in parsed], np.int64)[np.searchsorted(good, rows).clip(max=len(good) - 1)]
    template = build_template(pattern, cells[good[-1]], matches)
    return TimeColumn(name, moments, offsets, template, tuple(sorted({*range(len(cells))} - {*good})))


def to_microseconds(groups: dict[str, str | None]) -> tuple[int, int]:
    """(microseconds since 1970 in UTC, minutes from UTC) of the parts of a date. Raises ValueError: no such date."""
    day = find_day(*(groups.get(part) for part in "Ybmqdwu"))
    hours, minutes, seconds = (int(groups.get(part) or 0) for part in "HMS")
    if groups.get("p"):
        hours = hours % 12 + (12 if (groups["p"] or "").lower().startswith("p") else 0)
    if hours > 24 or minutes > 59 or seconds > 60:
        raise ValueError("no such time")
    fraction = round(float(f"0.{groups.get('f') or 0}") * MICROSECONDS)
    offset = zone_minutes(groups.get("z"))
    clock = ((hours * 60 + minutes - offset) * 60 + seconds) * MICROSECONDS + fraction
    return day * DAY + clock, offset


@lru_cache(maxsize=10_000)
def find_day(
    year: str | None,
    word: str | None,
    month: str | None,
    quarter: str | None,
    day: str | None,
    week: str | None,
    weekday: str | None,
) -> int:
    """Days since 1970 of the parts of a date; of the first day where it names a longer time. Raises ValueError."""
    first = full_year(year or "1970")
    if week:
        return int((week_start(first, int(week)) + (int(weekday or 1) - 1) * ONE_DAY).astype(np.int64))
    start: Any = np.datetime64(f"{first:04}-{month_number(word, month, quarter):02}", "M")
    date = start.astype("M8[D]") + (int(day or 1) - 1) * ONE_DAY
    if date.astype("M8[M]") != start:
        raise ValueError("no such day")
    return int(date.astype(np.int64))


def full_year(digits: str) -> int:
    """A year; of two digits those from 69 on lie in the last century, as in POSIX."""
    return int(digits) if len(digits) > 2 else int(digits) + (1900 if int(digits) >= 69 else 2000)


def month_number(word: str | None, month: str | None, quarter: str | None) -> int:
    """1 ... 12. Raises ValueError for a word that is no month."""
    if word:
        return MONTHS.index(word[:3].lower()) + 1
    number = 3 * int(quarter) - 2 if quarter else int(month or 1)
    if not 1 <= number <= 12:
        raise ValueError("no such month")
    return number


def week_start(year: int, week: int) -> Any:
    """The Monday of an ISO week: week 1 holds 4 January. Raises ValueError."""
    if not 1 <= week <= 53:
        raise ValueError("no such week")
    fourth: Any = np.datetime64(f"{year:04}-01-04", "D")
    return fourth + (7 * (week - 1) - (int(fourth.astype(np.int64)) + 3) % 7) * ONE_DAY


def zone_minutes(zone: str | None) -> int:
    """Minutes from UTC of "+02:00", "+0200", "+02", "Z"."""
    if not zone or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (-1 if zone[0] == "-" else 1) * (int(digits[:2]) * 60 + int(digits[2:]))


def build_template(pattern: re.Pattern[str], cell: str, matches: Sequence[dict[str, str | None]]) -> str:
    """A cell with its numbers as fields of `str.format`; zeros lead where some cell has them."""
    last = cell.strip()
    found = pattern.fullmatch(last)
    assert found is not None
    parts, end = [], 0
    places = sorted((found.span(name), name) for name, value in found.groupdict().items() if value is not None)
    for (start, stop), name in places:
        if name in ("zone", "z"):
            continue
        zeros = any((groups[name] or "").startswith("0") for groups in matches)
        all_wide = min(len(groups[name] or "") for groups in matches) == WIDTHS.get(name)
        width = ":02" if name in "mdHMSw" and (zeros or (all_wide and len(matches) < 10)) else ""
        parts += [escape(last[end:start]), f"{{{'y' if name == 'Y' and stop - start == 2 else name}{width}}}"]
        end = stop
    return "".join([*parts, escape(last[end:])])


def escape(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def format_time(template: str, microseconds: int, offset: int = 0) -> str:
    """A time as the cells of its column are written."""
    moment: Any = np.datetime64(microseconds + offset * 60 * MICROSECONDS, "us")
    year, month, day = (int(part) for part in str(moment.astype("M8[D]")).split("-"))
    hour, minute, second = (int(part) for part in str(moment.astype("M8[s]")).partition("T")[2].split(":"))
    monday = moment.astype("M8[D]") - (int(moment.astype("M8[D]").astype(np.int64)) + 3) % 7 * ONE_DAY
    week_year = int(str((monday + 3 * ONE_DAY).astype("M8[Y]")))
    week = int((monday - week_start(week_year, 1)).astype(np.int64)) // 7 + 1
    fields = {"Y": week_year if "{w" in template else year, "m": month, "d": day, "H": hour, "M": minute, "S": second}
    names = {"b": MONTHS[month - 1].capitalize(), "q": (month + 2) // 3, "w": week, "u": 1, "y": f"{year % 100:02}"}
    if "{p" in template:
        fields["H"] = (hour + 11) % 12 + 1
    return template.format(**fields, **names, p="PM" if hour >= 12 else "AM", f=f"{microseconds % MICROSECONDS:06}")

"""Dates whose parts stand in several columns, as year, month, day and hour: read as one column of times."""

import calendar
import re
from collections.abc import Sequence

import numpy as np

from rnnjax.settings import TaskSpec
from rnnjax.tasks.tables.header import NamedRows
from rnnjax.tasks.tables.lines import skip_option
from rnnjax.tasks.tables.notation import option, show
from rnnjax.tasks.tables.times import MONTHS, ONE_DAY, TimeColumn, full_year, parse_in_notation

PARTS = {  # part of a date -> names of its column, casefolded
    "year": "year yr yyyy jahr annee année año anno ano jaar",
    "month": "month mon mo mth monat mois mes mese maand",
    "day": "day dd dom mday monthday day_of_month tag jour dia día giorno dag",
    "day of the year": "doy yday dayofyear day_of_year julian_day julianday jday yearday",
    "week": "week isoweek iso_week weekofyear week_of_year woche kw semaine",
    "quarter": "quarter qtr quartal trimestre",
    "hour": "hour hr stunde heure hora ora uur",
    "minute": "minute min mins minuten",
    "second": "second sec secs seconds sekunde",
}
EXACT = {"YY": "year", "MM": "month", "DD": "day", "hh": "hour", "mm": "minute", "ss": "second"}  # as buoys write them
NAMES = {name: part for part, names in PARTS.items() for name in names.split()}
RANGES = {"month": (1, 12), "day": (1, 31), "day of the year": (1, 366), "week": (1, 53), "quarter": (1, 4)}
RANGES |= {"hour": (0, 24), "minute": (0, 59), "second": (0, 59)}
CALENDARS = (("month", "day"), ("month",), ("day of the year",), ("week",), ("quarter",))  # below the year
MOST_BAD = 0.1  # of the rows: more cells that are no parts of a date are no totals
CLOCK = ("hour", "minute", "second")
NOTATION = {"month": "2021-01", "day": "2021-01-31", "day of the year": "2021-01-31"}
NOTATION |= {"week": "2021-W05", "quarter": "2021Q1"}


def date_columns(table: NamedRows, free: Sequence[int]) -> dict[str, int]:
    """The places of the parts of a date among some columns, from the year on; empty where they are none.

    A year alone is none, nor is a month without a year. A part that two columns may hold is left out.
    """
    found: dict[str, list[int]] = {}
    for place in free:
        name = table.names[place].lstrip("#").strip()
        part = EXACT.get(name) or NAMES.get(re.sub(r"[\s.-]+", "_", name.casefold()))
        if part and table.named:
            found.setdefault(part, []).append(place)
    single = {part: places[0] for part, places in found.items() if len(places) == 1}
    if "day" in single and "month" not in single and max_number(table.column(single["day"])) > 31:
        single["day of the year"] = single.pop("day")
    chain = next((chain for chain in CALENDARS if all(part in single for part in chain)), ())
    if "year" not in single or not chain:
        return {}
    parts = ["year", *chain]
    if chain[-1] in ("day", "day of the year"):
        parts += [part for number, part in enumerate(CLOCK) if all(one in single for one in CLOCK[: number + 1])]
    return {part: single[part] for part in parts}


def max_number(cells: Sequence[str]) -> int:
    return max((int(cell) for cell in cells if re.fullmatch(r"\d{1,3}", cell.strip(), re.ASCII)), default=0)


def bad_parts(table: NamedRows, columns: dict[str, int]) -> list[tuple[int, int]]:
    """The rows with a cell that is no such part of a date, or parts of no date; each with the place of the cell."""
    bad = []
    for number, row in enumerate(table.rows):
        parts = {part: read_part(row.cells[place], part) for part, place in columns.items()}
        wrong = [columns[part] for part, value in parts.items() if value is None]
        if wrong:
            bad.append((number, wrong[0]))
        elif write_date({part: value for part, value in parts.items() if value is not None}) is None:
            bad.append((number, columns["month"]))
    return bad


def join_parts(table: NamedRows, columns: dict[str, int]) -> tuple[list[str], TimeColumn] | None:
    """The dates that the parts of all rows say together, as text and as times."""
    labels = []
    for row in table.rows:
        parts = {part: read_part(row.cells[place], part) for part, place in columns.items()}
        labels.append(write_date({part: value for part, value in parts.items() if value is not None}) or "")
    last = [part for part in columns if part not in CLOCK][-1]
    times = parse_in_notation(labels, NOTATION[last]) if labels else None
    return (labels, times) if times is not None and not times.unread else None


def describe_bad_parts(
    table: NamedRows, columns: dict[str, int], bad: Sequence[tuple[int, int]], settings: TaskSpec
) -> str:
    """The message of cells that are no parts of a date: few of them, as of totals, or most."""
    row, place = bad[0]
    names = [table.names[one] for one in columns.values()]
    lines = [table.rows[number].line for number, _ in bad]
    cell = table.rows[row].cells[place].strip()
    got = f"task.path: line {lines[0]}, column {table.names[place]!r}: got {show(cell) if cell else 'an empty cell'}"
    if len(bad) <= max(MOST_BAD * len(table.rows), 3) and len(bad) < len(table.rows) / 2:
        return (
            f"{got}; expected a part of a date ({', '.join(names)}), as in the other lines; a row of totals is left "
            f"out with {skip_option(lines, settings)}"
        )
    left_out, trained_on = ",".join(f"-{name}" for name in names), ",".join(names)
    return (
        f"{got}; columns {', '.join(names)} may be parts of a date; say which: {option(f'columns={left_out}')} (not "
        f"trained on) or {option(f'columns={trained_on},...')} (trained on)"
    )


def read_part(cell: str, part: str) -> int | None:
    """A cell as a part of a date, if it is one: a whole number in its range, or the name of a month."""
    plain = cell.strip().removesuffix(".0")
    if part == "month" and plain[:3].casefold() in MONTHS and plain.isalpha():
        return MONTHS.index(plain[:3].casefold()) + 1
    if part == "quarter":
        plain = re.sub(r"^[Qq]", "", plain)
    if not re.fullmatch(r"\d{1,4}", plain, re.ASCII) or (part == "year" and len(plain) % 2):
        return None
    if part == "year" and len(plain) == 2:
        return full_year(plain)
    low, high = RANGES.get(part, (1000, 2999))
    return int(plain) if low <= int(plain) <= high else None


def write_date(row: dict[str, int]) -> str | None:
    """The parts as one date: 2021-03-31 14:00, 2021-03, 2021-W05 or 2021Q1; None where there is no such day."""
    year = row["year"]
    if "quarter" in row:
        return f"{year}Q{row['quarter']}"
    if "week" in row:
        return f"{year}-W{row['week']:02}"
    if "day of the year" in row:
        date = str(np.datetime64(f"{year}-01-01", "D") + (row["day of the year"] - 1) * ONE_DAY)
        if not date.startswith(str(year)):
            return None
    else:
        if row.get("day", 1) > calendar.monthrange(year, row["month"])[1]:
            return None
        date = f"{year}-{row['month']:02}" + (f"-{row['day']:02}" if "day" in row else "")
    if "hour" not in row:
        return date
    seconds = f":{row['second']:02}" if "second" in row else ""
    return f"{date} {row['hour']:02}:{row.get('minute', 0):02}{seconds}"

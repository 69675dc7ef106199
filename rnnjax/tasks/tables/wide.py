"""Columns whose names are the times of one series: a table of months by years, or of hours by days."""

import re
from collections.abc import Sequence
from itertools import pairwise

from rnnjax.tasks.tables.header import YEARS, NamedRows
from rnnjax.tasks.tables.times import MONTHS
from rnnjax.types import DataNotice

FEWEST_YEARS = 5
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def wide_notices(table: NamedRows, chosen: Sequence[int]) -> list[DataNotice]:
    """A notice where the names of the columns follow each other in time: each row may hold a piece of one series."""
    names = [table.names[place] for place in chosen]
    what = name_times(names) if table.named else ""
    if not what:
        return []
    return [
        DataNotice(
            "",
            "series",
            f"the columns {names[0]!r} to {names[-1]!r} are {what}: the table is wide, read as {len(names)}"
            f" series; if they are one, write it in one column, a row for each",
        )
    ]


def name_times(names: Sequence[str]) -> str:
    """months, quarters, weekdays, hours or years, where the names are those in order; else empty."""
    words = [name.strip().casefold() for name in names]
    if [word[:3] for word in words] == list(MONTHS):
        return "months"
    if [word[:3] for word in words] == list(WEEK):
        return "days"
    numbers = [re.fullmatch(r"([a-z]*)[ _.]?(\d{1,4})(:00)?", word, re.ASCII) for word in words]
    if not all(numbers):
        return ""
    prefixes = {found[1] for found in numbers if found}
    counts = [int(found[2]) for found in numbers if found]
    if len(prefixes) > 1 or any(later - earlier != 1 for earlier, later in pairwise(counts)):
        return ""
    prefix = prefixes.pop()
    if prefix == "q" and counts == [1, 2, 3, 4]:
        return "quarters"
    if len(counts) == 24 and counts[0] in (0, 1) and prefix in ("", "h", "hr", "hour"):
        return "hours"
    if len(counts) == 12 and counts[0] == 1 and prefix in ("m", "month"):
        return "months"
    return "years" if len(counts) >= FEWEST_YEARS and prefix in ("", "y", "yr") and counts[0] in YEARS else ""

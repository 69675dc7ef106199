"""The .ts format of the time-series classification archives (UEA and UCR, timeseriesclassification.com)."""

from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.sequences.raw import RawSequences, bad

FLAGS = ("timestamps", "missing", "univariate", "equallength", "classlabel", "targetlabel")
COUNTS = ("dimensions", "dimension", "serieslength")
TEXTS = ("problemname",)


class Header(NamedTuple):
    """The lines before @data, by their names in lower case."""

    flags: dict[str, bool]
    counts: dict[str, int]
    classes: tuple[str, ...]
    first_line: int  # of the data


def read_ts(text: str, settings: TaskSpec) -> RawSequences:
    """The cases of a .ts file: dimensions with colons between, numbers with commas, the label or value at the end.

    A dimension that ends before another one of its case is refused; "?" and "NaN" are missing numbers.

    Raises: BadInput with the line of the first mistake, or where the header contradicts the rows.
    """
    lines = text.splitlines()
    header = read_header(lines)
    places, steps, targets = [], [], []
    labelled = header.flags.get("classlabel") or header.flags.get("targetlabel") or False
    for i, line in enumerate(lines[header.first_line :], header.first_line + 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        place, parts = f"line {i}", [part.strip() for part in line.strip().split(":")]
        if labelled:
            targets.append(case_target(place, parts.pop(), header))
        if not parts:
            raise bad(place, "a label without numbers", "dimensions before it, with colons between")
        steps.append(case_steps(place, parts, header))
        places.append(place)
    if not steps:
        raise BadInput("task.path: got no case after @data; expected one to a line")
    check_lengths(places, steps, header)
    return RawSequences(places, steps, targets if labelled else None, target="the label")


def read_header(lines: list[str]) -> Header:
    """The header of a file, up to @data."""
    flags: dict[str, bool] = {}
    counts: dict[str, int] = {}
    classes: tuple[str, ...] = ()
    for i, line in enumerate(lines, 1):
        words = line.strip().split()
        if not words or words[0].startswith(("#", "%")):
            continue
        name = words[0].lower().removeprefix("@")
        if not words[0].startswith("@"):
            raise bad(f"line {i}", repr(line.strip()[:40]), "a line that begins with @, before @data")
        if name == "data":
            return check_header(Header(flags, counts, classes, i), i)
        if name in FLAGS:
            if len(words) < 2 or words[1].lower() not in ("true", "false"):
                raise bad(f"line {i}", f"@{name} without true or false", f"@{name} true or false")
            flags[name] = words[1].lower() == "true"
            classes = tuple(words[2:]) if name == "classlabel" else classes
        elif name in COUNTS:
            if len(words) < 2 or not words[1].isdecimal():
                raise bad(f"line {i}", f"@{name} without a number", "a whole number")
            counts[name] = int(words[1])
        elif name not in TEXTS:
            raise bad(f"line {i}", f"@{name}", f"one of: {', '.join([*TEXTS, *FLAGS, *COUNTS, 'data'])}")
    raise BadInput("task.path: got no line @data; expected it between the header and the cases of a .ts file")


def check_header(header: Header, line: int) -> Header:
    """Raises BadInput for a header that cannot be read, or contradicts itself."""
    if header.flags.get("timestamps"):
        raise bad(
            f"line {line}",
            "@timeStamps true",
            "values at equal distances in time: a network reads no time; resample them, or use a CSV file",
        )
    if header.flags.get("classlabel") and not header.classes:
        raise bad(f"line {line}", "@classLabel true without labels", "the labels after it")
    dimensions = header.counts.get("dimensions", header.counts.get("dimension"))
    if header.flags.get("univariate") and dimensions not in (None, 1):
        raise bad(f"line {line}", f"@univariate true and {dimensions} dimensions", "one of the two")
    return header


def case_steps(place: str, parts: list[str], header: Header) -> np.ndarray:
    """The numbers of a case, float64 [T, D]."""
    wanted = header.counts.get("dimensions", header.counts.get("dimension", 1 if header.flags.get("univariate") else 0))
    if wanted and len(parts) != wanted:
        what = "after @univariate true" if header.flags.get("univariate") else "by the header"
        raise bad(place, f"{len(parts)} dimensions", f"{wanted} {what}")
    columns = [[case_number(place, cell, header) for cell in part.split(",") if part] for part in parts]
    for d, column in enumerate(columns, 1):
        if len(column) != len(columns[0]):
            raise bad(place, f"{len(column)} values in dimension {d}", f"{len(columns[0])}, as in dimension 1")
    return np.array(columns, np.float64).T


def case_number(place: str, cell: str, header: Header) -> float:
    """A number of a case; NaN where it is missing."""
    word = cell.strip()
    if word.startswith("("):
        raise bad(place, f"the time stamp {word[:20]!r}", "numbers alone")
    if word == "?" or word.lower() == "nan":
        if header.flags.get("missing") is False:
            raise bad(place, "a missing number", "none, by @missing false")
        return np.nan
    try:
        return float(word)
    except ValueError:
        raise bad(place, repr(word[:20]), "a number") from None


def case_target(place: str, word: str, header: Header) -> Any:
    """The label or value of a case."""
    if header.flags.get("classlabel"):
        if word not in header.classes:
            raise bad(place, f"the label {word[:40]!r}", f"one of the header: {', '.join(header.classes[:10])}")
        return word
    try:
        return float(word)
    except ValueError:
        raise bad(place, f"the value {word[:40]!r}", "a number") from None


def check_lengths(places: list[str], steps: list[np.ndarray], header: Header) -> None:
    """Raises BadInput where the lengths of the cases contradict the header."""
    length = header.counts.get("serieslength")
    if header.flags.get("equallength") or length is not None:
        wanted = length if length is not None else len(steps[0])
        for place, steps_TD in zip(places, steps, strict=True):
            if len(steps_TD) != wanted and header.flags.get("equallength") is not False:
                reason = "@seriesLength" if length is not None else "@equalLength true"
                raise bad(place, f"{len(steps_TD)} steps", f"{wanted}, by {reason}")

"""The lines of a table's file: their numbers, comments, and the option that leaves some of them out."""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.tables.notation import option

DELIMITERS = {"tab": "\t", "semicolon": ";", "bar": "|", "comma": ",", "blanks": " "}  # the first that fits, in order
COMMENT = re.compile(r"\s*\"?(#(?!N/A)|%|!|//)")
SEMICOLON = re.compile(r"\s*;\s*\S")  # a comment as in an ini file, where no semicolons stand between the cells


class Row(NamedTuple):
    """The cells of a row, and the line of the file in which it ends, counted from 1."""

    line: int
    cells: list[str]


Line = tuple[int, str]


def number_lines(text: str, settings: TaskSpec) -> tuple[list[Line], str]:
    """The lines that are to be read with their numbers, and the delimiter that Excel's first line `sep=;` names."""
    skipped = parse_lines(settings.skip_lines)
    lines = list(enumerate(re.split(r"\r\n|\n|\r", text.rstrip("\r\n ")), 1))
    named = re.fullmatch(r"\"?sep=(.)\"?[,;\t]*", lines[0][1].strip(" "), re.IGNORECASE)
    if named:
        lines = lines[1:]
    delimiter = next((name for name, sign in DELIMITERS.items() if named and sign == named[1]), "")
    kept = [(number, line) for number, line in lines if number not in skipped]
    if not kept:
        raise BadInput("task.path: got an empty file; expected rows of numbers")
    check_comments(kept, settings)
    return kept, delimiter


def parse_lines(text: str) -> set[int]:
    """The numbers in "1,3-5". Raises BadInput."""
    numbers: set[int] = set()
    for part in filter(None, re.split(r"[,; ]+", text)):
        found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        if not found or int(found[2] or found[1]) - int(found[1]) > 1_000_000:
            raise BadInput(f"task.skip_lines: got {text!r}; expected numbers of lines, such as 1 or 1,3-5")
        numbers |= set(range(int(found[1]), int(found[2] or found[1]) + 1))
    return numbers


def skip_option(numbers: Collection[int], settings: TaskSpec) -> str:
    """The option that leaves lines out, beside those that are left out already: skip_lines=1-3,7."""
    parts: list[list[int]] = []
    for number in sorted({*numbers, *parse_lines(settings.skip_lines)}):
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    ranges = [f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts]
    return option(f"skip_lines={','.join(ranges)}")


def check_comments(lines: Sequence[Line], settings: TaskSpec) -> None:
    """Raises BadInput for a file that begins with a comment; names all of its comments.

    With task.header = "yes" the last comment before the rows holds the names.
    """
    comments = find_comments(lines)
    first = [number for number, _ in lines[: len(comments)]]
    block = [number for number in comments if number in first]  # at the beginning of the file
    if not comments or comments[0] != lines[0][0] or (settings.header == "yes" and len(block) == 1):
        return
    names, below = lines[len(block) - 1][1], lines[len(block) : len(block) + 1]
    remedy = skip_option(comments, settings)
    if below and COMMENT.match(names) and count_cells(names) > 1 and count_cells(names) == count_cells(below[0][1]):
        others = [number for number in comments if number != block[-1]]
        kept = [skip_option(others, settings)] if others else []
        remedy += f"; if line {block[-1]} holds the names, {' '.join([*kept, option('header=yes')])}"
    what = "the line" if len(comments) == 1 else f"the {len(comments)} comments"
    raise BadInput(
        f"task.path: line {lines[0][0]}: got a comment {lines[0][1].strip()[:40]!r}; expected names or numbers; leave "
        f"{what} out with {remedy}"
    )


def find_comments(lines: Sequence[Line]) -> list[int]:
    """The numbers of the lines that begin with the sign of a comment."""
    found = [number for number, line in lines if COMMENT.match(line)]
    if found or not SEMICOLON.match(lines[0][1]):
        return found
    marked = [number for number, line in lines if SEMICOLON.match(line)]
    rows = [line for number, line in lines if number not in marked]
    return marked if rows and not any(";" in line for line in rows) else []


def count_cells(line: str) -> int:
    """The number of cells of a line, by the delimiter that it has first."""
    sign = next((sign for sign in DELIMITERS.values() if sign in line.strip()), None)
    return len(line.split() if sign in (" ", None) else line.split(sign))

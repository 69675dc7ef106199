"""The notation of the numbers of each column; what can be read in two ways is refused with the option that answers."""

import re
from collections.abc import Sequence

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.tables.columns import split_names
from rnnjax.tasks.tables.header import NamedRows, usual_kind
from rnnjax.tasks.tables.layout import may_be_halves
from rnnjax.tasks.tables.notation import MINUS, SIGNS, THOUSANDS, Notation, is_missing, option, plain_number

GROUPED = {sign: re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:{re.escape(sign)}\d{{3}})+", re.ASCII) for sign in ".,"}
DECIMAL = {sign: re.compile(rf"[+-]?\d*{re.escape(sign)}\d*(?:[eE][+-]?\d+)?", re.ASCII) for sign in ".,"}
POINT_FILES = ("comma", "blanks")  # delimiters that are written with decimal points by default
WORDS = {".": "point", ",": "comma"}


def column_notations(table: NamedRows, chosen: Sequence[int], settings: TaskSpec) -> list[Notation]:
    """The notation of each chosen column.

    A comma or a point is the decimal sign where it cannot stand between thousands: where it is followed by another
    number of digits than three, or follows a 0. What all chosen columns show holds for each of them.
    """
    base = Notation(
        ".",
        THOUSANDS[settings.thousands],
        read_units(settings),
        tuple(split_names(settings.missing_values, ())) if settings.missing_values else (),
    )
    columns = [[plain_cell(cell, base) for cell in table.column(place)] for place in chosen]
    cells = [[cell for cell in column if not is_missing(cell, base)] for column in columns]
    if settings.decimal != "auto":
        return [base._replace(decimal=SIGNS[settings.decimal])] * len(cells)
    if settings.delimiter == "auto":
        check_split_decimals(table)
    if base.thousands in (".", ","):
        return [base._replace(decimal="," if base.thousands == "." else ".")] * len(cells)
    shown = {sign for sign in ".," if any(shows_decimal(column, sign) for column in cells)}
    return [
        base._replace(decimal=decimal_sign(table, place, column, shown, every))
        for place, column, every in zip(chosen, cells, columns, strict=True)
    ]


def read_units(settings: TaskSpec) -> tuple[str, ...]:
    """The words of `task.units`. Raises BadInput for one that is a part of a number."""
    for unit in settings.units.split():
        if re.fullmatch(r"[-+\d.,\u2212]+", unit):
            raise BadInput(
                f"task.units: got {unit!r}, which is a part of numbers; expected words or other signs, such as % or "
                "EUR; a minus behind a number is read as one without an option"
            )
    return tuple(settings.units.split())


def plain_cell(cell: str, notation: Notation) -> str:
    """A cell without its units, and without blanks or apostrophes between its thousands."""
    plain = plain_number(cell, notation.units)
    if notation.thousands in ("", ".", ","):
        return plain
    return re.sub(rf"(?<=\d)[{re.escape(notation.thousands)}](?=\d{{3}})", "", plain)


def shows_decimal(cells: Sequence[str], sign: str) -> bool:
    """Whether some cell has the sign where it cannot stand between thousands."""
    other = "," if sign == "." else "."
    return any(
        sign in cell and other not in cell and DECIMAL[sign].fullmatch(cell) and not GROUPED[sign].fullmatch(cell)
        for cell in cells
    )


def decimal_sign(table: NamedRows, place: int, cells: Sequence[str], shown: set[str], every: Sequence[str]) -> str:
    """The decimal sign of a column. Raises BadInput where its numbers can be read in two ways.

    Args: cells: those with numbers; every: those of all rows.
    """
    shows = [sign for sign in ".," if shows_decimal(cells, sign)]
    if len(shows) == 2:
        return "."  # the first cell of the other kind is refused with its line
    if shows:
        check_mixed_groups(table, place, shows[0])
        return shows[0]
    grouped = [sign for sign in ".," if any(GROUPED[sign].fullmatch(cell) for cell in cells)]
    if not grouped:
        return "."
    sign = grouped[0]
    bare = any(re.fullmatch(r"[+-]?[1-9]\d{0,2}", cell) for cell in cells)
    usual = table.delimiter in POINT_FILES if sign == "." else table.delimiter == "semicolon"
    if sign in shown and not bare:
        return sign
    if usual and len(grouped) == 1 and not bare and not any(cell.count(sign) > 1 for cell in cells):
        return sign
    cell = next(cell for cell in cells if GROUPED[sign].fullmatch(cell))
    line = next(row.line for row, one in zip(table.rows, every, strict=True) if one == cell)
    raise BadInput(f"task.path: line {line}, column {table.names[place]!r}: got {cell!r}{describe_groups(cell, sign)}")


def describe_groups(cell: str, sign: str) -> str:
    """The readings of a number with groups of three digits, and the options that choose."""
    thousands = option(f"thousands={WORDS[sign]}")
    if cell.count(sign) > 1:
        return f" ({WORDS[sign]}s between thousands); expected a number; use {thousands}"
    whole, broken = float(cell.replace(sign, "")), float(cell.replace(sign, "."))
    point = option(f"decimal={WORDS[sign]}")
    return f", which may be {whole:.10g} ({thousands}) or {broken:.10g} ({point}); say which"


def check_mixed_groups(table: NamedRows, place: int, sign: str) -> None:
    """Raises BadInput for a column with decimal points, or commas, in which the other sign stands between thousands."""
    other = "," if sign == "." else "."
    for row in table.rows:
        if GROUPED[other].fullmatch(row.cells[place].translate(MINUS)):
            raise BadInput(
                f"task.path: line {row.line}, column {table.names[place]!r}: got {row.cells[place]!r} where others "
                f"have a decimal {WORDS[sign]}; expected one notation; if the {WORDS[other]} stands between thousands, "
                f"{option(f'thousands={WORDS[other]}')}"
            )


def check_split_decimals(table: NamedRows) -> None:
    """Raises BadInput for pairs of columns without names that may be halves of numbers, as 33 and 5 of 33,5."""
    places = [place for place in range(len(table.names)) if usual_kind(table.column(place)) != "time"]
    if table.named or table.delimiter not in ("comma", "blanks") or len(places) % 2 or not places or not table.rows:
        return
    width = 3 if table.delimiter == "blanks" else None
    pairs = [(table.column(place), table.column(place + 1)) for place in places[::2]]
    if not all(may_be_halves(left, right, width) for left, right in pairs):
        return
    first = table.rows[0]
    sign = "," if table.delimiter == "comma" else " "
    text = sign.join(first.cells)[:40]
    if table.delimiter == "blanks":
        other = f"a number with a blank between thousands ({option('thousands=blank', 'delimiter=comma')})"
    elif len(table.names) == 2:
        other = f"a number with a decimal comma ({option('decimal=comma')})"
    else:
        other = "numbers with decimal commas (then save the file with semicolons between the cells)"
    raise BadInput(
        f"task.path: line {first.line}: got {text!r}, which may be {len(first.cells)} cells "
        f"({option(f'delimiter={table.delimiter}')}) or {other}; say which"
    )

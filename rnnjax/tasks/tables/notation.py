"""The table of notations: which cells are numbers, which are missing, and what other cells look like."""

import math
import re
import shlex
from collections.abc import Collection, Sequence
from typing import NamedTuple

SIGNS = {"point": ".", "comma": ","}  # values of task.decimal
THOUSANDS = {"none": "", "point": ".", "comma": ",", "blank": " \u00a0\u202f\u2009", "apostrophe": "'’"}
MISSING = """
    na n/a n.a. nan <na> nat nd n.d. null nil none missing (null) \\n ? - -- --- – — . .. ... *
    #n/a #na #nv #div/0! #value! #ref! #name? #num! #null! -nan 1.#qnan 1.#ind -1.#ind 1.#inf -1.#inf
    inf +inf -inf infinity +infinity -infinity ∞ -∞
"""
MISSING_WORDS = frozenset(MISSING.split()) | {"", "#n/a n/a"}  # casefolded
MINUS = str.maketrans({"\u2212": "-", "\u2010": "-", "\u2011": "-", "\ufe63": "-", "\uff0d": "-"})
BLANK = "[ \u00a0\u202f\u2009]"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
GROUPS = r"[+-]?\d{1,3}(%s\d{3})%s"
CURRENCY = "$€£¥₹₽₩₺฿"
PARENTHESES = "()"  # of task.units: numbers in parentheses are negative, as in bookkeeping
TRAILING_MINUS = re.compile(r"(\d[\d.,' \u00a0\u202f\u2009]*) ?-", re.ASCII)
MOST_SHOWN = 40  # characters of a cell in a message


class Notation(NamedTuple):
    """How the numbers of a column are written."""

    decimal: str = "."
    thousands: str = ""  # any of these characters may stand between groups of three digits
    units: tuple[str, ...] = ()  # words that may stand before or behind a number
    missing: tuple[str, ...] = ()  # further cells that mean a missing number

    @property
    def missing_numbers(self) -> Collection[float]:
        """Those of `missing` that are numbers: -9999 is also -9999.0, and -99.9 also -99,9."""
        if not self.missing:
            return ()
        plain = self._replace(missing=())
        readings = [(parse_number(word, plain), parse_number(word, Notation())) for word in self.missing]
        numbers = (own if own is not None else other for own, other in readings)
        return {number for number in numbers if number is not None}


class Look(NamedTuple):
    """The notation of a cell that is no number."""

    pattern: re.Pattern[str]
    text: str
    options: tuple[str, ...] = ()  # of `--set task.<option>`


def look(pattern: str, text: str, *options: str) -> Look:
    return Look(re.compile(pattern, re.ASCII), text, options)


FOREIGN = (  # the beginnings of months in French, German, Spanish, Italian, Portuguese and Dutch, unlike in English
    "janv|f[ée]v|mars|avr|mai|juin|juil|ao[uû]|d[ée]c|jän|mär|mrz|okt|dez|ene|abr|ago|set|dic|gen|mag|giu|lug|ott|"
    "maa|mrt|mei|out|jan|feb|apr|jun|jul|aug|sep|oct|nov"
)
LOOKS = (  # the first that fits the whole cell
    look(r"[+-]?\d{1,3}(\.\d{3})+,\d+", "points between thousands and a decimal comma",
         "decimal=comma", "thousands=point"),
    look(r"[+-]?\d{1,3}(,\d{3})+\.\d*", "commas between thousands", "thousands=comma"),
    look(r"[+-]?\d{1,2}(,\d{2})+,\d{3}(\.\d*)?", "commas between thousands, as in India", "thousands=comma"),
    look(GROUPS % (",", "{2,}"), "commas between thousands", "thousands=comma"),
    look(GROUPS % (r"\.", "{2,}"), "points between thousands", "thousands=point"),
    look(r"[+-]?\d*,\d+([eE][+-]?\d+)?", "a decimal comma", "decimal=comma"),
    look(r"[+-]?\d+\.\d+([eE][+-]?\d+)?", "a decimal point", "decimal=point"),
    look(GROUPS % (BLANK, "+") + r"\.?\d*", "blanks between thousands", "thousands=blank"),
    look(GROUPS % (BLANK, "+") + r",\d+", "blanks between thousands and a decimal comma",
         "thousands=blank", "decimal=comma"),
    look(GROUPS % ("['’]", "+") + r"\.?\d*", "apostrophes between thousands", "thousands=apostrophe"),
    look(r"[+-]?[\d.,]+( +[+-]?[\d.,]+)+", "several numbers with blanks between", "delimiter=blanks"),
    look(r"[+-]?[\d.,' ]*\d\s*%", "a number with a per cent sign", "units=%"),
    look(r"[<>≤≥~]=?\s*[+-]?[\d.,]+", "a limit, not a number"),
    look(r"\d{1,2}:\d{2}(:\d{2})?.*", "a time of day"),
    look(rf"(\S+ )?(\d{{1,2}}\.?[- /]+)?(?i:{FOREIGN})[^\s\d]*[- /]+\d{{2,4}}( .*)?", "a date with a foreign month"),
    look(r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([T ].*)?", "a date"),
    look(r"(?i)true|false|yes|no", "a truth value"),
    look(r"[$€£¥-]? ?\([$€£¥]? ?[\d.,' ]*\d[.,]? ?[$€£¥%]?\) ?[$€£¥%]?", "a number in parentheses", "units=()"),
    look(r"0[xX][0-9a-fA-F]+", "a hexadecimal number"),
)  # fmt: skip
AFFIXED = re.compile(
    r"(?:([$€£¥₹₽₩₺฿])|([^\d\s.,+-][^\d\s]*)\s)?\s*[+-]?\d[\d.,' ]*(?:[eE][+-]?\d+)?\s*([^\d\s.,][^\d]*)?"
)


def parse_number(cell: str, notation: Notation) -> float | None:
    """A cell as a number, if it is one in this notation; infinite where it is too large for a float."""
    plain = plain_number(cell, notation.units)
    if notation.thousands:
        plain = remove_groups(plain, notation)
    if notation.decimal == ",":
        if "." in plain:
            return None
        plain = plain.replace(",", ".")
    return float(plain) if NUMBER.fullmatch(plain) else None


def plain_number(cell: str, units: Sequence[str]) -> str:
    """A cell with its minus in front and without units; (5) is -5 where `units` has ().

    A minus behind a number is one, as in accounts: 12,50-.
    """
    plain = cell.strip() if cell.isascii() else cell.strip().translate(MINUS)
    if not units:
        return turn_minus(plain)
    if PARENTHESES in units and (found := re.fullmatch(r"([^()]*)\(([^()]*\d[^()]*)\)([^()]*)", plain)):
        inner = remove_units(f"{found[1]}{found[2]}{found[3]}".strip(), units)
        return f"-{inner}" if inner[:1].isdigit() else inner
    return turn_minus(remove_units(plain, units))


def turn_minus(cell: str) -> str:
    """A number with its minus in front, where it stands behind."""
    found = TRAILING_MINUS.fullmatch(cell) if cell.endswith("-") else None
    return f"-{found[1]}" if found else cell


def remove_units(cell: str, units: Sequence[str]) -> str:
    """A cell without some words before or behind it, each once at most."""
    for unit in sorted(units, key=len, reverse=True):
        others = [one for one in units if one != unit]
        if cell.endswith(unit):
            return remove_units(cell[: -len(unit)].rstrip(), others)
        if cell.lstrip("+-").startswith(unit):
            return remove_units(cell.replace(unit, "", 1).replace(" ", ""), others)
    return cell


def remove_groups(cell: str, notation: Notation) -> str:
    """A cell without the signs between its thousands; unchanged where they do not stand between groups of three.

    With commas these may be lakhs and crores: 12,34,567.
    """
    sign = f"[{re.escape(notation.thousands)}]"
    groups = rf"\d{{1,3}}(?:{sign}\d{{3}})+" + (r"|\d{1,2}(?:,\d{2})+,\d{3}" if notation.thousands == "," else "")
    found = re.fullmatch(rf"([+-]?(?:{groups}))({re.escape(notation.decimal)}\d*)?", cell, re.ASCII)
    return re.sub(sign, "", found[1]) + (found[2] or "") if found else cell


def is_missing(cell: str, notation: Notation) -> bool:
    """Whether a cell means that there is no number: a word for it, or a number beyond all floats."""
    plain = cell.strip()
    if plain.casefold() in MISSING_WORDS or plain in notation.missing:
        return True
    value = parse_number(cell, notation)
    return value is not None and (not math.isfinite(value) or value in notation.missing_numbers)


def looks_numeric(cell: str) -> bool:
    """Whether a cell is a number in some notation, before it is known in which."""
    plain = turn_minus(cell.strip().translate(MINUS))
    return bool(NUMBER.fullmatch(plain)) or any(
        one.pattern.fullmatch(plain) for one in LOOKS if one.options and one.options[0] != "delimiter=blanks"
    )


def show(cell: str) -> str:
    """A cell in a message: quoted and short."""
    return repr(cell if len(cell) <= MOST_SHOWN else cell[: MOST_SHOWN - 3] + "...")


def option(*settings: str) -> str:
    """Settings of the task as a user types them in a shell: `--set task.decimal=comma`."""
    return " ".join(f"--set {shlex.quote(f'task.{setting}')}" for setting in settings)


def declare(cells: Sequence[str], declared: str = "") -> str:
    """A value of `task.missing_values`: what is declared already, and further cells."""
    words = [f'"{cell}"' if "," in cell else cell for cell in cells]
    return ",".join([*([declared] if declared else []), *words])


def describe_look(cell: str) -> tuple[str, tuple[str, ...]]:
    """The notation of a cell that is no number, and the settings that read it; both may be empty."""
    plain = turn_minus(cell.strip().translate(MINUS))
    for one in LOOKS:
        if one.pattern.fullmatch(plain) and one.options != ("units=%",):
            return one.text, one.options
    affix = find_affix(plain)
    if not affix:
        return "", ()
    inner = turn_minus(remove_units(plain, affix.split()))
    groups = next((one.options for one in LOOKS if "thousands" in one.text and one.pattern.fullmatch(inner)), ())
    what = (
        "a currency sign" if set(affix) & set(CURRENCY) else "a per cent sign" if affix == "%" else "a unit or a mark"
    )
    return f"a number with {what}", (f"units={affix}", *groups)


def find_affix(cell: str) -> str:
    """The text before or behind the number in a cell; may be empty."""
    found = AFFIXED.fullmatch(cell.strip().translate(MINUS))
    return next((part.strip() for part in found.groups() if part), "") if found else ""

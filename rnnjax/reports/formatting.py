"""Values as text for a reader: numbers with the digits they deserve, intervals, visible control characters."""

import math
import re
from typing import Any

from rnnjax.analysis.statistics import LOOKED_UP, Interval

FORMULA_STARTS = "=+-@\t\n\uff1d\uff0b\uff0d\uff20"  # of a cell, for a spreadsheet; four are wide forms
MISSING = "–"  # no value: the run diverged or never reached that point

# C0, delete and C1; marks, embeddings, overrides and isolates of direction; line separators; halves of a pair
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def escape_controls(text: str) -> str:
    r"""The text with control and direction characters spelled out, as \x1b and \u202e; newlines and tabs stay."""
    return CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def format_value(value: Any) -> Any:
    """A value as text: an interval with n, a float to 4 digits, an integer with commas; a `str` subclass unchanged."""
    if isinstance(value, Interval):
        estimate, low, high = format_interval(value)
        if value.method == LOOKED_UP:
            return f"{estimate}, {LOOKED_UP}"
        return f"{estimate}{'' if value.n < 2 else f' [{low}, {high}]'}, n = {value.n}"
    if isinstance(value, bool) or type(value) is str:
        return escape_controls(str(value))
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e7
        return MISSING if math.isnan(value) else f"{value:,.0f}" if whole else f"{value:.4g}"
    return value if isinstance(value, str) else MISSING if value is None else escape_controls(str(value))


def format_interval(interval: Interval) -> list[str]:
    """Estimate, low and high, all with the decimals that the interval's width supports."""
    width = interval.high - interval.low
    fixed = math.isfinite(width) and width > 1e-4 and abs(interval.estimate) < 1e9
    large = 1e4 <= abs(interval.estimate) < 1e9  # without a width: a count
    digits = f"z,.{max(0, 1 - math.floor(math.log10(width)))}f" if fixed else ",.0f" if large else ".4g"
    return [MISSING if math.isnan(value) else format(value, digits) for value in interval[:3]]


def csv_cell(cell: Any) -> str:
    """A cell of a CSV file; a text that a spreadsheet would take for a formula gets a quote in front."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    text = escape_controls(str(cell))
    return "'" + text if text[:1] in FORMULA_STARTS and text and not is_number_text(text) else text


def is_number_text(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

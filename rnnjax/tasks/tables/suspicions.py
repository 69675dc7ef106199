"""Numbers in a table that may be no measurements: codes for a missing value such as -9999. Reported, never changed."""

from typing import NamedTuple

import numpy as np

from rnnjax.tasks.tables.missing import Numbers, list_lines
from rnnjax.tasks.tables.notation import declare, option
from rnnjax.types import DataNotice

CODES = (  # that instruments and formats write for a missing value
    *[sign * (10.0**digits - 1) for sign in (1, -1) for digits in (3, 4, 5, 6, 7)],  # 999, 9999 ..., -999 ...
    *(-99.0, -99.9, -999.9, -9999.9, 999.9, 9999.9, -99.99, -999.99, 999.99, 99.99, -9.99),
    *(-888.0, -8888.0, -777.0, -7777.0, -32768.0, 32767.0, 65535.0, -2147483648.0, 2147483647.0),
    *(1e20, 1e30, -1e30, 1e35, -1e35, 9.96921e36),
)  # fmt: skip
PLACEHOLDERS = (0.0, -1.0, -9.0)  # written for a missing number where all measurements are positive
FAR = 8.0  # robust deviations
MOST_SHARE = 0.2  # of the rows: what is more frequent, and no known code, is a value of the column
MOST_PLACEHOLDERS = 0.05  # of the rows: more frequent, a 0 beside a gap may well be measured, as on closed days
GAP, GAP_SHARE = 3.0, 0.2  # times the largest gap between the nearest others; of the range of all others
FEWEST_DIFFERENT, FEWEST_ROWS = 10, 40  # others that are needed to judge a gap
HUGE = 1e9  # times as large as all other values
FEWEST = 8  # other values that are needed to tell
MOST_VALUES = 50  # different values that are examined in a column


class Candidate(NamedTuple):
    """A value of a column with the rows that have it."""

    value: float
    rows_N: np.ndarray


def find_suspicions(numbers: Numbers, declared: str = "") -> list[DataNotice]:
    """A notice for each value of a column that may be a code for a missing value.

    Args: declared: `task.missing_values` as it is set, which the remedy keeps.
    """
    return [
        DataNotice(name, "code", describe(one, numbers, place, declared))
        for place, name in enumerate(numbers.names)
        for one in suspicious_values(numbers.values_ND[:, place], numbers.cells[place])
    ]


def describe(one: Candidate, numbers: Numbers, place: int, declared: str) -> str:
    cells = dict.fromkeys(numbers.cells[place][row].strip() for row in one.rows_N)
    lines = numbers.lines_N[one.rows_N].tolist()
    cell = next(iter(cells))
    times = f"{len(lines)} times" if len(lines) > 1 else "once"
    remedy = option(f"missing_values={declare([cell], declared)}", "missing=interpolate")
    return (
        f"holds {cell} {times} ({list_lines(lines)}), far from all other values: a code for a missing value? "
        f"If so, {remedy}"
    )


def suspicious_values(values_N: np.ndarray, cells: list[str]) -> list[Candidate]:
    """The values of a column that may be codes; several are judged together, so that none hides another."""
    extreme = candidates(values_N)
    codes = [one for one in extreme if is_code(one.value)]
    placeholders = [one for one in extreme if one.value in PLACEHOLDERS]
    others = [one for one in extreme if not is_code(one.value) and one.value not in PLACEHOLDERS]
    repeated = [one for one in others if len(one.rows_N) > 1]
    found: list[Candidate] = []
    few = MOST_PLACEHOLDERS * len(values_N)
    for group, test in ((codes, is_far), (placeholders, is_lonely), (repeated, is_far)):
        without_N = np.isin(values_N, [one.value for one in (*found, *group)]) | np.isnan(values_N)
        rest_N = values_N[~without_N]
        if len(rest_N) < FEWEST:
            continue
        apart = [
            one for one in group if group is placeholders and len(one.rows_N) <= few and is_apart(one.value, rest_N)
        ]
        kept = [one for one in group if one in apart or test(one.value, rest_N) or jumps(one, values_N, without_N)]
        found += [one for one in kept if group is not repeated or unlike(one, cells, without_N)]
    return sorted(found, key=lambda one: int(one.rows_N[0]))


def missing_codes(values_N: np.ndarray) -> list[Candidate]:
    """The values of any column of numbers that are known codes, and far from all others."""
    codes = [one for one in candidates(values_N) if is_code(one.value)]
    rest_N = values_N[~np.isin(values_N, [one.value for one in codes])]
    return [one for one in codes if is_far(one.value, rest_N)] if len(rest_N) >= FEWEST else []


def candidates(values_N: np.ndarray) -> list[Candidate]:
    """The smallest and the largest values of a column and the placeholders, where they are rare, and known codes."""
    different, counts = np.unique(values_N[~np.isnan(values_N)], return_counts=True)
    most = MOST_SHARE * len(values_N)
    picked = [*different[:MOST_VALUES], *different[-MOST_VALUES:], *PLACEHOLDERS, *CODES]
    pairs = zip(different.tolist(), counts.tolist(), strict=True)
    rare = {value: count for value, count in pairs if count <= most or is_code(value)}
    return [Candidate(value, np.flatnonzero(values_N == value)) for value in dict.fromkeys(picked) if value in rare]


def is_code(value: float) -> bool:
    return bool(np.isclose(value, CODES, rtol=1e-6, atol=0).any())


def robust_scale(rest_N: np.ndarray) -> tuple[float, float]:
    """Median, and a deviation that a few values do not change; the plain one where most values are equal."""
    low, median, high = np.percentile(rest_N, [25, 50, 75])
    return float(median), float((high - low) / 1.349 or rest_N.std() or abs(median) * 1e-3 or 1e-3)


def is_far(value: float, rest_N: np.ndarray) -> bool:
    """Whether a value lies outside of all others, by more than half their range, and far from them."""
    median, scale = robust_scale(rest_N)
    gap = max(rest_N.min() - value, value - rest_N.max())
    far = abs(value - median) > FAR * scale or (is_code(value) and is_beyond_gap(value, rest_N))
    return bool(gap > max(0.5 * np.ptp(rest_N), scale) and far) or bool(
        abs(value) > HUGE * max(np.abs(rest_N).max(), 1e-300) and abs(value) > HUGE
    )


def is_lonely(value: float, rest_N: np.ndarray) -> bool:
    """Whether a placeholder lies outside of all others, of which none is near it; one that is not 0 below them all."""
    if (value and rest_N.min() <= 0) or len(np.unique(rest_N)) < 3:
        return False
    median, scale = robust_scale(rest_N)
    nearest = np.abs(rest_N - value).min()
    return bool(nearest > 0.5 * np.ptp(rest_N) and abs(median) > FAR * scale)  # of one sign, therefore


def is_apart(value: float, rest_N: np.ndarray) -> bool:
    """Whether a placeholder lies beyond a gap from all others, which have one sign: +, if it is not 0."""
    if rest_N.max() < 0 and not value:
        return is_beyond_gap(value, -rest_N)
    return bool(rest_N.min() > 0) and is_beyond_gap(value, rest_N)


def is_beyond_gap(value: float, rest_N: np.ndarray) -> bool:
    """Whether a value outside of all others is parted from them by a gap wider than any between the nearest half."""
    different = np.unique(rest_N)
    if len(different) < FEWEST_DIFFERENT or len(rest_N) < FEWEST_ROWS:
        return False
    below = value < different[0]
    gap = different[0] - value if below else value - different[-1]
    middle = len(different) // 2
    inner = np.diff(different[: middle + 1] if below else different[middle:]).max()
    return bool(gap > GAP * inner and gap > GAP_SHARE * np.ptp(rest_N))


def jumps(one: Candidate, values_N: np.ndarray, without_N: np.ndarray) -> bool:
    """Whether a value outside of all others is reached by a leap each time, and left by one, as in a slow series."""
    rest_N = values_N[~without_N]
    gap = max(rest_N.min() - one.value, one.value - rest_N.max())
    steps = np.abs(np.diff(rest_N))
    usual = float(np.percentile(steps, 99)) or float(steps.max(initial=0))
    known = np.flatnonzero(~without_N)
    before = known[np.clip(np.searchsorted(known, one.rows_N) - 1, 0, len(known) - 1)]
    after = known[np.clip(np.searchsorted(known, one.rows_N), 0, len(known) - 1)]
    leaps = np.minimum(np.abs(one.value - values_N[before]), np.abs(one.value - values_N[after]))
    return bool(usual > 0 and gap > 0.15 * np.ptp(rest_N) and (leaps > FAR * usual).all())


def unlike(one: Candidate, cells: list[str], without_N: np.ndarray) -> bool:
    """Whether a repeated value that is no known code is written unlike the others: whole where these have decimals."""
    text = cells[int(one.rows_N[0])].strip().lstrip("+-")
    others = [cells[row] for row in np.flatnonzero(~without_N)[:1_000]]
    decimals = sum("." in cell or "," in cell for cell in others)
    equal_digits = len(set(text.split(".")[0])) == 1 and len(text.split(".")[0]) > 2
    return bool(equal_digits or (decimals > 0.98 * len(others) and not {".", ","} & set(text)))

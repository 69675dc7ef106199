"""The rows of a series before training: enough of them, and columns that vary, in sizes that float32 can square."""

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.series_source import Series
from rnnjax.tasks.tables.columns import without_columns
from rnnjax.tasks.tables.missing import list_lines
from rnnjax.tasks.tables.notation import declare, option

SMALLEST_VALUE, LARGEST_VALUE = 1e-18, 1e18  # float32 holds the square of what lies between
SHARES = (0.2, 0.25, 0.3, 0.4, 0.5)  # of held-out rows, which a message may name


def check_length(series: Series, settings: TaskSpec) -> None:
    """Raises BadInput for a part with less than two rows."""
    train, held_out = len(series.train_ND), len(series.validation_ND)
    if min(train, held_out) < 2:
        raise BadInput(
            f"task.validation: got {settings.validation:g}, which leaves {train:,} steps to train on and "
            f"{held_out:,} held out; expected >= 2 of each{describe_share(train + held_out, settings)}"
        )
    if train // settings.redundancy < 2:
        raise BadInput(f"task.redundancy: got {settings.redundancy}; expected <= {train // 2} (of {train:,} steps)")


def describe_share(rows: int, settings: TaskSpec) -> str:
    """The held-out share next to the one that was asked for that leaves two rows of each."""
    if settings.fold or not settings.path:
        return ""
    fitting = [share for share in SHARES if 2 <= round(rows * share) <= rows - 2 * settings.redundancy]
    return f"; use {option(f'validation={fitting[0]:g}')}" if fitting else ""


def check_values(series: Series, unscaled: Series, once_ND: np.ndarray, settings: TaskSpec) -> None:
    """Raises BadInput for a column that does not vary where it is trained on, or is too large or small for float32.

    Args:
        unscaled: the same rows before `task.scale` and `task.offset`.
        once_ND: the training part without its repetitions.
    """
    both_ND = np.concatenate([series.train_ND, series.validation_ND])
    constant = []
    for place, (name, once_N, both_N) in enumerate(zip(series.columns, once_ND.T, both_ND.T, strict=True)):
        once_N, known_N = once_N[~np.isnan(once_N)], both_N[~np.isnan(both_N)]
        if not len(once_N):
            raise BadInput(f"task.columns: got {name!r}, which has no number in the rows to train on")
        spread, size = np.ptp(once_N), np.abs(known_N).max()
        if size > LARGEST_VALUE:
            raise BadInput(describe_size(unscaled, place, int(np.nanargmax(np.abs(both_N))), float(size), settings))
        if spread == 0:
            constant.append((name, once_N))
        elif spread < SMALLEST_VALUE:
            raise BadInput(f"task.scale: got a range of {spread:g} in column {name!r}; expected >= {SMALLEST_VALUE:g}")
    if constant:
        name, once_N = constant[0]
        names = [name for name, _ in constant]
        rest = [name for name in series.columns if name not in names]
        others = f" (as {', '.join(map(repr, names[1:]))})" if names[1:] else ""
        raise BadInput(
            f"task.columns: got {name!r}{others}, which is {once_N[0]:g} in all {len(once_N):,} rows to train on; "
            f"expected columns that vary{without_columns(names, rest, settings)}"
        )


def describe_size(unscaled: Series, place: int, row: int, size: float, settings: TaskSpec) -> str:
    """The message of a number that is too large: its line, and the options for a code and for a large unit."""
    name = unscaled.columns[place]
    column_N = np.concatenate([unscaled.train_ND, unscaled.validation_ND])[:, place]
    value = float(column_N[row])
    if unscaled.lines_N is None or abs(value) <= LARGEST_VALUE:
        return f"task.scale: got a size of {size:g} in column {name!r}; expected <= {LARGEST_VALUE:g}"
    smaller = option(f"scale={10.0 ** (9 - np.ceil(np.log10(abs(value)))):.0e}")
    lines = unscaled.lines_N[: len(column_N)][column_N == value].tolist()
    times = f"{len(lines)} times ({list_lines(lines)})" if len(lines) > 1 else "once"
    code = option(f"missing_values={declare([repr(value)], settings.missing_values)}", "missing=interpolate")
    return (
        f"task.path: line {lines[0]}, column {name!r}: got {value:g}, {times}; expected a size <= "
        f"{LARGEST_VALUE:g}; if it is a code for a missing value, {code}; if it is a measurement, {smaller}"
    )

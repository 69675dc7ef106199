"""Sequences as arrays: those of an .npz file, or Python lists of arrays or texts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.sequences.raw import RawSequences

FORMS = "'x' [N, T, D] with 'lengths' [N], or 'values' [R, D] with 'offsets' [N + 1]"


def read_arrays(arrays: Mapping[str, np.ndarray], settings: TaskSpec) -> RawSequences:
    """The sequences of an .npz file: x [N, T, D] and lengths [N], or values [R, D] and offsets [N + 1]; and y.

    y is [N] or [N, O] for whole sequences, or [N, T] or [R] for steps. Further arrays [N]: "id", and those that
    `group_column`, `time_column` and `split_column` name.

    Raises: BadInput with the name of the first array that is wrong.
    """
    ragged = "values" in arrays or "offsets" in arrays
    needed = ("values", "offsets") if ragged else ("x",)
    for name in needed:
        if name not in arrays:
            found = ", ".join(map(repr, arrays)) or "nothing"
            raise BadInput(f"task.path: got the arrays {found}; expected {FORMS}")
    for name, values in arrays.items():
        if values.dtype.kind not in "biufUS":
            raise BadInput(f"task.path: array {name!r}: got {values.dtype}; expected numbers or words")
    steps, starts = ragged_steps(arrays) if ragged else padded_steps(arrays)
    count = len(steps)
    names = [*dict.fromkeys([settings.group_column, settings.time_column, settings.split_column])]
    keys = {name: words_of(arrays, name, count) for name in names if name in arrays}
    return RawSequences(
        places=[f"sequence {n + 1}" for n in range(count)],
        steps=steps,
        targets=targets_of(arrays, [len(one) for one in steps], starts, settings) if "y" in arrays else None,
        names=words_of(arrays, "id", count) if "id" in arrays else None,
        keys=keys,
    )


def padded_steps(arrays: Mapping[str, np.ndarray]) -> tuple[list[np.ndarray], np.ndarray | None]:
    """The valid steps of x [N, T, D] or [N, T]."""
    x = arrays["x"]
    if x.ndim not in (2, 3) or x.dtype.kind not in "biuf":
        raise BadInput(f"task.path: array 'x': got {x.dtype} of shape {list(x.shape)}; expected numbers [N, T, D]")
    x_NTD = x[:, :, None] if x.ndim == 2 else x
    count, longest = x_NTD.shape[:2]
    lengths_N = arrays.get("lengths", np.full(count, longest))
    if lengths_N.shape != (count,) or lengths_N.dtype.kind not in "iu":
        got = f"{lengths_N.dtype} of shape {list(lengths_N.shape)}"
        raise BadInput(f"task.path: array 'lengths': got {got}; expected {count} integers, one for each sequence")
    for n in np.flatnonzero((lengths_N < 0) | (lengths_N > longest)):
        got = f"{lengths_N[n]} for sequence {n + 1}"
        raise BadInput(f"task.path: array 'lengths': got {got}; expected 0 to {longest}, the steps of 'x'")
    return [x_NTD[n, :length].astype(np.float64) for n, length in enumerate(lengths_N)], None


def ragged_steps(arrays: Mapping[str, np.ndarray]) -> tuple[list[np.ndarray], np.ndarray | None]:
    """The steps of values [R, D] or [R], cut at the offsets; and the offsets."""
    values, offsets = arrays["values"], arrays["offsets"]
    if values.ndim not in (1, 2) or values.dtype.kind not in "biuf":
        got = f"{values.dtype} of shape {list(values.shape)}"
        raise BadInput(f"task.path: array 'values': got {got}; expected numbers [R, D]")
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or len(offsets) < 2:
        got = f"{offsets.dtype} of shape {list(offsets.shape)}"
        raise BadInput(f"task.path: array 'offsets': got {got}; expected N + 1 integers")
    rising = bool((np.diff(offsets.astype(np.int64)) >= 0).all())
    if offsets[0] != 0 or offsets[-1] != len(values) or not rising:
        got = f"{offsets[0]} ... {offsets[-1]}{'' if rising else ', which fall somewhere'}"
        raise BadInput(f"task.path: array 'offsets': got {got}; expected rising from 0 to {len(values)}, the values")
    values_RD = (values[:, None] if values.ndim == 1 else values).astype(np.float64)
    return np.split(values_RD, offsets[1:-1]), offsets


def targets_of(
    arrays: Mapping[str, np.ndarray], lengths: Sequence[int], starts: np.ndarray | None, settings: TaskSpec
) -> list[Any]:
    """The targets of each sequence out of y."""
    y, count = arrays["y"], len(lengths)
    if settings.predict == "tags" and starts is not None:
        if y.size != starts[-1]:
            raise BadInput(f"task.path: array 'y': got shape {list(y.shape)}; expected a tag for each of the values")
        return [one.tolist() for one in np.split(y.reshape(-1), starts[1:-1])]
    if settings.predict == "tags":
        longest = arrays["x"].shape[1]
        if y.shape != (count, longest):
            raise BadInput(f"task.path: array 'y': got shape {list(y.shape)}; expected [{count}, {longest}], as 'x'")
        return [row[:length].tolist() for row, length in zip(y, lengths, strict=True)]
    if y.ndim not in (1, 2) or len(y) != count:
        raise BadInput(f"task.path: array 'y': got shape {list(y.shape)}; expected [{count}] or [{count}, O]")
    found: list[Any] = y.tolist()
    return found


def words_of(arrays: Mapping[str, np.ndarray], name: str, count: int) -> list[str]:
    """An array [N] as words."""
    values = arrays[name]
    if values.shape != (count,):
        raise BadInput(f"task.path: array {name!r}: got shape {list(values.shape)}; expected [{count}]")
    return [str(value) for value in values.tolist()]


def raw_from_lists(x: Sequence[Any], y: Sequence[Any] | None = None, **keys: Sequence[Any]) -> RawSequences:
    """The sequences of Python lists: x is N texts, or N arrays [T, D] or [T]; y is what is asked of each.

    Args: keys: further words of each sequence, such as group, time or split. Raises: BadInput.
    """
    for name, values in {"y": y, **keys}.items():
        if values is not None and len(values) != len(x):
            raise BadInput(f"{name}: got {len(values)} entries; expected {len(x)}, one for each sequence")
    steps = [one if isinstance(one, str) else steps_from_list(n, one) for n, one in enumerate(x, 1)]
    plain = None if y is None else [one.tolist() if isinstance(one, np.ndarray | np.generic) else one for one in y]
    words = {name: [str(value) for value in values] for name, values in keys.items()}
    return RawSequences([f"sequence {n + 1}" for n in range(len(x))], steps, plain, keys=words)


def steps_from_list(n: int, values: Any) -> np.ndarray:
    """One sequence of numbers as float64 [T, D]."""
    try:
        steps = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"x: sequence {n}: got no numbers [T, D]; expected an array or a text") from None
    if steps.ndim not in (1, 2):
        raise BadInput(f"x: sequence {n}: got shape {list(steps.shape)}; expected [T, D] or [T]")
    return steps[:, None] if steps.ndim == 1 else steps

"""What the curves of training say: rows of the record, [R, S] for R runs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.jumps import BEFORE, medians_before

STRETCHES = 10  # of training: the first, the last, the lowest
FEWEST_ROWS = 20
HIGH = 1.5  # a row of the loss that is this many times the median of the rows before it is a jump


class Record(NamedTuple):
    """The curves of R runs; a row is one optimizer step or the mean of several."""

    loss_RS: np.ndarray
    gradient_norm_RS: np.ndarray | None = None  # of the whole gradient, before the clips
    clip_share_RS: np.ndarray | None = None  # share of the steps on which the clip fired
    update_norm_RS: np.ndarray | None = None  # of what was added to the parameters
    steps_S: np.ndarray | None = None  # optimizer steps done at the end of each row; None: a row is one step
    clip_norm: float | None = None
    diverged_R: np.ndarray | None = None


def checked(given: Any, runs: int) -> Record:
    """A record as the user gave it: a table of curves [S], or [R, S]. Raises BadInput."""
    if isinstance(given, Record):
        return given
    known = {name.rpartition("_")[0] if name[-1].isupper() else name: name for name in Record._fields}
    table = dict(given) if isinstance(given, Mapping) else {"loss": given}
    strange = sorted(set(table) - set(known))
    if strange or "loss" not in table:
        raise BadInput(f"record: got {', '.join(strange) or 'no loss'}; expected loss and of {', '.join(known)}")
    values = {known[name]: value for name, value in table.items()}
    for name in ("loss_RS", "gradient_norm_RS", "clip_share_RS", "update_norm_RS"):
        if values.get(name) is not None:
            values[name] = np.asarray(values[name], float).reshape(runs, -1)
    return Record(**values)


def signs(record: Record, weights_R: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers [R] of R runs; NaN where a run has diverged, absent where the record is too short or has not the row.

    jumps       rows of the loss above 1.5 times the median of the 40 before, share of all that have such a median
    rise        last loss - lowest loss, over the fall from the first to the lowest; of tenths of training
    falling     how much the last tenth is below the one before it, as a share of all that was learned
    clip        share of clipped steps in the second half; shortening: median gradient norm there / the threshold
    path        sum of the norms of all updates / norm of the parameters

    Args: weights_R: the norm of the parameters of each run.
    """
    loss_RS = record.loss_RS
    if loss_RS.shape[1] < FEWEST_ROWS:
        return {}
    tenths_RM = np.stack([part.mean(axis=1) for part in np.array_split(loss_RS, STRETCHES, axis=1)], axis=1)
    first_R = loss_RS[:, : max(1, loss_RS.shape[1] // 100)].mean(axis=1)
    lowest_R, last_R = np.minimum(first_R, tenths_RM.min(axis=1)), tenths_RM[:, -1]
    learned_R = np.maximum(first_R - lowest_R, 0.05 * np.abs(first_R) + 1e-12)
    found = {
        "rise": (last_R - lowest_R) / learned_R,
        "falling": (tenths_RM[:, -2] - last_R) / learned_R,
    }
    if loss_RS.shape[1] > 2 * BEFORE:
        with np.errstate(invalid="ignore"):
            high_RS = loss_RS[:, BEFORE:] > HIGH * medians_before(loss_RS)[:, BEFORE:]
        found["jumps"] = np.where(np.isfinite(last_R), high_RS.mean(axis=1), np.nan)
    return found | clip_signs(record) | path_sign(record, weights_R)


def clip_signs(record: Record) -> dict[str, np.ndarray]:
    if record.clip_share_RS is None:
        return {}
    late = slice(record.clip_share_RS.shape[1] // 2, None)
    found = {"clip": record.clip_share_RS[:, late].mean(axis=1)}
    if record.gradient_norm_RS is not None and record.clip_norm and np.isfinite(record.clip_norm):
        found["shortening"] = np.median(record.gradient_norm_RS[:, late], axis=1) / record.clip_norm
    return found


def path_sign(record: Record, weights_R: np.ndarray) -> dict[str, np.ndarray]:
    if record.update_norm_RS is None:
        return {}
    rows = record.update_norm_RS.shape[1]
    weights_S = np.ones(rows) if record.steps_S is None else np.diff(record.steps_S, prepend=0)
    return {"path": record.update_norm_RS @ weights_S / np.maximum(weights_R, 1e-12)}

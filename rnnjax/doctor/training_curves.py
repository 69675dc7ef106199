"""What the curves of training say: rows of the record, [R, S] for R runs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rnnjax.analysis.loss_spikes import BEFORE, medians_before
from rnnjax.errors import BadInput

STRETCHES = 10  # of training: the first, the last, the lowest
FEWEST_ROWS = 20
OF_RECORD = ("jumps", "rise", "falling", "clip", "shortening", "path")  # the signs that are read from it
HIGH = 0.5  # a row of the loss that lies above the median of the rows before it by this share of it is a jump
NOISE = 4.0  # standard errors of the mean of a stretch; what lies within is no rise and no fall
OF_BEND = 6**0.5 * 0.6745  # the median of |x - 2 y + z| of three normal values is this many of their deviations


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
    """A record as the user gave it: a table of curves [S], or [R, S]; a loss that ends in no number has diverged.

    Raises: BadInput.
    """
    if isinstance(given, Record):
        return given
    known = {name.rpartition("_")[0] if name[-1].isupper() else name: name for name in Record._fields}
    table = dict(given) if isinstance(given, Mapping) else {"loss": given}
    strange = sorted(set(table) - set(known))
    if strange or table.get("loss") is None:
        raise BadInput(f"record: got {', '.join(strange) or 'no loss'}; expected loss and of {', '.join(known)}")
    try:
        values = {known[name]: shaped(name, value, runs) for name, value in table.items() if value is not None}
    except (TypeError, ValueError) as error:
        raise BadInput(f"record: got what is no table of numbers ({error}); expected curves of one length") from error
    rows = {np.shape(value)[-1] for name, value in values.items() if name.endswith("S")}
    if len(rows) > 1 or rows == {0}:
        raise BadInput(f"record: got curves of {sorted(rows)} rows; expected one length, 1 or more")
    last_R = values["loss_RS"][:, -1]
    return Record(**{"diverged_R": (~np.isfinite(last_R)).astype(float)} | values)


def shaped(name: str, value: Any, runs: int) -> Any:
    """A curve as [R, S], what all runs share as it is. Raises: TypeError, ValueError."""
    if name == "clip_norm":
        return float(value)
    values = np.asarray(value, float)
    return values.reshape(-1) if name in ("steps", "diverged") else values.reshape(runs, -1)


def signs(record: Record, weights_R: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers [R] of R runs; NaN where a run has diverged, absent where the record is too short or has not the row.

    jumps       rows of the loss above m + |m| / 2, m the median of the 40 before; share of all that have such a median
    rise        last loss - lowest loss, over the fall from the first to the lowest; of tenths of training
    falling     how much the last tenth is below the one before it, as a share of all that was learned
    clip        share of clipped steps in the second half; shortening: median gradient norm there / the threshold
    path        sum of the norms of all updates / norm of the parameters; absent without the steps of the rows

    Of rise and falling, what lies within 4 standard errors of a stretch's mean is noise and taken off.

    Args: weights_R: the norm of the parameters of each run.
    """
    loss_RS = record.loss_RS
    if loss_RS.shape[1] < FEWEST_ROWS:
        return {}
    tenths_RM = np.stack([part.mean(axis=1) for part in np.array_split(loss_RS, STRETCHES, axis=1)], axis=1)
    beginning_RS = loss_RS[:, : max(1, loss_RS.shape[1] // 100)]
    first_R, last_R = beginning_RS.mean(axis=1), tenths_RM[:, -1]
    noise_R = NOISE * deviations(loss_RS)
    of_first_R, of_tenth_R = noise_R / beginning_RS.shape[1] ** 0.5, noise_R / (loss_RS.shape[1] // STRETCHES) ** 0.5
    learned_R = np.maximum(first_R - tenths_RM.min(axis=1), 0.05 * np.abs(first_R) + 1e-12)
    lowest_R = np.minimum(first_R + of_first_R, tenths_RM.min(axis=1) + of_tenth_R)
    found = {
        "rise": np.maximum(last_R - lowest_R, 0) / learned_R,
        "falling": np.maximum(tenths_RM[:, -2] - last_R - of_tenth_R, 0) / learned_R,
    }
    if loss_RS.shape[1] > 2 * BEFORE:
        before_RS = medians_before(loss_RS)[:, BEFORE:]
        with np.errstate(invalid="ignore"):
            high_RS = loss_RS[:, BEFORE:] > before_RS + HIGH * np.abs(before_RS)
        found["jumps"] = np.where(np.isfinite(last_R), high_RS.mean(axis=1), np.nan)
    return found | clip_signs(record) | path_sign(record, weights_R)


def deviations(loss_RS: np.ndarray) -> np.ndarray:
    """The standard deviation [R] of the rows about their neighbours; a straight fall or rise has none."""
    with np.errstate(invalid="ignore"):
        return np.median(np.abs(np.diff(loss_RS, n=2, axis=1)), axis=1) / OF_BEND


def clip_signs(record: Record) -> dict[str, np.ndarray]:
    if record.clip_share_RS is None:
        return {}
    late = slice(record.clip_share_RS.shape[1] // 2, None)
    found = {"clip": record.clip_share_RS[:, late].mean(axis=1)}
    if record.gradient_norm_RS is not None and record.clip_norm and np.isfinite(record.clip_norm):
        found["shortening"] = np.median(record.gradient_norm_RS[:, late], axis=1) / record.clip_norm
    return found


def path_sign(record: Record, weights_R: np.ndarray) -> dict[str, np.ndarray]:
    """Absent without the steps: a row may be the mean over many of them, and the path that many times as long."""
    if record.update_norm_RS is None or record.steps_S is None:
        return {}
    return {"path": record.update_norm_RS @ np.diff(record.steps_S, prepend=0) / np.maximum(weights_R, 1e-12)}

"""Training curves [R, S] of R runs, as stored by rnnjax or given by the user."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput

MIN_ROWS = 20  # shorter curves have no indicators


class TrainingCurves(NamedTuple):
    """The curves of R runs; a row is one optimizer step or the mean of several."""

    loss_RS: np.ndarray
    gradient_norm_RS: np.ndarray | None = None  # of the whole gradient, before clipping
    clip_share_RS: np.ndarray | None = None  # share of clipped steps
    update_norm_RS: np.ndarray | None = None  # of the update of the parameters
    steps_S: np.ndarray | None = None  # optimizer steps done at the end of each row; None: a row is one step
    clip_norm: float | None = None
    diverged_R: np.ndarray | None = None


KEYS = {name.rpartition("_")[0] if name[-1].isupper() else name: name for name in TrainingCurves._fields}


def validate_curves(given: Any, runs: int) -> TrainingCurves:
    """A user's curves: a loss [S] or [R, S], or a table of curves; a loss that ends in NaN or inf has diverged.

    Raises: BadInput.
    """
    if isinstance(given, TrainingCurves):
        return given
    table = dict(given) if isinstance(given, Mapping) else {"loss": given}
    unknown = sorted(set(table) - set(KEYS))
    if unknown or table.get("loss") is None:
        raise BadInput(f"record: got {', '.join(unknown) or 'no loss'}; expected loss and any of {', '.join(KEYS)}")
    try:
        values = {KEYS[name]: as_curve(name, value, runs) for name, value in table.items() if value is not None}
    except (TypeError, ValueError) as error:
        raise BadInput(f"record: got values that are not numbers ({error}); expected curves of one length") from error
    rows = {np.shape(value)[-1] for name, value in values.items() if name.endswith("S")}
    if len(rows) > 1 or rows == {0}:
        raise BadInput(f"record: got curves of {sorted(rows)} rows; expected one length, 1 or more")
    last_R = values["loss_RS"][:, -1]
    return TrainingCurves(**{"diverged_R": (~np.isfinite(last_R)).astype(float)} | values)


def as_curve(name: str, value: Any, runs: int) -> Any:
    """A curve as [R, S]; values shared by all runs as they are. Raises: TypeError, ValueError."""
    if name == "clip_norm":
        return float(value)
    values = np.asarray(value, float)
    return values.reshape(-1) if name in ("steps", "diverged") else values.reshape(runs, -1)

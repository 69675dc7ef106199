"""Training curves [R, S] of R runs, as stored by rnnjax or given by the user, and the rows of one run that trained."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput

MIN_ROWS = 20  # shorter curves have no indicators
GAP_SHARE = 0.02  # of the rows: a shorter end that is not finite is no divergence


class TrainingCurves(NamedTuple):
    """The curves of R runs; a row is one optimizer step or the mean of several."""

    loss_RS: np.ndarray
    gradient_norm_RS: np.ndarray | None = None  # of the whole gradient, before clipping
    clip_share_RS: np.ndarray | None = None  # share of clipped steps
    update_norm_RS: np.ndarray | None = None  # of the update of the parameters
    steps_S: np.ndarray | None = None  # optimizer steps done at the end of each row; None: a row is one step
    clip_norm: float | None = None
    diverged_R: np.ndarray | None = None


class RunCurves(NamedTuple):
    """The rows of one run in which its parameters moved and every curve is finite [S]."""

    loss_S: np.ndarray
    rows_S: np.ndarray  # their numbers in the given curves, from 0
    gradient_norm_S: np.ndarray | None
    clip_share_S: np.ndarray | None
    update_norm_S: np.ndarray | None
    steps_S: np.ndarray | None
    missing_rows: np.ndarray  # numbers of the rows that are not finite, before the last finite one
    rows: int  # of the given curves
    still_rows: int  # at the end, with an update of exactly 0
    still_loss: float  # their mean loss, NaN if there are none

    def select(self, index: Any) -> "RunCurves":
        """Some of the rows."""
        curves = {name: values for name, values in self._asdict().items() if name.endswith("_S") and values is not None}
        return self._replace(**{name: values[index] for name, values in curves.items()})


KEYS = {name.rpartition("_")[0] if name[-1].isupper() else name: name for name in TrainingCurves._fields}


def validate_curves(given: Any, runs: int) -> TrainingCurves:
    """A user's curves: a loss [S] or [R, S], or a table of curves; see `ends_in_gap` for divergence.

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
    diverged_R = np.array([ends_in_gap(loss_S) for loss_S in values["loss_RS"]], float)
    return TrainingCurves(**{"diverged_R": diverged_R} | values)


def ends_in_gap(loss_S: np.ndarray) -> bool:
    """Whether a loss ends in NaN or inf for longer than it does elsewhere, and for more than 2% of its rows.

    A loss that is logged every tenth row, or a last step that was skipped, is no divergence.
    """
    finite = np.flatnonzero(np.isfinite(loss_S))
    if not len(finite):
        return True
    longest = int(np.diff(finite, prepend=-1).max()) - 1
    return bool(len(loss_S) - 1 - finite[-1] > max(2 * longest, GAP_SHARE * len(loss_S)))


def as_curve(name: str, value: Any, runs: int) -> Any:
    """A curve as [R, S]; values shared by all runs as they are. Raises: TypeError, ValueError."""
    if name == "clip_norm":
        return float(value)
    values = np.asarray(value, float)
    return values.reshape(-1) if name in ("steps", "diverged") else values.reshape(runs, -1)


def runs_that_trained(curves: TrainingCurves) -> list[RunCurves]:
    """Each run without the rows that say nothing of its training.

    Left out are rows with a value that is not finite (a skipped step, a metric that is logged less often), and the rows
    at the end whose updates are exactly 0: a run that has stopped early goes on with its best parameters, so these rows
    differ from those before by the choice of the parameters, not by training.
    """
    return [run_that_trained(curves, run) for run in range(len(curves.loss_RS))]


def run_that_trained(curves: TrainingCurves, run: int) -> RunCurves:
    """One run of `runs_that_trained`."""
    rows = curves.loss_RS.shape[1]
    select = partial(select_run, curves, run)
    loss_S, updates_S = curves.loss_RS[run], select("update_norm")
    moved = rows if updates_S is None else last_true(~(updates_S == 0), rows)
    finite_S = np.isfinite(loss_S)
    missing = np.flatnonzero(~finite_S[: last_true(finite_S, 0)] if ends_in_gap(loss_S) else ~finite_S)
    gradient_S, clip_S, updates_S = (fill_gaps(select(name)) for name in ("gradient_norm", "clip_share", "update_norm"))
    every = RunCurves(
        loss_S, np.arange(rows), gradient_S, clip_S, updates_S, curves.steps_S, missing,
        rows, rows - moved, float(np.mean(loss_S[moved:])) if moved < rows else np.nan,
    )  # fmt: skip
    return every.select(finite_S & (np.arange(rows) < moved))


def fill_gaps(values_S: np.ndarray | None) -> np.ndarray | None:
    """A norm with its gaps filled on the line between finite values; None without a finite value."""
    if values_S is None or np.isfinite(values_S).all():
        return values_S
    finite = np.flatnonzero(np.isfinite(values_S))
    return np.interp(np.arange(len(values_S)), finite, values_S[finite]) if len(finite) else None


def select_run(curves: TrainingCurves, run: int, name: str) -> np.ndarray | None:
    values_RS = getattr(curves, KEYS[name])
    return None if values_RS is None else values_RS[run]


def last_true(values_S: np.ndarray, default: int) -> int:
    """The number of rows up to the last true one; `default` if there is none."""
    true = np.flatnonzero(values_S)
    return int(true[-1]) + 1 if len(true) else default

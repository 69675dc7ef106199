"""Indicators of training curves [R, S] of R runs."""

from functools import partial

import numpy as np

from rnnjax.doctor.indicators.leaps import find_leaps
from rnnjax.doctor.indicators.standstill import standstill_indicators
from rnnjax.doctor.indicators.trends import learned_loss, trend_indicators
from rnnjax.doctor.indicators.types import Curve
from rnnjax.doctor.training_curves import MIN_ROWS, RunCurves, TrainingCurves, ends_in_gap, runs_that_trained

CURVE_INDICATORS = (
    "jumps", "rise", "fall_at_end", "leap", "missing_rows", "clip", "clip_ratio", "path", "standstill", "still_falling",
    "optimizer_frozen",
)  # fmt: skip
ROWS_SHOWN = 5  # numbers of rows in a remark


def curve_indicators(curves: TrainingCurves, weight_norm_R: np.ndarray) -> dict[str, np.ndarray]:
    """Values [R]; NaN if a run has diverged or has too few rows; absent if no run has a value.

    rise, fall_at_end, jumps    see `trends`; a rise before a leap does not count
    leap                        the highest leap / (first loss - lowest loss), 0 without one
    missing_rows                rows that are not finite, before the last finite one
    clip                        share of clipped steps in the second half
    clip_ratio                  median gradient norm in the second half / threshold
    path                        sum of the update norms / norm of the parameters; absent without the steps of the rows
    standstill, still_falling, optimizer_frozen   see `standstill`

    Rows without training are left out, see `training_curves.runs_that_trained`.

    Args: weight_norm_R: the norm of the parameters of each run.
    """
    ended_R = np.array([ends_in_gap(loss_S) for loss_S in curves.loss_RS])
    diverged_R = ended_R if curves.diverged_R is None else curves.diverged_R
    tables = [
        {} if diverged else run_indicators(run, curves.clip_norm, norm)
        for run, diverged, norm in zip(runs_that_trained(curves), diverged_R, weight_norm_R, strict=True)
    ]
    names = [name for name in CURVE_INDICATORS if any(name in table for table in tables)]
    return {name: np.array([table.get(name, np.nan) for table in tables], float) for name in names}


def run_indicators(run: RunCurves, clip_norm: float | None, weight_norm: float) -> dict[str, float]:
    """The indicators of one run; empty if it has too few rows."""
    if len(run.loss_S) < MIN_ROWS:
        return {}
    leaps = find_leaps(run)
    return (
        trend_indicators(run.loss_S)
        | leap_indicators(run, [leap.row for leap in leaps], max((leap.height for leap in leaps), default=0.0))
        | {"missing_rows": float(len(run.missing_rows))}
        | clip_indicators(run, clip_norm)
        | path_indicator(run, weight_norm)
        | standstill_indicators(run)
    )


def leap_indicators(run: RunCurves, starts: list[int], height: float) -> dict[str, float]:
    """leap, and the rise of the rows after the last leap, as a share of all that was learned."""
    learned = learned_loss(run.loss_S)
    if not starts:
        return {"leap": 0.0}
    after_S = run.loss_S[max(starts) :]
    long_enough = len(after_S) >= MIN_ROWS
    rise = trend_indicators(after_S)["rise"] * learned_loss(after_S) / learned if long_enough else 0.0
    return {"leap": height / learned, "rise": rise}


def clip_indicators(run: RunCurves, clip_norm: float | None) -> dict[str, float]:
    """clip and clip_ratio, over the second half of training."""
    if run.clip_share_S is None:
        return {}
    late = slice(len(run.loss_S) // 2, None)
    values = {"clip": float(run.clip_share_S[late].mean())}
    if run.gradient_norm_S is not None and clip_norm and np.isfinite(clip_norm):
        values["clip_ratio"] = float(np.median(run.gradient_norm_S[late]) / clip_norm)
    return values


def path_indicator(run: RunCurves, weight_norm: float) -> dict[str, float]:
    """Absent without the steps: a row may be the mean of many steps, and the path is that many times as long."""
    if run.update_norm_S is None or run.steps_S is None:
        return {}
    return {"path": float(run.update_norm_S @ np.diff(run.steps_S, prepend=0) / max(weight_norm, 1e-12))}


def curve_remarks(curves: TrainingCurves) -> dict[str, str]:
    """The rows that an indicator is about, in the first run that has any."""
    remarks: dict[str, str] = {}
    for run in runs_that_trained(curves):
        if len(run.missing_rows):
            numbers = ", ".join(f"{row:,}" for row in run.missing_rows[:ROWS_SHOWN])
            more = ", ..." if len(run.missing_rows) > ROWS_SHOWN else ""
            remarks.setdefault("missing_rows", f"rows {numbers}{more}, counted from 0")
        if len(run.loss_S) >= MIN_ROWS:
            remarks = {**leap_remarks(run), **standstill_remarks(run), **remarks}
    return remarks


def leap_remarks(run: RunCurves) -> dict[str, str]:
    """Row and height of every leap."""
    leaps = find_leaps(run)
    if not leaps:
        return {}
    places = [f"by {leap.height:.3g} at {row_name(run, leap.row)}" for leap in leaps]
    spike = "the gradient norm had a spike just before" if any(leap.after_spike for leap in leaps) else ""
    return {"leap": ", ".join([*places, *([spike] if spike else [])])}


def standstill_remarks(run: RunCurves) -> dict[str, str]:
    """The row after which nothing moved."""
    values = standstill_indicators(run)
    if "standstill" not in values or run.update_norm_S is None:
        return {}
    stop = min(round((1 - values["standstill"]) * run.rows), len(run.loss_S)) - 1
    first, last = np.median(run.update_norm_S[: max(1, stop // 4)]), np.median(run.update_norm_S[-max(1, stop // 4) :])
    slower = f"; updates are {last / max(first, 1e-30):.1g} times as long as at the start" if last < first else ""
    remarks = {"standstill": f"of {run.rows:,} rows, after {row_name(run, max(stop, 0))}{slower}"}
    if "optimizer_frozen" in values and run.gradient_norm_S is not None:
        row = int(np.argmax(run.gradient_norm_S))
        remarks["optimizer_frozen"] = f"{run.gradient_norm_S[row]:.1g} at {row_name(run, row)}"
    return remarks


def row_name(run: RunCurves, index: int) -> str:
    """A row as a user can find it."""
    row = f"row {run.rows_S[index]:,} (from 0)"
    return row if run.steps_S is None else f"{row}, step {int(run.steps_S[index]):,}"


def curves_by_indicator(curves: TrainingCurves) -> dict[str, Curve]:
    """The training curve behind each indicator, for figures."""
    rows = curves.loss_RS.shape[1]
    steps_S = np.arange(1, rows + 1) if curves.steps_S is None else curves.steps_S
    build = partial(Curve, steps_S, over="runs", x_title="optimizer steps")
    loss = build(values_nm=curves.loss_RS, y_title="loss")
    names = ("rise", "jumps", "fall_at_end", "finite", "leap", "missing_rows", "standstill", "record_mismatch")
    by_name = dict.fromkeys(names, loss)
    if curves.update_norm_RS is not None:
        by_name["path"] = build(values_nm=curves.update_norm_RS, y_title="norm of an update")
    if curves.gradient_norm_RS is not None:
        norm = build(values_nm=curves.gradient_norm_RS, y_title="norm of the gradient")
        by_name |= dict.fromkeys(("clip_ratio", "clip", "optimizer_frozen"), norm)
    return by_name

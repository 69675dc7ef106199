"""The view of a training curve: the loss of the first network, with the rows marked that indicators speak of."""

from typing import NamedTuple

import numpy as np

from rnnjax.analysis.loss_spikes import BEFORE
from rnnjax.doctor.indicators.leaps import find_leaps
from rnnjax.doctor.indicators.standstill import OVERFLOW_NORM, standstill_indicators
from rnnjax.doctor.indicators.trends import SEGMENTS, find_spikes, segment_means
from rnnjax.doctor.inputs import ExaminationInput, Observations
from rnnjax.doctor.training_curves import MIN_ROWS, RunCurves, TrainingCurves, run_that_trained

SAME_UNIT = 1e-2  # relative difference of the objective and the mean loss of the batch
MOST_MARKS = 12  # of one indicator


class Mark(NamedTuple):
    """A row or a stretch of rows, by its place on the x axis."""

    first: float
    last: float  # that of `first` for a single row
    text: str


class CurveView(NamedTuple):
    """The loss of one run."""

    x_S: np.ndarray
    loss_S: np.ndarray
    x_title: str
    marks: dict[str, tuple[Mark, ...]]  # by indicator
    in_loss_unit: bool  # so that levels can be drawn beside it
    batch_objective: float | None  # the objective of the examined batch; None without one


def build_curve_view(setup: ExaminationInput, observations: Observations, curves: TrainingCurves) -> CurveView:
    """The curve of the first run."""
    loss_S = np.asarray(curves.loss_RS[0], float)
    x_S = np.arange(len(loss_S)) if curves.steps_S is None else np.asarray(curves.steps_S)
    title = "row of the record, from 0" if curves.steps_S is None else "optimizer steps"
    run = run_that_trained(curves, 0)
    marks = {**missing_marks(x_S, loss_S, run), **still_mark(x_S, run), **training_marks(x_S, run)}
    objective = None if setup.objective is None else float(observations.values["objective"][0])
    return CurveView(x_S, loss_S, title, marks, has_loss_unit(setup, observations), objective)


def has_loss_unit(setup: ExaminationInput, observations: Observations) -> bool:
    """Whether the recorded loss is a mean over steps: training by rnnjax records it, others if their objective is."""
    if setup.names or setup.levels is not None or setup.objective is None:
        return True
    mean = float(observations.values["loss"][0].mean())
    return abs(float(observations.values["objective"][0]) - mean) <= SAME_UNIT * max(abs(mean), 1e-12)


def missing_marks(x_S: np.ndarray, loss_S: np.ndarray, run: RunCurves) -> dict[str, tuple[Mark, ...]]:
    """Rows that are not finite: single ones, and the end of a run that has diverged."""
    rows = run.missing_rows[:MOST_MARKS]
    marks = {"missing_rows": tuple(Mark(x_S[row], x_S[row], "not finite") for row in rows)}
    if np.isfinite(loss_S[-1]):
        return marks
    finite = np.flatnonzero(np.isfinite(loss_S))
    first = finite[-1] + 1 if len(finite) else 0
    return marks | {"diverged": (Mark(x_S[first], x_S[-1], "not finite from here on"),)}


def still_mark(x_S: np.ndarray, run: RunCurves) -> dict[str, tuple[Mark, ...]]:
    """The rows at the end without any update."""
    if not run.still_rows:
        return {}
    return {"stopped": (Mark(x_S[run.rows - run.still_rows], x_S[-1], "stopped: no updates"),)}


def training_marks(x_S: np.ndarray, run: RunCurves) -> dict[str, tuple[Mark, ...]]:
    """Marks of the rows that trained."""
    if len(run.loss_S) < MIN_ROWS:
        return {}
    x_S = x_S[run.rows_S]
    leaps = tuple(Mark(x_S[each.row], x_S[each.row], f"leap by {each.height:.3g}") for each in find_leaps(run))
    tenths = [part[[0, -1]] for part in np.array_split(x_S, SEGMENTS)]
    lowest = int(np.argmin(segment_means(run.loss_S)))
    return {
        "leap": leaps,
        "jumps": spike_marks(x_S, run.loss_S),
        "rise": (Mark(tenths[lowest].mean(), x_S[-1], "rises after its lowest tenth"),),
        "fall_at_end": (Mark(tenths[-1][0], x_S[-1], "still decreasing"),),
        **standstill_marks(x_S, run),
    }


def spike_marks(x_S: np.ndarray, loss_S: np.ndarray) -> tuple[Mark, ...]:
    """The highest spikes."""
    if len(loss_S) <= 2 * BEFORE:
        return ()
    rows = np.flatnonzero(find_spikes(loss_S))
    highest = np.sort(rows[np.argsort(-loss_S[rows], kind="stable")][:MOST_MARKS])
    return tuple(Mark(x_S[row], x_S[row], "spike") for row in highest)


def standstill_marks(x_S: np.ndarray, run: RunCurves) -> dict[str, tuple[Mark, ...]]:
    """The rows after 99% of all movement; the row of a gradient that froze the optimizer."""
    values = standstill_indicators(run)
    marks: dict[str, tuple[Mark, ...]] = {}
    if "standstill" in values:
        stop = min(round((1 - values["standstill"]) * run.rows), len(x_S)) - 1
        marks["standstill"] = (Mark(x_S[max(stop, 0)], x_S[-1], "hardly any movement"),)
    if "optimizer_frozen" in values and run.gradient_norm_S is not None:
        row = int(np.argmax(run.gradient_norm_S >= OVERFLOW_NORM))
        marks["optimizer_frozen"] = (Mark(x_S[row], x_S[row], "huge gradient"),)
    return marks

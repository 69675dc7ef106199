"""TensorBoard logging of one group: for each arm its curves, its probe values and the texts that it generates."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.config.schema import Arm, Study
from rnnjax.settings.vocabulary import Vocabulary, ids_to_text
from rnnjax.storage.event_files import ArmCurves, is_damaged
from rnnjax.studies.load_results import Recorded
from rnnjax.studies.tensorboard_tags import BoardPlan
from rnnjax.training.state import StepMetrics


class TensorBoardLogger:
    """The TensorBoard runs of a group's arms; a context manager.

    Args:
        folder: of all arms. arms: name -> the rows of R that are its runs.
        attempt, resumed_step: as `ArmCurves` wants them. vocabulary: the token of each id.
        board: of the study. scalars, texts: the probe values that are numbers, and ids of a text.
        steps: that curves may have points at, `tensorboard_tags.logged_steps`.

    Attributes:
        rewritten: earlier curves were damaged and have been removed; all up to the resumed step is to be logged again.
    """

    def __init__(
        self,
        folder: Path,
        arms: dict[str, np.ndarray],
        attempt: int,
        resumed_step: int | None,
        vocabulary: Vocabulary,
        board: BoardPlan,
        scalars: Sequence[str],
        texts: Sequence[str],
        steps: np.ndarray,
    ) -> None:
        self.arms, self.vocabulary, self.board, self.texts, self.steps = arms, vocabulary, board, texts, steps
        self.tags = {name: board.curve_tags(name, scalars) for name in arms}
        self.rewritten = resumed_step is not None and any(is_damaged(folder / name, resumed_step) for name in arms)
        resumed_step = None if self.rewritten else resumed_step
        self._curves = {name: ArmCurves(folder / name, attempt, resumed_step) for name in arms}
        for curves in self._curves.values():
            curves.layout(board.charts())

    def log(self, step: int, steps_S: np.ndarray, record: StepMetrics, measured: dict[str, np.ndarray]) -> None:
        """Add rows of the record (leaves [R, S]; none before the first step) and probe values [R, ...] at `step`."""
        steps_S, record = (steps_S, record) if len(steps_S) else (np.array([step]), nan_row(len(record.loss)))
        shown_S = np.isin(steps_S, self.steps)
        for name, runs in self.arms.items():
            rows = {metric: values[runs] for metric, values in record._asdict().items()}
            rows |= {
                probe: pad_left(values[runs], len(steps_S)) for probe, values in measured.items() if values.ndim == 1
            }
            rows = {metric: values[:, shown_S] for metric, values in rows.items()}
            alive_nS = np.isfinite(rows["loss"]) | (steps_S[shown_S] == 0)
            self._curves[name].rows(steps_S[shown_S], rows, alive_nS, self.tags[name])
            for probe in [name for name in self.texts if name in measured]:
                self._curves[name].text(step, probe, ids_to_text(measured[probe][runs[0]], self.vocabulary))

    def finish(self, step: int, arms: dict[str, tuple[dict[str, Any], dict[str, np.ndarray]]]) -> None:
        """Add each arm's (settings, final metrics) to its HParams line, and distributions over seeds if asked for."""
        for name, (settings, metrics) in arms.items():
            curves = self._curves[name]
            finite = {metric: values[np.isfinite(values)] for metric, values in metrics.items()}
            for metric, values in finite.items() if self.board.everything else ():
                curves.histogram(step, f"seeds/{metric}", values)
            results = self.board.results_among(metrics)
            curves.hparams(settings, {name: float(finite[name].mean()) for name in results if finite[name].size})


def log_recorded(logger: TensorBoardLogger, recorded: Recorded, until: int) -> None:
    """Add all that was recorded up to a step, from one probe point to the next."""
    earlier = [int(step) for step in recorded.probe_steps if step < until]
    for since, step in pairwise([0, *earlier, until]):
        new_S = (recorded.row_steps > since) & (recorded.row_steps <= step)
        record = StepMetrics._make(recorded.rows[name][:, new_S] for name in StepMetrics._fields)
        measured = {name: at & (recorded.probe_steps == step) for name, at in recorded.measured_at.items()}
        taken = {name: recorded.probes[name][:, at_Q][:, 0] for name, at_Q in measured.items() if at_Q.any()}
        logger.log(step, recorded.row_steps[new_S], record, taken)


def nan_row(runs: int) -> StepMetrics:
    """One row [R, 1] in which nothing was recorded."""
    return StepMetrics._make(np.full((runs, 1), np.nan) for _ in StepMetrics._fields)


def pad_left(values_n: np.ndarray, length: int) -> np.ndarray:
    """[n] -> [n, length], NaN but for the last."""
    return np.concatenate([np.full((len(values_n), length - 1), np.nan), values_n[:, None]], axis=1)


def rows_by_arm(arm_of_run: Sequence[int]) -> dict[int, np.ndarray]:
    """arm -> the rows of its runs, in the order in which the arms occur."""
    return {arm: np.flatnonzero(np.asarray(arm_of_run) == arm) for arm in dict.fromkeys(arm_of_run)}


def arm_settings(study: Study, arm: Arm) -> dict[str, Any]:
    """The columns of an arm's HParams line: the fields that vary, and whether it is the baseline."""
    return arm.axes | {"baseline": arm.name == (study.file.baseline or study.arms[0].name)}

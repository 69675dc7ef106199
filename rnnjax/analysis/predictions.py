"""Predictions of held-out sequences by trained networks, and their metrics beside simple predictors. Loads no JAX."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.classification import class_values, confusion, prior_values, recalls
from rnnjax.settings.metrics import SHARE, Metric

MOST_CLASSES = 40  # whose recalls are metrics of their own
CLASS_METRICS = {
    "accuracy": Metric("share of the held-out targets with the highest output", better="higher", range=SHARE),
    "balanced_accuracy": Metric(
        "mean over the classes of the share that is found (recall)", better="higher", range=SHARE
    ),
    "macro_f1": Metric(
        "mean over the classes of 2 hits / (2 hits + misses + false alarms)", better="higher", range=SHARE
    ),
    "log_loss": Metric("mean cross-entropy of the held-out targets", "{loss}", "lower"),
    "calibration_error": Metric(
        "mean |probability of the predicted class - share of right ones| over 10 equal bins of the probability",
        better="lower",
        source="Guo et al. 2017, arXiv:1706.04599",
        range=SHARE,
    ),
    "over_majority": Metric("accuracy minus that of the most frequent class of the training part", better="higher"),
}
RECALL = "share of the held-out targets of this class that are found"
VALUE_METRICS = {
    "r2": Metric(
        "1 - squared error / that of the mean of the held-out targets; mean over the targets", better="higher"
    ),
    "skill_mean": Metric("1 - RMSE / that of the mean of the training part; mean over the targets", better="higher"),
}
NEXT_METRICS = {
    "skill_last": Metric("1 - RMSE / that of the row before; mean over the targets", better="higher"),
    "skill_linear": Metric("1 - RMSE / that of a linear forecast; mean over the targets", better="higher"),
    "skill_seasonal": Metric("1 - RMSE / that of the row one season before; mean over the targets", better="higher"),
    "mase": Metric(
        "mean absolute error over the mean |y_t - y_(t-1)| of the training part; mean over the targets", better="lower"
    ),
}
ERRORS = {
    "rmse": "root of the mean squared error over the held-out targets",
    "mae": "mean absolute error over the held-out targets",
}


class Predictions(NamedTuple):
    """Predictions of n networks for R held-out targets: of sequences, or of their steps."""

    predict: str  # see `TaskSpec.predict`
    names: tuple[str, ...]  # of the sequences
    lengths_N: np.ndarray  # their steps
    sequence_R: np.ndarray  # the sequence of each target
    truth_R: np.ndarray  # a class, or values [R, O] in own units
    outputs_nRO: np.ndarray  # logits [n, R, C], or values in own units; NaN of a run that diverged
    classes: tuple[str, ...] = ()
    prior_C: np.ndarray = np.zeros(0)  # shares of the classes in the training part
    columns: tuple[str, ...] = ()  # O names of values
    levels: Mapping[str, np.ndarray] = {}  # simple predictor -> [R, O]
    scale_O: np.ndarray = np.zeros(0)  # the unit of MASE

    @property
    def known_n(self) -> np.ndarray:
        """The networks that did not diverge."""
        return np.isfinite(self.outputs_nRO).all(axis=(1, 2))


def prediction_metric_info(predict: str, classes: Sequence[str], columns: Sequence[str]) -> dict[str, Metric]:
    """A description of each metric of the predictions of sequences."""
    if classes:
        shown = classes if len(classes) <= MOST_CLASSES and predict != "next" else ()
        each = {f"recall[{name}]": Metric(RECALL, better="higher", range=SHARE) for name in shown}
        return CLASS_METRICS | each
    errors = {
        f"{error}[{name}]": Metric(text, f"unit of {name}", "lower")
        for name in columns
        for error, text in ERRORS.items()
    }
    return VALUE_METRICS | (NEXT_METRICS if predict == "next" else {}) | errors


def prediction_metrics(predictions: Predictions) -> dict[str, np.ndarray]:
    """One number per metric and network [n], those of `prediction_metric_info`; NaN of one that diverged."""
    names = prediction_metric_info(predictions.predict, predictions.classes, predictions.columns)
    found = {name: np.full(len(predictions.outputs_nRO), np.nan) for name in names}
    values_of = class_metrics if predictions.classes else value_metrics
    for i in np.flatnonzero(predictions.known_n):
        for name, value in values_of(predictions, predictions.outputs_nRO[i]).items():
            if name in found:
                found[name][i] = value
    return found


def class_metrics(predictions: Predictions, outputs_RC: np.ndarray) -> dict[str, float]:
    """The metrics of one network that predicts classes."""
    values, truth_R = class_values(outputs_RC, predictions.truth_R), predictions.truth_R
    table = confusion(truth_R, outputs_RC.argmax(axis=1), len(predictions.classes))
    majority = prior_values(predictions.prior_C, truth_R)["accuracy"]
    each = zip(predictions.classes, recalls(table).tolist(), strict=True)
    return (
        values | {"over_majority": values["accuracy"] - majority} | {f"recall[{name}]": value for name, value in each}
    )


def value_metrics(predictions: Predictions, outputs_RO: np.ndarray) -> dict[str, float]:
    """The metrics of one network that predicts values."""
    truth_RO = predictions.truth_R
    rmse_O = rmse(outputs_RO - truth_RO)
    spread_O = truth_RO.std(axis=0)
    found = {"r2": mean_known(1 - ratio(rmse_O, spread_O) ** 2)}
    for level, predicted_RO in predictions.levels.items():
        found[f"skill_{level}"] = mean_known(1 - ratio(rmse_O, rmse(predicted_RO - truth_RO)))
    mae_O = np.abs(outputs_RO - truth_RO).mean(axis=0)
    if len(predictions.scale_O):
        found["mase"] = mean_known(ratio(mae_O, predictions.scale_O))
    for name, one, other in zip(predictions.columns, rmse_O, mae_O, strict=True):
        found |= {f"rmse[{name}]": float(one), f"mae[{name}]": float(other)}
    return found


def rmse(residuals_RO: np.ndarray) -> np.ndarray:
    """The root mean square of each column [O]."""
    return np.sqrt(np.mean(residuals_RO**2, axis=0))


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, elementwise; NaN where the denominator is not positive."""
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)


def mean_known(values: np.ndarray) -> float:
    """The mean of the finite values; NaN without any."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")

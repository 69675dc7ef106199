"""Predictions of held-out sequences in a report: metrics beside simple predictors, classes, lengths, wrong examples."""

import numpy as np

from rnnjax.analysis.classification import confusion, log_shares, prior_values, recalls
from rnnjax.analysis.predictions import CLASS_METRICS, Predictions, prediction_metrics, rmse
from rnnjax.analysis.results import ArmResult, Results, at_probe_steps
from rnnjax.analysis.statistics import Interval, estimate_mean
from rnnjax.reports.document import ReportTable, TableCell
from rnnjax.reports.figures.confusions import confusion_figure
from rnnjax.reports.figures.curves import probe_figure
from rnnjax.reports.figures.traces import CaptionedFigure
from rnnjax.reports.forecasts import steers_training
from rnnjax.reports.formatting import format_value
from rnnjax.settings.metrics import CLASS_RECALL

MOST_CLASSES = 40  # in a table of classes
MOST_EXAMPLES = 20
LENGTH_GROUPS = 4
MOST_SENTENCES = 4  # one for each arm; of more arms the baseline alone, the table has all
MOST_CURVES = 12  # classes of a figure of curves
MOST_SQUARES = 25  # classes of a map
STEERED = " The loss on these sequences steered training (patience or plateau), so the numbers are a little too good."
CLASS_WORDS = {"label": "labels", "tags": "tags", "next": "symbols"}
LEVELS = {
    "mean": "the mean of the training part",
    "last": "the row before",
    "linear": "a linear forecast",
    "seasonal": "the row one season before",
}


def sequence_tables(results: Results) -> list[ReportTable]:
    """All tables of predicted sequences; none for a study without any."""
    if not results.predictions:
        return []
    steered = any(steers_training(arm) for arm in results.study.arms if arm.name in results.predictions)
    name, first = baseline(results)
    remark = STEERED if steered else ""
    if not first.classes:
        return [values_table(results.predictions, remark)]
    tables = [classes_table(results.predictions, remark)]
    if len(first.classes) <= MOST_CLASSES and first.predict != "next":
        tables += [recall_table(name, first), confusion_table(name, first)]
    if first.predict == "label":
        tables += [lengths_table(name, first)] if len(set(first.lengths_N.tolist())) > 1 else []
        tables += [examples_table(name, first)]
    return tables


def sequence_figures(results: Results) -> list[CaptionedFigure]:
    """Recalls over training and the confusion of the classes of the baseline arm; none of values or of symbols."""
    if not results.predictions:
        return []
    name, first = baseline(results)
    [arm] = [one for one in results.arms if one.name == name]
    curves = class_curves(arm)
    tables = confusions(first) if 1 < len(first.classes) <= MOST_SQUARES and first.predict != "next" else []
    if not tables:
        return curves
    return [*curves, confusion_figure(first.classes, np.stack(tables), f"Which class is taken for which ({name})")]


def class_curves(arm: ArmResult) -> list[CaptionedFigure]:
    """The recall of each class over training, a curve for each class; none without the probe `classes`."""
    found = [name for name in arm.probes if name.startswith(f"{CLASS_RECALL}[")]
    if not 1 < len(found) <= MOST_CURVES:
        return []
    curves = [
        at_probe_steps(arm, name)._replace(name=name[len(CLASS_RECALL) + 1 : -1], probes={CLASS_RECALL: values})
        for name, values in ((name, at_probe_steps(arm, name).probes[name]) for name in found)
    ]
    unit = "share of the class that is found"
    return [probe_figure(curves, CLASS_RECALL, f"Held-out recall of each class over training ({arm.name})", unit)]


def baseline(results: Results) -> tuple[str, Predictions]:
    """The baseline arm, or the first one that has predictions."""
    name = results.study.file.baseline
    name = name if name in results.predictions else next(iter(results.predictions))
    return name, results.predictions[name]


def sequence_sentences(results: Results) -> list[str]:
    """For each arm, of many for the baseline, a sentence about its predictions, beside simple predictors."""
    several = len(results.predictions) > 1
    listed = results.predictions if len(results.predictions) <= MOST_SENTENCES else dict([baseline(results)])
    return [
        f"{f'{name}: on' if several else 'On'} {len(one.truth_R):,} held-out {targets_word(one)} {judgement(one)}."
        for name, one in listed.items()
    ]


def targets_word(predictions: Predictions) -> str:
    """The unit that a target belongs to: a sequence or a step."""
    return "sequences" if predictions.predict in ("label", "values") else "steps"


def judgement(predictions: Predictions) -> str:
    """As "the share of right labels is 0.93 [...], higher than that of the most frequent one (0.1)"."""
    metrics = prediction_metrics(predictions)
    if predictions.classes:
        level = prior_values(predictions.prior_C, predictions.truth_R)["accuracy"]
        words = comparison(estimate_mean(metrics["over_majority"]), "higher than", "lower than")
        found = format_value(estimate_mean(metrics["accuracy"]))
        right = CLASS_WORDS[predictions.predict]
        return f"the share of right {right} is {found}, {words} that of the most frequent one ({level:.3g})"
    phrases = [
        f"{comparison(estimate_mean(metrics[f'skill_{level}']), 'better than', 'worse than')} {LEVELS[level]}"
        for level in predictions.levels
    ]
    return f"R\u00b2 is {format_value(estimate_mean(metrics['r2']))}, the errors are {' and '.join(phrases)}"


def comparison(difference: Interval | None, above: str, below: str) -> str:
    """Whether an interval over seeds lies above 0, below it, or neither."""
    if difference is None or not np.isfinite([difference.low, difference.high]).all():
        return "beside"
    return above if difference.low > 0 else below if difference.high < 0 else "not told apart from"


def classes_table(every: dict[str, Predictions], remark: str) -> ReportTable:
    """The metrics of every arm, then those of the class shares of the training part."""
    names = [name for name in CLASS_METRICS if name != "over_majority"]
    rows: list[list[TableCell]] = [
        [arm, *(estimate_mean(prediction_metrics(one)[name]) for name in names)] for arm, one in every.items()
    ]
    parts = {one.truth_R.tobytes() + one.prior_C.tobytes(): (arm, one) for arm, one in reversed(every.items())}
    for arm, one in reversed(parts.values()):
        level = prior_values(one.prior_C, one.truth_R)
        rows.append([f"class shares{f' ({arm})' if len(parts) > 1 else ''}", *(level[name] for name in names)])
    note = (
        "Means over seeds with 95% intervals. Class shares: always those of the training part, whose most frequent "
        f"class is the prediction.{remark}"
    )
    columns = ["predictor", *(name.replace("_", " ") for name in names)]
    return ReportTable("classes", "Classes of the held-out sequences", columns, rows, note)


def recall_table(arm: str, predictions: Predictions) -> ReportTable:
    """The share of each class that is found."""
    tables = confusions(predictions)
    counts_C = np.bincount(predictions.truth_R, minlength=len(predictions.classes))
    each = np.stack([recalls(table) for table in tables]) if tables else np.full((1, len(counts_C)), np.nan)
    rows: list[list[TableCell]] = [
        [name, int(counts_C[c]), float(predictions.prior_C[c]), estimate_mean(each[:, c])]
        for c, name in enumerate(predictions.classes)
    ]
    columns = ["class", "held out", "share in training", "recall"]
    return ReportTable("recall", f"Recall of each class ({arm})", columns, rows, "Means over seeds, 95% intervals.")


def confusions(predictions: Predictions) -> list[np.ndarray]:
    """How often class i was taken for class j, of each network that did not diverge."""
    size, outputs = len(predictions.classes), predictions.outputs_nRO[predictions.known_n]
    return [confusion(predictions.truth_R, one.argmax(axis=1), size) for one in outputs]


def confusion_table(arm: str, predictions: Predictions) -> ReportTable:
    """How often class i was taken for class j, the mean over networks."""
    size, tables = len(predictions.classes), confusions(predictions)
    mean_CC = np.mean(tables, axis=0) if tables else np.zeros((size, size))
    rows: list[list[TableCell]] = [
        [name, *(float(value) for value in row)] for name, row in zip(predictions.classes, mean_CC, strict=True)
    ]
    note = "Rows: the class of the data. Columns: the predicted class. Held-out targets, mean over seeds."
    return ReportTable("confusion", f"Confusion of classes ({arm})", ["class", *predictions.classes], rows, note)


def lengths_table(arm: str, predictions: Predictions) -> ReportTable:
    """How often the label is right, by the length of the sequence."""
    lengths_R = predictions.lengths_N[predictions.sequence_R]
    edges = np.unique(np.quantile(lengths_R, np.linspace(0, 1, LENGTH_GROUPS + 1), method="nearest"))
    group_R = np.clip(np.searchsorted(edges, lengths_R, side="right") - 1, 0, max(len(edges) - 2, 0))
    outputs = predictions.outputs_nRO[predictions.known_n]
    rows: list[list[TableCell]] = []
    for group in np.unique(group_R):
        own_R = group_R == group
        shares = np.array([np.mean(one.argmax(axis=1)[own_R] == predictions.truth_R[own_R]) for one in outputs])
        words = f"{lengths_R[own_R].min()} to {lengths_R[own_R].max()}"
        rows.append([words, int(own_R.sum()), estimate_mean(shares)])
    columns = ["steps", "held out", "accuracy"]
    return ReportTable("lengths", f"Accuracy by length ({arm})", columns, rows, "Means over seeds, 95% intervals.")


def examples_table(arm: str, predictions: Predictions) -> ReportTable:
    """Held-out sequences that are most surely taken for another class, by the mean over networks."""
    outputs = predictions.outputs_nRO[predictions.known_n]
    rows: list[list[TableCell]] = []
    if len(outputs):
        share_RC = np.exp(log_shares(outputs)).mean(axis=0)
        predicted_R, truth_R = share_RC.argmax(axis=1), predictions.truth_R
        wrong = np.flatnonzero(predicted_R != truth_R)
        for r in wrong[np.argsort(-share_RC[wrong, predicted_R[wrong]], kind="stable")][:MOST_EXAMPLES]:
            n = int(predictions.sequence_R[r])
            classes = predictions.classes[truth_R[r]], predictions.classes[predicted_R[r]]
            steps = int(predictions.lengths_N[n])
            rows.append([predictions.names[n], steps, *classes, float(share_RC[r, predicted_R[r]])])
    note = f"At most {MOST_EXAMPLES}, the surest first. Probability: mean over seeds."
    columns = ["sequence", "steps", "class", "predicted", "probability"]
    return ReportTable("wrong", f"Sequences with another predicted class ({arm})", columns, rows, note)


def values_table(every: dict[str, Predictions], remark: str) -> ReportTable:
    """The errors of each target of every arm, then those of simple predictors."""
    rows: list[list[TableCell]] = []
    first = next(iter(every.values()))
    for o, column in enumerate(first.columns):
        for arm, one in every.items():
            metrics = prediction_metrics(one)
            errors = (estimate_mean(metrics[f"{error}[{column}]"]) for error in ("rmse", "mae"))
            rows.append([column, arm, *errors])
        for level, predicted_RO in first.levels.items():
            residuals_RO = predicted_RO - first.truth_R
            mae = float(np.abs(residuals_RO).mean(axis=0)[o])
            rows.append([column, LEVELS[level], float(rmse(residuals_RO)[o]), mae])
    note = f"In the unit of the target. Means over seeds with 95% intervals.{remark}"
    return ReportTable("values", "Errors on the held-out sequences", ["target", "predictor", "RMSE", "MAE"], rows, note)

"""Views: excerpts of an examination for its pictures, of the first network and of one stream."""

from typing import NamedTuple

import numpy as np

from rnnjax.doctor.batch import Batch, boolean_mask, is_ids, predictions
from rnnjax.doctor.curve_view import CurveView, build_curve_view
from rnnjax.doctor.inputs import ExaminationInput, Observations
from rnnjax.doctor.text_view import TextView, build_text_view, symbol_names
from rnnjax.doctor.training_curves import TrainingCurves

MOST_CLASSES = 12  # bars; all others are one bar
ABSENT = 1e-9  # share of the targets


class SeriesView(NamedTuple):
    """One column of one stream: the true values, the one-step predictions, and the forecast that continues them."""

    column: str
    true_T: np.ndarray
    predicted_T: np.ndarray  # NaN at steps that do not count
    forecast_N: np.ndarray  # from step T on; empty without one
    training_range: tuple[float, float]  # of the targets of the training batch
    held_out: bool


class ClassView(NamedTuple):
    """Shares of classes, one series of bars for each name."""

    classes: tuple[str, ...]
    shares: dict[str, np.ndarray]


class Views(NamedTuple):
    """Each is None if it is not known, or not of this kind of data."""

    curve: CurveView | None = None
    series: SeriesView | None = None
    held_out_series: SeriesView | None = None
    text: TextView | None = None
    classes: ClassView | None = None
    held_out_classes: ClassView | None = None


def build_views(setup: ExaminationInput, observations: Observations, curves: TrainingCurves | None) -> Views:
    """The views of an examination."""
    curve = None if curves is None else build_curve_view(setup, observations, curves)
    if not is_ids(setup.batch.targets):
        return Views(curve, training_series(setup, observations), held_out_series(setup, observations))
    return Views(
        curve,
        text=build_text_view(observations.generated, setup.names),
        classes=predicted_classes(setup, observations),
        held_out_classes=None if setup.held_out is None else unseen_classes(setup, setup.held_out),
    )


# Numbers


def training_series(setup: ExaminationInput, observations: Observations) -> SeriesView:
    """Predictions of a stream of the batch, with the free-running forecast of the same stream."""
    outputs_TBO = predictions(setup.batch, observations.values["outputs"][0])
    generated = observations.generated
    stream = 0 if generated is None else int(generated.streams_P[0])
    column = worst_column(outputs_TBO, setup.batch)
    view = series_view(setup, setup.batch, outputs_TBO[:, stream, column], stream, column)
    if generated is None:
        return view
    forecast_N = in_data_units(setup, generated.values[0, :, 0, column], column)
    steps = len(generated.prompts)
    return view._replace(true_T=view.true_T[:steps], predicted_T=view.predicted_T[:steps], forecast_N=forecast_N)


def held_out_series(setup: ExaminationInput, observations: Observations) -> SeriesView | None:
    """Predictions of the kept held-out stream with the largest error."""
    if setup.held_out is None:
        return None
    outputs_TBO = predictions(setup.held_out, observations.values["held_out_outputs"][0])
    column = worst_column(outputs_TBO, setup.held_out)
    targets_TBO = np.asarray(setup.held_out.targets, float)[:, : outputs_TBO.shape[1]]
    errors_TB = (outputs_TBO - targets_TBO)[..., column] ** 2
    stream = int(np.argmax(np.nan_to_num(errors_TB.mean(axis=0))))
    return series_view(setup, setup.held_out, outputs_TBO[:, stream, column], stream, column)._replace(held_out=True)


def worst_column(outputs_TBO: np.ndarray, batch: Batch) -> int:
    """The column with the largest error relative to its variance."""
    targets_TBO = np.asarray(batch.targets, float)[:, : outputs_TBO.shape[1]]
    errors_O = np.mean((outputs_TBO - targets_TBO) ** 2, axis=(0, 1)) / np.maximum(targets_TBO.var(axis=(0, 1)), 1e-12)
    return int(np.argmax(np.nan_to_num(errors_O, posinf=0.0)))


def series_view(setup: ExaminationInput, batch: Batch, predicted_T: np.ndarray, stream: int, column: int) -> SeriesView:
    """One column of one stream, in the units of the data."""
    counted_T = boolean_mask(batch)[:, stream]
    of_training = np.asarray(setup.batch.targets)[..., column][boolean_mask(setup.batch)]
    low, high = (in_data_units(setup, bound, column) for bound in (of_training.min(), of_training.max()))
    return SeriesView(
        setup.names[column] if column < len(setup.names) else f"column {column + 1} of the targets",
        in_data_units(setup, np.asarray(batch.targets)[:, stream, column], column),
        np.where(counted_T, in_data_units(setup, predicted_T, column), np.nan),
        np.zeros(0),
        (float(low), float(high)),
        held_out=False,
    )


def in_data_units(setup: ExaminationInput, values: np.ndarray, column: int) -> np.ndarray:
    """Outputs or targets in the units of the data, as far as these are known."""
    scale, mean = setup.batch.target_scale_O, setup.target_mean_O
    scale_O, mean_O = 1.0 if scale is None else np.asarray(scale), 0.0 if mean is None else np.asarray(mean)
    width = np.shape(setup.batch.targets)[-1]
    return np.asarray(values, float) * np.broadcast_to(scale_O, width)[column] + np.broadcast_to(mean_O, width)[column]


# Classes


def predicted_classes(setup: ExaminationInput, observations: Observations) -> ClassView:
    """How often each class is predicted, and how often it is the target; the most frequent targets first."""
    outputs_TBV, mask_TB = observations.values["outputs"][0], boolean_mask(setup.batch)
    symbols = outputs_TBV.shape[-1]
    shares = {
        "targets": class_shares(np.asarray(setup.batch.targets)[mask_TB], symbols),
        "predictions": class_shares(outputs_TBV.argmax(axis=-1)[mask_TB], symbols),
    }
    return class_view(setup, shares, np.maximum(shares["targets"], shares["predictions"]))


def unseen_classes(setup: ExaminationInput, held_out: Batch) -> ClassView:
    """The shares of symbols in training and in the held-out data; those that training lacks first."""
    parts = {"training": setup.batch, "held-out": held_out}
    ids = {name: np.asarray(batch.targets)[boolean_mask(batch)] for name, batch in parts.items()}
    symbols = int(max(each.max() for each in ids.values())) + 1
    shares = {name: class_shares(each, symbols) for name, each in ids.items()}
    return class_view(setup, shares, shares["held-out"] + (shares["training"] < ABSENT) * (shares["held-out"] > 0))


def class_shares(ids_N: np.ndarray, symbols: int) -> np.ndarray:
    return np.bincount(ids_N, minlength=symbols) / len(ids_N)


def class_view(setup: ExaminationInput, shares: dict[str, np.ndarray], weight_V: np.ndarray) -> ClassView:
    """The classes of the largest weights, and the rest as one."""
    order = np.argsort(-weight_V, kind="stable")
    kept, rest = order[:MOST_CLASSES], order[MOST_CLASSES:]
    names = [repr(name)[1:-1] if setup.names else f"class {name}" for name in symbol_names(kept, setup.names)]
    if not any(shares_V[rest].any() for shares_V in shares.values()):
        return ClassView(tuple(names), {name: shares_V[kept] for name, shares_V in shares.items()})
    columns = {name: np.append(shares_V[kept], shares_V[rest].sum()) for name, shares_V in shares.items()}
    return ClassView((*names, f"{len(rest)} others"), columns)

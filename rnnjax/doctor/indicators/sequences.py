"""Indicators of sets of sequences: of the data alone, of padding, and of packed rows."""

from collections.abc import Mapping, Sequence

import numpy as np

from rnnjax.doctor.indicators.types import Curve, Indicator, Indicators, per_network
from rnnjax.doctor.inputs import ExaminationInput, Observations
from rnnjax.doctor.sequences.data import SequenceData, batch_sequences, step_places
from rnnjax.doctor.sequences.duplicates import find_overlap
from rnnjax.doctor.sequences.label_fit import LabelFit, NetworkPredictions, label_fit
from rnnjax.doctor.sequences.lengths import length_leak

MOST_EMPTY = 3  # that are named


def sequence_indicators(setup: ExaminationInput, observations: Observations) -> Indicators:
    """Indicators of the sequences of an examination; none without any.

    padding_read     the larger of the changes of `padding.measure_padding`
    other_sequence   see `padding.measure_packing`

    The others are those of `data_indicators`.
    """
    if setup.sequences is None:
        return Indicators({})
    found = data_indicators(setup.sequences, held_out_predictions(setup, observations))
    values, measured, remarks = observations.padding, {}, {}
    changes = [values[name] for name in ("padding_read", "padding_added") if name in values]
    if changes:
        measured["padding_read"] = per_network(np.max(changes, axis=0))
        remarks["padding_read"] = padding_remark(values)
    if "other_sequence" in values:
        measured["other_sequence"] = per_network(values["other_sequence"])
    return found._replace(values=found.values | measured, remarks=dict(found.remarks) | remarks)


def data_indicators(data: SequenceData, predicted: NetworkPredictions | None = None) -> Indicators:
    """Indicators of the data alone, each one number of all networks.

    empty          sequences without a step
    label_fit      see `label_fit.LabelFit.probability`
    length_leak    see `lengths.LengthLeak`
    overlap        see `duplicates.Overlap`
    """
    known, _, remarks = empty_indicators(data.empty)
    values: dict[str, float] = {}
    fit, leak, overlap = label_fit(data, predicted), length_leak(data), find_overlap(data)
    if fit is not None:
        values["label_fit"] = fit.probability
    if leak is not None:
        values["length_leak"], remarks["length_leak"] = leak
    if overlap is not None:
        values["overlap"], remarks["overlap"] = overlap
    known |= {name: Indicator(np.array([value]), "network") for name, value in values.items()}
    return Indicators(known | foreseeable(fit), remarks={name: text for name, text in remarks.items() if text})


def empty_indicators(places: Sequence[str]) -> tuple[dict[str, Indicator], dict[str, Curve], dict[str, str]]:
    """The number of sequences without a step: values, curves and remarks. Args: places: where they stand."""
    values = {"empty": Indicator(np.array([float(len(places))]), "network")}
    if not places:
        return values, {}, {}
    more = f" and {len(places) - MOST_EMPTY} more" if len(places) > MOST_EMPTY else ""
    return values, {}, {"empty": ", ".join(places[:MOST_EMPTY]) + more}


def foreseeable(fit: LabelFit | None) -> dict[str, Indicator]:
    """label_saved: the share of the squared error that a simple predictor removes; 0 where labels fit by chance."""
    return {} if fit is None else {"label_saved": Indicator(np.array([fit.saved]), "network")}


def held_out_predictions(setup: ExaminationInput, observations: Observations) -> NetworkPredictions | None:
    """The outputs of all finite networks for the held-out sequences."""
    if setup.held_out is None or setup.held_out.segments_TB is None:
        return None
    outputs_RTBO = np.asarray(observations.values["held_out_outputs"], float)
    steps, rows, _ = step_places(setup.held_out.segments_TB)
    outputs_nRO = outputs_RTBO[:, steps, rows]
    return NetworkPredictions(batch_sequences(setup.held_out), outputs_nRO[np.isfinite(outputs_nRO).all(axis=(1, 2))])


def padding_remark(values: Mapping[str, np.ndarray]) -> str:
    """The change of outputs and state in words, by each change of the padding."""
    names = {"padding_read": "by other values in it", "padding_added": "by more of it"}
    found = [f"{float(np.mean(values[name])):.3g} {text}" for name, text in names.items() if name in values]
    state = "; the state after the window changes too" if np.any(values.get("state_read", 0) > 0) else ""
    return ", ".join(found) + state

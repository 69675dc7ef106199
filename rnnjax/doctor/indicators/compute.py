"""All indicators of R networks, from every source."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.doctor.adapters import is_float
from rnnjax.doctor.batch import Batch, batch_chance_loss
from rnnjax.doctor.conditions import CONDITIONS
from rnnjax.doctor.conditions.source import EXPLAINED
from rnnjax.doctor.indicators.curves import curve_indicators, curve_remarks, curves_by_indicator
from rnnjax.doctor.indicators.data import data_indicators
from rnnjax.doctor.indicators.dependence import dependence_curves, dependence_indicators
from rnnjax.doctor.indicators.gradients import (
    coverage_indicators,
    decay_indicators,
    gradient_curves,
    gradient_remarks,
    untrained_parameters,
)
from rnnjax.doctor.indicators.levels import Levels, level_indicators, memory_lag
from rnnjax.doctor.indicators.outputs import output_indicators, prediction_indicators, state_indicators
from rnnjax.doctor.indicators.predictability import Predictability, measure_predictability
from rnnjax.doctor.indicators.reasons import Examined, explain_missing
from rnnjax.doctor.indicators.record import mismatch_indicator, rounding_indicator
from rnnjax.doctor.indicators.sequences import sequence_indicators
from rnnjax.doctor.indicators.types import COMPARISONS, Floor, Indicator, Indicators, per_network, per_stream
from rnnjax.doctor.inputs import ExaminationInput, Observations
from rnnjax.doctor.sequences.label_fit import SIGNIFICANT
from rnnjax.doctor.training_curves import TrainingCurves
from rnnjax.interop.references import SourceDifference
from rnnjax.types import Params

FORESEEN = 0.05  # share that is foreseeable at least where labels fit
SLIPS = ("permuted_blocks", "summed_biases", "transposed_kernels", "uncarried_state")
NOT_MASKED = ("finite", "params_finite", "gradients", "outputs", "held_out_outputs", "objective")


def all_indicators(setup: ExaminationInput, observations: Observations, curves: TrainingCurves | None) -> Indicators:
    """Indicators of the data, the window, the levels, the parameters, free-running generation and training curves."""
    values = mask_non_finite(observations.values)
    predictability = measure_predictability(setup.batch, batch_chance_loss(setup.batch))
    found = merge(
        data_indicators(setup),
        sequence_indicators(setup, observations),
        window_indicators(values, setup.batch, setup.held_out, setup.floor, memory_lag(predictability)),
        prediction_indicators(values, setup.batch),
        level_part(values, setup, predictability),
        parameter_indicators(setup, observations),
        Indicators({name: per_stream(values_RP) for name, values_RP in observations.free_running.items()}),
        finite_indicators(observations, curves),
        source_indicators(setup.source, setup.detached),
        *([] if curves is None else [training_indicators(setup, observations, curves)]),
    )
    found = with_label_fit(found if setup.is_distance else without_distances(found))
    judged = {condition.limits[0].indicator for condition in CONDITIONS}
    examined = Examined(setup, observations, curves)
    return found._replace(reasons={name: explain_missing(name, examined) for name in judged})


def with_label_fit(found: Indicators) -> Indicators:
    """Something can be foreseen where the labels of sequences fit better than shuffled ones."""
    values = found.values
    if "foreseeable" not in values or "label_fit" not in values or values["label_fit"].values_n.mean() > SIGNIFICANT:
        return found
    least = max(FORESEEN, float(values["label_saved"].values_n.mean()))
    raised = values["foreseeable"]._replace(values_n=np.fmax(values["foreseeable"].values_n, least))
    return found._replace(values=values | {"foreseeable": raised})


def without_distances(found: Indicators) -> Indicators:
    """Without what compares outputs and targets as numbers, where the objective does not."""
    kept = {name: value for name, value in found.values.items() if name not in COMPARISONS}
    return found._replace(values=kept, levels={})


def merge(*parts: Indicators) -> Indicators:
    """All indicators; a later part replaces those of an earlier one."""

    def join_tables(tables: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        return {name: value for table in tables for name, value in table.items()}

    levels = [part.levels for part in parts if part.levels]
    return Indicators(
        join_tables(part.values for part in parts), join_tables(part.curves for part in parts),
        join_tables(part.remarks for part in parts), levels[0] if levels else {},
    )  # fmt: skip


def window_indicators(
    values: dict[str, Any], batch: Batch, held_out: Batch | None, floor: Floor | None, lag: int | None = None
) -> Indicators:
    """Indicators of `observations.measure_network` for R networks; NaN where a network is not finite.

    Args: lag: on which the targets depend, if it is a long one.
    """
    values = mask_non_finite(values)
    indicators = {
        **output_indicators(values, batch, held_out, floor),
        **dependence_indicators(values),
        **coverage_indicators(values, batch),
        **decay_indicators(values, batch, lag),
        **state_indicators(values),
    }
    remarks = gradient_remarks(values, batch, lag)
    return Indicators(indicators, gradient_curves(values, batch) | dependence_curves(values), remarks)


def level_part(values: dict[str, Any], setup: ExaminationInput, found: Predictability | None) -> Indicators:
    """The loss against the levels of the run, or of the held-out batch, or of the batch."""
    if setup.held_out is not None and setup.levels is None:
        found = measure_predictability(setup.held_out, batch_chance_loss(setup.held_out))
    levels = setup.levels or (Levels(found.levels, setup.held_out is not None) if found else None)
    if levels is None:
        return Indicators({})
    if setup.floor is not None and setup.floor.held_out == levels.held_out:
        levels = levels._replace(losses=levels.losses | {"floor": setup.floor.loss})
    name = "held_out_loss" if levels.held_out and "held_out_loss" in values else "loss"
    of_ids = setup.batch.kind == "cross_entropy"  # of numbers, the linear predictor is a level
    explained = found.explained if of_ids and found is not None and setup.levels is None else 0.0
    return Indicators(level_indicators(values[name].mean(axis=1), levels, explained), levels=levels.losses)


def mask_non_finite(values: dict[str, Any]) -> dict[str, Any]:
    """Values [R, ...] with NaN where they are not finite, and everywhere in a network that is not finite."""
    finite_R = np.asarray(values["finite"], bool)

    def mask(values_R: Any) -> np.ndarray:
        values_R = np.asarray(values_R, float)
        valid = finite_R.reshape(-1, *[1] * (values_R.ndim - 1)) & np.isfinite(values_R)
        return np.where(valid, values_R, np.nan)

    return {name: each if name in NOT_MASKED else mask(each) for name, each in values.items()}


def parameter_indicators(setup: ExaminationInput, observations: Observations) -> Indicators:
    """frozen: share of parameter arrays that are not trained; their names are its remark."""
    gradients, exempt = observations.values["gradients"], setup.adapter.no_gradient
    share_R, names = untrained_parameters(gradients, setup.params, setup.before, exempt)
    values = {
        "frozen": per_network(np.where(observations.values["finite"], share_R, np.nan)),
        "predicts_next_input": Indicator(np.array([float(setup.batch.predicts_next_input)]), "network"),
    }
    return Indicators(values, {}, {"frozen": ", ".join(names)} if names else {})


def finite_indicators(observations: Observations, curves: TrainingCurves | None) -> Indicators:
    """diverged: parameters that are not finite, or a training that ended so; broken: finite ones with other outputs.

    unknown_ids: share of the inputs that are ids beyond those that the network knows.
    """
    params_R = np.asarray(observations.values["params_finite"], float)
    diverged_R = 1 - params_R
    if curves is not None and curves.diverged_R is not None:
        diverged_R = np.maximum(diverged_R, curves.diverged_R)
    results_R = np.asarray(observations.values["finite"], bool) & np.isfinite(observations.values["objective"])
    values = {
        "diverged": per_network(diverged_R),
        "broken": per_network(np.where(diverged_R > 0, 0.0, ~results_R)),
    }
    if observations.unknown_ids is not None:
        values["broken"] = per_network(np.where(observations.unknown_ids.share > 0, 0.0, values["broken"].values_n))
        values["unknown_ids"] = Indicator(np.array([observations.unknown_ids.share]), "network")
    unknown = "" if observations.unknown_ids is None else observations.unknown_ids.remark
    return Indicators(values, {}, {"broken": observations.origin, "unknown_ids": unknown})


def source_indicators(source: SourceDifference | None, detached: float | None) -> Indicators:
    """Shares of the difference to the source that undoing a slip removes, and what none of them explains."""
    known = {} if detached is None else {"detached_state": Indicator(np.array([detached]), "network")}
    if source is None:
        return Indicators(known)
    shares = dict.fromkeys(SLIPS, 0.0) | dict(source.explained)
    left = 0.0 if max(shares.values()) > EXPLAINED else source.error
    values = {
        name: Indicator(np.array([share]), "network") for name, share in (shares | {"other_outputs": left}).items()
    }
    return Indicators(values | known, {}, dict(source.remarks))


def training_indicators(setup: ExaminationInput, observations: Observations, curves: TrainingCurves) -> Indicators:
    """Indicators of training curves."""
    norm_R = norms(setup.params)
    values = curve_indicators(curves, norm_R) | rounding_indicator(curves, norm_R, setup.params)
    if setup.record_is_mean:
        values |= mismatch_indicator(curves, np.mean(observations.values["loss"], axis=1))
    elif setup.objective is not None and not observations.sums_streams:
        values |= mismatch_indicator(curves, observations.values["objective"])
    by_name = {name: per_network(values_R) for name, values_R in values.items()}
    return Indicators(by_name, curves_by_indicator(curves), curve_remarks(curves))


def norms(params: Params) -> np.ndarray:
    """The norm [R] of all floating parameters."""
    leaves = [leaf.astype(jnp.float32) for leaf in jax.tree.leaves(params) if is_float(leaf)]
    squares = (jnp.sum(leaf**2, axis=tuple(range(1, leaf.ndim))) for leaf in leaves)
    return np.sqrt(sum(map(np.asarray, squares)))

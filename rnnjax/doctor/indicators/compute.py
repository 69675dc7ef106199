"""All indicators of R networks, from every source."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.doctor.adapters import is_float
from rnnjax.doctor.batch import Batch
from rnnjax.doctor.indicators.curves import curve_indicators, curves_by_indicator
from rnnjax.doctor.indicators.data import data_indicators
from rnnjax.doctor.indicators.dependence import dependence_curves, dependence_indicators
from rnnjax.doctor.indicators.gradients import (
    coverage_indicators,
    decay_indicators,
    gradient_curves,
    gradient_remarks,
    untrained_parameters,
)
from rnnjax.doctor.indicators.outputs import output_indicators, state_indicators
from rnnjax.doctor.indicators.types import Floor, Indicator, Indicators, per_network, per_stream
from rnnjax.doctor.inputs import ExaminationInput, Observations
from rnnjax.doctor.training_curves import TrainingCurves
from rnnjax.types import Params


def all_indicators(setup: ExaminationInput, observations: Observations, curves: TrainingCurves | None) -> Indicators:
    """Indicators of the window, of parameters, of free-running generation and of training curves."""
    window = window_indicators(observations.values, setup.batch, setup.held_out, setup.floor)
    frozen, names = parameter_indicators(setup, observations)
    values = {
        **window.values,
        **{name: per_stream(values_RP) for name, values_RP in observations.free_running.items()},
        "predicts_next_input": Indicator(np.array([float(setup.batch.predicts_next_input)]), "network"),
        "frozen": frozen,
        **({} if curves is None else training_indicators(setup, observations, curves)),
    }
    drawn = window.curves | ({} if curves is None else curves_by_indicator(curves))
    return Indicators(values, drawn, window.remarks | ({"frozen": ", ".join(names)} if names else {}))


def window_indicators(values: dict[str, Any], batch: Batch, held_out: Batch | None, floor: Floor | None) -> Indicators:
    """Indicators of `observations.measure_network` for R networks; NaN where a network is not finite."""
    values = mask_non_finite(values)
    indicators = {
        **output_indicators(values, batch, held_out, floor),
        **dependence_indicators(values),
        **data_indicators(batch),
        **coverage_indicators(values, batch),
        **decay_indicators(values),
        **state_indicators(values),
    }
    return Indicators(indicators, gradient_curves(values) | dependence_curves(values), gradient_remarks(values))


def mask_non_finite(values: dict[str, Any]) -> dict[str, Any]:
    """Values [R, ...] with NaN where they are not finite, and everywhere in a network that is not finite."""
    finite_R = np.asarray(values["finite"], bool)

    def mask(values_R: Any) -> np.ndarray:
        values_R = np.asarray(values_R, float)
        valid = finite_R.reshape(-1, *[1] * (values_R.ndim - 1)) & np.isfinite(values_R)
        return np.where(valid, values_R, np.nan)

    return {name: each if name in ("finite", "gradients") else mask(each) for name, each in values.items()}


def parameter_indicators(setup: ExaminationInput, observations: Observations) -> tuple[Indicator, list[str]]:
    """frozen: share of parameter arrays that are not trained; and their names."""
    gradients, exempt = observations.values["gradients"], setup.adapter.no_gradient
    share_R, names = untrained_parameters(gradients, setup.params, setup.before, exempt)
    return per_network(np.where(observations.values["finite"], share_R, np.nan)), names


def training_indicators(
    setup: ExaminationInput, observations: Observations, curves: TrainingCurves
) -> dict[str, Indicator]:
    """Indicators of training curves; `finite` also counts a run that diverged in training."""
    values = {name: per_network(values_R) for name, values_R in curve_indicators(curves, norms(setup.params)).items()}
    if curves.diverged_R is None:
        return values
    return values | {"finite": per_network(np.maximum(1.0 - observations.values["finite"], curves.diverged_R))}


def norms(params: Params) -> np.ndarray:
    """The norm [R] of all floating parameters."""
    leaves = [leaf for leaf in jax.tree.leaves(params) if is_float(leaf)]
    squares = (jnp.sum(leaf**2, axis=tuple(range(1, leaf.ndim))) for leaf in leaves)
    return np.sqrt(sum(map(np.asarray, squares)))

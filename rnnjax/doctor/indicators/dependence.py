"""Indicators of which inputs the outputs depend on."""

from typing import Any

import numpy as np

from rnnjax.doctor.indicators.types import Curve, Indicator, per_network

MIN_EFFECT = 1e-3  # a change of the outputs below this share of the largest one is rounding
NO_EFFECT = 1e-5  # relative to the size of the outputs


def dependence_indicators(values: dict[str, Any]) -> dict[str, Indicator]:
    """row_leak, memory, future: changes at other streams, later and earlier steps, over the largest change.

    input_independent is 1 if no change of an input changes any output.
    """
    times_RT = values["changed_by_time"].max(axis=2)
    any_R = np.maximum(times_RT.max(axis=1), values["changed_by_row"].max(axis=(1, 2)))
    dependent_R = any_R > NO_EFFECT
    ratios = {"row_leak": other_streams(row_changes(values)), **other_steps(times_RT)}
    masked = {name: per_network(np.where(dependent_R, ratio_R, np.nan)) for name, ratio_R in ratios.items()}
    return masked | {"input_independent": per_network(np.where(np.isnan(any_R), np.nan, ~dependent_R))}


def row_changes(values: dict[str, Any]) -> np.ndarray:
    """Changes of each stream's outputs [R, B] by the inputs of the middle stream, as shares of the largest."""
    change_RB = values["changed_by_row"].max(axis=1)
    return np.asarray(change_RB / np.maximum(change_RB.max(axis=1, keepdims=True), 1e-30))


def other_streams(rows_RB: np.ndarray) -> np.ndarray:
    """The largest change [R] outside the middle stream."""
    return np.asarray(np.delete(rows_RB, rows_RB.shape[1] // 2, axis=1).max(axis=1, initial=0))


def other_steps(times_RT: np.ndarray) -> dict[str, np.ndarray]:
    """The largest changes [R] after and before the middle step; memory is absent if there is no later step."""
    middle, largest_R = times_RT.shape[1] // 2, np.maximum(times_RT.max(axis=1), 1e-30)
    ratios = {"future": times_RT[:, :middle].max(axis=1, initial=0) / largest_R}
    if middle + 1 < times_RT.shape[1]:
        ratios["memory"] = times_RT[:, middle + 1 :].max(axis=1, initial=0) / largest_R
    return ratios


def dependence_curves(values: dict[str, Any]) -> dict[str, Curve]:
    """The change of every stream."""
    rows_RB = row_changes(values)
    streams = np.arange(1, rows_RB.shape[1] + 1)
    return {"row_leak": Curve(streams, rows_RB, "runs", "stream", "change of its outputs")}

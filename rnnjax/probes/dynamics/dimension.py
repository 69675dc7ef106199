"""The dimension of the states of a network: participation ratio and principal components."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.networks.model import require_unidirectional
from rnnjax.probes.dynamics.trajectories import state_size, training_inputs, trajectory_units
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import SHARE, Metric
from rnnjax.training.state import TrainState
from rnnjax.types import Probe, Task

STREAMS, LENGTH = 16, 300  # of the training data; the first third of each depends on the initial state
MOST_VARIANCE = 0.9

DIMENSION_METRICS = {
    "participation_ratio": Metric(
        "(sum of the eigenvalues)^2 / sum of their squares of the covariance of the states h of the last layer over "
        "training data: 1 if they lie on a line, H if they vary alike in all directions",
        source="Gao et al. 2017, bioRxiv 214262",
    ),
    "components_90": Metric(f"principal components that hold {MOST_VARIANCE:.0%} of the variance of the states h"),
    "component_variance": Metric(
        "share of the variance of the states h in each principal component, by its number from 0 on",
        kind="lag",
        range=SHARE,
    ),
}


class Plane(NamedTuple):
    """The first two principal components of some states."""

    mean_H: np.ndarray
    axes_2H: np.ndarray  # each with its largest element above 0


def dimension(spec: Spec, task: Task) -> Probe:
    """Participation ratio and principal components of the states of the last layer, over the training data.

    Values: see DIMENSION_METRICS; NaN where a state is not finite.

    Raises:
        BadInput: a bidirectional network, a cell without a state, or data of fewer than 4 steps.
    """
    require_unidirectional(spec)
    state_size(spec)
    inputs_TS = training_inputs(task, LENGTH, STREAMS)

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        h_NH = trajectory_units(spec, hp, state.params, jnp.asarray(inputs_TS), len(inputs_TS) // 3)
        centred_NH = h_NH - jnp.mean(h_NH, axis=0, keepdims=True)
        return {"covariance": centred_NH.T @ centred_NH / len(centred_NH)}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        runs = [covariance_values(covariance_HH) for covariance_HH in values["covariance"]]
        return {name: np.array([run[name] for run in runs], np.float32) for name in runs[0]}

    return Probe(measure, summarise, DIMENSION_METRICS)


def covariance_values(covariance_HH: np.ndarray) -> dict[str, float | np.ndarray]:
    """DIMENSION_METRICS of one covariance matrix; NaN where it is not finite, or 0."""
    if not np.isfinite(covariance_HH).all() or not np.trace(covariance_HH) > 0:
        size = len(covariance_HH)
        return {"participation_ratio": np.nan, "components_90": np.nan, "component_variance": np.full(size, np.nan)}
    variance_H = np.maximum(np.linalg.eigvalsh(covariance_HH.astype(np.float64))[::-1], 0)
    share_H = variance_H / variance_H.sum()
    return {
        "participation_ratio": float(1 / np.sum(share_H**2)),
        "components_90": float(np.searchsorted(np.cumsum(share_H), MOST_VARIANCE - 1e-9) + 1),
        "component_variance": share_H,
    }


def principal_plane(states_NH: np.ndarray) -> Plane:
    """The plane of most variance of some states; that of the first two units where a state is not finite."""
    states_NH = np.asarray(states_NH, np.float64)
    mean_H = states_NH.mean(axis=0)
    if not np.isfinite(states_NH).all():
        return Plane(mean_H, np.eye(2, states_NH.shape[1]))
    centred_NH = states_NH - mean_H
    _, axes_HH = np.linalg.eigh(centred_NH.T @ centred_NH / len(centred_NH))
    axes_2H = np.zeros((2, len(mean_H)))
    axes_2H[: min(2, len(mean_H))] = axes_HH[:, ::-1].T[:2]
    largest_2 = np.take_along_axis(axes_2H, np.abs(axes_2H).argmax(axis=1, keepdims=True), axis=1)
    return Plane(mean_H, axes_2H * np.where(largest_2 < 0, -1, 1))


def project(plane: Plane, states: np.ndarray) -> np.ndarray:
    """The coordinates [..., 2] of states [..., H] in a plane."""
    return (np.asarray(states, np.float64) - plane.mean_H) @ plane.axes_2H.T

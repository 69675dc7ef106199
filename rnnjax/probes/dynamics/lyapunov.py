"""The probe of Lyapunov exponents: driven by the data, with one input held, and by the network's own outputs."""

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model, build_network
from rnnjax.probes.dynamics.exponents import Exponents, lyapunov_exponents
from rnnjax.probes.dynamics.trajectories import (
    Feedback,
    default_input,
    feedback_of,
    state_size,
    training_inputs,
)
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import SHARE, Metric, suffixed_metrics
from rnnjax.training.state import TrainState
from rnnjax.types import Carry, Params, Probe, Task

EXPONENTS = 8
STARTS = 8
TRANSIENT, STEPS = 200, 500  # steps before those that count, and these; of shorter data a quarter is transient

SOURCE = "Benettin et al. 1980, Meccanica 15:9; Engelken et al. 2023, arXiv:2006.02427"
LYAPUNOV_METRICS = {
    "lyapunov_largest": Metric(
        f"the largest Lyapunov exponent: mean over {STARTS} starts of 1/T log |J_T ... J_1 v|, J_t = d c_t / d c_(t-1) "
        "and c the carry",
        unit="nats per time step",
        source=SOURCE,
    ),
    "lyapunov_distance": Metric(
        "absolute value of the largest Lyapunov exponent: the distance from the edge of chaos",
        unit="nats per time step",
    ),
    "lyapunov_error": Metric(
        "standard error over starts of the largest Lyapunov exponent", unit="nats per time step", better="lower"
    ),
    "lyapunov_positive": Metric("share of the starts whose largest Lyapunov exponent is above 0", range=SHARE),
    "lyapunov_nonfinite": Metric(
        "share of the starts left out of the other values, because a Jacobian was not finite", better="lower",
        range=SHARE,
    ),
    "lyapunov_spectrum": Metric(
        f"the {EXPONENTS} largest Lyapunov exponents, or as many as the state has numbers, by number from 0 on; mean "
        "over starts",
        unit="nats per time step",
        kind="lag",
        source=SOURCE,
    ),
}  # fmt: skip
DRIVES = {
    "": "the training data are read",
    "_held": "one input is held, the most frequent symbol or the mean of the training inputs",
    "_own": "the network reads its own outputs, of symbols the most likely one",
}


def lyapunov(spec: Spec, task: Task) -> Probe:
    """Lyapunov exponents of the state from 8 starts: driven by the data, with one input held, and by its own outputs.

    Values: see LYAPUNOV_METRICS; with the suffix _held for a held input, _own for a network that reads its outputs.

    Raises:
        BadInput: a bidirectional network, a cell without a state, or data of fewer than 4 steps.
    """
    count, feedback = min(EXPONENTS, state_size(spec)), feedback_of(spec, task)
    drives = [drive for drive in DRIVES if drive != "_own" or feedback is not None]
    streams = drive_streams(task, drives, default_input(task).x, Lengths(STARTS, TRANSIENT, STEPS))

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        model = build_network(spec, hp)
        return {"exponents": trajectory_exponents(model, hp, state.params, streams, count, feedback).exponents_K}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        parts = np.split(values["exponents"], len(drives), axis=1)
        return {
            f"{name}{drive}": numbers
            for drive, exponents_RSK in zip(drives, parts, strict=True)
            for name, numbers in summarise_starts(exponents_RSK).items()
        }

    return Probe(measure, summarise, lyapunov_metrics(drives))


def lyapunov_metrics(drives: Sequence[str]) -> Mapping[str, Metric]:
    """LYAPUNOV_METRICS for each way in which the network is driven."""
    return {
        name: metric
        for drive in drives
        for name, metric in suffixed_metrics(LYAPUNOV_METRICS, drive, DRIVES[drive]).items()
    }


class DriveStreams(NamedTuple):
    """Inputs of X streams, S of them for each drive one after the other, and the steps whose growth counts."""

    inputs_TX: np.ndarray  # [T, X, ...]
    own_TX: np.ndarray  # bool, where the network reads its own output instead
    counted_TX: np.ndarray  # bool


class Lengths(NamedTuple):
    """The number of streams of each drive, and their steps."""

    starts: int  # S
    transient: int  # steps after which a drive counts
    steps: int  # that count


def drive_streams(task: Task, drives: Sequence[str], held: np.ndarray, lengths: Lengths) -> DriveStreams:
    """Every stream reads data for a transient; then come more data, the held input, or the network's outputs."""
    data_TS = training_inputs(task, 2 * lengths.transient + lengths.steps, lengths.starts)
    transient, known = min(lengths.transient, len(data_TS) // 4), len(data_TS)
    step_T1 = np.arange(transient + lengths.transient + lengths.steps)[:, None]
    padded_TS = data_TS[np.minimum(step_T1[:, 0], known - 1)]
    late_TS = np.broadcast_to(step_T1 >= transient, padded_TS.shape[:2])
    held_TS = np.where(late_TS.reshape(*late_TS.shape, *[1] * (data_TS.ndim - 2)), held, padded_TS)
    settled_TS = np.broadcast_to(step_T1 >= transient + lengths.transient, late_TS.shape)
    counted = {"": late_TS & (step_T1 < known)}
    return DriveStreams(
        np.concatenate([held_TS if drive == "_held" else padded_TS for drive in drives], axis=1),
        np.concatenate([late_TS & (drive == "_own") for drive in drives], axis=1),
        np.concatenate([counted.get(drive, settled_TS) for drive in drives], axis=1),
    )


def trajectory_exponents(
    model: Model, hp: HParams, params: Params, streams: DriveStreams, count: int, feedback: Feedback | None
) -> Exponents:
    """The exponents [X, K] of a network along X streams, from its initial state on."""

    def step(carry: Carry, inputs: tuple[Array, Array]) -> Carry:
        x, own = inputs
        if feedback is not None:
            x = jnp.where(own, feedback(model.readout(params, carry)), x)
        return model.step(params, carry, x)

    def along(carry: Carry, inputs_T: tuple[Array, Array], counted_T: Array) -> Exponents:
        return lyapunov_exponents(step, carry, inputs_T, count, counted_T)

    start = model.carry(params, key_for(hp, "evaluation"), streams.inputs_TX.shape[1])
    inputs = jnp.asarray(streams.inputs_TX), jnp.asarray(streams.own_TX)
    return jax.vmap(along, in_axes=(0, 1, 1))(start, inputs, jnp.asarray(streams.counted_TX))


def summarise_starts(exponents_RSK: np.ndarray) -> dict[str, np.ndarray]:
    """The values of LYAPUNOV_METRICS [R, ...] of S starts; starts with a Jacobian that is not finite are left out."""
    exponents_RSK = np.asarray(exponents_RSK, np.float64)
    known_RS = ~np.isnan(exponents_RSK).any(axis=2)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of runs without a known start, whose values are NaN
        largest_RS = exponents_RSK.max(axis=2)
        return {
            "lyapunov_largest": np.nanmean(largest_RS, axis=1),
            "lyapunov_distance": np.abs(np.nanmean(largest_RS, axis=1)),
            "lyapunov_error": np.nanstd(largest_RS, axis=1, ddof=1) / np.sqrt(known_RS.sum(axis=1)),
            "lyapunov_positive": np.nanmean(np.where(known_RS, largest_RS > 0, np.nan), axis=1),
            "lyapunov_nonfinite": 1 - known_RS.mean(axis=1),
            "lyapunov_spectrum": np.nanmean(exponents_RSK, axis=1),
        }

"""Forecasts of a trained network: some rows ahead of many rows, or one path that goes on from its own predictions.

A network is read as it was trained: with a carried state one stream runs through the rows, with a state that is reset
each prediction reads the last `window` rows from the initial state. What leads further than one output reads its own
predictions in the place of rows; further inputs keep their last value there, and known inputs are known.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network
from rnnjax.networks.sampling import decode_step
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.missing_rows import fill_rows
from rnnjax.tasks.series_layout import (
    known_ahead,
    known_columns,
    past_windows,
    rows_of_outputs,
    rows_read,
    standardised_inputs,
)
from rnnjax.types import Carry, Params, SeriesLayout, SeriesRows, Task

WARM_UP = 2_000  # rows before the first origin that a carried state reads at most


class Forecaster(NamedTuple):
    """The compiled parts of a network that forecast."""

    read: Callable[[Params, Array], tuple[Carry, Array]]  # rows or windows -> carries [M, ...] and outputs [M, Q]
    step: Callable[[Params, Carry, Array], tuple[Carry, Array]]  # of M streams


def can_forecast(spec: Spec, task: Task) -> bool:
    """Whether a network reads a series row by row."""
    return task.series is not None and not task.axes_swapped and not spec.bidirectional


def make_forecaster(spec: Spec, hp: HParams) -> Forecaster:
    """The functions of a network; `read` takes windows [T, M, D] of a state that is reset, else rows [N, 1, D]."""
    model = build_network(spec, hp)

    def read_windows(params: Params, x_TMD: Array) -> tuple[Carry, Array]:
        start = model.carry(params, key_for(hp, "evaluation"), x_TMD.shape[1])
        carry, outputs_TMQ, _ = model.apply(params, start, x_TMD)
        return carry, outputs_TMQ[-1]

    def read_rows(params: Params, x_N1D: Array) -> tuple[Carry, Array]:
        def step(carry: Carry, x_1D: Array) -> tuple[Carry, tuple[Carry, Array]]:
            carry, outputs_1Q = decode_step(model, params, carry, x_1D)
            return carry, (carry, outputs_1Q)

        start = model.carry(params, key_for(hp, "evaluation"), 1)
        carries, outputs_N1Q = jax.lax.scan(step, start, x_N1D)[1]
        return jax.tree.map(lambda leaf: leaf[:, 0], carries), outputs_N1Q[:, 0]

    read = read_rows if spec.carry == "carried" else read_windows
    return Forecaster(jax.jit(read), jax.jit(partial(decode_step, model)))


def forecast_ahead(
    spec: Spec,
    forecaster: Forecaster,
    params: Params,
    rows: SeriesRows,
    layout: SeriesLayout,
    origins_M: np.ndarray,
    leads: int,
) -> np.ndarray:
    """The rows t + 1 ... t + leads as predicted from the rows up to each origin t: [leads, M, O] in own units."""
    filled_NC = fill_rows(rows.values_NC)
    carry, outputs_MQ = read_origins(spec, forecaster, params, rows, layout, origins_M)
    windows_NPC, read = past_windows(layout, filled_NC), rows_read(layout)
    past_MPC = windows_NPC[origins_M - read + 1]
    known_NK = known_columns(layout, filled_NC, rows.future_MK)
    known_NAK, last = known_ahead(layout, known_NK), len(known_NK) - 1
    path: list[np.ndarray] = []
    while True:
        said_MAO = rows_of_outputs(layout, outputs_MQ, past_MPC)
        path += list(np.moveaxis(said_MAO, 1, 0))
        if len(path) >= leads:
            return np.stack(path[:leads])
        for ahead in range(layout.ahead):
            t_M = np.minimum(origins_M + len(path) - layout.ahead + ahead + 1, last)
            past_MPC = with_row(layout, past_MPC, said_MAO[:, ahead], known_NK[t_M])
            x_MD = standardised_inputs(layout, past_MPC, known_NAK[t_M])
            carry, outputs = forecaster.step(params, carry, jnp.asarray(x_MD))
        outputs_MQ = np.asarray(outputs)


def read_origins(
    spec: Spec, forecaster: Forecaster, params: Params, rows: SeriesRows, layout: SeriesLayout, origins_M: np.ndarray
) -> tuple[Carry, np.ndarray]:
    """The carries [M, ...] after the rows up to each origin, and the outputs [M, Q] there."""
    filled_NC, read = fill_rows(rows.values_NC), rows_read(layout)
    least = read - 1 if rows.joined else rows.split + read - 1
    known_NAK = known_ahead(layout, known_columns(layout, filled_NC, rows.future_MK))

    def inputs(t: np.ndarray) -> np.ndarray:
        past = past_windows(layout, filled_NC)[t.reshape(-1) - read + 1]
        return standardised_inputs(layout, past, known_NAK[t.reshape(-1)]).reshape(*t.shape, -1)

    if spec.carry == "carried":
        first = max(int(origins_M[0]) - WARM_UP, least)
        t_N = np.arange(first, int(origins_M[-1]) + 1)
        carries, outputs_NQ = forecaster.read(params, jnp.asarray(inputs(t_N)[:, None]))
        chosen = origins_M - first
        return jax.tree.map(lambda leaf: leaf[chosen], carries), np.asarray(outputs_NQ)[chosen]
    length = min(spec.window, int(origins_M[0]) - least + 1)
    t_TM = origins_M[None] + np.arange(1 - length, 1)[:, None]
    carry, outputs_MQ = forecaster.read(params, jnp.asarray(inputs(t_TM)))
    return carry, np.asarray(outputs_MQ)


def with_row(layout: SeriesLayout, past_MPC: np.ndarray, y_MO: np.ndarray, known_MK: np.ndarray) -> np.ndarray:
    """The past one row on: predicted targets, further inputs as they were, known inputs."""
    others_MX = past_MPC[:, -1, layout.targets : layout.targets + layout.inputs]
    row_MC = np.concatenate([y_MO, others_MX, known_MK], axis=1)
    return np.concatenate([past_MPC[:, 1:], row_MC[:, None]], axis=1)

"""Forecasts of a trained network: some rows ahead of many rows, or one path that goes on from its own predictions.

A network is read as it was trained: with a carried state one stream runs through the rows, with a state that is reset
each prediction reads the last `window` rows from the initial state. What leads further than one output reads its own
predictions in the place of rows; further inputs keep their last value there, and known inputs are known.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network
from rnnjax.networks.sampling import decode_step
from rnnjax.settings import HParams, Spec
from rnnjax.studies.load_networks import LoadedNetwork
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
    """The compiled parts of the networks of one program that forecast."""

    read: Callable[..., tuple[Carry, Array]]  # hp, params, rows or windows -> carries [M, ...] and outputs [M, Q]
    step: Callable[..., tuple[Carry, Array]]  # hp, params, carries, x_MD -> the same, one row on


def can_forecast(spec: Spec, task: Task) -> bool:
    """Whether a network reads a series row by row."""
    return task.series is not None and not task.axes_swapped and not spec.bidirectional


@lru_cache(maxsize=32)
def make_forecaster(program: Spec) -> Forecaster:
    """The functions of a program, compiled once for all its networks.

    `read` takes windows [T, M, D] of a state that is reset, else rows [N, 1, D] of one stream.
    """

    def read_windows(hp: HParams, params: Params, x_TMD: Array) -> tuple[Carry, Array]:
        model = build_network(program, hp)
        start = model.carry(params, key_for(hp, "evaluation"), x_TMD.shape[1])
        carry, outputs_TMQ, _ = model.apply(params, start, x_TMD)
        return carry, outputs_TMQ[-1]

    def read_rows(hp: HParams, params: Params, x_N1D: Array) -> tuple[Carry, Array]:
        model = build_network(program, hp)

        def step(carry: Carry, x_1D: Array) -> tuple[Carry, tuple[Carry, Array]]:
            carry, outputs_1Q = decode_step(model, params, carry, x_1D)
            return carry, (carry, outputs_1Q)

        start = model.carry(params, key_for(hp, "evaluation"), 1)
        carries, outputs_N1Q = jax.lax.scan(step, start, x_N1D)[1]
        return jax.tree.map(lambda leaf: leaf[:, 0], carries), outputs_N1Q[:, 0]

    def step(hp: HParams, params: Params, carry: Carry, x_MD: Array) -> tuple[Carry, Array]:
        return decode_step(build_network(program, hp), params, carry, x_MD)

    return Forecaster(jax.jit(read_rows if program.carry == "carried" else read_windows), jax.jit(step))


def array_settings(hp: HParams) -> HParams:
    """Settings that a compiled function takes as arguments: another seed needs no other program."""
    return HParams._make(np.uint32(v) if name == "seed" else np.float32(v) for name, v in hp._asdict().items())


def forecast_ahead(
    network: LoadedNetwork,
    rows: SeriesRows,
    layout: SeriesLayout,
    origins_M: np.ndarray,
    leads: int,
) -> np.ndarray:
    """The rows t + 1 ... t + leads as predicted from the rows up to each origin t: [leads, M, O] in own units."""
    filled_NC = fill_rows(rows.values_NC)
    carry, outputs_MQ = read_origins(network, rows, layout, origins_M)
    step, hp = make_forecaster(network.spec.program).step, array_settings(network.hp)
    windows_NPC, read = past_windows(layout, filled_NC), rows_read(layout)
    past_MPC = windows_NPC[origins_M - read + 1]
    known_NK = known_columns(layout, filled_NC, rows.future_MK)
    known_NAK, last = known_ahead(layout, known_NK), len(known_NK) - 1
    path: list[np.ndarray] = []
    while True:
        predicted_MAO = rows_of_outputs(layout, outputs_MQ, past_MPC)
        path += list(np.moveaxis(predicted_MAO, 1, 0))
        if len(path) >= leads:
            return np.stack(path[:leads])
        for ahead in range(layout.ahead):
            t_M = np.minimum(origins_M + len(path) - layout.ahead + ahead + 1, last)
            past_MPC = with_row(layout, past_MPC, predicted_MAO[:, ahead])
            x_MD = standardised_inputs(layout, past_MPC, known_NAK[t_M])
            carry, outputs = step(hp, network.params, carry, jnp.asarray(x_MD))
        outputs_MQ = np.asarray(outputs)


def read_origins(
    network: LoadedNetwork, rows: SeriesRows, layout: SeriesLayout, origins_M: np.ndarray
) -> tuple[Carry, np.ndarray]:
    """The carries [M, ...] after the rows up to each origin, and the outputs [M, Q] there."""
    filled_NC, read = fill_rows(rows.values_NC), rows_read(layout)
    least = read - 1 if rows.joined else rows.split + read - 1
    known_NAK = known_ahead(layout, known_columns(layout, filled_NC, rows.future_MK))
    spec, hp, params = network.spec, array_settings(network.hp), network.params
    forecaster = make_forecaster(spec.program)

    def inputs(t: np.ndarray) -> np.ndarray:
        past = past_windows(layout, filled_NC)[t.reshape(-1) - read + 1]
        return standardised_inputs(layout, past, known_NAK[t.reshape(-1)]).reshape(*t.shape, -1)

    if spec.carry == "carried":
        first = max(int(origins_M[0]) - WARM_UP, least)
        t_N = np.arange(first, int(origins_M[-1]) + 1)
        carries, outputs_NQ = forecaster.read(hp, params, jnp.asarray(inputs(t_N)[:, None]))
        chosen = origins_M - first
        return jax.tree.map(lambda leaf: leaf[chosen], carries), np.asarray(outputs_NQ)[chosen]
    length = min(spec.window, int(origins_M[0]) - least + 1)
    t_TM = origins_M[None] + np.arange(1 - length, 1)[:, None]
    carry, outputs_MQ = forecaster.read(hp, params, jnp.asarray(inputs(t_TM)))
    return carry, np.asarray(outputs_MQ)


def with_row(layout: SeriesLayout, past_MPC: np.ndarray, y_MO: np.ndarray) -> np.ndarray:
    """The past one row on: predicted targets, other columns as they were (known inputs are read one row ahead)."""
    row_MC = np.concatenate([y_MO, past_MPC[:, -1, layout.targets :]], axis=1)
    return np.concatenate([past_MPC[:, 1:], row_MC[:, None]], axis=1)

"""Free-running generation: a network that takes its own outputs as inputs."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.doctor.adapters import ModelAdapter
from rnnjax.doctor.batch import Batch, is_ids, last_counted
from rnnjax.doctor.indicators.free_running import GENERATED_LENGTH, series_indicators, text_indicators
from rnnjax.networks.sampling import sample_id
from rnnjax.types import Carry, Params

STREAMS = 16


class Generated(NamedTuple):
    """Values that networks generate after prompts."""

    prompts: np.ndarray  # [T, P, ...]
    streams_P: np.ndarray  # of the batch, which the prompts are from
    values: np.ndarray  # ids [R, 2, N, P], greedy and sampled at temperature 1; or numbers [R, N, P, D]


def can_run_free(batch: Batch, outputs: int) -> bool:
    """Whether outputs can be inputs: each target is the next input, and every output is a valid input."""
    if not batch.predicts_next_input:
        return False
    return int(np.max(batch.inputs)) < outputs if is_ids(batch.inputs) else batch.inputs.shape[-1] == outputs


def generate(adapter: ModelAdapter, batch: Batch, params: Params, carry: Carry) -> Generated:
    """Texts or forecasts of R networks. Args: params, carry: [R, ...]; the carry is that before the batch."""
    prompts, streams_P = select_prompts(batch)
    carry = jax.tree.map(lambda leaf: leaf[:, streams_P] if jnp.ndim(leaf) > 1 else leaf, carry)
    if is_ids(batch.inputs):
        uniforms_NP = jax.random.uniform(jax.random.key(0), (GENERATED_LENGTH, len(streams_P)))
        texts = jax.vmap(partial(generate_texts, adapter), in_axes=(None, None, 0, 0))
        return Generated(prompts, streams_P, np.asarray(jax.jit(texts)(prompts, uniforms_NP, params, carry)))
    forecast = jax.vmap(partial(generate_series, adapter), in_axes=(None, 0, 0))
    return Generated(prompts, streams_P, np.asarray(jax.jit(forecast)(prompts, params, carry)))


def generated_indicators(batch: Batch, generated: Generated) -> dict[str, np.ndarray]:
    """Indicators [R, P] of generated texts or forecasts."""
    if is_ids(batch.inputs):
        return text_indicators(batch, generated.prompts, generated.values)
    return series_indicators(batch, generated.values)


def select_prompts(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Prompts [T, P, ...], and their streams [P]: those that count for longest, up to where all of them count."""
    last_B = last_counted(batch)
    streams_P = np.sort(np.argsort(-last_B, kind="stable")[:STREAMS])
    return np.asarray(batch.inputs)[: last_B[streams_P].min() + 1, streams_P], streams_P


def generate_texts(adapter: ModelAdapter, prompts_TP: Array, uniforms_NP: Array, params: Params, carry: Carry) -> Array:
    """The ids [2, N, P] after P prompts, greedy and sampled at temperature 1."""
    start = read_prompts(adapter, params, carry, prompts_TP)

    def generate(temperature: Array) -> Array:
        def step(state: tuple[Carry, Array], uniform_P: Array) -> Any:
            ids_P = jax.vmap(partial(sample_id, temperature))(uniform_P, state[1])
            return adapter.step(params, state[0], ids_P.astype(prompts_TP.dtype)), ids_P  # type: ignore[misc]

        return jax.lax.scan(step, start, uniforms_NP)[1]

    return jax.vmap(generate)(jnp.array([0.0, 1.0]))


def generate_series(adapter: ModelAdapter, prompts_TPD: Array, params: Params, carry: Carry) -> Array:
    """The forecast [N, P, D] after P prompts."""
    columns = prompts_TPD.shape[-1]  # further outputs, such as a deviation, are no inputs
    start = read_prompts(adapter, params, carry, prompts_TPD)

    def step(state: tuple[Carry, Array], _: None) -> Any:
        x_PD = state[1][:, :columns]
        return adapter.step(params, state[0], x_PD), x_PD  # type: ignore[misc]

    return jax.lax.scan(step, start, length=GENERATED_LENGTH)[1]


def read_prompts(adapter: ModelAdapter, params: Params, carry: Carry, prompts: Array) -> tuple[Carry, Array]:
    """The carry after the prompts [T, P, ...], and the last outputs [P, O]."""
    carry, outputs_TPO = adapter.apply(params, carry, prompts)
    return carry, outputs_TPO[-1]

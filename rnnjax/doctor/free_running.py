"""A network that reads its own words: whether it loops, drifts, or leaves the range of its data."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.doctor.adapters import Subject
from rnnjax.doctor.batch import Batch, is_ids
from rnnjax.networks.sampling import sample_id
from rnnjax.probes.generation.free_running import LONGEST_PERIOD, LOOP_TAIL
from rnnjax.probes.numerics.repetition import trailing_period
from rnnjax.types import Carry, Params

STREAMS = 16
LENGTH = 240
LATE = 100  # the last symbols, whose likelihood is compared with that of the first


def can_run_free(batch: Batch, outputs: int) -> bool:
    """Whether a network can read its own output: each target is the next input, and all that is said can be read."""
    if not batch.said_next:
        return False
    return int(np.max(batch.inputs)) < outputs if is_ids(batch.inputs) else batch.inputs.shape[-1] == outputs


def free_texts(subject: Subject, prompts_TP: Array, uniforms_NP: Array, params: Params, carry: Carry) -> Array:
    """The ids [2, N, P] that follow P prompts, greedy and drawn at temperature 1."""
    start = begun(subject, params, carry, prompts_TP)

    def continued(temperature: Array) -> Array:
        def step(state: tuple[Carry, Array], uniform_P: Array) -> Any:
            ids_P = jax.vmap(partial(sample_id, temperature))(uniform_P, state[1])
            return subject.step(params, state[0], ids_P.astype(prompts_TP.dtype)), ids_P  # type: ignore[misc]

        return jax.lax.scan(step, start, uniforms_NP)[1]

    return jax.vmap(continued)(jnp.array([0.0, 1.0]))


def free_series(subject: Subject, prompts_TPD: Array, params: Params, carry: Carry) -> Array:
    """The forecast [N, P, D] that follows P rows of the past."""
    start = begun(subject, params, carry, prompts_TPD)

    def step(state: tuple[Carry, Array], _: None) -> Any:
        return subject.step(params, *state), state[1]  # type: ignore[misc]

    return jax.lax.scan(step, start, length=LENGTH)[1]


def begun(subject: Subject, params: Params, carry: Carry, prompts: Array) -> tuple[Carry, Array]:
    """The carry after the first streams [T, P, ...] and what the network then says [P, O]."""
    streams = prompts.shape[1]
    carry = jax.tree.map(lambda leaf: leaf[:streams] if jnp.ndim(leaf) else leaf, carry)
    carry, outputs_TPO = subject.read(params, carry, prompts)
    return carry, outputs_TPO[-1]


def text_signs(batch: Batch, texts_RDNP: np.ndarray) -> dict[str, np.ndarray]:
    """Of the texts of R networks under two decoders, each [R, P].

    loops_greedy, loops_sampled  1 where a text ends in a loop, less the share of the true texts that do
    drift                        how much less likely the last 100 drawn symbols are than the first ones, as many as a
                                 window has steps, under the bigrams of the true text: nats per symbol
    """
    true_TP = np.asarray(batch.inputs)
    steps = len(true_TP)
    periods = trailing_period(true_TP.T, steps // 3, steps) if steps >= 3 else np.zeros(1)
    usual = np.mean(periods > 0)  # a text that repeats itself is no loop
    loops = [[trailing_period(ids_NP.T, LONGEST_PERIOD, LOOP_TAIL) > 0 for ids_NP in one] for one in texts_RDNP]
    loops_RDP = np.array(loops, float) - usual
    surprisal = surprisals(batch, texts_RDNP[:, 1])
    first = min(steps, LENGTH - LATE)
    drift_RP = surprisal[:, -LATE:].mean(axis=1) - surprisal[:, :first].mean(axis=1)
    return {"loops_greedy": loops_RDP[:, 0], "loops_sampled": loops_RDP[:, 1], "drift": drift_RP}


def surprisals(batch: Batch, texts_RNP: np.ndarray) -> np.ndarray:
    """-log p of each symbol given the one before [R, N, P], by the pairs of the true text with one added to each."""
    symbols = int(max(texts_RNP.max(), np.max(batch.inputs), np.max(batch.targets))) + 1
    pairs = np.ones((symbols, symbols))
    np.add.at(pairs, (np.asarray(batch.inputs).ravel(), np.asarray(batch.targets).ravel()), 1)
    log_p = np.log(pairs / pairs.sum(axis=1, keepdims=True))
    last_P = np.asarray(batch.inputs)[-1, : texts_RNP.shape[2]]
    first_R1P = np.broadcast_to(last_P, texts_RNP[:, :1].shape)
    before = np.concatenate([first_R1P, texts_RNP[:, :-1]], axis=1)
    return -log_p[before, texts_RNP]


def series_signs(batch: Batch, series_RNPD: np.ndarray) -> dict[str, np.ndarray]:
    """range [R, P]: the root mean square of the last 100 rows of a forecast over that of the true rows.

    Over the columns that vary: of a constant one nothing is a share. Absent where none does.
    """
    true = np.asarray(batch.targets, float)
    varies_D = np.ptp(true, axis=(0, 1)) > 0
    if not varies_D.any():
        return {}
    true, late_RNPD = true[..., varies_D], series_RNPD[:, -LATE:, :, varies_D]
    away = (late_RNPD - true.mean(axis=(0, 1))) / true.std(axis=(0, 1))
    with np.errstate(over="ignore", invalid="ignore"):
        return {"range": np.minimum(np.nan_to_num(np.sqrt(np.mean(away**2, axis=(1, 3))), nan=1e6), 1e6)}

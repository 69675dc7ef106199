"""Indicators of free-running generation: loops, drift, and the range of forecasts."""

import numpy as np

from rnnjax.doctor.batch import Batch
from rnnjax.probes.generation.free_running import LONGEST_PERIOD, LOOP_TAIL
from rnnjax.probes.numerics.repetition import trailing_period

GENERATED_LENGTH = 240  # symbols or rows that are generated
TAIL = 100  # the last ones, which are compared with the first ones or with the true series


def text_indicators(batch: Batch, prompts_TP: np.ndarray, texts_RDNP: np.ndarray) -> dict[str, np.ndarray]:
    """Of texts of R networks under two decoders (greedy, temperature 1), each [R, P].

    loops_greedy, loops_sampled  1 if a text ends in a loop, minus the share of true windows that do
    drift                        mean surprisal of the last 100 sampled symbols minus that of the first ones, as many as
                                 a window has steps, under the bigrams of the true text: nats per symbol
    """
    steps = len(np.asarray(batch.inputs))
    loops = [[trailing_period(ids_NP.T, LONGEST_PERIOD, LOOP_TAIL) > 0 for ids_NP in each] for each in texts_RDNP]
    loops_RDP = np.array(loops, float) - true_loop_share(batch)
    surprisal_RNP = surprisals(batch, prompts_TP[-1], texts_RDNP[:, 1])
    first = min(steps, GENERATED_LENGTH - TAIL)
    drift_RP = surprisal_RNP[:, -TAIL:].mean(axis=1) - surprisal_RNP[:, :first].mean(axis=1)
    return {"loops_greedy": loops_RDP[:, 0], "loops_sampled": loops_RDP[:, 1], "drift": drift_RP}


def true_loop_share(batch: Batch) -> float:
    """The share of true windows that repeat themselves: 0 if they are too short to tell."""
    inputs_TB = np.asarray(batch.inputs)
    steps = len(inputs_TB)
    periods = trailing_period(inputs_TB.T, steps // 3, steps) if steps >= 3 else np.zeros(1)
    return float(np.mean(periods > 0))


def surprisals(batch: Batch, last_P: np.ndarray, texts_RNP: np.ndarray) -> np.ndarray:
    """-log p of each symbol given the previous one [R, N, P], under add-one bigrams of the true text.

    Args: last_P: the id before the first one of each text.
    """
    symbols = int(max(texts_RNP.max(), np.max(batch.inputs), np.max(batch.targets))) + 1
    counts = np.ones((symbols, symbols))
    np.add.at(counts, (np.asarray(batch.inputs).ravel(), np.asarray(batch.targets).ravel()), 1)
    log_p = np.log(counts / counts.sum(axis=1, keepdims=True))
    last_R1P = np.broadcast_to(last_P, texts_RNP[:, :1].shape)
    previous_RNP = np.concatenate([last_R1P, texts_RNP[:, :-1]], axis=1)
    return -log_p[previous_RNP, texts_RNP]


def series_indicators(batch: Batch, series_RNPD: np.ndarray) -> dict[str, np.ndarray]:
    """range [R, P]: root mean square of the last 100 rows of a forecast over that of the true rows.

    Only columns that vary are used; absent if none does.
    """
    true = np.asarray(batch.targets, float)
    varies_D = np.ptp(true, axis=(0, 1)) > 0
    if not varies_D.any():
        return {}
    true, tail_RNPD = true[..., varies_D], series_RNPD[:, -TAIL:, :, varies_D]
    deviation = (tail_RNPD - true.mean(axis=(0, 1))) / true.std(axis=(0, 1))
    with np.errstate(over="ignore", invalid="ignore"):
        return {"range": np.minimum(np.nan_to_num(np.sqrt(np.mean(deviation**2, axis=(1, 3))), nan=1e6), 1e6)}

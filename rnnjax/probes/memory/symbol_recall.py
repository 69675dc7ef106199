"""Recall of earlier symbols from a state: held-out accuracy of a linear probe, by lag."""

from functools import reduce

import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.probes.numerics.linear_fits import feature_scale, logistic, logits
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import SHARE, Metric
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.state import TrainState
from rnnjax.types import Params, Probe, Task, WindowData

LAGS = (*range(1, 11), 12, 14, 16, 18, 20, 22, 25, 30, 35, 40, 45, 50)
BINS = ((1, 3), (4, 7), (8, 12), (13, 18), (19, 25), (26, 50))  # first and last lag
CONTEXT = 3  # symbols given to the baseline: x_{t-2}, x_{t-1} and x_t
MARGIN = 0.05  # of accuracy, by which a state must exceed the baselines
WARM_UP = 2 * LAGS[-1]  # symbols read before the first probed state, so that it does not depend on the initial state
STEPS = 16  # states of each window
TRAINING_WINDOWS, HELD_OUT_WINDOWS = 256, 64
PENALTY, ITERATIONS = 1e-3, 20  # the accuracy in a bin is then within a point of its limit

PROBE_ACCURACY = "held-out accuracy of x_{t-d} in a multinomial logistic regression on the last layer's state h_t"
NGRAM_ACCURACY = "held-out accuracy of x_{t-d} as its most frequent value given the three symbols up to t"


def lag_metrics(name: str, curve: str, metric: Metric) -> dict[str, Metric]:
    """The metrics of an accuracy by lag: the curve, and the mean over each bin of lags."""
    by_lag = f"{metric.definition}, by lag d; NaN where not measured"
    means = {
        f"{name}_{low}_{high}": metric._replace(definition=f"{metric.definition}, mean over the lags {low} ... {high}")
        for low, high in BINS
    }
    return {curve: metric._replace(definition=by_lag, kind="lag")} | means


MEMORY_METRICS = {
    **lag_metrics("memory", "memory_accuracy", Metric(PROBE_ACCURACY, better="higher", range=SHARE)),
    **lag_metrics("ngram", "ngram_accuracy", Metric(NGRAM_ACCURACY, range=SHARE)),
    "majority": Metric("held-out accuracy of the most frequent symbol", range=SHARE),
    "horizon": Metric(
        f"the largest lag up to which, from lag {CONTEXT} on, memory_accuracy exceeds majority and ngram_accuracy by "
        f"{MARGIN:g}; {CONTEXT - 1} where none does",
        unit="{symbols}",
        better="higher",
    ),
}


def memory(spec: Spec, task: Task) -> Probe:
    """Accuracy of x_{t-d} from h_t, for the lags d of LAGS.

    A multinomial logistic regression on the last layer's state, fitted on 4,096 states of the training text and scored
    on 1,024 of the held-out text. The state is carried through windows of 116 symbols, regardless of `Spec.carry`.

    Values: see MEMORY_METRICS.

    Raises:
        NotApplicable: a task without symbols.
        BadInput: a part of the text is shorter than a window; a bidirectional network.
    """
    train, held_out = symbol_windows(spec, task)
    train_LN, held_out_LN = preceding_symbols(train), preceding_symbols(held_out)
    symbols_N = task.make_sequence(task.train_N).inputs_N
    majority = np.mean(held_out_LN == np.bincount(symbols_N).argmax(), dtype=np.float32)
    ngram_L = spread_lags(ngram_accuracy(symbols_N, held_out))

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        h_NH = states(spec, hp, state.params, train)
        scale = feature_scale(h_NH)
        weights = logistic(scale.features(h_NH), jnp.asarray(train_LN.T), spec.inputs, PENALTY, ITERATIONS)
        logits_NLV = logits(scale.features(states(spec, hp, state.params, held_out)), weights)
        return {"hits": jnp.mean(jnp.argmax(logits_NLV, axis=2) == held_out_LN.T, axis=0, dtype=float)}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        accuracy_nL = spread_lags(values["hits"])
        majority_n, ngram_nL = np.full(len(accuracy_nL), majority), np.tile(ngram_L, (len(accuracy_nL), 1))
        return {
            "memory_accuracy": accuracy_nL,
            "ngram_accuracy": ngram_nL,
            "majority": majority_n,
            "horizon": horizon(accuracy_nL, ngram_nL, majority_n),
            **bin_means("memory", accuracy_nL),
            **bin_means("ngram", ngram_nL),
        }

    return Probe(measure, summarise, MEMORY_METRICS)


def symbol_windows(spec: Spec, task: Task, steps: int = STEPS) -> tuple[WindowData, WindowData]:
    """Windows [1, T, W] of the training and of the held-out text; steps after the warm-up are probed.

    Args:
        steps: probed in each window of the training text.
    """
    require_unidirectional(spec)
    if not task.vocabulary:
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected a text for a probe of the memory of a state")
    train = spread_windows(task.make_sequence(task.train_N), WARM_UP + steps, TRAINING_WINDOWS)
    return train, spread_windows(task.make_sequence(task.validation_N), WARM_UP + STEPS, HELD_OUT_WINDOWS)


def states(spec: Spec, hp: HParams, params: Params, windows: WindowData) -> Array:
    """The last layer's h [N, H] at the probed steps of each window."""
    model, inputs_TW = build_network(spec, hp), jnp.asarray(windows.inputs_WTB[0])
    start = model.carry(params, key_for(hp, "evaluation"), inputs_TW.shape[1])
    _, _, h_TWH = model.apply(params, start, inputs_TW)
    return h_TWH[WARM_UP:].reshape(-1, h_TWH.shape[-1])


def preceding_symbols(windows: WindowData) -> np.ndarray:
    """x_{t-d} of each lag at the probed steps: [L, N]."""
    ids_TW = windows.inputs_WTB[0]
    return np.stack([ids_TW[WARM_UP - lag : len(ids_TW) - lag].ravel() for lag in LAGS])


def ngram_accuracy(symbols_N: np.ndarray, held_out: WindowData) -> np.ndarray:
    """Share of the held-out steps at which x_{t-d} is its likeliest value given three symbols, by lag: [L]."""
    base, hits = int(symbols_N.max()) + 1, []
    contexts_N, query_M = contexts(symbols_N, base), probe_contexts(held_out, base)
    for lag, targets_M in zip(LAGS, preceding_symbols(held_out), strict=True):
        first = max(lag, CONTEXT - 1)  # the first step that has both
        known_N = contexts_N[first - CONTEXT + 1 :]
        hits.append(
            np.mean(ngram_predictions(known_N, symbols_N[first - lag : len(symbols_N) - lag], query_M) == targets_M)
        )
    return np.array(hits, np.float32)


def contexts(ids_N: np.ndarray, base: int) -> np.ndarray:
    """x_{t-2}, x_{t-1}, x_t as a single integer, from the first step that has all three; along the first axis."""
    steps = len(ids_N) - CONTEXT + 1
    digits = (ids_N[offset : offset + steps].astype(np.int64) for offset in range(CONTEXT))
    return reduce(lambda number, digit: number * base + digit, digits)


def probe_contexts(windows: WindowData, base: int) -> np.ndarray:
    """The contexts [N] of the probed steps."""
    return contexts(windows.inputs_WTB[0], base)[WARM_UP - CONTEXT + 1 :].ravel()


def ngram_predictions(contexts_N: np.ndarray, targets_N: np.ndarray, query_M: np.ndarray) -> np.ndarray:
    """The most frequent target after each queried context, [M]; of all targets where it never occurred."""
    base = int(targets_N.max()) + 1
    pairs_K, counts_K = np.unique(contexts_N * base + targets_N, return_counts=True)
    order_K = np.lexsort((counts_K, pairs_K // base))  # the last of each context is the most frequent
    known_K, targets_K = np.divmod(pairs_K[order_K], base)
    last_K = np.append(known_K[1:] != known_K[:-1], True)
    known_K, targets_K = known_K[last_K], targets_K[last_K]
    index_M = np.minimum(np.searchsorted(known_K, query_M), len(known_K) - 1)
    return np.where(known_K[index_M] == query_M, targets_K[index_M], np.bincount(targets_N).argmax())


def spread_lags(values_L: np.ndarray) -> np.ndarray:
    """Values [..., L] at LAGS as [..., 51], NaN at the lags that were not measured."""
    spread = np.full((*values_L.shape[:-1], LAGS[-1] + 1), np.nan, np.float32)
    spread[..., list(LAGS)] = values_L
    return spread


def bin_means(name: str, values_nL: np.ndarray) -> dict[str, np.ndarray]:
    """The mean [n] over the measured lags of each bin."""
    return {f"{name}_{low}_{high}": np.nanmean(values_nL[:, low : high + 1], axis=1) for low, high in BINS}


def horizon(accuracy_nL: np.ndarray, ngram_nL: np.ndarray, majority_n: np.ndarray) -> np.ndarray:
    """The largest lag [n] up to which the accuracy is 5 points above the better of majority and 3-gram.

    Must hold at every measured lag from 3 on; 2 where it fails at lag 3. The 3-gram is exact at lags 1 and 2.

    Args: accuracy_nL, ngram_nL: [n, 51], NaN where not measured. majority_n: [n].
    """
    return last_lag_above(accuracy_nL, np.fmax(ngram_nL, majority_n[:, None]))


def horizon_over_untrained(accuracy_nQL: np.ndarray, ngram_nQL: np.ndarray, majority_nQ: np.ndarray) -> np.ndarray:
    """`horizon` at the last point of training [n], where the accuracy must exceed that of the untrained network too.

    Args: the values at Q points of training, NaN where not measured. Returns: NaN where step 0 was not measured.
    """
    untrained_nL, accuracy_nL = accuracy_nQL[:, 0], accuracy_nQL[:, -1]
    floor_nL = np.fmax(np.fmax(ngram_nQL[:, -1], majority_nQ[:, -1, None]), untrained_nL)
    return np.where(np.isnan(untrained_nL).all(axis=1), np.nan, last_lag_above(accuracy_nL, floor_nL))


def last_lag_above(accuracy_nL: np.ndarray, floor_nL: np.ndarray) -> np.ndarray:
    """The largest measured lag [n] such that the accuracy exceeds the floor by MARGIN at each lag from 3 up to it."""
    lags_K = np.flatnonzero(~np.isnan(accuracy_nL).all(axis=0))
    lags_K = lags_K[lags_K >= CONTEXT]
    count_n = np.cumprod(accuracy_nL[:, lags_K] >= floor_nL[:, lags_K] + MARGIN, axis=1).sum(axis=1)
    lasts = np.append(CONTEXT - 1, lags_K).astype(np.float32)
    return np.where(np.isnan(accuracy_nL).all(axis=1), np.nan, lasts[count_n]).astype(np.float32)

"""What a state still knows of the symbols before it: held-out accuracy of a linear probe, by lag."""

from functools import reduce

import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.keys import key_for
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.probes.numerics.linear_fits import logistic, logits, scale_of
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.state import TrainState
from rnnjax.types import Params, Probe, Task, WindowData

LAGS = (*range(1, 11), 12, 14, 16, 18, 20, 22, 25, 30, 35, 40, 45, 50)
BINS = ((1, 3), (4, 7), (8, 12), (13, 18), (19, 25), (26, 50))  # first and last lag
CONTEXT = 3  # symbols that the baseline knows: x_{t-2}, x_{t-1} and x_t
MARGIN = 0.05  # of accuracy, by which a state must exceed what is known without it
WARM_UP = 2 * LAGS[-1]  # symbols read before the first state, so that what it is like is not its start
STEPS = 16  # states of each window
TRAINING_WINDOWS, HELD_OUT_WINDOWS = 256, 64
PENALTY, ITERATIONS = 1e-3, 20  # the accuracy in a bin is then within a point of its limit


def memory(spec: Spec, task: Task) -> Probe:
    """How well x_{t-d} can be told from h_t, for the lags d of LAGS.

    A multinomial logistic regression on the last layer's state, fitted on 4,096 states of the training text and scored
    on 1,024 of the held-out text. The state is carried through windows of 116 symbols, whatever it was in training.

    memory_accuracy [51], memory_1_3 ... memory_26_50  by lag (NaN: not measured), and the means over the lags of a bin
    ngram_accuracy [51], ngram_1_3 ... ngram_26_50     of the best guess from the three symbols up to t instead
    majority                                           of always guessing the most frequent symbol
    horizon                                            see there

    Raises:
        NotApplicable: a task without symbols.
        BadInput: one part of the text is shorter than a window; a network that reads both ways.
    """
    train, held_out = symbol_windows(spec, task)
    train_LN, held_out_LN = symbols_before(train), symbols_before(held_out)
    symbols_N = task.make_sequence(task.train_N).inputs_N
    majority = np.mean(held_out_LN == np.bincount(symbols_N).argmax(), dtype=np.float32)
    guessed_L = by_lag(guess_accuracy(symbols_N, held_out))

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        h_NH = states(spec, hp, state.params, train)
        scale = scale_of(h_NH)
        weights = logistic(scale.features(h_NH), jnp.asarray(train_LN.T), spec.inputs, PENALTY, ITERATIONS)
        said_NLV = logits(scale.features(states(spec, hp, state.params, held_out)), weights)
        return {"hits": jnp.mean(jnp.argmax(said_NLV, axis=2) == held_out_LN.T, axis=0, dtype=float)}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        accuracy_nL = by_lag(values["hits"])
        majority_n, guessed_nL = np.full(len(accuracy_nL), majority), np.tile(guessed_L, (len(accuracy_nL), 1))
        return {
            "memory_accuracy": accuracy_nL,
            "ngram_accuracy": guessed_nL,
            "majority": majority_n,
            "horizon": horizon(accuracy_nL, guessed_nL, majority_n),
            **bins("memory", accuracy_nL),
            **bins("ngram", guessed_nL),
        }

    return Probe(measure, summarise)


def symbol_windows(spec: Spec, task: Task, steps: int = STEPS) -> tuple[WindowData, WindowData]:
    """Windows [1, T, W] of the training and of the held-out text; what follows the warm-up is looked at.

    Args:
        steps: that are looked at in each window of the training text.
    """
    require_unidirectional(spec)
    if not task.vocabulary:
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected a text for a probe of what a state knows")
    train = spread_windows(task.make_sequence(task.train_N), WARM_UP + steps, TRAINING_WINDOWS)
    return train, spread_windows(task.make_sequence(task.validation_N), WARM_UP + STEPS, HELD_OUT_WINDOWS)


def states(spec: Spec, hp: HParams, params: Params, windows: WindowData) -> Array:
    """The last layer's h [N, H] at the steps of each window that are looked at."""
    model, inputs_TW = build_network(spec, hp), jnp.asarray(windows.inputs_WTB[0])
    start = model.carry(params, key_for(hp, "evaluation"), inputs_TW.shape[1])
    _, _, h_TWH = model.apply(params, start, inputs_TW)
    return h_TWH[WARM_UP:].reshape(-1, h_TWH.shape[-1])


def symbols_before(windows: WindowData) -> np.ndarray:
    """x_{t-d} of each lag at the steps that are looked at: [L, N]."""
    ids_TW = windows.inputs_WTB[0]
    return np.stack([ids_TW[WARM_UP - lag : len(ids_TW) - lag].ravel() for lag in LAGS])


def guess_accuracy(symbols_N: np.ndarray, held_out: WindowData) -> np.ndarray:
    """For each lag the share of the held-out steps at which x_{t-d} is its likeliest value given three symbols: [L]."""
    base, hits = int(symbols_N.max()) + 1, []
    contexts_N, asked_M = contexts(symbols_N, base), looked_at_contexts(held_out, base)
    for lag, said_M in zip(LAGS, symbols_before(held_out), strict=True):
        first = max(lag, CONTEXT - 1)  # the first step that has both
        known_N = contexts_N[first - CONTEXT + 1 :]
        hits.append(np.mean(guesses(known_N, symbols_N[first - lag : len(symbols_N) - lag], asked_M) == said_M))
    return np.array(hits, np.float32)


def contexts(ids_N: np.ndarray, base: int) -> np.ndarray:
    """x_{t-2}, x_{t-1}, x_t as one number, from the first step that has all three; along the first axis."""
    steps = len(ids_N) - CONTEXT + 1
    digits = (ids_N[place : place + steps].astype(np.int64) for place in range(CONTEXT))
    return reduce(lambda number, digit: number * base + digit, digits)


def looked_at_contexts(windows: WindowData, base: int) -> np.ndarray:
    """The contexts [N] of the steps that are looked at."""
    return contexts(windows.inputs_WTB[0], base)[WARM_UP - CONTEXT + 1 :].ravel()


def guesses(contexts_N: np.ndarray, targets_N: np.ndarray, asked_M: np.ndarray) -> np.ndarray:
    """The most frequent target after each context that is asked about, [M]; of all targets where it never occurred."""
    base = int(targets_N.max()) + 1
    pairs_K, counts_K = np.unique(contexts_N * base + targets_N, return_counts=True)
    order_K = np.lexsort((counts_K, pairs_K // base))  # the last of each context is its most frequent one
    known_K, targets_K = np.divmod(pairs_K[order_K], base)
    last_K = np.append(known_K[1:] != known_K[:-1], True)
    known_K, targets_K = known_K[last_K], targets_K[last_K]
    place_M = np.minimum(np.searchsorted(known_K, asked_M), len(known_K) - 1)
    return np.where(known_K[place_M] == asked_M, targets_K[place_M], np.bincount(targets_N).argmax())


def by_lag(values_L: np.ndarray) -> np.ndarray:
    """Values [..., L] at LAGS as [..., 51], NaN at the lags that were not measured."""
    spread = np.full((*values_L.shape[:-1], LAGS[-1] + 1), np.nan, np.float32)
    spread[..., list(LAGS)] = values_L
    return spread


def bins(name: str, values_nL: np.ndarray) -> dict[str, np.ndarray]:
    """The mean [n] over the measured lags of each bin."""
    return {f"{name}_{low}_{high}": np.nanmean(values_nL[:, low : high + 1], axis=1) for low, high in BINS}


def horizon(accuracy_nL: np.ndarray, ngram_nL: np.ndarray, majority_n: np.ndarray) -> np.ndarray:
    """The largest lag [n] up to which the accuracy is 5 points above the better one of majority and 3-gram.

    At every measured lag from 3 on; 2 where it is not so at lag 3. The 3-gram knows lags 1 and 2 for certain.

    Args: accuracy_nL, ngram_nL: [n, 51], NaN where not measured. majority_n: [n].
    """
    return last_above(accuracy_nL, np.fmax(ngram_nL, majority_n[:, None]))


def horizon_over_untrained(accuracy_nQL: np.ndarray, ngram_nQL: np.ndarray, majority_nQ: np.ndarray) -> np.ndarray:
    """`horizon` at the last point of training [n], where the untrained network's accuracy must be exceeded too.

    Args: the values over Q points of training, NaN where not looked; without a look at the untrained network it is NaN.
    """
    untrained_nL, accuracy_nL = accuracy_nQL[:, 0], accuracy_nQL[:, -1]
    floor_nL = np.fmax(np.fmax(ngram_nQL[:, -1], majority_nQ[:, -1, None]), untrained_nL)
    return np.where(np.isnan(untrained_nL).all(axis=1), np.nan, last_above(accuracy_nL, floor_nL))


def last_above(accuracy_nL: np.ndarray, floor_nL: np.ndarray) -> np.ndarray:
    """The largest measured lag [n] such that the accuracy exceeds the floor by MARGIN at each one from 3 up to it."""
    lags_K = np.flatnonzero(~np.isnan(accuracy_nL).all(axis=0))
    lags_K = lags_K[lags_K >= CONTEXT]
    count_n = np.cumprod(accuracy_nL[:, lags_K] >= floor_nL[:, lags_K] + MARGIN, axis=1).sum(axis=1)
    lasts = np.append(CONTEXT - 1, lags_K).astype(np.float32)
    return np.where(np.isnan(accuracy_nL).all(axis=1), np.nan, lasts[count_n]).astype(np.float32)

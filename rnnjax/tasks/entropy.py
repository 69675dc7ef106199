"""Exact reference losses of a sequence of ids: entropies of its n-grams and of its windows.

All are in nats per character. Those called in-sample are entropies of the counts of the text itself: no predictor with
the same context can have a lower mean loss on that text.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rnnjax.errors import BadInput
from rnnjax.types import WindowData


def reference_losses(ids_N: np.ndarray, vocabulary_size: int) -> dict[str, float]:
    """The reference losses of any text: chance, unigram, bigram and trigram. Raises BadInput under 3 characters."""
    return {
        "chance": chance_loss(vocabulary_size),
        "unigram": unigram_loss(ids_N),
        "bigram": ngram_loss(ids_N, 2),
        "trigram": ngram_loss(ids_N, 3),
    }


def chance_loss(vocabulary_size: int) -> float:
    """log V: the loss of the uniform prediction."""
    return math.log(vocabulary_size)


def unigram_loss(ids_N: np.ndarray) -> float:
    """H(x_i): the in-sample entropy of single characters."""
    return ngram_loss(ids_N, 1)


def ngram_loss(ids_N: np.ndarray, n: int) -> float:
    """H(x_i | x_{i-n+1} ... x_{i-1}): the in-sample entropy of a character given the n-1 before it.

    Raises:
        BadInput: the text has fewer than n characters.
    """
    grams = _grams(ids_N, n)
    return _conditional_entropy(_numbered(grams[:, :-1]), grams[:, -1])


def held_out_loss_bound(train_N: np.ndarray, validation_N: np.ndarray, n: int, vocabulary_size: int) -> float:
    """Mean loss on held-out text of the n-gram predictor with add-one smoothing.

    p(x | context) = (count of context and x + 1) / (count of context + V), counted in the training text; the first n-1
    held-out characters serve as context only.

    Raises:
        BadInput: one of the texts has fewer than n characters.
    """
    known = _grams(train_N, n)
    grams = np.concatenate([known, _grams(validation_N, n)])
    ngram_counts = _held_out_counts(_numbered(grams), len(known))
    context_counts = _held_out_counts(_numbered(grams[:, :-1]), len(known))
    return float(np.mean(np.log((context_counts + vocabulary_size) / (ngram_counts + 1))))


def window_floor(data: WindowData) -> float:
    """The exact floor, on this data, of any predictor whose state is reset at the start of each window.

    floor = 1/T sum_t H(target_t | inputs_0 ... inputs_t), the mean of `window_floors`.
    """
    return float(window_floors(data).mean())


def window_floors(data: WindowData) -> np.ndarray:
    """H(target_t | inputs_0 ... inputs_t) at each step t of a window [T], counted over all W*B windows.

    Windows with the same inputs so far cannot be distinguished: where their targets differ, the best prediction is the
    frequency of each.
    """
    steps = data.inputs_WTB.shape[1]
    inputs, targets = (np.moveaxis(ids_WTB, 1, 0).reshape(steps, -1) for ids_WTB in data[:2])
    prefixes, floors_T = np.zeros(inputs.shape[1], dtype=np.int64), np.zeros(steps)
    for step in range(steps):
        prefixes = _joined(prefixes, inputs[step])
        floors_T[step] = _conditional_entropy(prefixes, targets[step])
        if prefixes.max() + 1 == len(prefixes):  # all prefixes differ: the remaining floors are 0
            break
    return floors_T


def carried_floor(data: WindowData) -> float:
    """The floor of any predictor whose state is carried along a stream: that of one window as long as the stream."""
    return float(carried_floors(data).mean())


def carried_floors(data: WindowData) -> np.ndarray:
    """The same by the place in a window [T], means over the windows of a stream."""
    windows, steps, streams = data.inputs_WTB.shape
    stream = WindowData(*(ids_WTB.reshape(1, -1, streams) for ids_WTB in data[:2]))
    return window_floors(stream).reshape(windows, steps).mean(axis=0)


def _grams(ids_N: np.ndarray, n: int) -> np.ndarray:
    """All runs of n characters, one in a row: [N - n + 1, n]."""
    if len(ids_N) < n:
        raise BadInput(f"task: has {len(ids_N):,} characters; need >= {n} (to count runs of {n})")
    return sliding_window_view(ids_N, n)


def _numbered(rows: np.ndarray) -> np.ndarray:
    """For each row the number of its kind: equal rows, and only these, have equal numbers 0, 1, 2 ..."""
    numbers = np.zeros(len(rows), dtype=np.int64)
    for column in rows.T:
        numbers = _joined(numbers, column)
    return numbers


def _joined(numbers: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The numbers of the pairs; renumbered each time, because number * V + id would overflow after a few joins."""
    joined: np.ndarray = np.unique(numbers * (int(ids.max()) + 1) + ids, return_inverse=True)[1]
    return joined


def _conditional_entropy(contexts: np.ndarray, targets: np.ndarray) -> float:
    """H(target | context) = mean over the pairs of log(count of the context / count of the pair)."""
    pairs = _joined(contexts, targets)
    return float(np.mean(np.log(np.bincount(contexts)[contexts] / np.bincount(pairs)[pairs])))


def _held_out_counts(numbers: np.ndarray, known: int) -> np.ndarray:
    """How often each number after the first `known` ones occurs among these."""
    counts = np.bincount(numbers[:known], minlength=int(numbers.max()) + 1)
    return np.take(counts, numbers[known:])

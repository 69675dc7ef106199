"""A text as windows to train on, and what any predictor can reach on it: the exact levels of a sequence of ids.

All levels are in nats per character. Those called in-sample are entropies of the text's own counts: no predictor that
sees the same context can have a lower mean loss on that text, whatever it has learned.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rnnjax.errors import BadInput
from rnnjax.types import Data


def cut_windows(ids_N: np.ndarray, batch: int, window: int) -> Data:
    """Lay the text's N-1 (input, target) pairs out as B streams of W whole windows of T steps.

    Stream b starts at character b * L with L = (N-1) // B, and W = L // T: window w+1 of a stream goes on where window
    w ends, so a state can be carried from one to the next. The L - W*T pairs at the end of each stream are dropped.

    Args:
        ids_N: int32 ids of the text.
        batch: B, the number of parallel streams.
        window: T, the steps of one window.
    Raises:
        BadInput: the text is too short for one window in each stream.
    """
    length = (len(ids_N) - 1) // batch
    windows = length // window
    if windows < 1:
        raise BadInput(_too_short(len(ids_N), batch, window))
    starts_B = length * np.arange(batch)
    steps_WT1 = np.arange(windows * window).reshape(windows, window, 1)
    positions_WTB = starts_B + steps_WT1
    return Data(ids_N[positions_WTB], ids_N[positions_WTB + 1])


def _too_short(characters: int, batch: int, window: int) -> str:
    size = f"window {window}" if batch == 1 else f"batch {batch} x window {window}"
    return f"task: has {characters:,} characters; need >= {batch * window + 1:,} ({size} + 1)"


def levels(ids_N: np.ndarray, vocabulary_size: int) -> dict[str, float]:
    """The levels that every text has: chance, unigram, bigram and trigram. Raises BadInput under 3 characters."""
    return {
        "chance": chance(vocabulary_size),
        "unigram": unigram(ids_N),
        "bigram": ngram(ids_N, 2),
        "trigram": ngram(ids_N, 3),
    }


def chance(vocabulary_size: int) -> float:
    """log V: the loss of a predictor that holds every character for equally likely."""
    return math.log(vocabulary_size)


def unigram(ids_N: np.ndarray) -> float:
    """H(x_i): the in-sample entropy of single characters."""
    return ngram(ids_N, 1)


def ngram(ids_N: np.ndarray, n: int) -> float:
    """H(x_i | x_{i-n+1} ... x_{i-1}): the in-sample entropy of a character given the n-1 before it.

    Raises:
        BadInput: the text has fewer than n characters.
    """
    grams = _grams(ids_N, n)
    return _conditional_entropy(_numbered(grams[:, :-1]), grams[:, -1])


def held_out_level(train_N: np.ndarray, validation_N: np.ndarray, n: int, vocabulary_size: int) -> float:
    """Mean loss on held-out text of the n-gram predictor with add-one smoothing.

    p(x | context) = (count of context and x + 1) / (count of context + V), counted in the training text; the first n-1
    held-out characters serve as context only.

    Raises:
        BadInput: one of the texts has fewer than n characters.
    """
    known = _grams(train_N, n)
    grams = np.concatenate([known, _grams(validation_N, n)])
    with_target = _counts_of_rest(_numbered(grams), len(known))
    of_context = _counts_of_rest(_numbered(grams[:, :-1]), len(known))
    return float(np.mean(np.log((of_context + vocabulary_size) / (with_target + 1))))


def window_floor(data: Data) -> float:
    """The exact floor, on this data, of any predictor whose state is reset at the start of each window.

    floor = 1/T sum_t H(target_t | inputs_0 ... inputs_t), the entropies counted over all W*B windows: windows that
    begin alike cannot be told apart, so where their targets differ the best guess is how often each one follows.
    """
    steps = data.inputs_WTB.shape[1]
    inputs, targets = (np.moveaxis(ids_WTB, 1, 0).reshape(steps, -1) for ids_WTB in data)
    prefixes = np.zeros(inputs.shape[1], dtype=np.int64)
    total = 0.0
    for step in range(steps):
        prefixes = _joined(prefixes, inputs[step])
        total += _conditional_entropy(prefixes, targets[step])
        if prefixes.max() + 1 == len(prefixes):  # every window is known by its beginning: no loss is left
            break
    return float(total / steps)


def carried_floor(data: Data) -> float:
    """The floor of any predictor whose state is carried along a stream: that of one window as long as the stream."""
    streams = data.inputs_WTB.shape[-1]
    return window_floor(Data(*(ids_WTB.reshape(1, -1, streams) for ids_WTB in data)))


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


def _counts_of_rest(numbers: np.ndarray, known: int) -> np.ndarray:
    """How often each number after the first `known` ones occurs among these."""
    counts = np.bincount(numbers[:known], minlength=int(numbers.max()) + 1)
    return np.take(counts, numbers[known:])


def spread_windows(ids_N: np.ndarray, length: int, windows: int) -> np.ndarray:
    """Windows of a text at evenly spaced places, as columns [length, windows]; they overlap where the text is short.

    Raises:
        BadInput: the text is shorter than a window.
    """
    if len(ids_N) < length:
        raise BadInput(f"task: has {len(ids_N):,} characters; need >= {length} (to read windows of {length})")
    starts = np.linspace(0, len(ids_N) - length, windows).astype(int)
    return ids_N[starts[None, :] + np.arange(length)[:, None]]

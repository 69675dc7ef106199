"""n-gram predictors of any target given the last ids: interpolated Witten-Bell estimates, in nats.

p_n(x | c) = (count(c x) + T(c) p_{n-1}(x | c')) / (count(c) + T(c)), T(c) the number of different ids seen after c, and
c' the context c without its oldest id; p_0 is uniform.

Source: Witten and Bell 1991, IEEE Transactions on Information Theory 37:1085.
"""

import numpy as np

LONGEST_NGRAM = 6


def ngram_losses(train_N: np.ndarray, held_out_N: np.ndarray, symbols: int, longest: int) -> np.ndarray:
    """The mean loss [longest] on a held-out text of the n-grams of another text, n = 1 ... longest.

    All are means over the same held-out ids: those that have longest - 1 before them.

    Args: ids [N], each at least as long as the longest n-gram.
    """
    train, held_out = (context_pairs(ids_N, longest - 1) for ids_N in (train_N, held_out_N))
    return context_losses(*train, *held_out, symbols)


def context_pairs(ids_N: np.ndarray, context: int) -> tuple[np.ndarray, np.ndarray]:
    """Contexts [M, context], the most recent id first, and the ids [M] that follow them."""
    windows = np.lib.stride_tricks.sliding_window_view(ids_N, context + 1)
    return windows[:, -2::-1] if context else windows[:, :0], windows[:, -1]


def context_losses(
    contexts_MC: np.ndarray,
    targets_M: np.ndarray,
    held_out_KC: np.ndarray,
    held_out_targets_K: np.ndarray,
    symbols: int,
) -> np.ndarray:
    """The mean loss [C + 1] of the held-out targets under estimates with 0 ... C ids of context.

    Args: contexts, the most recent id first, and what follows them: to count, and held out. symbols: different targets.
    """
    counted = len(targets_M)
    contexts = np.concatenate([contexts_MC, held_out_KC])
    targets = np.concatenate([targets_M, held_out_targets_K]).astype(np.int64)
    p_K = np.full(len(held_out_targets_K), 1 / symbols)
    codes, losses = np.zeros(len(contexts), np.int64), []
    for length in range(contexts.shape[1] + 1):
        if length:
            codes = number_pairs(codes, contexts[:, length - 1])
        p_K = interpolate(codes, number_pairs(codes, targets), counted, p_K)
        losses.append(-np.mean(np.log(p_K)))
    return np.array(losses)


def number_pairs(codes: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Numbers from 0, equal where both are equal."""
    return np.unique(codes * (int(ids.max(initial=0)) + 1) + ids, return_inverse=True)[1].reshape(-1)


def interpolate(contexts: np.ndarray, pairs: np.ndarray, counted: int, shorter_K: np.ndarray) -> np.ndarray:
    """p [K] of the last K pairs under the counts of the first. Args: shorter_K: p with a shorter context."""
    pair_counts = np.bincount(pairs[:counted], minlength=pairs.max() + 1)
    context_counts = np.bincount(contexts[:counted], minlength=contexts.max() + 1)
    first = np.unique(pairs[:counted], return_index=True)[1]
    kinds = np.bincount(contexts[first], minlength=contexts.max() + 1)
    context_K, pair_K = contexts[counted:], pairs[counted:]
    total_K = context_counts[context_K] + kinds[context_K]
    known_K = total_K > 0
    estimate_K = (pair_counts[pair_K] + kinds[context_K] * shorter_K) / np.maximum(total_K, 1)
    return np.where(known_K, estimate_K, shorter_K)

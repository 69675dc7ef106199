"""Words as vectors: mean states at the letters of a word, similarities, and analyses of variance.

NumPy on the host except `mean_states`. Axes of their own: W words, C categories, S strings, D features.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

WARM_UP = 25  # steps of a stream before its words count, so that states do not depend on the initial state
RIDGE = 0.1  # of a linear probe, relative to the mean variance of its features


def streams(values_N: np.ndarray, count: int) -> np.ndarray:
    """A sequence cut into B = count equal pieces that are read in parallel: [T, B]; the rest is dropped."""
    steps = len(values_N) // count
    return values_N[: steps * count].reshape(count, steps).T


def word_labels(text: str, words: dict[str, int], split_word: int = -1) -> dict[str, np.ndarray]:
    """The index of the word that each character of a text represents, -1 = none; int32 [N] by definition.

    last      a word's last letter
    letters   all its letters
    space     the space after it
    halves    the last letter of every other occurrence of the word `split_word`: 0, 1, 0, 1 ...
    """
    labels = {name: np.full(len(text), -1, np.int32) for name in ("last", "letters", "space", "halves")}
    count = 0
    for found in re.finditer(r"[^ ]+(?= )", text):  # a word cut by the end of the text does not count
        word = words.get(found.group(), -1)
        labels["last"][found.end() - 1] = labels["space"][found.end()] = word
        labels["letters"][found.start() : found.end()] = word
        if word == split_word != -1:
            labels["halves"][found.end() - 1] = count % 2
            count += 1
    return labels


def mean_states(h_NH: Array, labels_N: Array, count: int) -> Array:
    """The mean state of each label 0..count-1, [count, H]; a label that does not occur has 0, and -1 is not counted."""
    members_NW = jax.nn.one_hot(labels_N, count, dtype=h_NH.dtype)
    return (members_NW.T @ h_NH) / jnp.maximum(jnp.sum(members_NW, axis=0), 1)[:, None]


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine of each row [..., W, H] with each row [..., V, H]: [..., W, V]; NaN for a vector of length 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        first, second = (rows / np.linalg.norm(rows, axis=-1, keepdims=True) for rows in (first, second))
    return first @ np.swapaxes(second, -1, -2)


def neighbours(vectors_SH: np.ndarray, known_WH: np.ndarray, count: int) -> np.ndarray:
    """The words [S, count] whose vectors have the highest cosine with each of S vectors, nearest first."""
    return np.argsort(-cosines(vectors_SH, known_WH), axis=1, kind="stable")[:, :count]


def two_way_anova_shares(vectors_SWH: np.ndarray) -> dict[str, float]:
    """Shares of the variance of vectors v_sw due to the string s, to the replaced word w, and to their interaction.

    v_sw = mean + a_s + b_w + rest; share = sum |a_s|^2 / sum |v_sw - mean|^2, and likewise for b_w and the rest.
    The three shares add up to 1; NaN where all vectors are equal.
    Source: two-way analysis of variance with one observation per cell, summed over the H components.
    """
    centred_SWH = vectors_SWH - vectors_SWH.mean(axis=(0, 1))
    total = np.sum(centred_SWH**2)
    if not total > 0:
        return dict.fromkeys(("string_share", "word_share", "interaction_share"), np.nan)
    strings, words = vectors_SWH.shape[:2]
    string_share = words * np.sum(centred_SWH.mean(axis=1) ** 2) / total
    word_share = strings * np.sum(centred_SWH.mean(axis=0) ** 2) / total
    return {"string_share": string_share, "word_share": word_share, "interaction_share": 1 - string_share - word_share}


def silhouette(distances_WW: np.ndarray, categories_W: np.ndarray) -> float:
    """Mean over words of (b - a) / max(a, b).

    a is a word's mean distance from the others of its category, b that from the nearest other category; a word alone in
    its category counts 0. Source: Rousseeuw 1987, J. Comput. Appl. Math. 20:53.
    """
    same_WW = categories_W[:, None] == categories_W
    other_members_W = same_WW.sum(axis=1) - 1
    inside_W = (distances_WW * same_WW).sum(axis=1) / np.maximum(other_members_W, 1)
    kinds = np.unique(categories_W)
    to_kind_WC = np.stack([distances_WW[:, categories_W == kind].mean(axis=1) for kind in kinds], axis=1)
    outside_W = np.where(categories_W[:, None] == kinds, np.inf, to_kind_WC).min(axis=1)
    scores_W = (outside_W - inside_W) / np.maximum(np.maximum(inside_W, outside_W), np.finfo(float).tiny)
    return float(np.mean(np.where(other_members_W > 0, scores_W, 0.0)))


def variance_ratio(vectors_WH: np.ndarray, categories_W: np.ndarray) -> float:
    """Variance between categories over that within: sum |category mean - mean|^2 / sum |v - category mean|^2."""
    kinds, index_W = np.unique(categories_W, return_inverse=True)
    means_CH = np.stack([vectors_WH[categories_W == kind].mean(axis=0) for kind in kinds])
    within = np.sum((vectors_WH - means_CH[index_W]) ** 2)
    between = np.sum((means_CH[index_W] - vectors_WH.mean(axis=0)) ** 2)
    return float(between / within) if within > 0 else np.nan


def resemblance(similarities_WW: np.ndarray, categories_W: np.ndarray) -> float:
    """Correlation over pairs of words of their similarity with being of one category (1 or 0).

    Source: Kriegeskorte et al. 2008, Front. Syst. Neurosci. 2:4 (representational similarity analysis).
    """
    upper = np.triu_indices(len(categories_W), 1)
    pairs, same = similarities_WW[upper], (categories_W[:, None] == categories_W)[upper]
    return float(np.corrcoef(pairs, same)[0, 1]) if np.ptp(pairs) > 0 else np.nan


def leave_word_out_accuracy(features_ND: np.ndarray, words_N: np.ndarray, categories_W: np.ndarray) -> np.ndarray:
    """Accuracy of a linear probe for the category of a word that it was not fitted on, leaving out each word in turn.

    For each word in turn, ridge regression of the category's indicator on the states of all OTHER words, every word
    with the same weight however often it occurs; then the share of the word's own states whose category has the highest
    value.

    Args:
        features_ND: states. words_N: the word of each state. categories_W: the category 0..C-1 of each word.
    Returns: a share for each word [W]; NaN for those that do not occur.
    """
    counts_W = np.bincount(words_N, minlength=len(categories_W))
    present = np.flatnonzero(counts_W)
    scale = np.std(features_ND) or 1.0
    rows_ND = np.column_stack([(features_ND - features_ND.mean(axis=0)) / scale, np.ones(len(features_ND))])
    own = {word: rows_ND[words_N == word] for word in present}
    gram_WDD = np.stack([rows.T @ rows / len(rows) for rows in own.values()])
    target_WDC = np.zeros((len(present), rows_ND.shape[1], categories_W.max() + 1))
    for index, word in enumerate(present):
        target_WDC[index, :, categories_W[word]] = own[word].mean(axis=0)
    others_WDD = gram_WDD.sum(axis=0) - gram_WDD + len(present) * RIDGE * np.diag(penalty_weights(rows_ND.shape[1]))
    weights_WDC = np.linalg.solve(others_WDD, target_WDC.sum(axis=0) - target_WDC)
    shares_W = np.full(len(categories_W), np.nan)
    for index, word in enumerate(present):
        predictions = np.argmax(own[word] @ weights_WDC[index], axis=1)
        shares_W[word] = np.mean(predictions == categories_W[word])
    return shares_W


def penalty_weights(features: int) -> np.ndarray:
    """1 for each feature and 1e-6 for the constant at the end, whose weight is hardly penalised."""
    return np.append(np.ones(features - 1), 1e-6)


def principal_plane(known_WH: np.ndarray, others_SH: np.ndarray) -> np.ndarray:
    """The first two principal components of W vectors, and S others in the same plane: [W + S, 2].

    A component's sign is chosen so that its largest value among the W is positive.
    """
    centre = known_WH.mean(axis=0)
    _, _, axes = np.linalg.svd(known_WH - centre, full_matrices=False)
    plane_W2 = (np.concatenate([known_WH, others_SH]) - centre) @ axes[:2].T
    largest = np.abs(plane_W2[: len(known_WH)]).argmax(axis=0)
    return plane_W2 * np.where(plane_W2[largest, [0, 1]] < 0, -1, 1)

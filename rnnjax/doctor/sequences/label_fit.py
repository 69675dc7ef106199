"""Whether labels fit their sequences better than the same labels in another order: exact permutation tests.

Predictions are made for sequences that the predictor was not fitted on. Under the null hypothesis the targets of these
sequences are exchangeable, so the score of the true order is one of the scores of random orders.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rnnjax.doctor.batch import is_ids
from rnnjax.doctor.sequences.data import SequenceData, one_target, spread_out, target_rows
from rnnjax.doctor.sequences.features import sequence_features, step_features
from rnnjax.types import SequenceSet

MIN_SEQUENCES = 30  # with fewer a test has no power
MOST_SEQUENCES = 600  # of a test, evenly spaced in the file
MOST_STEPS = 40_000
FOLDS, ORDERS = 5, 499
SIGNIFICANT = 0.03  # a smaller probability of a fit by chance
RIDGES = (0.03, 1.0)  # penalties, of the mean diagonal element of the kernel; the mean of both is the prediction


class LabelFit(NamedTuple):
    """The smallest p-value of some tests, times their number, and the share of the loss that the best one saves."""

    probability: float
    saved: float  # of the squared error of the mean; 0 where no test is significant


class NetworkPredictions(NamedTuple):
    """Predictions of n networks for held-out sequences."""

    sequences: SequenceSet
    outputs_nRO: np.ndarray  # at each of their steps


def order_probability(scores_NN: np.ndarray, fold_N: np.ndarray, seed: int = 0) -> float:
    """The share of random orders within folds whose total score is at least that of the true one.

    Args: scores_NN: [i, j] of the prediction for sequence i and the target of sequence j.
    """
    rng, total = np.random.default_rng(seed), np.trace(scores_NN)
    groups = [np.flatnonzero(fold_N == fold) for fold in np.unique(fold_N)]
    reached = 0
    for _ in range(ORDERS):
        reached += sum(scores_NN[own, rng.permutation(own)].sum() for own in groups) >= total - 1e-9 * abs(total)
    return (1 + reached) / (1 + ORDERS)


def label_fit(data: SequenceData, predicted: NetworkPredictions | None) -> LabelFit | None:
    """The fit of the labels, values or tags of sequences; None with too few sequences, or of next inputs."""
    if data.predict == "next":
        return None
    known = spread_out(data.train, MOST_SEQUENCES)
    if known.size < MIN_SEQUENCES:
        return None
    tests = tag_tests(known) if data.predict == "tags" else [label_test(known, kernel) for kernel in ("line", "curve")]
    network = None if predicted is None else network_test(predicted, data.predict)
    tests += [] if network is None else [network]
    least = min(probability for probability, _ in tests)
    significant = [saved for probability, saved in tests if probability * len(tests) <= SIGNIFICANT]
    return LabelFit(min(1.0, least * len(tests)), max(0.0, *significant, 0.0))


def code_targets(targets_N: np.ndarray) -> np.ndarray:
    """Ids as one column for each; numbers with mean 0 and deviation 1 [N, C]."""
    if is_ids(targets_N):
        return np.asarray(targets_N[:, None] == np.unique(targets_N), float)
    columns = targets_N.reshape(len(targets_N), -1).astype(float)
    return (columns - columns.mean(axis=0)) / np.maximum(columns.std(axis=0), 1e-12)


def random_folds(count: int) -> np.ndarray:
    """The fold of each of some sequences, at random [N]."""
    return np.random.default_rng(1).permutation(count) % FOLDS


def label_test(sequences: SequenceSet, kernel: str) -> tuple[float, float]:
    """The p-value of a kernel regression on features of sequences, and the share of the squared error that it saves.

    The regression of each fold on the others is a matrix times the targets: it is made again for each random order.
    """
    features_NF, targets_NC = sequence_features(sequences), code_targets(one_target(sequences))
    gram_NN = linear_gram(features_NF) if kernel == "line" else smooth_gram(features_NF)
    fold_N, rng = random_folds(sequences.size), np.random.default_rng(0)
    smoother_NN = np.mean([smoother(gram_NN, fold_N, ridge) for ridge in RIDGES], axis=0)

    def squared_error(targets_NC: np.ndarray) -> float:
        return float(np.sum((smoother_NN @ targets_NC - targets_NC) ** 2))

    error, mean = squared_error(targets_NC), targets_NC - targets_NC.mean(axis=0)
    reached = sum(squared_error(targets_NC[rng.permutation(len(targets_NC))]) <= error + 1e-9 for _ in range(ORDERS))
    return (1 + reached) / (1 + ORDERS), float(1 - error / max(np.sum(mean**2), 1e-12))


def linear_gram(features_NF: np.ndarray) -> np.ndarray:
    """Inner products of the features, divided by their number [N, N]."""
    return features_NF @ features_NF.T / max(features_NF.shape[1], 1)


def smooth_gram(features_NF: np.ndarray) -> np.ndarray:
    """exp(-d^2 / median of d^2) of the distances d of the features [N, N]."""
    squares_N = np.sum(features_NF**2, axis=1)
    apart_NN = np.maximum(squares_N[:, None] + squares_N[None] - 2 * features_NF @ features_NF.T, 0)
    return np.exp(-apart_NN / max(float(np.median(apart_NN)), 1e-12))


def smoother(gram_NN: np.ndarray, fold_N: np.ndarray, ridge: float) -> np.ndarray:
    """The matrix [N, N] that predicts the targets of each fold from those of the others, by kernel ridge regression."""
    matrix_NN = np.zeros_like(gram_NN)
    for fold in np.unique(fold_N):
        own, other = np.flatnonzero(fold_N == fold), np.flatnonzero(fold_N != fold)
        inner = gram_NN[np.ix_(other, other)]
        penalty = ridge * float(np.mean(np.diag(inner))) + 1e-9
        weights = np.linalg.solve(inner + penalty * np.eye(len(inner)), gram_NN[np.ix_(other, own)]).T
        centred = weights - weights.mean(axis=1, keepdims=True)
        matrix_NN[np.ix_(own, other)] = centred + 1 / len(other)
    return matrix_NN


def tag_tests(sequences: SequenceSet) -> list[tuple[float, float]]:
    """The p-value of a linear regression of each step's tag on the inputs around it."""
    sequences = spread_out(sequences, max(MIN_SEQUENCES, int(MOST_STEPS / max(sequences.lengths.mean(), 1))))
    features_RF, targets_RC = step_features(sequences), code_targets(sequences.targets_R)
    fold_N, number_R = random_folds(sequences.size), np.repeat(np.arange(sequences.size), sequences.lengths)
    predicted_RC, counted_R = np.zeros_like(targets_RC), sequences.loss_mask_R > 0
    for fold in range(FOLDS):
        own, other = fold_N[number_R] == fold, (fold_N[number_R] != fold) & counted_R
        x, mean_C = features_RF[other], targets_RC[other].mean(axis=0)
        weights = np.linalg.solve(x.T @ x + 1e-2 * len(x) * np.eye(x.shape[1]), x.T @ (targets_RC[other] - mean_C))
        predicted_RC[own] = features_RF[own] @ weights + mean_C
    total = np.sum((targets_RC - targets_RC[counted_R].mean(axis=0))[counted_R] ** 2)
    saved = 1 - float(np.sum((predicted_RC - targets_RC)[counted_R] ** 2) / max(total, 1e-12))
    scores_NN = pair_scores(sequences, predicted_RC, targets_RC)
    return [(order_probability(scores_NN, fold_N), saved)]


def pair_scores(sequences: SequenceSet, predicted_RC: np.ndarray, targets_RC: np.ndarray) -> np.ndarray:
    """[i, j]: the mean over the common steps of prediction i times target j, each about its mean, where both count."""
    counted_R = sequences.loss_mask_R > 0
    offsets_N, longest = sequences.offsets_N, int(sequences.lengths.max())
    padded = [np.zeros((sequences.size, longest, targets_RC.shape[1])) for _ in range(2)]
    counted_NT = np.zeros((sequences.size, longest))
    for n, (a, b) in enumerate(pairwise(offsets_N.tolist())):
        for each, values_RC in zip(padded, (predicted_RC, targets_RC), strict=True):
            centred = values_RC[a:b] - values_RC[counted_R].mean(axis=0)
            each[n, : b - a] = centred * counted_R[a:b, None]
        counted_NT[n, : b - a] = counted_R[a:b]
    predicted, true = (each.reshape(sequences.size, -1) for each in padded)
    return np.asarray(predicted @ true.T / np.maximum(counted_NT @ counted_NT.T, 1))


def network_test(predicted: NetworkPredictions, predict: str) -> tuple[float, float] | None:
    """The p-value of the mean prediction of some networks for held-out sequences; None with too few of them."""
    held_out = predicted.sequences
    if held_out.size < MIN_SEQUENCES // 2 or not len(predicted.outputs_nRO):
        return None
    predicted_RO = mean_prediction(predicted.outputs_nRO, held_out)
    targets_RO = one_hot_targets(held_out, predicted_RO.shape[1])
    whole = np.zeros(held_out.size, int)
    if predict == "tags":
        return order_probability(pair_scores(held_out, predicted_RO, targets_RO), whole), 0.0
    last = target_rows(held_out)
    predicted_NO, targets_NO = predicted_RO[last], targets_RO[last]
    predicted_NO, targets_NO = (each - each.mean(axis=0) for each in (predicted_NO, targets_NO))
    return order_probability(predicted_NO @ targets_NO.T, whole), 0.0


def mean_prediction(outputs_nRO: np.ndarray, sequences: SequenceSet) -> np.ndarray:
    """Probabilities of classes, or predicted numbers, of all networks together [R, O]."""
    if not is_ids(sequences.targets_R):
        return np.asarray(outputs_nRO.mean(axis=0))
    shifted = np.exp(outputs_nRO - outputs_nRO.max(axis=-1, keepdims=True))
    return np.asarray((shifted / shifted.sum(axis=-1, keepdims=True)).mean(axis=0))


def one_hot_targets(sequences: SequenceSet, width: int) -> np.ndarray:
    """Targets as the outputs predict them [R, O]."""
    if is_ids(sequences.targets_R):
        return np.eye(width)[sequences.targets_R]
    return sequences.targets_R.reshape(len(sequences.targets_R), -1).astype(float)

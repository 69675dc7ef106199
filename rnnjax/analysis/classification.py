"""Measures of predicted classes: shares of right ones, probabilities, and class shares as a level. Loads no JAX."""

import numpy as np

BINS = 10  # of the calibration error


def log_shares(outputs_RC: np.ndarray) -> np.ndarray:
    """log softmax over the last axis."""
    shifted = outputs_RC - outputs_RC.max(axis=-1, keepdims=True)
    found: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found


def confusion(truth_R: np.ndarray, predicted_R: np.ndarray, classes: int) -> np.ndarray:
    """How often class i was taken for class j [C, C]."""
    return np.bincount(truth_R * classes + predicted_R, minlength=classes**2).reshape(classes, classes)


def recalls(confusion_CC: np.ndarray) -> np.ndarray:
    """The share of each class that is found [C]; NaN of a class that does not occur."""
    count_C = confusion_CC.sum(axis=1)
    return np.where(count_C > 0, np.diag(confusion_CC) / np.maximum(count_C, 1), np.nan)


def macro_f1(confusion_CC: np.ndarray) -> float:
    """The mean over the classes that occur of F1 = 2 hits / (2 hits + misses + false alarms)."""
    hits_C = np.diag(confusion_CC)
    involved_C = confusion_CC.sum(axis=0) + confusion_CC.sum(axis=1)
    occurs_C = confusion_CC.sum(axis=1) > 0
    return float(np.mean((2 * hits_C / np.maximum(involved_C, 1))[occurs_C]))


def calibration_error(probability_R: np.ndarray, right_R: np.ndarray) -> float:
    """Mean over the predictions of |mean probability - share of right ones| of their bin, of 10 equal bins of [0, 1].

    Source: Naeini et al. 2015, AAAI, expected calibration error; Guo et al. 2017, arXiv:1706.04599.
    """
    bin_R = np.minimum((probability_R * BINS).astype(int), BINS - 1)
    gaps = [abs(float(np.sum(probability_R[bin_R == b] - right_R[bin_R == b]))) for b in range(BINS)]
    return sum(gaps) / len(probability_R)


def class_values(outputs_RC: np.ndarray, truth_R: np.ndarray) -> dict[str, float]:
    """The metrics of one network. Args: outputs_RC: logits."""
    log_share_RC = log_shares(outputs_RC)
    predicted_R = outputs_RC.argmax(axis=1)
    table = confusion(truth_R, predicted_R, outputs_RC.shape[1])
    right_R = (predicted_R == truth_R).astype(float)
    return {
        "accuracy": float(right_R.mean()),
        "balanced_accuracy": float(np.nanmean(recalls(table))),
        "macro_f1": macro_f1(table),
        "log_loss": float(-np.mean(log_share_RC[np.arange(len(truth_R)), truth_R])),
        "calibration_error": calibration_error(np.exp(log_share_RC.max(axis=1)), right_R),
    }


def prior_values(prior_C: np.ndarray, truth_R: np.ndarray) -> dict[str, float]:
    """The same of the class shares of the training part, whatever is read: the most frequent class is predicted."""
    return class_values(np.log(np.tile(prior_C, (len(truth_R), 1))), truth_R)

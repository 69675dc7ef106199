"""Metrics of predicted classes and values against loops and closed forms."""

import numpy as np
import pytest

from rnnjax.analysis.classification import calibration_error, class_values, confusion, macro_f1, prior_values, recalls
from rnnjax.analysis.predictions import Predictions, prediction_metric_info, prediction_metrics

TRUTH = np.array([0, 0, 0, 1, 1, 2])
SAID = np.array([0, 0, 1, 1, 2, 2])
LOGITS = np.log(np.eye(3)[SAID] * 0.7 + 0.1)  # 0.8 for what is said, 0.1 for the others


def test_confusion_counts_pairs() -> None:
    expected = np.zeros((3, 3), int)
    for truth, said in zip(TRUTH, SAID, strict=True):
        expected[truth, said] += 1
    np.testing.assert_array_equal(confusion(TRUTH, SAID, 3), expected)


def test_class_metrics_are_those_of_their_definitions() -> None:
    values = class_values(LOGITS, TRUTH)
    assert values["accuracy"] == pytest.approx(4 / 6)
    assert values["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert values["log_loss"] == pytest.approx(-(4 * np.log(0.8) + 2 * np.log(0.1)) / 6)
    assert values["calibration_error"] == pytest.approx(abs(0.8 - 4 / 6))
    f1 = []
    for c in range(3):
        occurs, is_said = np.equal(TRUTH, c), np.equal(SAID, c)
        precision, recall = (np.sum(occurs & is_said) / np.sum(one) for one in (is_said, occurs))
        f1.append(2 * precision * recall / (precision + recall))
    assert values["macro_f1"] == pytest.approx(np.mean(f1)) == macro_f1(confusion(TRUTH, SAID, 3))


def test_a_class_that_does_not_occur_counts_in_no_mean() -> None:
    table = confusion(np.array([0, 0]), np.array([0, 1]), 3)
    np.testing.assert_array_equal(recalls(table), [0.5, np.nan, np.nan])
    assert macro_f1(table) == pytest.approx(2 / 3)


def test_calibration_error_is_weighted_by_the_sizes_of_the_bins() -> None:
    probability = np.array([0.55, 0.55, 0.95, 1.0])
    right = np.array([1.0, 0.0, 1.0, 1.0])
    assert calibration_error(probability, right) == pytest.approx((2 * 0.05 + 2 * 0.025) / 4)


def test_class_shares_predict_the_most_frequent_class() -> None:
    values = prior_values(np.array([0.5, 0.3, 0.2]), TRUTH)
    assert values["accuracy"] == 0.5 and values["balanced_accuracy"] == pytest.approx(1 / 3)
    assert values["log_loss"] == pytest.approx(-(3 * np.log(0.5) + 2 * np.log(0.3) + np.log(0.2)) / 6)


def test_every_metric_is_described_and_a_diverged_run_has_none() -> None:
    outputs = np.stack([LOGITS, np.full_like(LOGITS, np.nan)])
    lengths, names = np.arange(6) + 1, tuple("abcdef")
    known = Predictions(
        "label", names, lengths, np.arange(6), TRUTH, outputs, ("x", "y", "z"), np.array([0.5, 0.3, 0.2])
    )
    found = prediction_metrics(known)
    assert found.keys() == prediction_metric_info("label", ("x", "y", "z"), ()).keys()
    assert found["over_majority"][0] == pytest.approx(4 / 6 - 0.5) and found["recall[y]"][0] == 0.5
    assert all(np.isnan(values[1]) for values in found.values())


def test_value_metrics_are_those_of_their_definitions() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    levels = {"mean": np.full((20, 2), 0.3), "last": rng.normal(size=(20, 2))}
    scale = np.array([2.0, 0.5])
    known = Predictions(
        "next",
        tuple("a" * 20),
        np.ones(20),
        np.arange(20),
        truth,
        said[None],
        (),
        np.zeros(0),
        ("u", "v"),
        levels,
        scale,
    )
    found = prediction_metrics(known)
    assert found.keys() == prediction_metric_info("next", (), ("u", "v")).keys()
    squares = ((said - truth) ** 2).mean(axis=0)
    assert found["r2"][0] == pytest.approx(np.mean(1 - squares / truth.var(axis=0)))
    for level, other in levels.items():
        assert found[f"skill_{level}"][0] == pytest.approx(
            np.mean(1 - np.sqrt(squares / ((other - truth) ** 2).mean(axis=0)))
        )
    mae = np.abs(said - truth).mean(axis=0)
    assert found["mase"][0] == pytest.approx(np.mean(mae / scale))
    assert found["rmse[v]"][0] == pytest.approx(np.sqrt(squares[1])) and found["mae[u]"][0] == pytest.approx(mae[0])

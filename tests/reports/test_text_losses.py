"""Held-out losses of a text beside n-grams: table and sentence."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnnjax.analysis.results import ArmResult, DataSummary
from rnnjax.analysis.statistics import Interval
from rnnjax.reports.text_losses import text_sentences, text_tables

NGRAMS = (2.0, 1.5, 1.2, 1.1)


def results_with(losses: dict[str, list[float]], ngrams: tuple[float, ...] = NGRAMS, token: str = "word") -> Any:
    """Arms with a held-out loss of each seed, on one text of 0.25 tokens a character."""
    data = DataSummary(90, 10, ("a", " b"), "cross_entropy", {}, (), token, 0.25, ngrams)
    nothing = np.array([])
    arms = [
        ArmResult(
            name, {}, np.arange(len(each)), nothing, {}, nothing, {}, nothing, {"validation_loss": np.array(each)}
        )
        for name, each in losses.items()
    ]
    return SimpleNamespace(arms=arms, data_by_arm=dict.fromkeys(losses, data))


def test_the_table_has_networks_and_ngrams_by_their_loss() -> None:
    [table] = text_tables(results_with({"gru": [1.3, 1.3], "elman": [1.6, 1.8]}))
    assert [row[0] for row in table.rows] == ["4-gram", "3-gram", "gru", "2-gram", "elman", "1-gram"]
    assert list(table.columns) == ["predictor", "nats per word", "bits per character", "perplexity per word"]
    assert table.rows[1][1:] == pytest.approx([1.2, 1.2 * 0.25 / math.log(2), math.exp(1.2)])
    elman = table.rows[4][1]
    assert isinstance(elman, Interval) and elman.estimate == pytest.approx(1.7) and elman.n == 2


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (
            [1.30, 1.31, 1.29],
            "better than n-grams with n = 1 to 2, worse than the best of the others, the 4-gram (1.1).",
        ),
        ([1.05, 1.06, 1.04], "better than n-grams with n = 1 to 4."),
        (
            [1.0, 1.2, 1.1],
            "better than n-grams with n = 1 to 2, not told apart from the best of the others, the 4-gram",
        ),
        ([2.5], "worse than the best of the others, the 4-gram (1.1)."),
        ([1.7], "better than the 1-gram, worse than the best of the others, the 4-gram (1.1)."),
    ],
)
def test_the_sentence_says_which_ngrams_are_beaten(losses: list[float], expected: str) -> None:
    [sentence] = text_sentences(results_with({"worse": [9.0] * len(losses), "gru": losses}))
    assert sentence.startswith("Held-out loss of gru: ") and expected in sentence
    assert f"({np.mean(losses) * 0.25 / math.log(2):.3g} bits per character)" in sentence


def test_without_ngrams_nothing_is_said() -> None:
    assert text_tables(results_with({"gru": [1.0]}, ())) == text_sentences(results_with({"gru": [1.0]}, ())) == []
    assert text_tables(results_with({"gru": [math.nan, 1.0]})) == []

"""Witten-Bell estimates against an implementation with dictionaries."""

from collections import defaultdict

import numpy as np
import pytest

from rnnjax.tasks.ngrams import context_losses, context_pairs, interpolate, ngram_losses, number_pairs

SYMBOLS = 5


def random_ids(seed: int, length: int, symbols: int = SYMBOLS) -> np.ndarray:
    """Skewed frequencies, so that some contexts are frequent and some absent."""
    share = 0.5 ** np.arange(symbols)
    return np.random.default_rng(seed).choice(symbols, length, p=share / share.sum())


def counted_probability(train: list[int], context: tuple[int, ...], symbol: int, symbols: int) -> float:
    """p(symbol | context), context in the order of the text, from counts of the whole text `train`."""
    followers: dict[tuple[int, ...], list[int]] = defaultdict(list)
    longest = len(context)
    for at in range(longest, len(train)):
        for length in range(longest + 1):
            followers[tuple(train[at - length : at])].append(train[at])
    p = 1 / symbols
    for length in range(longest + 1):
        seen = followers[context[longest - length :]]
        kinds = len(set(seen))
        if seen:
            p = (seen.count(symbol) + kinds * p) / (len(seen) + kinds)
    return p


@pytest.mark.parametrize("longest", [1, 2, 4])
def test_losses_are_those_of_counting(longest: int) -> None:
    train, held_out = random_ids(0, 120), random_ids(1, 40)
    expected = []
    for n in range(1, longest + 1):
        # every estimate counts the same ids: those with `longest - 1` before them
        counted, symbols = train.tolist()[longest - n :], SYMBOLS
        windows = [tuple(held_out[at - n + 1 : at + 1].tolist()) for at in range(longest - 1, len(held_out))]
        expected.append(-np.mean([np.log(counted_probability(counted, w[:-1], w[-1], symbols)) for w in windows]))
    np.testing.assert_allclose(ngram_losses(train, held_out, SYMBOLS, longest), expected, rtol=1e-12)


@pytest.mark.parametrize("context", [(), (0,), (1, 0), (0, 0, 2), (4, 4, 4), (4, 3, 0)])
def test_probabilities_sum_to_1(context: tuple[int, ...]) -> None:
    """After frequent and after unknown contexts, most recent id first."""
    contexts, targets = context_pairs(random_ids(2, 150), len(context))
    asked = np.tile(np.array(context, int), (SYMBOLS, 1))
    p = [np.exp(-context_losses(contexts, targets, asked[x : x + 1], np.array([x]), SYMBOLS)) for x in range(SYMBOLS)]
    np.testing.assert_allclose(np.sum(p, axis=0), np.ones(len(context) + 1), rtol=1e-12)


def test_a_context_that_was_never_counted_keeps_the_shorter_estimate() -> None:
    contexts, pairs = np.array([0, 0, 1, 7]), np.array([0, 1, 2, 3])
    np.testing.assert_array_equal(interpolate(contexts, pairs, 3, np.array([0.25])), [0.25])


def test_deterministic_text_costs_less_with_more_context() -> None:
    cycle = np.tile([0, 1, 0, 2], 100)
    unigram, bigram, trigram = ngram_losses(cycle, cycle[:200], 3, 3)
    assert unigram == pytest.approx(1.5 * np.log(2), abs=0.01)
    assert bigram == pytest.approx(0.5 * np.log(2), abs=0.02) and trigram < 0.02


def test_pairs_have_equal_numbers_only_where_both_are_equal() -> None:
    codes, ids = np.array([0, 0, 1, 1, 0]), np.array([0, 3, 0, 3, 3])
    assert number_pairs(codes, ids).tolist() == [0, 1, 2, 3, 1]

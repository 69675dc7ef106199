"""Texts judged through tables against the functions of the grammar that read strings."""

import numpy as np
import pytest

from rnnjax.settings.vocabulary import text_to_ids
from rnnjax.tasks.automaton import ACCEPT, REJECT, START, build_language, judge_texts
from rnnjax.tasks.grammar import (
    Grammar,
    entropy_rate,
    generate_text,
    grammar_vocabulary,
    sentence_prefixes,
    total_surprisal,
)
from rnnjax.tasks.grammar_measures import valid_sentence_share, valid_word_share

GRAMMAR = Grammar()
LETTERS = grammar_vocabulary(GRAMMAR)
KNOWN = build_language(GRAMMAR)


def ids_of(*texts: str) -> np.ndarray:
    return np.stack([text_to_ids(text, LETTERS) for text in texts])


def test_a_true_text_is_all_right_and_as_likely_as_the_grammar_says() -> None:
    text = generate_text(GRAMMAR, 20_000, np.random.default_rng(3))
    verdicts = judge_texts(KNOWN, ids_of(text), np.zeros(1, int))
    assert np.nansum(verdicts.wrong_words_SN) == np.nansum(verdicts.wrong_sentences_SN) == 0
    told = ~np.isnan(verdicts.surprisal_SN[0])
    assert told[:-30].all(), "all but a last sentence that may be cut"
    np.testing.assert_allclose(verdicts.surprisal_SN[0][told], total_surprisal(GRAMMAR, text)[told], atol=1e-5)
    assert np.mean(verdicts.surprisal_SN[0][told]) == pytest.approx(entropy_rate(GRAMMAR), rel=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_verdicts_are_those_of_a_reader_of_strings(seed: int) -> None:
    """Texts with every twentieth character replaced; the readers of strings leave out the first word."""
    rng = np.random.default_rng(seed)
    for _ in range(20):
        letters = np.array(list(generate_text(GRAMMAR, 300, rng)))
        wrong = rng.random(300) < 0.05
        letters[wrong] = rng.choice(list(LETTERS), wrong.sum())
        text = "".join(letters)
        text = text[
            : text.rindex(" ") + 1
        ]  # of a word that is cut, the readers of strings do not see the first letters
        verdicts = judge_texts(KNOWN, ids_of(text), np.zeros(1, int))
        assert 1 - np.nanmean(verdicts.wrong_words_SN) == pytest.approx(valid_word_share(GRAMMAR, f" {text}"))
        assert 1 - np.nanmean(verdicts.wrong_sentences_SN) == pytest.approx(valid_sentence_share(GRAMMAR, f" {text}"))


def test_verdicts_by_hand() -> None:
    """What stands before the first start is not judged; a cut sentence is not, nor what follows it."""
    text = "og eat cake the dog sleeq the cat swim  boy walk the king se"
    verdicts = judge_texts(KNOWN, ids_of(text), np.array([3]))
    words = [(int(place), int(wrong)) for place, wrong in enumerate(verdicts.wrong_words_SN[0]) if not np.isnan(wrong)]
    ends = [place for place, letter in enumerate(text) if letter == " "][1:]
    assert [place for place, _ in words] == ends
    assert [wrong for _, wrong in words] == [0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]
    phrases = verdicts.wrong_sentences_SN[0]
    assert phrases[ends[:-2]].tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0]
    assert np.isnan(phrases[ends[-2:]]).all(), "of 'the king se' nothing can be said"
    starts = [text.index("the cat"), text.index("boy")]
    assert np.flatnonzero(verdicts.starts_SN[0]).tolist() == starts
    assert np.flatnonzero(~np.isnan(verdicts.surprisal_SN[0])).tolist() == [
        *range(starts[0], starts[0] + 13),
        *range(starts[1], starts[1] + 9),
    ]


def test_the_automaton_says_of_every_opening_what_follows() -> None:
    """Walked letter by letter, with the probabilities of the table of openings."""
    known, transitions_AV, surprisal_AV = sentence_prefixes(GRAMMAR), *KNOWN.sentences
    rng = np.random.default_rng(0)
    for said in rng.choice(sorted(known), 300):
        place = START
        for letter in said:
            place = transitions_AV[place, LETTERS.index(letter)]
        assert place != REJECT
        if place == ACCEPT:
            continue
        expected = np.array([known.get(said + letter, 0.0) for letter in LETTERS]) / known[said]
        np.testing.assert_allclose(np.exp(-surprisal_AV[place]), expected, atol=1e-6)
    assert len(transitions_AV) < 300 < len(known) / 100, "what can only go on alike shares a place"
    assert (transitions_AV[[ACCEPT, REJECT]] == [[ACCEPT], [REJECT]]).all()

"""Automata of the words and sentences of a grammar, to judge many texts at once.

NumPy over S texts of N symbols: what a loop over Python strings would need seconds for takes milliseconds.
"""

from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from rnnjax.tasks.grammar import Grammar, grammar_vocabulary, sentence_probabilities, word_categories

START, ACCEPT, REJECT = 0, 1, 2  # states of every automaton: the last two are never left


class Automaton(NamedTuple):
    """The prefixes of some strings; those with the same continuations share a state."""

    transitions_AV: np.ndarray  # int32: the state after each of A states and a symbol
    surprisal_AV: np.ndarray  # -log p(symbol | state), nats; inf where no string continues so


class Language(NamedTuple):
    """The automata of a grammar."""

    words: Automaton  # of the lexicon, with the space that ends each
    sentences: Automaton
    space: int  # its id


class Verdicts(NamedTuple):
    """Judgements of S texts of N symbols, as numbers that can be averaged; NaN where nothing is judged."""

    wrong_words_SN: np.ndarray  # at the space that ends a word: 1 where it is not in the lexicon, else 0
    wrong_sentences_SN: np.ndarray  # there too: 1 where it belongs to no complete sentence, else 0
    surprisal_SN: np.ndarray  # of the symbols of complete sentences under the exact grammar, nats
    starts_SN: np.ndarray  # bool: where a complete sentence begins


@lru_cache(maxsize=16)
def build_language(grammar: Grammar) -> Language:
    """The tables of a grammar, over the ids of its vocabulary."""
    letters = grammar_vocabulary(grammar)
    words = {f"{word} ": 1.0 for word in word_categories(grammar)}
    return Language(
        build_automaton(words, letters), build_automaton(sentence_probabilities(grammar), letters), letters.index(" ")
    )


def build_automaton(strings: Mapping[str, float], letters: str) -> Automaton:
    """The smallest automaton of strings with their weights; no string is a prefix of another."""
    weights: defaultdict[str, float] = defaultdict(float)
    longer: defaultdict[str, set[str]] = defaultdict(set)
    for string, weight in strings.items():
        for end in range(len(string)):
            weights[string[:end]] += weight
            longer[string[:end]].add(string[: end + 1])
        weights[string] += weight
    states = dict.fromkeys(strings, ACCEPT)
    rows: dict[tuple[tuple[int, int, float], ...], int] = {}
    for prefix in sorted(longer, key=len, reverse=True):
        turns = [(letters.index(s[-1]), states[s], round(weights[s] / weights[prefix], 12)) for s in longer[prefix]]
        states[prefix] = rows.setdefault(tuple(sorted(turns)), REJECT + 1 + len(rows)) if prefix else START
        root = tuple(sorted(turns))
    return word_tables({**rows, root: START}, len(letters))


def word_tables(rows: Mapping[tuple[tuple[int, int, float], ...], int], symbols: int) -> Automaton:
    """The tables of an automaton, from rows of (symbol, next state, probability) by state."""
    transitions_AV = np.full((max(REJECT, *rows.values()) + 1, symbols), REJECT, np.int32)
    transitions_AV[ACCEPT] = ACCEPT
    surprisal_AV = np.full(transitions_AV.shape, np.inf, np.float32)
    for row, place in rows.items():
        for symbol, after, probability in row:
            transitions_AV[place, symbol] = after
            surprisal_AV[place, symbol] = -np.log(probability)
    return Automaton(transitions_AV, surprisal_AV)


def word_lengths(known: Automaton, ids_SN: np.ndarray, texts: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The length of the string that begins at each (text, start); 0 where none does, -1 where the text ends first."""
    found, places = np.full(len(starts), -1), np.full(len(starts), START)
    open_, length = np.arange(len(starts)), 0
    while len(open_):
        open_ = open_[starts[open_] + length < ids_SN.shape[1]]
        places[open_] = known.transitions_AV[places[open_], ids_SN[texts[open_], starts[open_] + length]]
        length += 1
        found[open_[places[open_] == ACCEPT]] = length
        found[open_[places[open_] == REJECT]] = 0
        open_ = open_[places[open_] > REJECT]
    return found


def judge_texts(known: Language, ids_SN: np.ndarray, first_S: np.ndarray) -> Verdicts:
    """Read S texts from where in each a sentence begins; what stands before is not judged.

    A sentence that begins at a word is taken whole; a word at which none begins is wrong and skipped, and the next word
    tried. Nothing is judged from the first good beginning on that the end of the text cuts.
    """
    wrong_words_SN = judge_words(known, ids_SN, first_S)
    length_SN = sentence_length_distribution(known, ids_SN)
    after_word_SN = next_word(ids_SN == known.space)
    texts, place_S = np.arange(len(ids_SN)), np.array(first_S)
    whole_SN = np.zeros(ids_SN.shape, bool)
    wrong_sentences_SN = np.full(ids_SN.shape, np.nan, np.float32)
    stop_S = np.full(len(ids_SN), ids_SN.shape[1])
    while len(texts):
        length = length_SN[texts, place_S[texts]]
        stop_S[texts[length < 0]] = place_S[texts[length < 0]]
        texts, length = texts[length >= 0], length[length >= 0]
        whole_SN[texts[length > 0], place_S[texts[length > 0]]] = True
        place_S[texts] = np.where(length > 0, place_S[texts] + length, after_word_SN[texts, place_S[texts]])
        texts = texts[place_S[texts] < ids_SN.shape[1]]
    surprisal_SN = text_surprisal(known.sentences, ids_SN, whole_SN)
    places_N = np.arange(ids_SN.shape[1])
    judged_SN = (ids_SN == known.space) & (first_S[:, None] <= places_N) & (places_N < stop_S[:, None])
    wrong_sentences_SN[judged_SN] = np.isnan(surprisal_SN)[judged_SN]
    return Verdicts(wrong_words_SN, wrong_sentences_SN, surprisal_SN, whole_SN)


def judge_words(known: Language, ids_SN: np.ndarray, first_S: np.ndarray) -> np.ndarray:
    """`Verdicts.wrong_words_SN`. A word that begins before `first_S` is judged from there on."""
    wrong_SN = np.full(ids_SN.shape, np.nan, np.float32)
    place_S = np.full(len(ids_SN), START)
    for n, ids_S in enumerate(ids_SN.T):
        place_S = known.words.transitions_AV[np.where(first_S == n, START, place_S), ids_S]
        ends_S = ids_S == known.space
        wrong_SN[:, n] = np.where(ends_S & (n >= first_S), place_S != ACCEPT, np.nan)
        place_S = np.where(ends_S, START, place_S)
    return wrong_SN


def sentence_length_distribution(known: Language, ids_SN: np.ndarray) -> np.ndarray:
    """As `word_lengths`, at the start of a text and after every space; 0 elsewhere, where no sentence can begin."""
    begins_SN = np.roll(ids_SN == known.space, 1, axis=1)
    begins_SN[:, 0] = True
    found_SN = np.zeros(ids_SN.shape, int)
    texts, starts = np.nonzero(begins_SN)
    found_SN[texts, starts] = word_lengths(known.sentences, ids_SN, texts, starts)
    return found_SN


def next_word(spaces_SN: np.ndarray) -> np.ndarray:
    """The place after the first space at or after each place; N where there is none."""
    size = spaces_SN.shape[1]
    after_SN = np.where(spaces_SN, np.arange(1, size + 1), size)
    return np.minimum.accumulate(after_SN[:, ::-1], axis=1)[:, ::-1]


def text_surprisal(known: Automaton, ids_SN: np.ndarray, starts_SN: np.ndarray) -> np.ndarray:
    """-log p of every symbol of the strings that begin at these starts, each whole; NaN elsewhere."""
    surprisal_SN = np.full(ids_SN.shape, np.nan, np.float32)
    texts, at = np.nonzero(starts_SN)
    places = np.full(len(at), START)
    while len(at):
        ids = ids_SN[texts, at]
        surprisal_SN[texts, at] = known.surprisal_AV[places, ids]
        places, at = known.transitions_AV[places, ids], at + 1
        going = places != ACCEPT
        texts, at, places = texts[going], at[going], places[going]
    return surprisal_SN

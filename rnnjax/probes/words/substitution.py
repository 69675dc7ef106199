"""Texts in which a string that is in no training text replaces a known word."""

from typing import NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.probes.numerics.word_vectors import streams, word_labels
from rnnjax.probes.words.categories import Lexicon, mask_warm_up, stream_count
from rnnjax.settings import Spec
from rnnjax.settings.vocabulary import Vocabulary, text_to_ids
from rnnjax.tasks.grammar import LEXICON

NOVEL = ("zog", "vup", "jix", "wug", "dax", "fep", "bim", "tob", "kez", "nal")  # all of one length, in no lexicon
REPLACED = ("man", "lion", "woman", "dog", "cake", "glass", "sleep", "chase", "eat", "watch")
DEFINITIONS = ("last", "letters", "space", "halves")  # of a word's vector, see `word_vectors.word_labels`
CONTEXT = 40  # characters read before a word of the factorial


class Corpora(NamedTuple):
    """The text unchanged, with zog for man, and with zog for lion, as streams; the label of zog is that of its word."""

    ids_XTB: np.ndarray
    labels_XDN: np.ndarray  # by definition
    same_positions: float  # 1 if zog has in the second text the neighbours that man has in the first


def replaced_text(text: str, word: str, novel: str) -> str:
    """The text with a novel string for every occurrence of a word."""
    return " ".join(novel if other == word else other for other in text.split(" "))


def neighbour_counts(text: str, word: str) -> dict[tuple[str, str], int]:
    """Counts of the pairs of words before and after a word; "it" in a pair is the word itself."""
    words = ["it" if other == word else other for other in text.split(" ")]
    counts: dict[tuple[str, str], int] = {}
    for left, middle, right in zip(words, words[1:], words[2:], strict=False):
        if middle == "it":
            counts[left, right] = counts.get((left, right), 0) + 1
    return counts


def build_corpora(spec: Spec, text: str, vocabulary: Vocabulary, lexicon: Lexicon) -> Corpora:
    """The three texts, cut to one length."""
    number = {word: i for i, word in enumerate(lexicon.words)}
    zog, man, lion = NOVEL[0], REPLACED[0], REPLACED[1]
    man_text, lion_text = replaced_text(text, man, zog), replaced_text(text, lion, zog)
    length = min(map(len, (text, man_text, lion_text)))
    count = stream_count(spec, length)
    ids, labels = [], []
    for corpus, words in (
        (text, number),
        (man_text, number | {zog: number[man]}),
        (lion_text, number | {zog: number[lion]}),
    ):
        ids.append(streams(text_to_ids(corpus[:length], vocabulary), count))
        known = word_labels(corpus[:length], words, number[man])
        labels.append([mask_warm_up(known[name], count).ravel() for name in DEFINITIONS])
    same = neighbour_counts(text, man) == neighbour_counts(man_text, zog)
    return Corpora(np.stack(ids), np.array(labels), float(same))


def contexts(text: str, word: str, count: int) -> list[str]:
    """The 40 characters before some occurrences of a word, evenly spread; none of them has the word itself.

    Raises:
        BadInput: there is no such occurrence.
    """
    padded = f" {text}"
    starts = [i for i in range(CONTEXT, len(text)) if padded.startswith(f" {word} ", i)]
    found = [text[i - CONTEXT : i] for i in starts]
    alone = [before for before in found if word not in before.split(" ")]
    if not alone:
        raise BadInput(f"task.characters: got {len(text):,}; need more: '{word}' does not occur after {CONTEXT} others")
    return [alone[i] for i in np.linspace(0, len(alone) - 1, count).astype(int)]


def has_known_letters(text: str) -> np.ndarray:
    """Whether all letters of each novel string occur in a text: bool [S]."""
    return np.array([set(string) <= set(text) for string in NOVEL])


def map_labels() -> list[tuple[str, str]]:
    """(name, group) of each point on the map of `novel_words`: the known words by category, then the two zogs."""
    known = [(word, category) for category, words in LEXICON for word in words]
    return known + [(f"{NOVEL[0]} for {word}", "novel") for word in REPLACED[:2]]

"""Texts in which a string that no network has read stands in the place of a known word."""

from typing import NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.probes.numerics.word_vectors import streams, word_labels
from rnnjax.probes.words.categories import Lexicon, counted, stream_count
from rnnjax.settings import Spec
from rnnjax.tasks.grammar import LEXICON
from rnnjax.tasks.text import text_to_ids

NOVEL = ("zog", "vup", "jix", "wug", "dax", "fep", "bim", "tob", "kez", "nal")  # all of one length, in no lexicon
REPLACED = ("man", "lion", "woman", "dog", "cake", "glass", "sleep", "chase", "eat", "watch")
DEFINITIONS = ("last", "letters", "space", "halves")  # of a word's vector, see `words.word_labels`
CONTEXT = 40  # characters read before a word of the factorial


class Corpora(NamedTuple):
    """The text as it is, with zog for man, and with zog for lion, as streams; labels give a zog its word's number."""

    ids_XTB: np.ndarray
    labels_XDN: np.ndarray  # by definition
    same_positions: float  # 1 if zog has in the second the neighbours that man has in the first


def replaced_text(text: str, word: str, novel: str) -> str:
    """The text with a novel string for every occurrence of a word."""
    return " ".join(novel if said == word else said for said in text.split(" "))


def neighbour_counts(text: str, word: str) -> dict[tuple[str, str], int]:
    """How often a word stands between two words, which are called "it" where they are the word itself."""
    said = ["it" if other == word else other for other in text.split(" ")]
    counts: dict[tuple[str, str], int] = {}
    for left, middle, right in zip(said, said[1:], said[2:], strict=False):
        if middle == "it":
            counts[left, right] = counts.get((left, right), 0) + 1
    return counts


def corpora_of(spec: Spec, text: str, vocabulary: str, lexicon: Lexicon) -> Corpora:
    """The three corpora, cut to one length."""
    number = {word: i for i, word in enumerate(lexicon.words)}
    zog, man, lion = NOVEL[0], REPLACED[0], REPLACED[1]
    of_man, of_lion = replaced_text(text, man, zog), replaced_text(text, lion, zog)
    length = min(map(len, (text, of_man, of_lion)))
    count = stream_count(spec, length)
    ids, labels = [], []
    for said, words in ((text, number), (of_man, number | {zog: number[man]}), (of_lion, number | {zog: number[lion]})):
        ids.append(streams(text_to_ids(said[:length], vocabulary), count))
        known = word_labels(said[:length], words, number[man])
        labels.append([counted(known[name], count).ravel() for name in DEFINITIONS])
    same = neighbour_counts(text, man) == neighbour_counts(of_man, zog)
    return Corpora(np.stack(ids), np.array(labels), float(same))


def contexts(text: str, word: str, count: int) -> list[str]:
    """The 40 characters before some occurrences of a word, evenly spread; none of them has the word itself.

    Raises:
        BadInput: there is no such occurrence.
    """
    padded = f" {text}"
    places = [i for i in range(CONTEXT, len(text)) if padded.startswith(f" {word} ", i)]
    found = [text[i - CONTEXT : i] for i in places]
    alone = [before for before in found if word not in before.split(" ")]
    if not alone:
        raise BadInput(f"task.characters: got {len(text):,}; need more: '{word}' does not occur after {CONTEXT} others")
    return [alone[i] for i in np.linspace(0, len(alone) - 1, count).astype(int)]


def of_known_letters(text: str) -> np.ndarray:
    """Which of the novel strings have only letters that occur in a text: [S]."""
    return np.array([set(string) <= set(text) for string in NOVEL])


def map_labels() -> list[tuple[str, str]]:
    """What stands where on the map of `novel_words`: each known word with its category, then the two zogs."""
    known = [(word, category) for category, words in LEXICON for word in words]
    return known + [(f"{NOVEL[0]} for {word}", "novel") for word in REPLACED[:2]]

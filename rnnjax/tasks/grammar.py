"""Template grammar with exact probabilities: of each sentence, of each character, and the entropy rate of its text.

A text is a row of independent sentences, each followed by one space. A sentence takes one template, all equally
likely, and each part becomes one word of its category, all equally likely; a part "DET+..." has "the" before it with
probability `determiner`. The text is exact because no sentence is a prefix of another: an intransitive verb ends its
sentence, any other verb takes one object, so a reader from the start knows where each sentence ends.

Source: the kind of grammar is that of Elman 1990, Cognitive Science 14:179; the templates are ours.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise, product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec

DETERMINER = "the"
OPTIONAL = "DET+"  # before a category: an optional determiner
LEXICON = (
    ("NOUN_HUMAN", ("boy", "girl", "man", "woman", "king", "queen")),
    ("NOUN_ANIMAL", ("cat", "dog", "lion", "bird", "fish", "mouse")),
    ("NOUN_FOOD", ("bread", "cake", "apple", "milk", "cookie")),
    ("NOUN_OBJECT", ("book", "rock", "glass", "plate", "ball")),
    ("VERB_INTRAN", ("sleep", "walk", "think", "swim")),
    ("VERB_TRAN", ("chase", "eat", "see", "break", "read", "move")),
    ("VERB_PERCEPT", ("smell", "hear", "watch")),
)
# Humans, animals and objects differ in what they do and in what is done to them: a word's category can be learned from
# its company alone, as subject (which verbs, which objects) and as object (after which subjects and verbs).
SENTENCE_TEMPLATES = (
    "DET+NOUN_HUMAN VERB_INTRAN",
    "DET+NOUN_HUMAN VERB_TRAN DET+NOUN_OBJECT",
    "DET+NOUN_HUMAN VERB_TRAN NOUN_FOOD",
    "DET+NOUN_HUMAN VERB_TRAN DET+NOUN_ANIMAL",
    "DET+NOUN_HUMAN VERB_PERCEPT DET+NOUN_HUMAN",
    "DET+NOUN_HUMAN VERB_PERCEPT DET+NOUN_ANIMAL",
    "DET+NOUN_ANIMAL VERB_INTRAN",
    "DET+NOUN_ANIMAL VERB_TRAN DET+NOUN_HUMAN",
    "DET+NOUN_ANIMAL VERB_TRAN DET+NOUN_ANIMAL",
    "DET+NOUN_ANIMAL VERB_TRAN NOUN_FOOD",
    "DET+NOUN_ANIMAL VERB_TRAN DET+NOUN_OBJECT",
    "DET+NOUN_ANIMAL VERB_PERCEPT DET+NOUN_ANIMAL",
    "DET+NOUN_OBJECT VERB_TRAN DET+NOUN_HUMAN",
    "DET+NOUN_OBJECT VERB_TRAN DET+NOUN_ANIMAL",
    "DET+NOUN_OBJECT VERB_TRAN DET+NOUN_OBJECT",
    "DET+NOUN_OBJECT VERB_TRAN NOUN_FOOD",
)


WordTree = dict[str, Any]  # word -> the tree of the words after it


class Grammar(NamedTuple):
    """The definition of a language; hashable, so that its tables are made once. `_replace` a field for a variant."""

    lexicon: tuple[tuple[str, tuple[str, ...]], ...] = LEXICON  # category, its words
    templates: tuple[str, ...] = SENTENCE_TEMPLATES
    determiner: float = TaskSpec.determiner_probability  # probability of each optional "the"
    extra_letters: str = ""  # of the vocabulary: no word has them


def build_grammar(settings: TaskSpec) -> Grammar:
    """The built-in grammar with what the settings change in it. Raises: BadInput, as `grammar_task`."""
    extra = settings.extra_letters
    if " " in extra or len(set(extra)) < len(extra):
        raise BadInput(f"task.extra_letters: got {extra!r}; expected letters, each once and without spaces")
    return Grammar(determiner=settings.determiner_probability, extra_letters=extra)


@lru_cache(maxsize=16)
def word_categories(grammar: Grammar) -> Mapping[str, str]:
    """The category of each word; that of the determiner is "DET"."""
    return {DETERMINER: "DET"} | {word: category for category, words in grammar.lexicon for word in words}


def grammar_vocabulary(grammar: Grammar) -> str:
    """The letters of all words, the space and the extra letters, sorted: the characters of the text."""
    return "".join(sorted(set(" ".join(word_categories(grammar)) + grammar.extra_letters)))


def generate_text(grammar: Grammar, characters: int, rng: np.random.Generator) -> str:
    """The first characters of an endless text; from the same seed, a shorter text is the beginning of a longer one."""
    known = list(sentence_probabilities(grammar))
    probabilities = list(sentence_probabilities(grammar).values())
    enough = characters // min(map(len, known)) + 1
    return "".join(known[i] for i in rng.choice(len(known), size=enough, p=probabilities))[:characters]


@lru_cache(maxsize=16)
def sentence_probabilities(grammar: Grammar) -> Mapping[str, float]:
    """Every sentence with its probability; the space that ends a sentence belongs to it.

    The table is held in memory: 8,484 sentences in the built-in grammar, and with ten times the words a thousand times
    as many.

    Raises:
        ValueError: a sentence is a prefix of another; the exact probabilities need ends that can be known.
    """
    lexicon = dict(grammar.lexicon)
    probabilities: defaultdict[str, float] = defaultdict(float)
    for template in grammar.templates:
        parts = [list(_sentence_part(grammar.determiner, lexicon, part)) for part in template.split()]
        for choice in product(*parts):
            sentence = "".join(words for words, _ in choice)
            probabilities[sentence] += prod(probability for _, probability in choice) / len(grammar.templates)
    _check_sentence_ends(sorted(probabilities))
    return {sentence: probability for sentence, probability in probabilities.items() if probability > 0}


def _check_sentence_ends(in_order: list[str]) -> None:
    """In sorted order a sentence that is a prefix of others stands right before one of them."""
    for one, other in pairwise(in_order):
        if other.startswith(one):
            raise ValueError(f"the sentence {one!r} begins {other!r}: where a sentence ends could not be known")


def _sentence_part(determiner: float, lexicon: Mapping[str, tuple[str, ...]], part: str) -> Iterator[tuple[str, float]]:
    """The words for one part of a template, with the probability of each."""
    words = lexicon[part.removeprefix(OPTIONAL)]
    omitted = 1 - determiner if part.startswith(OPTIONAL) else 1.0
    for word in words:
        yield f"{word} ", omitted / len(words)
        yield f"{DETERMINER} {word} ", (1 - omitted) / len(words)


@lru_cache(maxsize=16)
def sentence_prefixes(grammar: Grammar) -> Mapping[str, float]:
    """The probability that a sentence has a prefix, for every prefix of every sentence; "" has 1."""
    probabilities: defaultdict[str, float] = defaultdict(float)
    for sentence, probability in sentence_probabilities(grammar).items():
        for length in range(len(sentence) + 1):
            probabilities[sentence[:length]] += probability
    return dict(probabilities)


@lru_cache(maxsize=16)
def sentence_tree(grammar: Grammar) -> WordTree:
    """Every sentence, word by word: the words that may follow, each with the tree of what follows it; {} at an end."""
    tree: WordTree = {}
    for sentence in sentence_probabilities(grammar):
        node = tree
        for word in sentence.split(" ")[:-1]:
            node = node.setdefault(word, {})
    return tree


def entropy_rate(grammar: Grammar) -> float:
    """H(sentence) / E[characters of a sentence and its space], in nats per character.

    The sentences of a text are independent and their ends are known, so the text's entropy is the sum of theirs.
    """
    probabilities = np.array(list(sentence_probabilities(grammar).values()))
    lengths = np.array(list(map(len, sentence_probabilities(grammar))))
    return float(-probabilities @ np.log(probabilities) / (probabilities @ lengths))


def total_surprisal(grammar: Grammar, text: str) -> np.ndarray:
    """-log p of each character of a text given all before it, in nats: [N]; inf from the first impossible one on."""
    known = sentence_prefixes(grammar)
    prefixes = _open_sentence(grammar, text)
    likely = [known.get(now + letter, 0.0) / known.get(now, 1.0) for now, letter in zip(prefixes, text, strict=False)]
    with np.errstate(divide="ignore"):
        return -np.log(likely)


def _open_sentence(grammar: Grammar, text: str) -> Iterator[str]:
    """The prefix of the current sentence: before each character of a text, and at its end."""
    known, whole = sentence_prefixes(grammar), sentence_probabilities(grammar)
    prefix = ""
    yield prefix
    for character in text:
        if prefix in known:  # an impossible prefix stays impossible
            prefix += character
        if prefix in whole:
            prefix = ""
        yield prefix


def word_places(grammar: Grammar, text: str) -> np.ndarray:
    """The number of words before that of each character of a text, in its sentence: int [N]."""
    return np.array([prefix.count(" ") for prefix, _ in zip(_open_sentence(grammar, text), text, strict=False)], int)

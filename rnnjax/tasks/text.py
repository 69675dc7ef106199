"""Any text as a task: its vocabulary, its ids, its split, and the share of real words in what a network writes.

Reading the file (encoding, byte-order mark, line ends, binary refusal) is the work of `studies.datasets`; refused here
is only a text that cannot be a task.
"""

import re
import unicodedata
from functools import partial

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.default_text import MARKDOWN, MARKDOWN_VALIDATION
from rnnjax.tasks.entropy import reference_losses
from rnnjax.tasks.windows import next_step
from rnnjax.types import Task

VOCABULARY_LIMIT = 65_535
WHOLE_WORD = re.compile(r"(?<=\s)\S+(?=\s)")  # between two spaces; the first and last word of a sample may be cut


def text_task(settings: TaskSpec, source: str | None) -> Task:
    """The first 1 - validation of a text to train on and its end held out; the vocabulary is that of the whole text.

    Without a source the text is MARKDOWN + MARKDOWN_VALIDATION, whose last tenth is the second: with the default split
    a network trains on all 4,044 characters of MARKDOWN, which are 7 batches of 32 streams with windows of 16.

    There is no reference loss "floor": the entropy rate of a given text is not known, and the floor of its windows
    (`entropy.window_floor`) holds for the training text only.

    Raises:
        BadInput: the text is empty, has one distinct character, more than 65,535, or a lone surrogate, or leaves
            fewer than 3 characters to train on.
    """
    text = MARKDOWN + MARKDOWN_VALIDATION if source is None else source
    _check_surrogates(text)
    vocabulary = "".join(sorted(set(text)))
    _check_vocabulary(vocabulary)
    ids_N = text_to_ids(text, vocabulary)
    split = len(text) - round(len(text) * settings.validation)
    return Task(
        train_N=ids_N[:split],
        validation_N=ids_N[split:],
        make_sequence=next_step,
        inputs=len(vocabulary),
        outputs=len(vocabulary),
        loss="cross_entropy",
        vocabulary=vocabulary,
        reference_losses=reference_losses(ids_N[:split], len(vocabulary)),
        text_measures=partial(word_measures, frozenset(text.split())),
    )


def word_measures(words: frozenset[str], text: str) -> dict[str, float]:
    """The measures of a generated text: {"valid_words"}."""
    return {"valid_words": known_word_share(words, text)}


def known_word_share(words: frozenset[str], text: str) -> float:
    """Share of the whole words of a text that are among the given ones; 0 where the text has no whole word."""
    whole = WHOLE_WORD.findall(text)
    return sum(word in words for word in whole) / len(whole) if whole else 0.0


def text_to_ids(text: str, vocabulary: str) -> np.ndarray:
    """The int32 ids of a text: the place of each character in the vocabulary, which is sorted by code point.

    Raises:
        BadInput: a character is not in the vocabulary.
    """
    known, codes_N = _code_points(vocabulary), _code_points(text)
    ids_N = np.minimum(np.searchsorted(known, codes_N), len(known) - 1)
    strange = np.flatnonzero(known[ids_N] != codes_N)
    if strange.size:
        raise BadInput(
            f"text: {_format_character(text[strange[0]])} at character {strange[0]:,} is not in the vocabulary"
        )
    return ids_N.astype(np.int32)


def duplicate_forms(text: str) -> str:
    """The characters that a text writes both composed and decomposed, so that one letter has two spellings in ids."""
    characters = set(text)
    apart = {character: unicodedata.normalize("NFD", character) for character in sorted(characters)}
    return "".join(one for one, two in apart.items() if one != two and characters.issuperset(two) and two in text)


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _check_surrogates(text: str) -> None:
    try:
        text.encode("utf-32-le")
    except UnicodeEncodeError as error:
        found = f"U+{ord(text[error.start]):04X} at character {error.start:,}"
        raise BadInput(
            f"task.path: got the lone surrogate {found}; expected whole characters. Is task.encoding that of the file?"
        ) from None


def _check_vocabulary(vocabulary: str) -> None:
    size = len(vocabulary)
    if size == 0:
        raise BadInput("task.path: got an empty corpus; expected at least 2 distinct characters. Is it the right file?")
    if size == 1:
        raise BadInput(
            f"task.path: got only 1 distinct character, {_format_character(vocabulary)}; expected at least 2. "
            "There is nothing to predict."
        )
    if size > VOCABULARY_LIMIT:
        raise BadInput(
            f"task.path: got a vocabulary of {size:,} characters; expected at most {VOCABULARY_LIMIT:,}. Is this text?"
        )


def _format_character(character: str) -> str:
    return f"{character!r} (U+{ord(character):04X})"


def ids_to_text(ids_N: np.ndarray, vocabulary: str) -> str:
    """The text of ids: the inverse of `text_to_ids`."""
    points = np.frombuffer(vocabulary.encode("utf-32-le"), np.uint32)
    return points[ids_N].tobytes().decode("utf-32-le")

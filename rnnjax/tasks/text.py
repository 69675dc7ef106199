"""Any text as a task: its vocabulary, its ids, its split, and the share of real words in what a network writes.

Reading the file (encoding, byte-order mark, line ends, binary refusal) is the work of `studies.datasets`; refused here
is only a text that cannot be a task.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.settings.vocabulary import (
    BYTES,
    UNKNOWN_CHARACTER,
    UNKNOWN_WORD,
    Vocabulary,
    format_character,
    most_frequent,
    split_words,
    text_to_ids,
    unknown_token,
)
from rnnjax.tasks.default_text import MARKDOWN, MARKDOWN_VALIDATION
from rnnjax.tasks.entropy import reference_losses
from rnnjax.tasks.ngrams import LONGEST_NGRAM, ngram_losses
from rnnjax.tasks.windows import next_step, next_step_of_documents
from rnnjax.types import DataNotice, LabelledSequence, Task

VOCABULARY_LIMIT = 65_535
WHOLE_WORD = re.compile(r"(?<=\s)\S+(?=\s)")  # between two spaces; the first and last word of a sample may be cut


def text_task(settings: TaskSpec, source: str | None) -> Task:
    """The first 1 - validation of a text to train on and its end held out.

    Without a source the text is MARKDOWN + MARKDOWN_VALIDATION, whose last tenth is the second: with the default split
    a network trains on all 4,044 characters of MARKDOWN, which are 7 batches of 32 streams with windows of 16.

    There is no reference loss "floor": the entropy rate of a given text is not known, and the floor of its windows
    (`entropy.window_floor`) holds for the training text only.

    Raises:
        BadInput: the text is empty, has one distinct character, more than 65,535, or a lone surrogate, or leaves
            fewer than 3 tokens to train on.
    """
    text = MARKDOWN + MARKDOWN_VALIDATION if source is None else source
    _check_surrogates(text)
    split = len(text) - round(len(text) * settings.validation)
    vocabulary = build_vocabulary(settings, text, text[:split])
    train_N, held_out_N = (text_to_ids(part, vocabulary) for part in (text[:split], text[split:]))
    longest = min(LONGEST_NGRAM, len(train_N), len(held_out_N))
    return Task(
        train_N=train_N,
        validation_N=held_out_N,
        make_sequence=document_pairs(settings, vocabulary),
        inputs=len(vocabulary),
        outputs=len(vocabulary),
        loss="cross_entropy",
        vocabulary=vocabulary,
        token=settings.tokens.removesuffix("s"),
        reference_losses=reference_losses(train_N, len(vocabulary)),
        ngram_losses=tuple(ngram_losses(train_N, held_out_N, len(vocabulary), longest).tolist()) if longest else (),
        tokens_per_character=len(held_out_N) / max(len(text) - split, 1),
        text_measures=partial(word_measures, frozenset(text.split())),
        notices=unknown_notices(vocabulary, train_N, held_out_N),
    )


def document_pairs(settings: TaskSpec, vocabulary: Vocabulary) -> Callable[[np.ndarray], LabelledSequence]:
    """The pairs of a text: each token with the next one. Raises: as `document_id`."""
    document = document_id(settings, vocabulary)
    return next_step if document is None else partial(next_step_of_documents, document)


def document_id(settings: TaskSpec, vocabulary: Vocabulary) -> int | None:
    """The id that begins a document of a text; None where the text is one.

    Raises: BadInput for a document token that is not one token.
    """
    word = settings.document_token if settings.name == "text" else ""
    if not word:
        return None
    ids = text_to_ids(word, vocabulary, strict=True).tolist() if in_vocabulary(word, vocabulary) else []
    if len(ids) != 1:
        raise BadInput(
            f"task.document_token: got {word!r}; expected one {settings.tokens.removesuffix('s')} of the text"
        )
    return int(ids[0])


def in_vocabulary(word: str, vocabulary: Vocabulary) -> bool:
    """Whether a vocabulary has all tokens of a word."""
    try:
        text_to_ids(word, vocabulary, strict=True)
    except BadInput:
        return False
    return True


def build_vocabulary(settings: TaskSpec, text: str, train: str) -> Vocabulary:
    """The vocabulary of a text: of characters all that occur, of bytes all, of words those of the training part.

    Of words, those that occur once are left out if no limit is given: <unk>, which stands for them, is trained on them.

    Raises: BadInput.
    """
    limit = settings.vocabulary_limit
    if settings.tokens == "bytes":
        _check_distinct(sorted(set(text)))
        if limit:
            raise BadInput(f"task.vocabulary_limit: got {limit:,} with bytes, of which there are 256; expected 0")
        return BYTES
    if settings.tokens == "words":
        return _word_vocabulary(Counter(split_words(train)), limit)
    characters = sorted(set(text))
    _check_distinct(characters)
    if 0 < limit < len(characters):
        kept = most_frequent(Counter(train), limit - 1) - {UNKNOWN_CHARACTER}
        return "".join(sorted({*kept, UNKNOWN_CHARACTER}))
    _check_vocabulary(len(characters))
    return "".join(characters)


def _word_vocabulary(counts: Counter[str], limit: int) -> Vocabulary:
    kept = most_frequent(counts, limit - 1) if limit else {word for word, count in counts.items() if count > 1}
    words = (UNKNOWN_WORD, *sorted(kept))
    if len(words) < 3:
        raise BadInput(f"task.tokens: got words, of which {len(words) - 1} occur twice; expected at least 2 of them")
    _check_vocabulary(len(words))
    return words


def unknown_notices(vocabulary: Vocabulary, train_N: np.ndarray, held_out_N: np.ndarray) -> tuple[DataNotice, ...]:
    """How many tokens the vocabulary leaves out."""
    unknown = unknown_token(vocabulary)
    if unknown is None:
        return ()
    shares = [float(np.mean(ids_N == vocabulary.index(unknown))) for ids_N in (train_N, held_out_N)]
    if not any(shares):
        return ()
    text = (
        f"{len(vocabulary):,} tokens are in the vocabulary; {unknown} stands for all others, "
        f"{shares[0]:.2%} of the training part and {shares[1]:.2%} of the held-out part"
    )
    return (DataNotice("", "unknown", text),)


def word_measures(words: frozenset[str], text: str) -> dict[str, float]:
    """The measures of a generated text: {"valid_words"}."""
    return {"valid_words": known_word_share(words, text)}


def known_word_share(words: frozenset[str], text: str) -> float:
    """Share of the whole words of a text that are among the given ones; 0 where the text has no whole word."""
    whole = WHOLE_WORD.findall(text)
    return sum(word in words for word in whole) / len(whole) if whole else 0.0


def duplicate_forms(text: str) -> str:
    """The characters that a text writes both composed and decomposed, so that one letter has two spellings in ids."""
    characters = set(text)
    apart = {character: unicodedata.normalize("NFD", character) for character in sorted(characters)}
    return "".join(one for one, two in apart.items() if one != two and characters.issuperset(two) and two in text)


def _check_surrogates(text: str) -> None:
    try:
        text.encode("utf-32-le")
    except UnicodeEncodeError as error:
        found = f"U+{ord(text[error.start]):04X} at character {error.start:,}"
        raise BadInput(
            f"task.path: got the lone surrogate {found}; expected whole characters. Is task.encoding that of the file?"
        ) from None


def _check_distinct(characters: list[str]) -> None:
    if not characters:
        raise BadInput("task.path: got an empty corpus; expected at least 2 distinct characters. Is it the right file?")
    if len(characters) == 1:
        raise BadInput(
            f"task.path: got only 1 distinct character, {format_character(characters[0])}; expected at least 2. "
            "There is nothing to predict."
        )


def _check_vocabulary(size: int) -> None:
    if size > VOCABULARY_LIMIT:
        raise BadInput(
            f"task.path: got a vocabulary of {size:,} tokens; expected at most {VOCABULARY_LIMIT:,} (or --set "
            "task.vocabulary_limit=N). Is this text?"
        )

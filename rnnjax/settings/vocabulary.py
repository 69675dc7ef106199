"""Vocabularies: the tokens of a text, which are characters, bytes or words, and their ids. Loads no JAX.

The token of id i is vocabulary[i]. A vocabulary of characters is a string; one of bytes is `BYTES`, and one of words a
tuple of strings. A word begins with the blank before it, so that a text is its tokens one after the other.
"""

import difflib
import re
from collections import Counter

import numpy as np

from rnnjax.errors import BadInput

Vocabulary = str | tuple[str, ...]

BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
UNKNOWN_WORD, UNKNOWN_CHARACTER = "<unk>", "\ufffd"  # of tokens that a vocabulary leaves out
WORD = re.compile(r" ?\w+| ?[^\w\s]+|\s")  # letters and digits, or signs; every other blank is a token of its own


def parse_vocabulary(stored: str | list[str]) -> Vocabulary:
    """A vocabulary out of JSON, which has lists for tuples."""
    return stored if isinstance(stored, str) else tuple(stored)


def split_words(text: str) -> list[str]:
    """The words of a text, which follow each other without a gap."""
    return WORD.findall(text)


def byte_ids(text: str) -> np.ndarray:
    """The UTF-8 bytes of a text, int32."""
    return np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int32)


def most_frequent(tokens: Counter[str], limit: int) -> set[str]:
    """The `limit` most frequent tokens; of equally frequent ones the first in the order of their characters."""
    ranked = sorted(tokens, key=lambda token: (-tokens[token], token))
    return set(ranked[:limit])


def unknown_token(vocabulary: Vocabulary) -> str | None:
    """The token that stands for all others; None where there is none."""
    token = UNKNOWN_CHARACTER if isinstance(vocabulary, str) else UNKNOWN_WORD
    return token if token in vocabulary else None


def known_tokens(vocabulary: Vocabulary) -> np.ndarray | None:
    """bool [V], false for the token that stands for all others; None where there is none."""
    unknown = unknown_token(vocabulary)
    return None if unknown is None else np.arange(len(vocabulary)) != vocabulary.index(unknown)


def text_to_ids(text: str, vocabulary: Vocabulary, strict: bool = False) -> np.ndarray:
    """The int32 ids of a text. Args: strict: no token stands for all others.

    Raises: BadInput for a token that the vocabulary lacks, unless one stands for it.
    """
    if isinstance(vocabulary, str):
        return _character_ids(text, vocabulary, strict)
    if vocabulary == BYTES:
        return byte_ids(text)
    known = {token: i for i, token in enumerate(vocabulary)}
    unknown = -1 if strict else known.get(UNKNOWN_WORD, -1)
    words = split_words(text)
    ids_N = np.array([known.get(word, unknown) for word in words], np.int32)
    strange = np.flatnonzero(ids_N < 0)
    if strange.size:
        word = words[strange[0]]
        close = difflib.get_close_matches(word, vocabulary, 1, 0.5)
        nearest = f"; the nearest is {close[0].strip()!r}" if close else ""
        raise BadInput(f"text: {word.strip()!r}, word {strange[0]:,}, is not in the vocabulary{nearest}")
    return ids_N


def ids_to_text(ids_N: np.ndarray, vocabulary: Vocabulary) -> str:
    """The text of ids: the inverse of `text_to_ids`. Bytes that are not UTF-8 become U+FFFD."""
    if isinstance(vocabulary, str):
        points = np.frombuffer(vocabulary.encode("utf-32-le"), np.uint32)
        return points[ids_N].tobytes().decode("utf-32-le")
    if vocabulary == BYTES:
        return np.asarray(ids_N).astype(np.uint8).tobytes().decode("utf-8", errors="replace")
    return "".join(vocabulary[i] for i in np.asarray(ids_N))


def format_character(character: str) -> str:
    return f"{character!r} (U+{ord(character):04X})"


def _character_ids(text: str, vocabulary: str, strict: bool) -> np.ndarray:
    """The place of each character in the vocabulary, which is sorted by code point."""
    known, codes_N = _code_points(vocabulary), _code_points(text)
    ids_N = np.minimum(np.searchsorted(known, codes_N), len(known) - 1)
    strange = known[ids_N] != codes_N
    if strange.any() and UNKNOWN_CHARACTER in vocabulary and not strict:
        ids_N = np.where(strange, vocabulary.index(UNKNOWN_CHARACTER), ids_N)
    elif strange.any():
        place = int(np.argmax(strange))
        raise BadInput(f"text: {format_character(text[place])} at character {place:,} is not in the vocabulary")
    return ids_N.astype(np.int32)


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")

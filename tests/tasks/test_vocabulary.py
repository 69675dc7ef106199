"""Tokens of a text: characters, bytes and words, with and without a limit; the losses of n-grams beside them."""

import math

import numpy as np
import pytest

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.settings.vocabulary import BYTES, UNKNOWN_CHARACTER, UNKNOWN_WORD, ids_to_text, split_words, text_to_ids
from rnnjax.tasks import TASKS
from rnnjax.types import Task

TEXT = "The fox left the den — naïve, cold.\n\nThe den\twas cold: the fox's den! 3.5 m² \n" * 12


def text_of(tokens: str, limit: int = 0, text: str = TEXT) -> Task:
    return TASKS["text"](TaskSpec(name="text", tokens=tokens, vocabulary_limit=limit), text)  # type: ignore[arg-type]


def test_words_follow_each_other_without_a_gap() -> None:
    assert "".join(split_words(TEXT)) == TEXT
    assert split_words("a  cat's 2nd\nnap...") == ["a", " ", " cat", "'", "s", " 2nd", "\n", "nap", "..."]


@pytest.mark.parametrize("tokens", ["characters", "bytes", "words"])
def test_a_text_comes_back_from_its_tokens(tokens: str) -> None:
    task = text_of(tokens)
    whole = "".join(ids_to_text(ids_N, task.vocabulary) for ids_N in (task.train_N, task.validation_N))
    assert whole == TEXT and task.train_N.dtype == np.int32
    assert task.token == tokens[:-1] and task.inputs == task.outputs == len(task.vocabulary)


def test_bytes_are_those_of_utf_8() -> None:
    task = text_of("bytes")
    held_out = TEXT[len(TEXT) - round(len(TEXT) / 10) :]
    assert task.vocabulary == BYTES and bytes(task.validation_N.tolist()) == held_out.encode()
    assert task.tokens_per_character == len(held_out.encode()) / len(held_out) > 1
    assert ids_to_text(np.array([0xE2, 0x80, 0x41]), BYTES) == "\ufffdA"


def test_words_that_occur_once_are_unknown() -> None:
    task = text_of(
        "words", text="the cat and the dog and the owl and the cat sat and sat " * 2 + "the yak and the emu sat"
    )
    assert set(task.vocabulary) >= {UNKNOWN_WORD, " the", " cat", " sat"} and " yak" not in task.vocabulary
    assert UNKNOWN_WORD in ids_to_text(task.validation_N, task.vocabulary)


def test_a_limit_keeps_the_most_frequent_tokens() -> None:
    task = text_of("words", 4, "a b a b c a b c d " * 20)
    assert task.vocabulary == ("<unk>", " a", " b", " c")
    assert ids_to_text(text_to_ids(" a d c", task.vocabulary), task.vocabulary) == " a<unk> c"
    letters = text_of("characters", 4, "aaabbbccde" * 20)
    assert letters.vocabulary == "abc" + UNKNOWN_CHARACTER
    assert ids_to_text(text_to_ids("adc", letters.vocabulary), letters.vocabulary) == "a\ufffdc"
    assert text_of("characters", 4, "abcd" * 20).vocabulary == "abcd", "none is left out"


def test_the_notice_counts_what_is_left_out() -> None:
    [notice] = text_of("characters", 2, "aab" * 30 + "c" + "b" * 8 + "a").notices
    assert str(notice) == (
        "2 tokens are in the vocabulary; \ufffd stands for all others, 33.33% of the training part and 90.00% of the "
        "held-out part"
    )
    assert text_of("characters").notices == ()


@pytest.mark.parametrize(
    ("tokens", "limit", "text", "message"),
    [
        ("bytes", 9, "abc" * 9, "task.vocabulary_limit: got 9 with bytes, of which there are 256; expected 0"),
        ("words", 0, "one two three", "task.tokens: got words, of which 0 occur twice; expected at least 2 of them"),
        ("words", 0, "", "task.tokens: got words, of which 0 occur twice; expected at least 2 of them"),
    ],
)
def test_vocabularies_that_cannot_be_are_refused(tokens: str, limit: int, text: str, message: str) -> None:
    with pytest.raises(BadInput) as refusal:
        text_of(tokens, limit, text)
    assert str(refusal.value) == message


def test_an_unknown_word_is_named_where_none_stands_for_it() -> None:
    with pytest.raises(BadInput, match="'owl', word 1, is not in the vocabulary"):
        text_to_ids("a owl", ("a", " b"))
    with pytest.raises(BadInput, match="'owl', word 1, is not in the vocabulary; the nearest is 'owls'"):
        text_to_ids("a owl", (UNKNOWN_WORD, "a", " owls"), strict=True)
    with pytest.raises(BadInput, match="'d' .* at character 1 is not in the vocabulary"):
        text_to_ids("ad", "ab\ufffd", strict=True)


def test_the_losses_of_ngrams_are_those_of_the_held_out_part() -> None:
    """A first-order chain: a bigram reaches its entropy, a unigram that of the letters; longer contexts add nothing."""
    rng = np.random.default_rng(0)
    switches = rng.random(20_000) < 0.1
    task = text_of("characters", text="".join("ab"[i] for i in np.cumsum(switches) % 2))
    entropy = -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))
    assert len(task.ngram_losses) == 6
    assert task.ngram_losses[0] == pytest.approx(math.log(2), abs=0.01)
    assert task.ngram_losses[1:] == pytest.approx([entropy] * 5, abs=0.03)

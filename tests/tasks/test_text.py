"""Any text as a task: ids, split and refusals."""

import unicodedata

import numpy as np
import pytest

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.settings.vocabulary import text_to_ids
from rnnjax.tasks import TASKS
from rnnjax.tasks.default_text import MARKDOWN, MARKDOWN_VALIDATION
from rnnjax.tasks.text import duplicate_forms, known_word_share
from rnnjax.tasks.windows import task_windows
from rnnjax.types import Task

SETTINGS = TaskSpec(name="text")


def read_back(task: Task) -> tuple[str, str]:
    train, validation = ("".join(task.vocabulary[i] for i in ids) for ids in (task.train_N, task.validation_N))
    return train, validation


def test_the_built_in_text_trains_on_all_of_its_first_part() -> None:
    task = TASKS["text"](SETTINGS, None)
    assert read_back(task) == (MARKDOWN, MARKDOWN_VALIDATION)
    assert (len(MARKDOWN), len(set(MARKDOWN)), len(MARKDOWN_VALIDATION)) == (4_044, 69, 449)
    assert set(MARKDOWN_VALIDATION) <= set(MARKDOWN)


def test_the_built_in_text_makes_seven_batches() -> None:
    task = TASKS["text"](SETTINGS, None)
    assert task_windows(task, task.train_N, batch=32, window=16).inputs_WTB.shape == (7, 16, 32)


def test_the_built_in_text_is_clean_markdown() -> None:
    lines = MARKDOWN.splitlines()
    assert lines[0] == "# Field notes"
    assert not any(line != line.rstrip() or "\t" in line for line in lines)
    assert "—" in MARKDOWN
    assert MARKDOWN.count("](") >= 15


def test_a_text_comes_back_from_its_ids_with_the_end_held_out() -> None:
    text = "the quick brown fox\r\njumps over — Ünïcode 🦊\n" * 3
    task = TASKS["text"](TaskSpec(validation=0.25), text)
    held_out = round(len(text) / 4)
    assert read_back(task) == (text[:-held_out], text[-held_out:])
    assert task.vocabulary == "".join(sorted(set(text)))
    assert task.train_N.dtype == task.validation_N.dtype == np.int32


def test_a_character_of_the_held_out_end_alone_has_an_id() -> None:
    task = TASKS["text"](SETTINGS, "abab" * 9 + "zz")
    assert task.vocabulary == "abz"
    assert task.train_N.max() == 1
    assert task.validation_N[-1] == 2


def test_the_levels_are_those_of_the_training_part_and_claim_no_floor() -> None:
    task = TASKS["text"](SETTINGS, "ab" * 45 + "bbbaaabbab")
    assert task.reference_losses == pytest.approx(
        {"chance": np.log(2), "unigram": np.log(2), "bigram": 0, "trigram": 0}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "task.path: got an empty corpus; expected at least 2 distinct characters. Is it the right file?"),
        (
            "\n" * 40,
            (
                "task.path: got only 1 distinct character, '\\n' (U+000A); expected at least 2. "
                "There is nothing to predict."
            ),
        ),
        (
            "".join(map(chr, range(0x10000, 0x10000 + 90_112))),
            "task.path: got a vocabulary of 90,112 tokens; expected at most 65,535 (or --set "
            "task.vocabulary_limit=N). Is this text?",
        ),
        (
            "abc\ud800abc",
            (
                "task.path: got the lone surrogate U+D800 at character 3; expected whole characters. "
                "Is task.encoding that of the file?"
            ),
        ),
        ("ab", "task: has 2 characters; need >= 3 (to count runs of 3)"),
    ],
)
def test_what_makes_no_sense_as_a_task_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(BadInput) as refusal:
        TASKS["text"](SETTINGS, text)
    assert str(refusal.value) == message


def test_the_largest_vocabulary_is_accepted() -> None:
    task = TASKS["text"](SETTINGS, "".join(map(chr, range(0x10000, 0x10000 + 65_535))))
    assert task.validation_N[-1] == 65_534


@pytest.mark.parametrize("character", ["Ω", "a", "\ud800", "\U0010ffff"])
def test_a_character_without_an_id_is_refused(character: str) -> None:
    shown = f"text: {character!r} (U+{ord(character):04X}) at character 2 is not in the vocabulary"
    with pytest.raises(BadInput) as refusal:
        text_to_ids(f"bd{character}d", "bcd")
    assert str(refusal.value) == shown


def test_double_forms_are_named() -> None:
    composed, decomposed = (unicodedata.normalize("NFC", "é à"), unicodedata.normalize("NFD", "é"))
    assert duplicate_forms(f"{composed} {decomposed}") == unicodedata.normalize("NFC", "é")
    assert duplicate_forms(composed) == duplicate_forms(decomposed) == ""
    assert duplicate_forms(f"{composed} e" + unicodedata.normalize("NFD", "í")) == ""  # the accent is another letter's


def test_valid_words_counted_by_hand() -> None:
    words = frozenset({"red", "blue", "a-b,"})
    assert known_word_share(words, "re red\nbleu a-b,  red blu") == 3 / 4  # the first and last may be cut
    assert known_word_share(words, " red ") == 1
    assert known_word_share(words, "red red") == known_word_share(words, "") == known_word_share(words, "  \n ") == 0


def test_the_task_knows_the_words_of_its_whole_text() -> None:
    measures = TASKS["text"](SETTINGS, "one two three four five six seven").text_measures
    assert measures("x two seven eight x") == {"valid_words": pytest.approx(2 / 3)}

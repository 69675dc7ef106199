"""Oracles: search by plain Python strings, sets of slices, and texts whose loop is known."""

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnjax.probes.numerics import repetition as loops


def ids(*texts: str) -> np.ndarray:
    return np.array([[ord(character) for character in text] for text in texts], np.int32)


def period_by_search(text: str, longest: int, shortest_tail: int) -> int:
    """Build each candidate by repeating the last p characters and compare."""
    for period in range(1, longest + 1):
        length = max(3 * period, shortest_tail)
        turn = text[-period:]
        if (turn * length)[-length:] == text[-length:]:
            return period
    return 0


@given(st.text("ab", max_size=12), st.text("abc", min_size=1, max_size=6), st.integers(0, 3), st.integers(1, 14))
def test_trailing_period_is_what_a_search_finds(start: str, turn: str, cut: int, shortest_tail: int) -> None:
    looped = (start + turn * 24)[: -cut or None][-40:]
    period = loops.trailing_period(ids(looped), longest=6, shortest_tail=shortest_tail)
    assert period.tolist() == [period_by_search(looped, 6, shortest_tail)]


@given(st.lists(st.text("ab", min_size=9, max_size=9), min_size=1, max_size=20))
def test_trailing_period_of_random_texts_is_what_a_search_finds(texts: list[str]) -> None:
    periods = loops.trailing_period(ids(*texts), longest=3, shortest_tail=4)
    assert periods.tolist() == [period_by_search(text, 3, 4) for text in texts]


def test_trailing_period_on_known_texts() -> None:
    rng = np.random.default_rng(0)
    noise = "".join(rng.choice(list("abcdefgh"), 500))
    exactly = {
        "a": 1,  # one character for ever
        "wan ": 4,
        "the cat sees the dog ": 21,
        noise[:64]: 64,  # the longest that is looked for
        noise[:65]: 0,
    }
    texts = [(noise + turn * 200)[-500:] for turn in exactly]
    assert loops.trailing_period(ids(*texts, noise)).tolist() == [*exactly.values(), 0]


@pytest.mark.parametrize(("looped", "period"), [(48, 4), (47, 0)])
def test_the_default_tail_is_48_characters(looped: int, period: int) -> None:
    text = ("x" * 300 + "!" + ("wan " * 12)[-looped:])[-250:]
    assert loops.trailing_period(ids(text)).tolist() == [period]


@pytest.mark.parametrize(("looped", "period"), [(90, 30), (89, 0)])
def test_a_long_period_needs_three_turns(looped: int, period: int) -> None:
    turn = "abcdefghijklmnopqrstuvwxyz1234"
    text = "!" * (300 - looped) + (turn * 3)[-looped:]
    assert loops.trailing_period(ids(text)).tolist() == [period]


def test_the_rule_of_the_study_is_stricter() -> None:
    text = "x" * 301 + ("wan " * 50)[1:]  # 199 looped characters
    arguments = {"longest": 50, "shortest_tail": 200}
    assert loops.trailing_period(ids(text, text[1:] + " "), **arguments).tolist() == [0, 0]
    assert loops.trailing_period(ids(text[1:] + "w"), **arguments).tolist() == [4]


@given(st.lists(st.text("abc", min_size=8, max_size=8), min_size=1, max_size=5), st.integers(1, 8))
def test_distinct_is_the_size_of_the_set(texts: list[str], n: int) -> None:
    expected = [len({text[i : i + n] for i in range(9 - n)}) / (9 - n) for text in texts]
    assert loops.distinct(ids(*texts), n).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("largest", "n"), [(255, 1), (256, 1), (255, 2), (65_535, 2), (65_534, 4), (2_000_000, 3)])
def test_distinct_keeps_ids_apart_up_to_64_bits(largest: int, n: int) -> None:
    row = [largest, 0, largest, largest, 0, largest, largest, largest]
    expected = len({tuple(row[i : i + n]) for i in range(9 - n)}) / (9 - n)
    assert loops.distinct(np.array([row]), n).tolist() == [expected]


def test_distinct_does_not_wrap_at_32_bits() -> None:
    row = np.array([[1, 0, 0, 0, 65_535]], np.int32)  # 1 * 65536^2 is 0 modulo 2^32
    assert loops.distinct(row, 3).tolist() == [1.0]


def test_distinct_of_many_texts_is_that_of_each() -> None:
    texts = np.random.default_rng(1).integers(0, 3, (2 * loops.BLOCK + 7, 12))
    each = [loops.distinct(texts[i : i + 1], 2)[0] for i in range(len(texts))]
    assert loops.distinct(texts, 2).tolist() == each


def test_compression_ratio_tells_a_loop_from_noise() -> None:
    rng = np.random.default_rng(2)
    noise = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwx"), 500)) for _ in range(20)]
    ratios = loops.compression_ratio([*noise, "wan " * 125])
    assert ratios.shape == (21,) and ratios[-1] < 0.05
    # 24 equally likely characters hold log2(24) / 8 = 0.573 of a byte each; zlib needs its code table as well.
    assert ratios[:20].min() > 0.573 and ratios[:20].mean() == pytest.approx(0.64, abs=0.01)


def test_compression_ratio_is_in_bytes() -> None:
    assert loops.compression_ratio(["é" * 500]) == pytest.approx(loops.compression_ratio(["ab" * 500]), rel=0.2)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("at least 192 characters", lambda: loops.trailing_period(np.zeros((2, 191), int))),
        ("rank 2", lambda: loops.trailing_period(np.zeros(500, int))),
        ("integers", lambda: loops.distinct(np.zeros((2, 500)))),
        ("at least 4 characters", lambda: loops.distinct(np.zeros((2, 3), int))),
        (">= 0", lambda: loops.distinct(np.full((2, 9), -1))),
        ("64 bits", lambda: loops.distinct(np.full((2, 9), 65_535))),
        ("index 1", lambda: loops.compression_ratio(["a", ""])),
    ],
)
def test_bad_texts_are_refused(message: str, call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_no_texts_give_no_answers() -> None:
    empty = np.zeros((0, 500), int)
    for answers in (loops.trailing_period(empty), loops.distinct(empty), loops.compression_ratio([])):
        assert answers.shape == (0,)


def test_a_study_of_300_000_texts_takes_seconds() -> None:
    texts = np.random.default_rng(3).integers(0, 24, (2_000, 500), dtype=np.int32)
    start = time.process_time()
    loops.trailing_period(texts), loops.distinct(texts)
    assert (time.process_time() - start) / 2_000 < 150e-6  # seconds a text; measured 10e-6

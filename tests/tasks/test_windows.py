"""Windows and levels against dictionaries that count one pair at a time."""

from collections import Counter
from collections.abc import Hashable, Iterable
from math import log

import numpy as np
import pytest

from rnnjax.errors import BadInput
from rnnjax.tasks.entropy import carried_floor, held_out_loss_bound, ngram_loss, reference_losses, window_floor
from rnnjax.tasks.windows import cut_windows, next_step, spread_windows
from rnnjax.types import WindowData

CASES = [(2, 60, 3, 4), (3, 200, 5, 8), (2, 97, 1, 6), (5, 40, 8, 2)]  # V, N, B, T


def counted_entropy(pairs: Iterable[tuple[Hashable, int]]) -> float:
    """Oracle: H(target | context) from a dictionary of counts."""
    listed = list(pairs)
    joint, context = Counter(listed), Counter(first for first, _ in listed)
    return -sum(n / len(listed) * log(n / context[first]) for (first, _), n in joint.items())


def random_ids(characters: int, size: int) -> np.ndarray:
    return np.random.default_rng(size).integers(characters, size=size, dtype=np.int32)


@pytest.mark.parametrize(
    ("size", "batch", "window"), [(26, 1, 25), (101, 4, 7), (100, 4, 7), (4_044, 32, 16), (9, 8, 1)]
)
def test_windows_lay_the_text_out_in_parallel_streams(size: int, batch: int, window: int) -> None:
    inputs, targets = cut_windows(next_step(np.arange(size, dtype=np.int32)), batch, window)[:2]
    length = (size - 1) // batch
    assert inputs.shape == targets.shape == (length // window, window, batch)
    assert inputs.dtype == targets.dtype == np.int32
    for stream in range(batch):
        first = stream * length
        expected = range(first, first + length // window * window)
        assert inputs[:, :, stream].ravel().tolist() == list(expected)
    np.testing.assert_array_equal(targets, inputs + 1)


@pytest.mark.parametrize(
    ("size", "batch", "window", "message"),
    [
        (20, 1, 25, "task: has 20 characters; need >= 26 (window 25 + 1); use --set window=19"),
        (25, 1, 25, "task: has 25 characters; need >= 26 (window 25 + 1); use --set window=24"),
        (512, 32, 16, "task: has 512 characters; need >= 513 (batch 32 x window 16 + 1); use --set window=15"),
        (1, 2, 1_000, "task: has 1 characters; need >= 2,001 (batch 2 x window 1000 + 1)"),
    ],
)
def test_a_text_too_short_for_one_window_is_refused(size: int, batch: int, window: int, message: str) -> None:
    with pytest.raises(BadInput) as refusal:
        cut_windows(next_step(np.zeros(size, dtype=np.int32)), batch, window)
    assert str(refusal.value) == message


def test_levels_of_a_text_counted_by_hand() -> None:
    """abab...: half a, half b; the one before tells the next."""
    ids = np.array([0, 1] * 50, dtype=np.int32)
    expected = {"chance": log(3), "unigram": log(2), "bigram": 0.0, "trigram": 0.0}
    assert reference_losses(ids, vocabulary_size=3) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("characters", [2, 4, 60_000])
def test_ngram_is_the_counted_entropy(n: int, characters: int) -> None:
    ids = random_ids(characters, 300)
    text = ids.tolist()
    pairs = [(tuple(text[i - n + 1 : i]), text[i]) for i in range(n - 1, len(text))]
    assert ngram_loss(ids, n) == pytest.approx(counted_entropy(pairs), abs=1e-12)


def test_ngram_of_less_than_one_run_is_refused() -> None:
    with pytest.raises(BadInput, match=r"task: has 2 characters; need >= 3 \(to count runs of 3\)"):
        ngram_loss(random_ids(2, 2), 3)


def test_window_floor_of_two_windows_counted_by_hand() -> None:
    """Both read 0 1; the first target is 1 in both, the second is 0 in one and 1 in the other."""
    inputs = np.array([[[0, 0], [1, 1]]])
    targets = np.array([[[1, 1], [0, 1]]])
    assert window_floor(WindowData(inputs, targets)) == pytest.approx(log(2) / 2)
    assert window_floor(WindowData(inputs, inputs)) == 0


@pytest.mark.parametrize(("characters", "size", "batch", "window"), CASES)
def test_window_floor_is_the_counted_entropy(characters: int, size: int, batch: int, window: int) -> None:
    inputs, targets = cut_windows(next_step(random_ids(characters, size)), batch, window)[:2]
    places = [(w, b) for w in range(len(inputs)) for b in range(batch)]
    by_step = [
        counted_entropy((tuple(inputs[w, : t + 1, b].tolist()), int(targets[w, t, b])) for w, b in places)
        for t in range(window)
    ]
    assert window_floor(WindowData(inputs, targets)) == pytest.approx(sum(by_step) / window, abs=1e-12)


@pytest.mark.parametrize(("characters", "size", "batch", "window"), CASES)
def test_carried_floor_is_the_counted_entropy_of_whole_streams(
    characters: int, size: int, batch: int, window: int
) -> None:
    data = cut_windows(next_step(random_ids(characters, size)), batch, window)
    streams = [[ids_WTB[:, :, b].ravel().tolist() for ids_WTB in data[:2]] for b in range(batch)]
    steps = len(streams[0][0])
    by_step = [counted_entropy((tuple(i[: t + 1]), o[t]) for i, o in streams) for t in range(steps)]
    assert carried_floor(data) == pytest.approx(sum(by_step) / steps, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_held_out_level_is_that_of_counts_plus_one(n: int) -> None:
    train, validation, size = (
        random_ids(4, 80),
        random_ids(6, 50),
        6,
    )  # two characters occur in the held-out text only
    text, rest = train.tolist(), validation.tolist()
    runs = Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1))
    contexts = Counter(tuple(text[i : i + n - 1]) for i in range(len(text) - n + 1))
    losses = [
        -log((runs[tuple(rest[i : i + n])] + 1) / (contexts[tuple(rest[i : i + n - 1])] + size))
        for i in range(len(rest) - n + 1)
    ]
    assert held_out_loss_bound(train, validation, n, size) == pytest.approx(np.mean(losses))


def test_spread_windows_stand_from_the_first_place_to_the_last() -> None:
    inputs, targets = spread_windows(next_step(np.arange(100, 141)), length=10, windows=4)[:2]
    found = inputs[0]
    assert found[0].tolist() == [100, 110, 120, 130]
    np.testing.assert_array_equal(targets, inputs + 1)
    np.testing.assert_array_equal(found - found[0], np.arange(10)[:, None].repeat(4, axis=1))

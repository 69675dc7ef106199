"""Copying and adding against enumeration, loops and big samples."""

import itertools
import math

import numpy as np
import pytest

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.settings.vocabulary import ids_to_text
from rnnjax.tasks import TASKS
from rnnjax.tasks.entropy import window_floor
from rnnjax.tasks.recall import copy_floor, recall_task
from rnnjax.tasks.windows import task_windows
from rnnjax.types import LabelledSequence, Task, WindowData

SMALL = [(1, 4, 2), (3, 4, 2), (4, 4, 2), (6, 4, 2), (2, 3, 3), (1, 1, 3)]  # lag, T, V


def copying(**fields: object) -> Task:
    return recall_task(TaskSpec(name="recall", **fields), None)


def adding(**fields: object) -> Task:
    return recall_task(TaskSpec(name="recall", recall="adding", **({"length": 10} | fields)), None)


def examples(task: Task, values_N: np.ndarray) -> list[LabelledSequence]:
    """The examples one by one."""
    pairs = task.make_sequence(values_N)
    places = [slice(start, start + pairs.example_length) for start in range(0, len(values_N), pairs.example_length)]
    return [LabelledSequence(*(None if part is None else part[place] for part in pairs[:4])) for place in places]


# Copying


def test_what_is_said_was_heard_a_lag_before() -> None:
    task = copying(characters=200, copy_delay=7, validation=0.25)
    assert len(task.train_N) == 200 and len(task.validation_N) == 50
    for ids_N in (task.train_N, task.validation_N):
        sequence = task.make_sequence(ids_N)
        inputs, targets = sequence[:2]
        assert inputs.dtype == targets.dtype == np.int32
        assert len(inputs) == len(targets) == len(ids_N) - 7
        for t in range(len(inputs)):
            assert inputs[t] == ids_N[t + 7] and targets[t] == ids_N[t]
        np.testing.assert_array_equal(targets[7:], inputs[:-7])
        assert sequence.example_length == 1
        masks = sequence.loss_mask_N, sequence.valid_N, sequence.measured_N, sequence.starts_N
        assert masks == (None,) * 4


def test_the_letters_are_independent_and_equally_likely() -> None:
    task = copying(characters=64_000, symbols=4)
    assert (task.inputs, task.outputs, task.loss, task.vocabulary) == (4, 4, "cross_entropy", "abcd")
    pairs = np.bincount(task.train_N[:-1] * 4 + task.train_N[1:], minlength=16)
    assert pairs == pytest.approx([4_000] * 16, rel=0.08)  # 5 standard deviations
    assert set(ids_to_text(task.validation_N, task.vocabulary)) == set("abcd")


def test_the_two_parts_are_drawn_apart_and_by_seed() -> None:
    task, again, other = (copying(characters=500, validation=0.5, corpus_seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(task.train_N, again.train_N)
    np.testing.assert_array_equal(task.validation_N, again.validation_N)
    assert not np.array_equal(task.train_N, other.train_N)
    assert not np.array_equal(task.train_N[:250], task.validation_N)


def test_the_levels_of_copying() -> None:
    """Chance: any letter, whatever is said. Floor: a state that holds `lag` letters says each target."""
    task = copying(characters=1_000, symbols=5, copy_delay=3)
    assert task.reference_losses == {"chance": pytest.approx(math.log(5)), "floor": 0}
    held: list[int] = []
    for heard, target in zip(*task.make_sequence(task.train_N)[:2], strict=True):
        assert len(held) < 3 or held[-3] == target
        held.append(heard)


@pytest.mark.parametrize(("lag", "window", "symbols"), SMALL)
def test_the_reset_floor_by_enumeration_of_all_texts(lag: int, window: int, symbols: int) -> None:
    """Every text of lag + T letters once: windows that are all equally likely, with nothing left to chance."""
    texts_NB = np.array(list(itertools.product(range(symbols), repeat=lag + window))).T
    every = WindowData(texts_NB[None, lag:], texts_NB[None, :window])
    assert window_floor(every) == pytest.approx(copy_floor(lag, window, symbols), abs=1e-12)


@pytest.mark.parametrize(("lag", "window", "symbols"), SMALL)
def test_the_reset_floor_of_a_long_text(lag: int, window: int, symbols: int) -> None:
    task = copying(characters=80_000, copy_delay=lag, symbols=symbols)
    counted = window_floor(task_windows(task, task.train_N, batch=1, window=window))
    assert counted == pytest.approx(copy_floor(lag, window, symbols), abs=2e-3)


# Adding


@pytest.mark.parametrize(("length", "shortest", "least"), [(10, 1.0, 10), (10, 0.42, 5), (2, 1.0, 2), (25, 0.28, 7)])
def test_each_example_is_what_it_says(length: int, shortest: float, least: int) -> None:
    task = adding(length=length, shortest=shortest, examples=300)
    assert task.train_N.shape == (300 * length, 5) and task.train_N.dtype == np.float32
    assert len(task.validation_N) == 30 * length
    ends = set()
    for one in examples(task, task.train_N) + examples(task, task.validation_N):
        end = length if one.valid_N is None else int(one.valid_N.sum())
        ends.add(end)
        values, markers = one.inputs_N.T
        first, second = np.flatnonzero(markers)
        assert 0 <= first < end // 2 <= second < end
        assert markers.sum() == 2 and ((values >= 0) & (values < 1)).all()
        assert one.loss_mask_N.tolist() == [float(t == end - 1) for t in range(length)]
        assert one.targets_N.shape == (length, 1)
        assert one.targets_N[end - 1, 0] == pytest.approx(values[first] + values[second])
        if one.valid_N is not None:
            assert one.valid_N.dtype == bool and one.valid_N.tolist() == [t < end for t in range(length)]
            assert not one.inputs_N[end:].any() and not one.targets_N[end:].any()
    assert ends <= set(range(least, length + 1))
    assert len(ends) == length - least + 1
    assert (task.make_sequence(task.train_N).valid_N is None) == (shortest == 1)


def test_every_place_is_marked_alike_often() -> None:
    task = adding(examples=20_000)
    marked = task.train_N[:, 1].reshape(-1, 10).mean(axis=0)
    assert marked == pytest.approx([1 / 5] * 10, abs=0.015)  # 5 standard deviations


def test_every_length_is_alike_often() -> None:
    task = adding(examples=20_000, shortest=0.6)
    ends = task.train_N[:, 4].reshape(-1, 10).sum(axis=1).astype(int)
    assert np.bincount(ends)[6:] / 20_000 == pytest.approx([1 / 5] * 5, abs=0.015)


def test_the_levels_of_adding() -> None:
    """The best constant is 1, its loss the variance of the sum; four moments bound the error of the sample's."""
    task = adding(length=2, examples=200_000)
    pairs = task.make_sequence(task.train_N)
    sums = pairs.targets_N[pairs.loss_mask_N == 1, 0]
    assert len(sums) == 200_000
    assert task.reference_losses["chance"] == pytest.approx(np.mean((sums - 1) ** 2), abs=0.002)
    assert task.reference_losses["chance"] == pytest.approx(sums.var(), abs=0.002)
    assert task.reference_losses["floor"] == 0
    assert (task.inputs, task.outputs, task.loss, task.vocabulary) == (2, 1, "squared_error", "")


def test_the_examples_of_the_two_parts_are_apart_and_by_seed() -> None:
    task, again, other = (adding(examples=20, corpus_seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(task.train_N, again.train_N)
    assert not np.isin(task.validation_N[:, 0], task.train_N[:, 0]).any()
    assert not np.isin(other.train_N[:, 0], task.train_N[:, 0]).any()
    alone = adding(examples=1)
    assert not np.array_equal(alone.train_N, alone.validation_N)


def test_at_least_one_example_is_held_out() -> None:
    assert len(adding(examples=3).validation_N) == 10


def test_windows_are_whole_examples() -> None:
    task = adding(examples=7, shortest=0.5)
    data = task_windows(task, task.train_N, batch=3, window=10)
    assert data.inputs_WTB.shape == (2, 10, 3, 2) and data.targets_WTB.shape == (2, 10, 3, 1)
    for window, stream in itertools.product(range(2), range(3)):
        number = stream * 2 + window
        one = examples(task, task.train_N)[number]
        for whole, part in zip(data[:4], one[:4], strict=True):
            np.testing.assert_array_equal(whole[window, :, stream], part)
    with pytest.raises(BadInput, match=r"window: got 5; the examples of this task have 10 steps \(task.length\)"):
        task_windows(task, task.train_N, batch=1, window=5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"characters": 100, "copy_delay": 10},
            "task.copy_delay: got 10; expected less than the 100 characters to train on and the 10 held out",
        ),
        ({"recall": "adding", "length": 1}, "task.length: got 1; expected >= 2 (one step for each marker)"),
        (
            {"recall": "adding", "length": 10, "shortest": 0.1},
            "task.shortest: got 0.1; expected more than 0.1 (2 steps of 10)",
        ),
    ],
)
def test_what_cannot_be_recalled_is_refused_in_one_line(fields: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput) as refusal:
        TASKS["recall"](TaskSpec(**fields), None)
    assert str(refusal.value) == message


def test_the_largest_lag_and_the_shortest_share_are_accepted() -> None:
    assert len(copying(characters=100, copy_delay=9).make_sequence(np.arange(10)).inputs_N) == 1
    assert adding(length=10, shortest=0.11).train_N[:, 4].reshape(-1, 10).sum(axis=1).min() == 2

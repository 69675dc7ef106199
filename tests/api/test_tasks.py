"""Tasks of strings, arrays and tables are those of the same data in a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

import rnnjax as rj
from rnnjax.types import Task

TEXT = "the cat sat on the mat\n" * 20


def same(one: Task, other: Task) -> bool:
    arrays = [(one.train_N, other.train_N), (one.validation_N, other.validation_N)]
    return all(np.array_equal(a, b) for a, b in arrays) and one[3:8] == other[3:8] and one.columns == other.columns


def test_a_string_is_a_text_as_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "cat.txt"
    file.write_text(TEXT)
    for options in ({}, {"tokens": "words"}, {"validation": 0.2}):
        task = rj.text_task(TEXT, **options)
        assert same(task, rj.text_task(file, **options)) and same(task, rj.text_task(str(file), **options))
        assert task.settings is not None and task.settings.name == "text"
    assert rj.text_task().vocabulary != task.vocabulary, "the included text"


@pytest.fixture
def rows() -> np.ndarray:
    """Numbers that a short text would round, and one column that counts."""
    rng = np.random.default_rng(0)
    return np.column_stack([np.arange(120.0), rng.normal(size=120) / 3, 1e-7 * rng.normal(size=120) + 1])


def test_an_array_keeps_every_bit(rows: np.ndarray) -> None:
    """Against the standardised numbers by NumPy: the column that counts is a column, not the index."""
    task = rj.series_task(rows)
    assert task.columns == ("x0", "x1", "x2") and task.series is not None
    assert np.array_equal(task.series.values_NC, rows)
    train = rows[:108]
    np.testing.assert_array_equal(task.train_N, ((train - train.mean(0)) / train.std(0)).astype(np.float32))
    one = rj.series_task(rows[:, 1])
    assert one.columns == ("x0",) and np.array_equal(one.train_N[:, 0], task.train_N[:, 1])


def test_a_table_is_that_of_the_array(rows: np.ndarray) -> None:
    names = ["level", "rain", "wind"]
    options: dict[str, Any] = {"targets": "level", "inputs": "rain", "lags": "3"}
    frame = pandas.DataFrame(rows, columns=names)
    mapping = dict(zip(names, rows.T, strict=True))
    tasks = [rj.series_task(data, **options) for data in (frame, mapping)]
    tasks.append(rj.series_task(rows, columns="level, rain, wind", **options))
    assert tasks[0].inputs == 3 and tasks[0].columns == ("level",)
    assert same(tasks[0], tasks[1]) and same(tasks[0], tasks[2])


def test_the_dates_of_a_frame_are_its_labels(rows: np.ndarray, tmp_path: Path) -> None:
    days = pandas.date_range("2024-01-01", periods=120, freq="D", name="day")
    frame = pandas.DataFrame(rows[:, 1:], columns=["a", "b"], index=days)
    task = rj.series_task(frame)
    frame.to_csv(tmp_path / "days.csv")
    assert same(task, rj.series_task(tmp_path / "days.csv"))
    assert task.series is not None and task.series.labels[0].startswith("2024-01-01")


def test_a_missing_number_is_refused_or_masked(rows: np.ndarray) -> None:
    rows[5, 1] = np.nan
    with pytest.raises(rj.BadInput, match="missing"):
        rj.series_task(rows)
    masked = rj.series_task(rows, missing="mask")
    assert masked.series is not None and np.isnan(masked.series.values_NC[5, 1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rj.text_task("notes.md"), "text_task: no such file 'notes.md'; a text itself has a line break"),
        (lambda: rj.text_task(TEXT, token="words"), "text_task: unknown field 'token'; did you mean 'tokens'?"),
        (lambda: rj.text_task(TEXT, tokens="word"), "tokens: got 'word'; expected one of: characters, bytes, words"),
        (lambda: rj.text_task("/"), "^task.path: / is not a regular file$"),
        (lambda: rj.text_task("a\n"), "task: has 2 characters; need >= 3"),
        (lambda: rj.grammar_task(characters=0), "characters: got 0; expected integer >= 1"),
        (lambda: rj.recall_task("copying"), "recall: got 'copying'; expected one of: copy, delayed_copy, adding"),
        (lambda: rj.series_task("lake.csv"), "series_task: no such file 'lake.csv'"),
        (lambda: rj.series_task([["a"]]), r"series_task: got list; expected an array of numbers \[N\] or \[N, C\]"),
        (lambda: rj.series_task(np.zeros((2, 2, 2))), r"series_task: got an array of shape \(2, 2, 2\); expected"),
        (lambda: rj.series_task({"a": [1.0], "b": [1.0, 2.0]}), r"series_task: got columns of \[1, 2\] rows"),
        (lambda: rj.series_task(np.arange(9.0), columns="a,b"), "columns: got 2 names; expected 1"),
        (lambda: rj.series_task(np.ones(30)), "got 'x0', which is 1 in all 27 rows to train on"),
    ],
)
def test_bad_data_are_one_line(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert isinstance(caught.value, rj.BadInput) and "\n" not in str(caught.value) and "--" not in str(caught.value)

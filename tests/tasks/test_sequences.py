"""Sets of sequences: five forms of the same data give the same task; splits; every bad input in one line."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.sequences.arrays import raw_from_lists
from rnnjax.tasks.sequences.raw import RawSequences
from rnnjax.tasks.sequences.splits import held_out_sequences
from rnnjax.tasks.sequences.task import sequences_task
from rnnjax.types import SequenceSet, Task

X = [np.array([[t + n, (t * n) % 3] for t in range(2 + n % 3)], float) for n in range(8)]
Y = ["up" if n % 2 else "down" for n in range(8)]
LENGTHS = [len(one) for one in X]


def settings(path: str = "file.csv", **fields: Any) -> TaskSpec:
    return TaskSpec(**{"name": "sequences", "path": path, "validation": 0.25} | fields)


def csv_text(extra: str = "", words: list[str] | None = None) -> str:
    lines = ["sequence,a,b,label" + (f",{extra}" if extra else "")]
    for n, one in enumerate(X):
        end = f",{words[n]}" if words else ""
        lines += [f"s{n},{row[0]:g},{row[1]:g},{Y[n]}{end}" for row in one]
    return "\n".join(lines) + "\n"


def json_text() -> str:
    return "".join(f'{{"x": {one.tolist()}, "y": "{y}"}}\n' for one, y in zip(X, Y, strict=True))


def padded_arrays() -> dict[str, np.ndarray]:
    x = np.full((8, 5, 2), 99.0)
    for n, one in enumerate(X):
        x[n, : len(one)] = one
    return {"x": x, "lengths": np.array(LENGTHS), "y": np.array(Y)}


def ragged_arrays() -> dict[str, np.ndarray]:
    return {"values": np.concatenate(X), "offsets": np.cumsum([0, *LENGTHS]), "y": np.array(Y)}


TS = (
    "# a comment\n@problemName toy\n@timeStamps false\n@missing false\n@univariate false\n@dimensions 2\n"
    "@classLabel true up down\n@data\n"
)


def ts_text() -> str:
    cases = [":".join(",".join(f"{v:g}" for v in column) for column in one.T) for one in X]
    return TS + "".join(f"{case}:{y}\n" for case, y in zip(cases, Y, strict=True))


FORMS = {
    "file.csv": csv_text(),
    "file.jsonl": json_text(),
    "file.npz": padded_arrays(),
    "ragged.npz": ragged_arrays(),
    "file.ts": ts_text(),
    "lists": raw_from_lists(X, Y),
}


def parts(task: Task) -> list[SequenceSet]:
    assert task.sequences is not None
    return [task.sequences.train, task.sequences.validation]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_task(form: str) -> None:
    task = sequences_task(settings(form), FORMS[form])
    steps = np.concatenate([X[n] for n in range(8) if not held_out_sequences(raw_from_lists(X, Y), settings())[n]])
    train = parts(task)[0]
    np.testing.assert_allclose(train.inputs_R, (steps - steps.mean(axis=0)) / steps.std(axis=0), rtol=1e-6)
    assert task.sequences is not None and task.sequences.classes == ("down", "up")
    assert task.inputs == 2 and task.outputs == 2 and task.token == "sequence"
    labels = train.targets_R[train.offsets_N[1:] - 1]
    assert sorted(labels) == [0, 0, 0, 1, 1, 1] and train.loss_mask_R.sum() == 6


def test_the_chance_level_is_that_of_the_class_shares() -> None:
    task = sequences_task(settings(), csv_text())
    assert task.reference_losses["chance"] == pytest.approx(np.log(2))  # 3 of each in training, each count one higher


def test_values_are_brought_to_mean_0_and_deviation_1() -> None:
    values = [[float(n), 10.0 * n**2] for n in range(8)]
    task = sequences_task(settings(predict="values"), raw_from_lists(X, values))
    train, held_out = parts(task)
    own = np.array(values)[[int(name.removeprefix("sequence ")) - 1 for name in train.names]]
    last = train.targets_R[train.offsets_N[1:] - 1]
    np.testing.assert_allclose(last, (own - own.mean(axis=0)) / own.std(axis=0), rtol=1e-6)
    np.testing.assert_allclose(task.target_scale_O, own.std(axis=0))
    other = np.array(values)[[int(name.removeprefix("sequence ")) - 1 for name in held_out.names]]
    assert task.reference_losses["chance"] == pytest.approx(np.mean((other - own.mean(axis=0)) ** 2))


def test_tags_stand_at_every_step() -> None:
    tags = [[("b" if t % 2 else "a") for t in range(length)] for length in LENGTHS]
    train = parts(sequences_task(settings(predict="tags"), raw_from_lists(X, tags)))[0]
    np.testing.assert_array_equal(train.targets_R, np.concatenate([np.arange(n) % 2 for n in train.lengths]))
    assert train.loss_mask_R.all()


def test_the_next_row_is_predicted_within_a_sequence() -> None:
    task = sequences_task(settings(predict="next", standardise="none", columns="a,b"), csv_text())
    train, held_out = parts(task)
    chosen = [X[int(name.removeprefix("s"))] for name in train.names]
    np.testing.assert_array_equal(train.inputs_R, np.concatenate([one[:-1] for one in chosen]))
    np.testing.assert_array_equal(train.targets_R, np.concatenate([one[1:] for one in chosen]))
    other = [X[int(name.removeprefix("s"))] for name in held_out.names]
    persistence = np.mean(np.concatenate([np.diff(one, axis=0) for one in other]) ** 2)
    assert task.loss == "squared_error" and task.reference_losses["persistence"] == pytest.approx(persistence)


@pytest.mark.parametrize("tokens", ["characters", "bytes"])
def test_texts_are_read_as_ids(tokens: str) -> None:
    texts = ["abba", "bab", "aab", "bbba", "abab", "ba"]
    task = sequences_task(settings(tokens=tokens), raw_from_lists(texts, ["x", "y"] * 3))
    train = parts(task)[0]
    assert train.inputs_R.dtype == np.int32 and task.inputs == (2 if tokens == "characters" else 256)
    following = sequences_task(settings(predict="next", tokens=tokens), raw_from_lists(texts))
    one = parts(following)[0]
    np.testing.assert_array_equal(one.inputs_R[1 : one.offsets_N[1]], one.targets_R[: one.offsets_N[1] - 1])


def test_the_digits_are_read_in_three_ways() -> None:
    from rnnjax.studies.datasets import INCLUDED_SEQUENCES

    text = INCLUDED_SEQUENCES.read_text()
    shapes = {}
    for way in ("digits_rows", "digits_pixels", "digits_permuted"):
        task = sequences_task(TaskSpec(name="sequences", sequences=way, standardise="none"), text)  # type: ignore[arg-type]
        train = parts(task)[0]
        shapes[way] = (set(train.lengths.tolist()), task.inputs)
        assert sum(one.size for one in parts(task)) == 1_797 and task.outputs == 10
        assert float(train.inputs_R[: train.offsets_N[1]].sum()) > 0
    assert shapes == {"digits_rows": ({8}, 8), "digits_pixels": ({64}, 1), "digits_permuted": ({64}, 1)}


def many(count: int = 60, **keys: list[str]) -> RawSequences:
    rng = np.random.default_rng(0)
    return raw_from_lists([rng.normal(size=(3, 1)) for _ in range(count)], [n % 3 == 0 for n in range(count)], **keys)


def test_a_random_part_has_each_label_in_its_share() -> None:
    held = held_out_sequences(many(), settings(validation=0.2))
    labels = Counter(n % 3 == 0 for n in np.flatnonzero(held).tolist())
    assert labels == {False: 8, True: 4}


def test_the_folds_are_disjoint_and_hold_everything() -> None:
    folds = np.array([held_out_sequences(many(), settings(folds=5, fold=k)) for k in range(5)])
    assert (folds.sum(axis=0) == 1).all() and (folds.sum(axis=1) == 12).all()
    assert all(Counter(n % 3 == 0 for n in np.flatnonzero(held).tolist())[True] == 4 for held in folds)


def test_a_group_is_held_out_as_a_whole() -> None:
    groups = [str(n % 10) for n in range(60)]
    held = held_out_sequences(many(group=groups), settings(split="group", validation=0.3))
    out = {groups[n] for n in np.flatnonzero(held)}
    assert len(out) == 3 and held.sum() == 18


def test_the_last_in_time_are_held_out() -> None:
    times = [f"2024-01-{1 + (7 * n) % 30:02d}" for n in range(60)]
    held = held_out_sequences(many(time=times), settings(split="time", validation=0.2))
    last, others = ([time for time, out in zip(times, held, strict=True) if out == one] for one in (True, False))
    assert min(last) > max(others) and len(last) == 12


def test_a_file_may_say_what_is_held_out() -> None:
    words = ["train", "test", "train", "train", "train", "test", "train", "train"]
    held = sequences_task(settings(split="given"), csv_text("split", words))
    assert parts(held)[1].names == ("s1", "s5")


ROWS = csv_text().splitlines()
BAD: dict[str, tuple[str, Any, dict[str, Any], str]] = {
    "empty csv": ("file.csv", "", {}, "empty file"),
    "empty json lines": ("file.jsonl", "\n", {}, "empty file"),
    "no sequence column": (
        "file.csv",
        csv_text().replace("sequence,", "id,"),
        {},
        "task.sequence_column: got 'sequence'",
    ),
    "not together": ("file.csv", "\n".join([*ROWS, ROWS[1]]), {}, "line 25: got sequence 's0' again"),
    "order falls": ("file.csv", csv_text(), {"order_column": "b"}, "line 3: got '0' after '0' in column 'b'"),
    "no target": ("file.csv", csv_text().replace("label", "c"), {}, "task.targets: got none"),
    "label changes": ("file.csv", csv_text().replace("s0,1,0,down", "s0,1,0,up"), {}, "line 3: got 'up' after 'down'"),
    "missing number": (
        "file.csv",
        csv_text().replace("s1,2,1", "s1,,1"),
        {},
        "sequence 's1' (line 4): got a missing number at step 2, column 'a'",
    ),
    "no JSON": ("file.jsonl", json_text() + "{x}", {}, "line 9: got no JSON"),
    "unlike steps": ("file.jsonl", '{"x": [[1, 2], [3]], "y": 1}', {}, "line 1: got 1 numbers at step 2; expected 2"),
    "unlike dimension": (
        "file.jsonl",
        json_text() + '{"x": [[1]], "y": "up"}',
        {},
        "line 9: got 1 numbers in a step; expected 2",
    ),
    "a label missing": ("file.jsonl", json_text() + '{"x": [[1, 2]]}', {}, "line 9: got no 'y'"),
    "both forms": ("file.jsonl", '{"x": [[1]], "text": "a"}', {}, "line 1: got the keys 'x', 'text'"),
    "infinite": (
        "file.jsonl",
        json_text() + '{"x": [[1, Infinity]], "y": "up"}',
        {},
        "line 9: got an infinite number at step 1",
    ),
    "empty sequence": ("file.jsonl", json_text() + '{"x": [], "y": "up"}', {}, "line 9: got a sequence without a step"),
    "same id": (
        "file.jsonl",
        '{"x": [1], "y": 1, "id": "a"}\n{"x": [1], "y": 2, "id": "a"}',
        {},
        "line 2: got the name 'a' again (line 1)",
    ),
    "a number as a word": ("file.jsonl", '{"x": [["3"]], "y": 1}', {}, "line 1: got '3' at step 1; expected a number"),
    "long": (
        "file.npz",
        padded_arrays() | {"lengths": np.array([9, *LENGTHS[1:]])},
        {},
        "array 'lengths': got 9 for sequence 1; expected 0 to 5",
    ),
    "negative": (
        "file.npz",
        padded_arrays() | {"lengths": np.array([-1, *LENGTHS[1:]])},
        {},
        "array 'lengths': got -1",
    ),
    "no arrays": ("file.npz", {"z": np.zeros(3)}, {}, "got the arrays 'z'"),
    "objects": ("file.npz", {"x": np.array([None])}, {}, "array 'x': got object"),
    "offsets": ("file.npz", ragged_arrays() | {"offsets": np.array([0, 3])}, {}, "array 'offsets': got 0 ... 3"),
    "labels": ("file.npz", padded_arrays() | {"y": np.array(["a"])}, {}, "array 'y': got shape [1]"),
    "time stamps": (
        "file.ts",
        ts_text().replace("@timeStamps false", "@timeStamps true"),
        {},
        "line 8: got @timeStamps true",
    ),
    "dimensions": (
        "file.ts",
        ts_text().replace("@dimensions 2", "@dimensions 3"),
        {},
        "line 9: got 2 dimensions; expected 3 by the header",
    ),
    "unequal": (
        "file.ts",
        ts_text().replace("@missing false", "@equalLength true"),
        {},
        "line 10: got 3 steps; expected 2, by @equalLength true",
    ),
    "unknown label": ("file.ts", ts_text().replace("up down", "down"), {}, "line 10: got the label 'up'"),
    "declared complete": (
        "file.ts",
        ts_text().replace("0,1:0,0:down", "0,?:0,0:down"),
        {},
        "line 9: got a missing number; expected none, by @missing false",
    ),
    "no data": ("file.ts", "@problemName x\n", {}, "got no line @data"),
    "one class": ("lists", raw_from_lists(X, ["a"] * 8), {}, "got the one label 'a'; expected at least 2 classes"),
    "a class held out alone": (
        "lists",
        raw_from_lists(X, ["a", "b"] * 3 + ["c", "a"], split=["train"] * 6 + ["test"] * 2),
        {"split": "given"},
        "sequence 7: got the label 'c', of the held-out part alone",
    ),
    "no labels": ("lists", raw_from_lists(X), {}, "got sequences without y"),
    "a list for a label": ("lists", raw_from_lists(X, [[1, 2]] * 8), {}, "sequence 1: got a list for y"),
    "tags": ("lists", raw_from_lists(X, [["a"]] * 8), {"predict": "tags"}, "sequence 1: got 1 tags; expected 2"),
    "values": (
        "lists",
        raw_from_lists(X, ["a"] * 8),
        {"predict": "values"},
        "sequence 1: got 'a' for y; expected a number",
    ),
    "one step": ("lists", raw_from_lists([[1.0]] * 4), {"predict": "next"}, "sequence 1: got one step"),
    "no group": ("file.csv", csv_text(), {"split": "group"}, "task.split: got 'group', and no sequence has 'group'"),
    "time": (
        "file.csv",
        csv_text("time", ["1", "2", "3", "soon", "5", "6", "7", "8"]),
        {"split": "time"},
        "sequence 's3' (line 11): got the time 'soon'",
    ),
    "fold": ("file.csv", csv_text(), {"folds": 3, "fold": 3}, "task.folds: got 3; expected more than task.fold = 3"),
    "weights": (
        "file.csv",
        csv_text(),
        {"predict": "next", "class_weights": "balanced", "columns": "a,b"},
        "task.class_weights",
    ),
    "word of split": (
        "file.csv",
        csv_text("split", ["train"] * 7 + ["later"]),
        {"split": "given"},
        "got 'later' in 'split'; expected train or test",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_with_its_place(name: str) -> None:
    path, source, fields, words = BAD[name]
    with pytest.raises(BadInput) as error:
        sequences_task(settings(path, **fields), source)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_missing_numbers_are_interpolated_within_their_sequence() -> None:
    x = [[1.0, np.nan, 3.0], [np.nan, 5.0], [1.0, 2.0], [2.0, 1.0]]
    task = sequences_task(settings("lists", missing="interpolate", standardise="none"), raw_from_lists(x, list("abab")))
    rows = {
        name: one
        for part in parts(task)
        for name, one in zip(part.names, np.split(part.inputs_R, part.offsets_N[1:-1]), strict=True)
    }
    assert rows["sequence 1"][:, 0].tolist() == [1, 2, 3] and rows["sequence 2"][:, 0].tolist() == [5, 5]

"""Files of sequences, examined before any network reads them, as `rnnjax doctor --sequences FILE` does first."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.doctor.sequences import data
from benchmarks.doctor.sequences.cases import SequenceCase
from benchmarks.doctor.sequences.data import Maker
from rnnjax.doctor.diagnosis import Diagnosis
from rnnjax.doctor.sequence_file import examine_file
from rnnjax.settings import TaskSpec
from rnnjax.studies.sequence_files import write_sequences


def examine_files(maker: Maker, seeds: Sequence[int], ending: str = "jsonl", **task: Any) -> list[Diagnosis]:
    """The diagnosis of one file of each seed."""
    return [examine_made(maker, seed, ending, task) for seed in seeds]


def examine_made(maker: Maker, seed: int, ending: str, task: dict[str, Any]) -> Diagnosis:
    """A file that a seed makes."""
    made = maker(np.random.default_rng(seed))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"made.{ending}"
        write_sequences(path, made.x, made.y or None, **made.keys)
        return examine_file(TaskSpec(name="sequences", path=str(path), validation=0.25, **task))


def file_case(kind: str, name: str, expected: str, maker: Maker, **options: Any) -> SequenceCase:
    return SequenceCase(kind, name, expected, partial(examine_files, maker, **options))


TAGS, VALUES, NEXT = {"predict": "tags"}, {"predict": "values"}, {"predict": "next"}
CASES = (
    file_case("labels of a file", "shuffled", "shuffled_labels", data.shuffled(data.waves)),
    file_case("labels of a file", "shuffled_rare_class", "shuffled_labels", data.shuffled(data.rare_class)),
    file_case("labels of a file", "shuffled_texts", "shuffled_labels", data.shuffled(data.sentences)),
    file_case("labels of a file", "shuffled_values", "shuffled_labels", data.shuffled(data.valued), **VALUES),
    file_case("labels of a file", "shuffled_tags", "shuffled_labels", data.shuffled(data.tagged), **TAGS),
    file_case("labels of a file", "waves", "", data.waves),
    file_case("labels of a file", "texts", "", data.sentences),
    file_case("labels of a file", "values", "", data.valued, **VALUES),
    file_case("labels of a file", "tags", "", data.tagged, **TAGS),
    file_case("labels of a file", "next_row", "", data.recordings, **NEXT),
    file_case("labels of a file", "bucketed", "", data.waves, batches="bucketed"),
    file_case("labels of a file", "packed", "", data.waves, batches="packed", ending="npz"),
    file_case("labels of a file", "mean_of_outputs", "", data.waves, summary="mean"),
    file_case("lengths of a file", "by_class", "length_leak", data.by_length(data.waves)),
    file_case("lengths of a file", "texts_by_class", "length_leak", data.by_length(data.sentences)),
    file_case("lengths of a file", "by_value", "length_leak", data.value_by_length, **VALUES),
    file_case("lengths of a file", "filled_by_class", "length_leak", data.filled_by_class, ending="npz"),
    file_case("lengths of a file", "somewhat_longer", "", data.somewhat_longer),
    file_case("copies in a file", "equal", "overlap", data.copied(data.waves), ending="npz"),
    file_case("copies in a file", "noisy", "overlap", data.copied(data.waves, data.noisy)),
    file_case("copies in a file", "rounded", "overlap", data.copied(data.waves, data.rounded)),
    file_case("copies in a file", "cut", "overlap", data.copied(data.waves, data.cut)),
    file_case("copies in a file", "texts", "overlap", data.copied(data.sentences)),
    file_case("copies in a file", "mistyped_texts", "overlap", data.copied(data.sentences, data.mistyped)),
    file_case("copies in a file", "next_row", "overlap", data.copied(data.recordings), **NEXT),
    file_case("copies in a file", "overlapping_windows", "overlap", data.overlapping),
    file_case("copies in a file", "same_by_chance", "", data.few_words),
    file_case("copies in a file", "silent_ones", "", data.still_ones),
    file_case("copies in a file", "smooth_family", "", data.smooth_family),
    file_case("empty sequences of a file", "arrays", "empty_sequences", data.with_empty(data.waves), ending="npz"),
    file_case("empty sequences of a file", "json_lines", "empty_sequences", data.with_empty(data.waves)),
    file_case("empty sequences of a file", "texts", "empty_sequences", data.with_empty(data.sentences)),
)  # fmt: skip

"""Inputs and targets of sequences as numbers: labels, values, tags, the next row or symbol."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.settings.vocabulary import Vocabulary, text_to_ids
from rnnjax.tasks.sequences.raw import RawSequences, bad, class_order, label_text, number
from rnnjax.types import SequenceSet

MOST_CLASSES = 10_000


class Pairs(NamedTuple):
    """Inputs and targets of N sequences, before any scale."""

    inputs: list[np.ndarray]  # of each, int32 [T] or float64 [T, D]
    targets: list[np.ndarray]  # of each, int32 [T] or float64 [T, O]; one of the whole sequence at the last step
    masks: list[np.ndarray]  # of each, float32 [T], 1 where the loss counts
    classes: tuple[str, ...] = ()


def make_pairs(raw: RawSequences, held_N: np.ndarray, vocabulary: Vocabulary, settings: TaskSpec) -> Pairs:
    """The pairs that `predict` asks for. Raises BadInput with the place of the first target that is wrong."""
    steps = [text_to_ids(one, vocabulary) for one in raw.steps] if raw.is_text else raw.steps
    for place, one in zip(raw.places, steps, strict=True):
        if settings.predict == "next" and len(one) < 2:
            raise bad(place, "one step", "at least 2, to predict the next one")
    if settings.predict == "next":
        inputs, targets = [one[:-1] for one in steps], [one[1:] for one in steps]
        return Pairs(inputs, targets, [np.ones(len(one), np.float32) for one in inputs])
    if raw.targets is None:
        raise BadInput(f"task.path: got sequences without {raw.target}; expected one each, or --set task.predict=next")
    if settings.predict == "tags":
        return tag_pairs(raw, steps, held_N)
    last = [last_step(len(one)) for one in steps]
    if settings.predict == "values":
        values = value_rows(raw)
        return Pairs(steps, [mask[:, None] * row for mask, row in zip(last, values, strict=True)], last)
    ids_N, classes = label_ids(raw, held_N)
    return Pairs(steps, [(mask * i).astype(np.int32) for mask, i in zip(last, ids_N, strict=True)], last, classes)


def last_step(length: int) -> np.ndarray:
    """1 at the last of some steps, else 0."""
    mask_T = np.zeros(length, np.float32)
    mask_T[-1] = 1
    return mask_T


def label_ids(raw: RawSequences, held_N: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """The class of each sequence, and all classes."""
    assert raw.targets is not None, "checked before"
    for place, target in zip(raw.places, raw.targets, strict=True):
        if isinstance(target, list | dict) or target is None or not label_text(target):
            got = "a list" if isinstance(target, list) else "no label"
            hint = "one label, or --set task.predict=values or tags" if isinstance(target, list) else "one"
            raise bad(place, f"{got} for {raw.target}", hint)
    words = [label_text(target) for target in raw.targets]
    classes = check_classes(words, held_N, raw.places)
    number_of = {word: i for i, word in enumerate(classes)}
    return np.array([number_of[word] for word in words]), classes


def tag_pairs(raw: RawSequences, steps: Sequence[np.ndarray], held_N: np.ndarray) -> Pairs:
    """A tag for each step."""
    assert raw.targets is not None, "checked before"
    words: list[list[str]] = []
    for place, tags, one in zip(raw.places, raw.targets, steps, strict=True):
        if not isinstance(tags, list | str):
            raise bad(place, f"one label for {raw.target}", "a list of tags, one for each step")
        if len(tags) != len(one):
            raise bad(place, f"{len(tags)} tags", f"{len(one)}, one for each step")
        words.append([label_text(tag) for tag in tags])
    flat = [word for one in words for word in one]
    lengths = [len(one) for one in words]
    classes = check_classes(flat, np.repeat(held_N, lengths), np.repeat(raw.places, lengths).tolist())
    number_of = {word: i for i, word in enumerate(classes)}
    tags_N = [np.array([number_of[word] for word in one], np.int32) for one in words]
    return Pairs(list(steps), tags_N, [np.ones(len(one), np.float32) for one in steps], classes)


def check_classes(words: Sequence[str], held: np.ndarray, places: Sequence[str]) -> tuple[str, ...]:
    """The classes of some labels. Raises BadInput for a single one, too many, or one that is held out alone."""
    classes = class_order(words)
    if len(classes) == 1:
        raise BadInput(f"task.path: got the one label {classes[0]!r}; expected at least 2 classes")
    if len(classes) > MOST_CLASSES or (len(classes) == len(words) and len(words) > 2):
        raise BadInput(f"task.path: got {len(classes):,} classes of {len(words):,} labels; expected classes that recur")
    counts = Counter(word for word, out in zip(words, held, strict=True) if not out)
    for place, word in zip(places, words, strict=True):
        if not counts[word]:
            raise bad(place, f"the label {word!r}, of the held-out part alone", "each class in the training part too")
    return classes


def value_rows(raw: RawSequences) -> list[np.ndarray]:
    """The values of each sequence, float64 [O]."""
    assert raw.targets is not None, "checked before"
    rows: list[np.ndarray] = []
    for place, target in zip(raw.places, raw.targets, strict=True):
        plain = target if isinstance(target, list) else [target]
        row = np.array([number(place, parse_value(value), f"for {raw.target}") for value in plain])
        if not np.isfinite(row).all():
            raise bad(place, f"{plain} for {raw.target}", "finite numbers")
        if rows and len(row) != len(rows[0]):
            raise bad(place, f"{len(row)} values", f"{len(rows[0])}, as in {raw.places[0]}")
        rows.append(row)
    return rows


def parse_value(value: Any) -> Any:
    """The number that a word stands for; any other value as it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def class_weights(counts_O: np.ndarray, way: str) -> tuple[float, ...]:
    """The factor of each class in the optimised loss: N / (O * count) where balanced, whose mean over the data is 1."""
    if way == "none":
        return ()
    return tuple((counts_O.sum() / (len(counts_O) * np.maximum(counts_O, 1))).tolist())


def join_sequences(pairs: Pairs, chosen: np.ndarray, names: Sequence[str]) -> SequenceSet:
    """The chosen sequences, one after the other."""
    lengths = [len(pairs.inputs[n]) for n in chosen]
    return SequenceSet(
        np.concatenate([pairs.inputs[n] for n in chosen]),
        np.concatenate([pairs.targets[n] for n in chosen]),
        np.concatenate([pairs.masks[n] for n in chosen]),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        tuple(names[n] for n in chosen),
    )

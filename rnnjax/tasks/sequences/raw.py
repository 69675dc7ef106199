"""Sequences as read from a file of any form: steps, targets and the place of each sequence in the file."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.types import DataNotice


class RawSequences(NamedTuple):
    """N sequences as they stand in a file."""

    places: list[str]  # of each in the file, for messages: "line 3", "sequence 'a' (line 7)"
    steps: list[Any]  # of each: float64 [T, D], or a text
    targets: list[Any] | None = None  # of each: a label, a number, a list of numbers, or one of these for each step
    names: list[str] | None = None  # of each, all different
    features: tuple[str, ...] = ()  # D names
    keys: Mapping[str, list[str]] = {}  # further words of each sequence, by the name of the column: group, time, split
    target: str = "y"  # the name of the target, for messages
    notices: tuple[DataNotice, ...] = ()

    @property
    def is_text(self) -> bool:
        return bool(self.steps) and isinstance(self.steps[0], str)


def bad(place: str, got: str, expected: str) -> BadInput:
    """The error of one place in the user's file."""
    return BadInput(f"task.path: {place}: got {got}; expected {expected}")


def check_raw(raw: RawSequences, settings: TaskSpec) -> RawSequences:
    """The sequences with their missing numbers treated. Raises BadInput with the place of the first mistake."""
    if not raw.steps:
        raise BadInput("task.path: got no sequence; expected at least 2")
    if raw.names is not None:
        name, count = Counter(raw.names).most_common(1)[0]
        if count > 1:
            again = [place for place, one in zip(raw.places, raw.names, strict=True) if one == name]
            raise bad(again[1], f"the name {name!r} again ({again[0]})", "a name of its own for each sequence")
    kinds = {type(steps) is str for steps in raw.steps}
    if len(kinds) > 1:
        raise BadInput("task.path: got texts and numbers; expected one kind of sequence")
    for place, steps in zip(raw.places, raw.steps, strict=True):
        if not len(steps):
            raise bad(place, "a sequence without a step", "at least one step")
    return raw if raw.is_text else raw._replace(steps=check_numbers(raw, settings))


def check_numbers(raw: RawSequences, settings: TaskSpec) -> list[np.ndarray]:
    """The steps of sequences of numbers, without missing ones."""
    width = raw.steps[0].shape[1]
    found = []
    for place, steps_TD in zip(raw.places, raw.steps, strict=True):
        if steps_TD.shape[1] != width:
            raise bad(place, f"{steps_TD.shape[1]} numbers in a step", f"{width}, as in {raw.places[0]}")
        infinite = np.argwhere(np.isinf(steps_TD))
        if len(infinite):
            step, feature = infinite[0]
            raise bad(place, f"an infinite number at step {step + 1}{column(raw, feature)}", "finite numbers")
        found.append(without_missing(place, steps_TD, raw, settings))
    return found


def without_missing(place: str, steps_TD: np.ndarray, raw: RawSequences, settings: TaskSpec) -> np.ndarray:
    """The steps of one sequence, its missing numbers as `task.missing` asks for them."""
    missing_TD = np.isnan(steps_TD)
    if not missing_TD.any():
        return steps_TD
    step, feature = np.argwhere(missing_TD)[0]
    if settings.missing != "interpolate":
        raise bad(
            place,
            f"a missing number at step {step + 1}{column(raw, feature)}",
            "finite numbers, or --set task.missing=interpolate",
        )
    if missing_TD.all(axis=0).any():
        feature = int(np.flatnonzero(missing_TD.all(axis=0))[0])
        raise bad(place, f"no number at all{column(raw, feature)}", "at least one to interpolate from")
    return np.stack([interpolate_gaps(column_T) for column_T in steps_TD.T], axis=1)


def interpolate_gaps(column_T: np.ndarray) -> np.ndarray:
    """A column with straight lines over its gaps, and the nearest number at its ends."""
    known_T = ~np.isnan(column_T)
    return np.interp(np.arange(len(column_T)), np.flatnonzero(known_T), column_T[known_T])


def column(raw: RawSequences, feature: int) -> str:
    """The name of a feature for a message, or its number."""
    name = repr(raw.features[feature]) if raw.features else str(int(feature) + 1)
    return f", column {name}"


def number(place: str, value: Any, what: str) -> float:
    """A number out of a file. Raises BadInput."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise bad(place, f"{value!r} {what}", "a number")
    return float(value)


def label_text(value: Any) -> str:
    """A label as a word: 1 and 1.0 are "1"."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value).strip()


def class_order(labels: Sequence[str]) -> tuple[str, ...]:
    """The different labels in order: as numbers where all are whole numbers, else by their characters."""
    found = sorted(set(labels))
    whole = all(label.lstrip("-").isdecimal() for label in found)
    return tuple(sorted(found, key=int) if whole else found)

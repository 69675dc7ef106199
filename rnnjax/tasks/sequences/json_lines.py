"""Sequences as JSON Lines: {"x": [[...], ...], "y": ...} or {"text": "...", "y": ...}, one to a line."""

import json
from typing import Any

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.sequences.raw import RawSequences, bad, number

STEPS = ("x", "text")


def read_json_lines(text: str, settings: TaskSpec) -> RawSequences:
    """The sequences of a file, one to a line; empty lines are left out.

    Further keys: "id", a name of its own; the keys that `group_column`, `time_column` and `split_column` name.

    Raises: BadInput with the line of the first mistake.
    """
    lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    objects = [(f"line {i}", parse_line(f"line {i}", line)) for i, line in lines]
    if not objects:
        raise BadInput('task.path: got an empty file; expected one JSON object to a line, such as {"x": [[1], [2]]}')
    wanted = [settings.group_column, settings.time_column, settings.split_column]
    keys = {name: words for name in wanted if (words := key_words(objects, name)) is not None}
    known = targets_of(objects)
    return RawSequences(
        places=[place for place, _ in objects],
        steps=[steps_of(place, entry) for place, entry in objects],
        targets=known,
        names=key_words(objects, "id"),
        keys=keys,
    )


def parse_line(place: str, line: str) -> dict[str, Any]:
    """The JSON object of a line."""
    try:
        entry = json.loads(line, parse_constant=lambda word: float(word.replace("Infinity", "inf")))
    except (ValueError, RecursionError) as error:
        raise bad(place, f"no JSON ({str(error).partition(':')[0].lower()})", "one object to a line") from None
    if not isinstance(entry, dict):
        raise bad(place, f"a {type(entry).__name__}", 'an object such as {"x": [[1], [2]], "y": "up"}')
    if len([name for name in STEPS if name in entry]) != 1:
        names = ", ".join(map(repr, entry)) or "nothing"
        raise bad(place, f"the keys {names}", "either 'x', a list of steps, or 'text'")
    return entry


def steps_of(place: str, entry: dict[str, Any]) -> Any:
    """The steps of a sequence: a text, or float64 [T, D] of numbers or of lists of numbers; null is a missing one."""
    if "text" in entry:
        if not isinstance(entry["text"], str):
            raise bad(place, f"a {type(entry['text']).__name__} for 'text'", "a text")
        return entry["text"]
    steps = entry["x"]
    if not isinstance(steps, list):
        raise bad(place, f"a {type(steps).__name__} for 'x'", "a list of steps")
    rows = [[row] if not isinstance(row, list) else row for row in steps]
    for t, row in enumerate(rows, 1):
        if len(row) != len(rows[0]) or not row:
            raise bad(place, f"{len(row)} numbers at step {t}", f"{max(len(rows[0]), 1)}, as at step 1")
    values = [
        [np.nan if value is None else number(place, value, f"at step {t}") for value in row]
        for t, row in enumerate(rows, 1)
    ]
    return np.array(values, np.float64).reshape(len(rows), len(rows[0]) if rows else 0)


def targets_of(objects: list[tuple[str, dict[str, Any]]]) -> list[Any] | None:
    """The values of "y"; None where no sequence has one. Raises BadInput where some have."""
    having = ["y" in entry and entry["y"] is not None for _, entry in objects]
    if not any(having):
        return None
    if not all(having):
        raise bad(objects[having.index(False)][0], "no 'y'", "one, as in other lines")
    return [entry["y"] for _, entry in objects]


def key_words(objects: list[tuple[str, dict[str, Any]]], name: str) -> list[str] | None:
    """The words of a key; None where no sequence has it. Raises BadInput where some have."""
    having = [name in entry for _, entry in objects]
    if not any(having):
        return None
    if not all(having):
        raise bad(objects[having.index(False)][0], f"no {name!r}", "one, as in other lines")
    return [str(entry[name]) for _, entry in objects]

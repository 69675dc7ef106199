"""The JSON file of figures: measured one by one under guard and within a budget, merged and written atomically."""

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

Figures = dict[str, Any]
Measurement = tuple[str, Callable[[], Any]]  # its name, and the function that takes it
LONGEST_MESSAGE = 500  # characters of an error


def error_message(error: BaseException) -> str:
    """One line of at most `LONGEST_MESSAGE` characters: the type and the beginning of the text."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:LONGEST_MESSAGE]


def guarded(measure: Callable[[], Any]) -> Any:
    """The result of a function, or {"error": ...} where it raises."""
    try:
        return measure()
    except Exception as error:
        return {"error": error_message(error)}


def within_budget(
    measurements: Iterable[Measurement], end: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[tuple[str, Any]]:
    """(name, figures) of one measurement after the other; (name, None) for those left out.

    At `end`, a time of `clock`, no further measurement is begun; one that has begun is not interrupted.
    """
    for name, measure in measurements:
        yield name, guarded(measure) if clock() < end else None


def failed(value: Any) -> bool:
    """Whether figures hold an error or a check that did not pass: "error", or "ok" that is false."""
    return isinstance(value, dict) and ("error" in value or value.get("ok") is False)


def section_figures(found: Iterable[tuple[str, Any]]) -> Figures:
    """A section as it stands in the file."""
    pairs = list(found)
    figures = {name: value for name, value in pairs if value is not None}
    return {
        "figures": figures,
        "failed": [name for name, value in figures.items() if failed(value)],
        "left_out": [name for name, value in pairs if value is None],
    }


def failed_sections(report: Figures) -> list[str]:
    """The sections with an error, of their own or in one of their measurements."""
    return [name for name, section in report.get("sections", {}).items() if failed(section) or section.get("failed")]


def merged(old: Figures, new: Figures) -> Figures:
    """`old` updated by `new`, table by table at any depth; anything but a table is replaced."""
    both = {name: (old[name], new[name]) for name in old.keys() & new.keys()}
    tables = {name: merged(*pair) for name, pair in both.items() if all(isinstance(one, dict) for one in pair)}
    return old | new | tables


def as_json(value: Any) -> Any:
    """The value with numbers that JSON does not have (NaN, infinity) as text."""
    if isinstance(value, dict):
        return {str(name): as_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def read(file: Path) -> Figures:
    return json.loads(file.read_text()) if file.exists() else {}


def write(file: Path, report: Figures) -> None:
    """The whole file or nothing of it."""
    draft = file.with_name(f".{file.name}.tmp")
    draft.write_text(json.dumps(as_json(report), indent=1, allow_nan=False) + "\n")
    draft.replace(file)


def merge_into(file: Path, new: Figures) -> None:
    write(file, merged(read(file), as_json(new)))


def merge_section(file: Path, name: str, new: Figures) -> None:
    merge_into(file, {"sections": {name: new}})

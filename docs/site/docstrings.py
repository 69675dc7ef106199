"""Docstrings of rnnjax, plain text with code in backticks, as reStructuredText."""

import inspect
import re
from itertools import groupby
from typing import Any

from rnnjax.config.descriptions import field_descriptions

LABEL = re.compile(r"(?<!\S)(Args|Attributes|Raises|Returns|Source|Values):(?!\S)")
ALIGNED = re.compile(r"\S {2,}\S")  # columns of a small table
RANGE = re.compile(r"Annotated\[([\w.~]+), [^\]]*\]")  # of a setting; docs/settings.md has them
SPECIAL = re.compile(r"[\\*|<]|_(?!\w)")


def process(app: object, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """A handler of `autodoc-process-docstring`: the text, and for a class the comments of its fields."""
    lines[:] = to_rst(lines)
    if inspect.isclass(thing):
        lines += describe_fields(thing)


def skip_field(app: object, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """A handler of `autodoc-skip-member`: the fields of a NamedTuple are listed by `process`."""
    return True if (getattr(thing, "__doc__", None) or "").startswith("Alias for field number") else None


def shorten_signature(
    app: object, what: str, name: str, thing: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """A handler of `autodoc-process-signature`: types without the ranges of settings."""
    return signature and RANGE.sub(r"\1", signature), returned and RANGE.sub(r"\1", returned)


def describe_fields(kind: type) -> list[str]:
    """One bullet for each field that has a comment; none for a class without fields or without a source file."""
    try:
        described = field_descriptions(kind)
    except (StopIteration, OSError):
        return []
    return [f"- ``{name}``: {escape(text)}" for name, text in described.items() if text] + [""]


def to_rst(lines: list[str]) -> list[str]:
    """Paragraph by paragraph; each is text, or a block to be kept as it is."""
    paragraphs = [list(group) for blank, group in groupby(lines, lambda line: not line.strip()) if not blank]
    return [line for paragraph in paragraphs for line in (*convert(paragraph), "")]


def convert(paragraph: list[str]) -> list[str]:
    if paragraph[0] == "Example:":
        return ["**Example:**", "", ".. code-block:: pycon", "", *paragraph[1:]]
    if all(line.startswith("    ") for line in paragraph) or any(map(ALIGNED.search, paragraph)):
        return ["::", "", *(f"    {line}" for line in paragraph)]
    out: list[str] = []
    for line in escape("\n".join(paragraph)).splitlines():
        out += convert_line(line, in_list=bool(out) and out[-1].startswith(("- ", "  ")))
    return out


def convert_line(line: str, in_list: bool) -> list[str]:
    """A line of text, or an item of the list below it (4 spaces), or the rest of an item (more than 4)."""
    depth, text = len(line) - len(line.lstrip()), LABEL.sub(r"**\1:**", line.strip())
    if depth > 4 or text.startswith("- "):
        return [f"  {text}" if depth else text]
    if depth == 4:
        return [f"- {text}"] if in_list else ["", f"- {text}"]
    return ["", text] if in_list or text.startswith("**") else [text]


def escape(text: str) -> str:
    """Plain text with the marks of reStructuredText escaped, and `code`, also across lines, in double backticks."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(literal(part) if number % 2 else SPECIAL.sub(r"\\\g<0>", part) for number, part in enumerate(parts))


def literal(code: str) -> str:
    return rf"\ ``{' '.join(code.split())}``\ "

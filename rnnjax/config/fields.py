"""The settings by name: owner, type and range of each field, validation, and the text of `--help`. Imports no JAX.

`Spec`, `HParams` and `TaskSpec` (as `task.<field>`) own the fields; the annotation of a field is its rule, which
pydantic checks.
"""

import difflib
import math
import struct
from collections.abc import Iterable
from dataclasses import fields
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import TypeAdapter, ValidationError

from rnnjax.config.descriptions import field_descriptions
from rnnjax.errors import BadInput
from rnnjax.settings import HParams, Spec, TaskSpec

DERIVED = ("task", "inputs", "outputs", "loss", "seed")  # not for the user to set one by one


class Field(NamedTuple):
    """A setting: who owns it and what it may be."""

    owner: Literal["task", "spec", "hp"]
    annotation: Any
    default: Any


def _fields() -> dict[str, Field]:
    hints = {kind: get_type_hints(kind, include_extras=True) for kind in (TaskSpec, Spec, HParams)}
    task = {f"task.{f.name}": Field("task", hints[TaskSpec][f.name], f.default) for f in fields(TaskSpec)}
    spec = {f.name: Field("spec", hints[Spec][f.name], f.default) for f in fields(Spec)}
    hp = {name: Field("hp", hints[HParams][name], HParams._field_defaults[name]) for name in HParams._fields}
    return {name: entry for name, entry in (task | spec | hp).items() if name not in DERIVED}


FIELDS = _fields()


def flatten(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"task": {"path": p}} -> {"task.path": p}; only for tables that are not themselves the value of a field."""
    items: dict[str, Any] = {}
    for name, value in table.items():
        nested = isinstance(value, dict) and f"{prefix}{name}" not in FIELDS
        items |= flatten(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return items


def validate_field(name: str, value: Any, where: str) -> Any:
    """A field's value if it keeps the field's rule."""
    if name not in FIELDS:
        raise BadInput(f"{where}: {unknown_field(name, FIELDS)}")
    owner, annotation, _ = FIELDS[name]
    expected = describe_type(annotation)
    try:
        found = TypeAdapter(annotation).validate_python(value, strict=True)
        if owner == "hp":  # it is used as the nearest float32, which may be 0, 1 or infinite
            expected += " in float32"
            TypeAdapter(annotation).validate_python(as_float32(found))
    except ValidationError:
        raise BadInput(f"{where}:{name}: got {format_input(value)}; expected {expected}") from None
    return found


def as_float32(value: float) -> float:
    """The float32 next to a number; infinite above the largest one."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def describe_type(annotation: Any) -> str:
    """A field's rule in words: "integer >= 1", "one of: sum, mean, last"."""
    if get_origin(annotation) is Literal:
        return "one of: " + ", ".join(map(str, get_args(annotation)))
    if get_origin(annotation) is not Annotated:
        return {str: "text", bool: "true or false", int: "integer", float: "number"}[annotation]
    kind, *bounds = get_args(annotation)
    return " ".join([describe_type(kind), " and ".join(dict.fromkeys(describe_bound(bound) for bound in bounds))])


def describe_bound(bound: Any) -> str:
    symbols = {Ge: ("ge", ">="), Gt: ("gt", ">"), Le: ("le", "<="), Lt: ("lt", "<")}
    attribute, symbol = symbols[type(bound)]
    limit = getattr(bound, attribute)
    return "finite" if math.isinf(limit) else f"{symbol} {limit}"


def format_input(value: Any) -> str:
    """A user's value in an error line: short and on one line."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, bool):
        return "boolean " + str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def unknown_field(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f"unknown field '{name}'" + (f"; did you mean '{close[0]}'?" if close else "")


def field_help() -> str:
    """All settings with defaults, rules and descriptions, for `--help`."""
    owners = {
        "spec": ("settings that fix a program", Spec),
        "hp": ("settings batched over runs", HParams),
        "task": ("settings of the task", TaskSpec),
    }
    lines = []
    for owner, (title, kind) in owners.items():
        lines += ["", f"{title}:"]
        descriptions = field_descriptions(kind)
        for name, entry in FIELDS.items():
            if entry.owner == owner:
                lines.append(f"  {name:<28} {entry.default!s:<14} {describe_type(entry.annotation)}")
                lines.append(f"      {descriptions[name.removeprefix('task.')]}")
    return "\n".join(lines).strip()

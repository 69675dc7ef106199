"""The settings by name: the owner, rule and default of each field. Imports no JAX.

A field is known by its name alone: `Spec`, `HParams` and `TaskSpec` (as `task.<field>`) own it, and their annotation is
its rule.
"""

import difflib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from rnnjax.config import renamed
from rnnjax.config.descriptions import field_descriptions
from rnnjax.errors import BadInput
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.settings.checks import check_value, describe_type, format_input

DERIVED = ("task", "inputs", "outputs", "loss", "seed")  # follow from the task, or belong to a run


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
    if new := renamed.renamed_value(name, value):
        raise BadInput(f"{where}:{name}: got {format_input(value)}; it is called '{new}' {renamed.SINCE}")
    owner, annotation, _ = FIELDS[name]
    return check_value(name, annotation, value, where, float32=owner == "hp")


def unknown_field(name: str, known: Collection[str]) -> str:
    """The message of a field that is not known: with its new name where it was renamed, else with the nearest one."""
    for new in (renamed.SETTINGS.get(name), renamed.STUDY_KEYS.get(name)):
        if new in known:
            return f"unknown field '{name}'; it is called '{new}' {renamed.SINCE}"
    close = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f"unknown field '{name}'" + (f"; did you mean '{close[0]}'?" if close else "")


OWNERS: dict[str, Any] = {"spec": Spec, "hp": HParams, "task": TaskSpec}
LARGEST_INTEGER = re.compile(r" and <= (2147483647|4294967295)")


def setting_meaning(name: str) -> str:
    """The meaning of a setting in one line: the comment behind it in `rnnjax.settings`."""
    return field_descriptions(OWNERS[FIELDS[name].owner])[name.removeprefix("task.")]


def type_name(entry: Field) -> str:
    """The type without its range: "integer", "number", "text", "true or false"."""
    annotation: Any = entry.annotation
    base = get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation
    return describe_type(base) if isinstance(base, type) else "text"


def value_range(name: str, tables: Mapping[str, Iterable[str]]) -> str:
    """The values that a setting accepts, "" for any of its type. Args: tables: names by setting."""
    if name in tables:
        return ", ".join(tables[name])
    annotation = FIELDS[name].annotation
    if get_origin(annotation) is not None or hasattr(annotation, "__metadata__"):
        words = LARGEST_INTEGER.sub("", describe_type(annotation))
        return words.removeprefix("one of: ").removeprefix("integer ").removeprefix("number ")
    return ""


def default_text(entry: Field) -> str:
    """The default as a study file writes it; "unset" where no file may give it, as another setting decides."""
    try:
        check_value("", entry.annotation, entry.default, "")
    except BadInput:
        return "unset"
    return toml_value(entry.default)


def toml_value(value: Any) -> str:
    """A setting as a study file writes it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else str(value)

"""The settings by name: the owner, rule and default of each field. Imports no JAX.

A field is known by its name alone: `Spec`, `HParams` and `TaskSpec` (as `task.<field>`) own it, and their annotation is
its rule.
"""

import difflib
from collections.abc import Collection
from dataclasses import fields
from typing import Any, Literal, NamedTuple, get_type_hints

from rnnjax.checks import check_value, describe_type, format_input
from rnnjax.config import renamed
from rnnjax.config.descriptions import field_descriptions
from rnnjax.errors import BadInput
from rnnjax.settings import HParams, Spec, TaskSpec

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

"""docs/settings.md: every setting with its type, default, range and meaning, from `rnnjax.settings`."""

import re
from typing import Any, get_args, get_origin

from rnnjax.checks import describe_type
from rnnjax.cli.documentation.markdown import code, page, table
from rnnjax.config.descriptions import field_descriptions
from rnnjax.config.fields import FIELDS, Field
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.studies.validation import setting_tables
from rnnjax.tasks import TASKS

OWNERS = {"spec": Spec, "hp": HParams, "task": TaskSpec}
TITLES = {
    "spec": "Settings that fix a program (`Spec`)",
    "hp": "Settings that are batched over runs (`HParams`)",
    "task": "Settings of the task (`TaskSpec`)",
}
INTRODUCTION = """\
A setting is a key of `[base]` or of an `[[axes]]` table of a study file ([studies.md](studies.md)), and of
`--set NAME=VALUE` on the command line ([cli.md](cli.md)). Values that break a rule are refused in one line before JAX
is loaded. Integers are at most 2^31 - 1; `inf` disables a limit."""
NOTES = {
    "spec": "An axis over one of these compiles one program per value.",
    "hp": "An axis over one of these costs no further compilation: the runs share one program.",
    "task": "A task ignores the settings of other tasks; the description begins with the tasks that use the setting.",
}
LARGEST_INTEGER = re.compile(r" and <= (2147483647|4294967295)")


def settings_page() -> str:
    """The page: one table per owner of settings."""
    parts = [INTRODUCTION]
    for owner, title in TITLES.items():
        parts += [f"## {title}", NOTES[owner], owner_table(owner)]
    return page("Settings", *parts)


def owner_table(owner: str) -> str:
    descriptions = field_descriptions(OWNERS[owner])
    rows = [
        [code(name), type_name(entry), code(toml_value(entry.default)), value_range(name, entry), descriptions[plain]]
        for name, entry in FIELDS.items()
        if entry.owner == owner and (plain := name.removeprefix("task."))
    ]
    return table(["name", "type", "default", "range", "meaning"], rows)


def type_name(entry: Field) -> str:
    """The type without its range: "integer", "number", "text", "true or false"."""
    annotation: Any = entry.annotation
    base = get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation
    return describe_type(base) if isinstance(base, type) else "text"


def value_range(name: str, entry: Field) -> str:
    """The values that a setting accepts, "" for any of its type."""
    choices = {**setting_tables(), "task.name": TASKS}  # as they are registered now
    if name in choices:
        return ", ".join(choices[name])
    if get_origin(entry.annotation) is not None or hasattr(entry.annotation, "__metadata__"):
        words = LARGEST_INTEGER.sub("", describe_type(entry.annotation))
        return words.removeprefix("one of: ").removeprefix("integer ").removeprefix("number ")
    return ""


def toml_value(value: Any) -> str:
    """A default as a study file writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value}"

"""List settings with type, default, range and meaning, and the names of cells, optimizers, tasks, probes and rules.

Without NAME: all settings. NAME is a setting (learning_rate), the end of one (path), a pattern ('adam*'), a list
(cells, activations, initializers, initial_states, optimizers, schedules, tasks, probes, rules, metrics), or a name in
one of them.
"""

import argparse
import textwrap
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from rnnjax.cli.common import build_parser
from rnnjax.config.fields import FIELDS, default_text, setting_meaning, type_name, value_range
from rnnjax.errors import BadInput
from rnnjax.settings.checks import nearest_first
from rnnjax.studies.registry_names import METRICS, registry_names

WIDTH = 100
TITLES = {
    "spec": "Settings that fix a program: an axis over one compiles one program per value",
    "hp": "Settings that are batched over runs: an axis over one costs no further compilation",
    "task": "Settings of the task: a task ignores those of other tasks",
}
LISTS = {  # what a user asks for -> the registry
    "cells": "cell",
    "activations": "activation",
    "initializers": "recurrent_initializer",
    "initial_states": "initial_state",
    "optimizers": "optimizer",
    "schedules": "schedule",
    "tasks": "task.name",
    "probes": "probes",
    "rules": "rules",
    METRICS: METRICS,
}


def build_options() -> argparse.ArgumentParser:
    parser = build_parser(__doc__)
    parser.add_argument("name", nargs="?", metavar="NAME", help="what to list; default all settings")
    return parser


def main() -> None:
    args = build_options().parse_args()
    print(list_settings(FIELDS) if args.name is None else describe(args.name))


def describe(name: str) -> str:
    """The setting, the list or the entry of a name. Raises BadInput with the nearest names."""
    tables = registry_names()
    if name in FIELDS:
        return setting_page(name)
    if name == METRICS:
        return metric_list(tables[METRICS])
    if (registry := LISTS.get(name, name)) in tables:
        return name_list(registry, tables[registry])
    if matching := matching_settings(name):
        return list_settings(matching) if len(matching) > 1 else setting_page(matching[0])
    if owners := [field for field, table in tables.items() if name in table]:
        return "\n".join(entry_line(field, name, tables[field][name]) for field in owners)
    known = [*FIELDS, *LISTS, *(entry for table in tables.values() for entry in table)]
    close = nearest_first(name, dict.fromkeys(known))[:3]
    raise BadInput(f"got {name!r}; expected the name of a setting or of a list. Nearest: {', '.join(close)}")


def matching_settings(name: str) -> list[str]:
    """The settings that match a pattern, stand below a table (task), or end so (path)."""
    return [field for field in FIELDS if fnmatchcase(field, name) or name in field.split(".")]


def list_settings(names: Iterable[str]) -> str:
    """A block of lines for each setting, by owner."""
    lines = []
    for owner, title in TITLES.items():
        owned = [name for name in names if FIELDS[name].owner == owner]
        lines += ["", f"{title}:", *(line for name in owned for line in setting_lines(name))] if owned else []
    return "\n".join(lines).strip()


def setting_lines(name: str) -> list[str]:
    """Name, default and range on one line, the meaning below."""
    entry = FIELDS[name]
    rule = value_range(name, registry_names()) or type_name(entry)
    head = f"  {name:<28} {default_text(entry):<15} "
    return [*wrapped(head + rule, len(head)), *wrapped(setting_meaning(name), 6, 6)]


def setting_page(name: str) -> str:
    """All about one setting."""
    entry, default = FIELDS[name], default_text(FIELDS[name])
    facts = {
        "meaning": setting_meaning(name),
        "type": type_name(entry),
        "default": default,
        "range": value_range(name, registry_names()) or "any",
        "kind": TITLES[entry.owner],
        "usage": f"--set {name}=VALUE; in a study file below [base], or as a list below [[axes]]",
    }
    lines = [name, *(line for fact, text in facts.items() for line in wrapped(f"  {fact:<8} {text}", 11))]
    table = registry_names().get(name, {})
    return "\n".join([*lines, *(["", *entry_lines(table)] if table else [])])


def name_list(registry: str, table: Mapping[str, str]) -> str:
    """The names of a registry with their meanings."""
    where = "a key of [probes]" if registry == "probes" else "rule of a criterion" if registry == "rules" else registry
    return "\n".join([f"{where}:", *entry_lines(table)])


def entry_lines(table: Mapping[str, str]) -> list[str]:
    width = max(map(len, table))
    return [line for name, text in table.items() for line in wrapped(f"  {name:<{width}}  {text}", width + 4)]


def entry_line(field: str, name: str, meaning: str) -> str:
    setting = f'{field} = "{name}"' if field in FIELDS else f"{name} ({field})"
    return "\n".join(wrapped(f"{setting}: {meaning}" if meaning else setting, 4))


def metric_list(names: Iterable[str]) -> str:
    """All names of metrics; one by one they are described."""
    return "\n".join(
        ["metrics of training and of the probes; `rnnjax settings NAME` describes one:", *wrapped(", ".join(names), 0)]
    )


def wrapped(text: str, indent: int, first: int = 0) -> list[str]:
    """Lines of at most WIDTH columns; a text without blanks may be longer."""
    fill = textwrap.TextWrapper(WIDTH, initial_indent=" " * first, subsequent_indent=" " * indent)
    fill.break_long_words = fill.break_on_hyphens = False
    return fill.wrap(text) or [""]

"""docs/settings.md: every setting with its type, default, range and meaning, from `rnnjax.settings`."""

from rnnjax.cli.documentation.markdown import code, page, table
from rnnjax.config.fields import FIELDS, default_text, setting_meaning, type_name, value_range
from rnnjax.studies.validation import setting_tables
from rnnjax.tasks import TASKS

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


def settings_page() -> str:
    """The page: one table per owner of settings."""
    parts = [INTRODUCTION]
    for owner, title in TITLES.items():
        parts += [f"## {title}", NOTES[owner], owner_table(owner)]
    return page("Settings", *parts)


def owner_table(owner: str) -> str:
    tables = {**setting_tables(), "task.name": TASKS}  # as they are registered now
    rows = [
        [
            code(name),
            type_name(entry),
            code(default_text(entry)),
            value_range(name, tables),
            setting_meaning(name),
        ]
        for name, entry in FIELDS.items()
        if entry.owner == owner
    ]
    return table(["name", "type", "default", "range", "meaning"], rows)

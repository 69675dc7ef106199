"""docs/cli.md: the commands and their options, from the argument parsers."""

import importlib
from argparse import Action

from rnnjax.cli.command import COMMANDS
from rnnjax.cli.documentation.markdown import code, page, table

INTRODUCTION = """\
Every script of a checkout is also a command, which an installed wheel has too: `python scripts/study.py init.toml` and
`rnnjax study init.toml` are the same code. `rnnjax study NAME` finds the studies that come with rnnjax, and
`rnnjax study --list` lists them; a file NAME or NAME.toml in the working directory wins. `rnnjax --version` prints the
versions and the platform; where the command is not on the path, `python -m rnnjax.cli` is it.

Every command prints its options with `--help`. Options cannot be abbreviated. An error is one line on standard error,
`rnnjax: error: ...`, and an exit code ([reproducibility.md](reproducibility.md#exit-codes)). The settings that
`--set NAME=VALUE` accepts are in [settings.md](settings.md), and printed by `rnnjax settings [NAME]`.

`rnnjax bench` (speed, [performance.md](performance.md)), `scripts/releases.py` (speed and bits of several releases of
JAX, [reproducibility.md](reproducibility.md#releases)) and `scripts/casebook.py` (accuracy of the doctor,
[troubleshooting.md](troubleshooting.md)) measure rnnjax itself, as does `scripts/faults.py` (kills, damage, bad input,
[promises.md](promises.md)); `scripts/docs.py` writes the generated pages of docs/."""


def command_page() -> str:
    """The page: one section per command."""
    return page("Commands", INTRODUCTION, *map(section, COMMANDS))


def section(name: str) -> str:
    parser = importlib.import_module(f"rnnjax.cli.{name}").build_options()
    actions = [action for action in parser._actions if "--help" not in action.option_strings]
    rows = [[code(spelling(action)), action.help or ""] for action in actions]
    options = table(["argument", "meaning"], rows)
    return f"## `rnnjax {name}`\n\n{(parser.description or '').strip()}\n\n{options}"


def spelling(action: Action) -> str:
    """An argument as it is typed: "--seeds N", "--keep last|best|all", "CONFIG"."""
    names = action.metavar if isinstance(action.metavar, tuple) else (action.metavar or "",)
    values = ["|".join(map(str, action.choices))] if action.choices else names
    return " ".join([*action.option_strings, *values]).strip()

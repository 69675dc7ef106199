"""Print the completion script of a shell: commands, options, files and the names of studies.

For bash: rnnjax completion bash > ~/.local/share/bash-completion/completions/rnnjax
"""

import argparse
import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rnnjax.cli.command import COMMANDS
from rnnjax.cli.common import build_parser
from rnnjax.cli.settings import LISTS
from rnnjax.config.fields import FIELDS
from rnnjax.config.included import included_studies
from rnnjax.errors import BadInput

SHELLS = ("bash", "zsh", "tcsh")
FILES = ("init_from", "judge", "resume")  # options that are files, but not of type Path


def build_options() -> argparse.ArgumentParser:
    parser = build_parser(__doc__)
    parser.add_argument("shell", choices=SHELLS, help="shell")
    return parser


def main() -> None:
    args = build_options().parse_args()
    try:
        import shtab  # an extra: hardly anyone needs it more than once
    except ImportError:
        raise BadInput("completion: shtab is not installed; pip install shtab") from None
    print(shtab.complete(whole_parser(shtab.FILE), shell=args.shell))


def whole_parser(files: Any) -> argparse.ArgumentParser:
    """One parser with all commands. Args: files: what shtab takes for the completion of file names."""
    names: dict[str, Iterable[str]] = {"configs": [*included_studies()], "name": [*FIELDS, *LISTS]}
    whole = argparse.ArgumentParser(prog="rnnjax")
    commands = whole.add_subparsers()
    for name, meaning in COMMANDS.items():
        options = importlib.import_module(f"rnnjax.cli.{name}").build_options()
        command = commands.add_parser(name, parents=[options], add_help=False, help=meaning)
        for action in command._actions:
            action.choices = action.choices or names.get(action.dest)
            if action.type is Path or action.dest in FILES:
                action.complete = files  # type: ignore[attr-defined]
    return whole

"""The command `rnnjax`: one name for all commands, each of which is loaded when it is asked for."""

import difflib
import importlib
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import rnnjax
from rnnjax.cli.common import run_command
from rnnjax.errors import BadInput

COMMANDS = {  # name -> meaning; the module of a command is rnnjax.cli.<name>
    "study": "train every arm of a study for every seed, judge its claims, write its report",
    "sample": "sample text or a forecast from a trained network",
    "doctor": "examine a run folder, a text or a table: faults, causes, remedies",
    "report": "render reports again, judge a study again, build a site",
    "settings": "all settings with type, default, range and meaning; names of cells, probes, rules ...",
    "bench": "time one optimizer step beside other implementations",
    "completion": "print the completion script of a shell",
}
HELP = """\
usage: rnnjax COMMAND ...

Recurrent neural networks as pure functions in JAX: many seeds and settings trained in parallel, every claim judged with
an interval.

commands:
{commands}

options:
  -h, --help  show this help; that of a command: rnnjax COMMAND --help
  --version   show the versions of rnnjax, JAX and Python, and the platform

begin with:
  rnnjax study --list                        studies that come with rnnjax
  rnnjax study init --seeds 8 --steps 5000   one of them, short; the report is runs/init/report.html
"""


def main() -> None:
    """The entry point: ends the process with the exit code of the command."""
    run_command(run)


def run() -> None:
    """Run the command that the arguments name. Raises BadInput for an unknown one."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(help_text(), end="")
    elif name == "--version":
        print(version_line())
    elif name in COMMANDS:
        sys.argv = [f"rnnjax {name}", *arguments]  # as if the command were a script of that name
        importlib.import_module(f"rnnjax.cli.{name}").main()
    else:
        close = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise BadInput(f"got command {name!r}; expected one of: {', '.join(COMMANDS)}.{hint}")


def help_text() -> str:
    width = max(map(len, COMMANDS))
    return HELP.format(commands="\n".join(f"  {name:<{width}}  {meaning}" for name, meaning in COMMANDS.items()))


def version_line() -> str:
    """The versions that a report of a fault needs, without loading JAX."""
    python = f"Python {platform.python_version()}"
    return f"rnnjax {rnnjax.__version__}, jax {installed_version('jax')}, {python}, {platform.platform()}"


def installed_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"

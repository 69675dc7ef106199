"""docs/cli.md: the commands and their options, from the argument parsers."""

from argparse import Action, ArgumentParser

from rnnjax.cli import doctor, report, sample, study
from rnnjax.cli.documentation.markdown import code, page, table

PARSERS = {
    "study": study.build_options,
    "sample": sample.build_options,
    "doctor": doctor.build_options,
    "report": report.build_options,
}
INTRODUCTION = """\
Every command prints its options with `--help`. Options cannot be abbreviated. An error is one line on standard error,
`rnnjax: error: ...`, and an exit code ([reproducibility.md](reproducibility.md#exit-codes)). The settings that
`--set NAME=VALUE` accepts are in [settings.md](settings.md).

`scripts/bench.py` (speed, [performance.md](performance.md)), `scripts/releases.py` (speed and bits of several releases
of JAX, [reproducibility.md](reproducibility.md#releases)) and `scripts/casebook.py` (accuracy of the doctor,
[troubleshooting.md](troubleshooting.md)) measure rnnjax itself; `scripts/docs.py`
writes the generated pages of docs/."""


def command_page() -> str:
    """The page: one section per command."""
    return page("Commands", INTRODUCTION, *[section(name, build()) for name, build in PARSERS.items()])


def section(name: str, parser: ArgumentParser) -> str:
    actions = [action for action in parser._actions if "--help" not in action.option_strings]
    rows = [[code(spelling(action)), action.help or ""] for action in actions]
    options = table(["argument", "meaning"], rows)
    return f"## `scripts/{name}.py`\n\n{parser.description}\n\n{options}"


def spelling(action: Action) -> str:
    """An argument as it is typed: "--seeds N", "--resume", "CONFIG"."""
    metavar = str(action.metavar or "")
    return " ".join([*action.option_strings, metavar]).strip()

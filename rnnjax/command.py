"""What all scripts share: one line for an error, one exit code, no traceback."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from rnnjax.errors import BadInput, RnnjaxError


class Parser(argparse.ArgumentParser):
    """argparse whose usage errors are one line like all others."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; see --help")


def parser(description: str | None, epilog: str = "") -> Parser:
    """A parser that takes no abbreviations: a prefix must not set a field by accident."""
    layout = argparse.RawDescriptionHelpFormatter
    return Parser(description=description, epilog=epilog, allow_abbrev=False, formatter_class=layout)


def run(main: Callable[[], None]) -> None:
    """Run a script's main function and end the process with its exit code."""
    try:
        main()
    except RnnjaxError as error:
        print(f"rnnjax: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def default_folder(study: str) -> Path:
    """Where a study goes if not told otherwise."""
    return Path("runs") / study


def check_one_folder(configs: list[Path], out: Path | None) -> None:
    """Raises BadInput where several studies would share one folder."""
    if out is not None and len(configs) > 1:
        raise BadInput(f"--out: got one folder for {len(configs)} studies; expected one study")

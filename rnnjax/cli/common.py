"""Shared by all commands: argument parsers, one line for an error, one exit code, no traceback."""

import argparse
import gc
import hashlib
import os
import re
import runpy
import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from rnnjax.errors import BadInput, RnnjaxError, Stopped

HELP_WIDTH, HELP_COLUMN = 100, 26  # of a line, and where the meanings of options begin


class Parser(argparse.ArgumentParser):
    """An argparse parser whose usage errors are one line like all others."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; see --help")


class HelpLayout(argparse.RawDescriptionHelpFormatter):
    """Help whose paragraphs are filled, but for those with an indented line, such as examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = [part.strip("\n") for part in text.split("\n\n")]
        return "\n\n".join(part if "\n " in part else textwrap.fill(part, width) for part in paragraphs)


def build_parser(description: str | None, epilog: str = "") -> Parser:
    """A parser without abbreviations: a prefix must not set a field by accident."""
    width = min(HELP_WIDTH, shutil.get_terminal_size().columns)
    layout = partial(HelpLayout, width=width, max_help_position=HELP_COLUMN)
    return Parser(description=description, epilog=epilog, allow_abbrev=False, formatter_class=layout)


def add_import_option(parser: argparse.ArgumentParser) -> None:
    """Add `--import`, whose file `run_user_code` runs."""
    parser.add_argument(
        "--import",
        dest="own_code",
        type=Path,
        metavar="FILE.py",
        help="run this file first; it can register your own cells, tasks and probes",
    )


def run_user_code(file: Path | None) -> str:
    """Run the user's own file of Python. Returns: one sha256 of it and of the modules beside it that it
    imports, "" for none. Raises BadInput."""
    if file is None:
        return ""
    if not file.is_file():
        raise BadInput(f"--import: no such file {str(file)!r}")
    before = set(sys.modules)
    try:
        runpy.run_path(str(file))
    except RnnjaxError:
        raise
    except (Exception, SystemExit) as error:
        raise BadInput(f"--import: {locate_in_user_code(error, file)}") from error
    files = [file, *own_modules(set(sys.modules) - before, file.resolve().parent)]
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


def locate_in_user_code(error: BaseException, file: Path) -> str:
    """An exception of a user's file in one line, with the last line of that file in the traceback."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    here = isinstance(error, SyntaxError) and error.filename == str(file)
    line = error.lineno if isinstance(error, SyntaxError) and here else lines[-1] if lines else None
    message = " ".join((error.msg if isinstance(error, SyntaxError) else str(error)).split())
    place = file if line is None else f"{file}:{line}"
    return f"{place}: {type(error).__name__}{': ' if message else ''}{message}"


def own_modules(names: Iterable[str], folder: Path) -> list[Path]:
    """The files of those modules that lie below a folder, in the order of their paths."""
    paths = [Path(path).resolve() for name in names if (path := getattr(sys.modules[name], "__file__", None))]
    return sorted(path for path in paths if path.is_relative_to(folder) and "site-packages" not in path.parts)


def run_command(main: Callable[[], None]) -> None:
    """Run a script's main function and end the process with its exit code."""
    gc.set_threshold(100_000, 20, 100)  # importing and tracing make many small objects, of which hardly one is garbage
    try:
        check_arguments(sys.argv[1:])
        main()
    except RnnjaxError as error:
        print(f"rnnjax: error: {printable(shorten_numbers(str(error)))}", file=sys.stderr)
        if isinstance(error, Stopped):  # all files are closed, and what still compiles would be waited for
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(error.exit_code)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def shorten_numbers(text: str) -> str:
    """`text` without most digits of a number that fills lines."""
    return re.sub(r"\d[\d,]{60,}", lambda number: f"{number[0][:20]}...", text)


def printable(text: str) -> str:
    """`text` with control characters escaped: a user's file and its name may contain terminal escape codes."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def check_arguments(arguments: Sequence[str]) -> None:
    """Raises BadInput for arguments that are not UTF-8: no output file could name them."""
    for argument in arguments:
        if any("\ud800" <= c <= "\udfff" for c in argument):
            raise BadInput(f"argument {argument!a}: expected UTF-8")


def run_folders(studies: Sequence[str], out: Path | None) -> list[Path]:
    """The run folder of each study: `out` for a single study, or runs/<study>.

    Raises:
        BadInput: two studies would share a folder, or a folder has an invalid name.
    """
    if out is not None and len(studies) > 1:
        raise BadInput(f"--out: got one folder for {len(studies)} studies; expected one study")
    from rnnjax.storage.run_folder import check_name  # loads NumPy, which `rnnjax --help` need not wait for

    found = [out if out is not None else Path("runs") / study for study in studies]
    for folder in found:
        check_name(folder.name)
        if found.count(folder) > 1:
            raise BadInput(f"got {found.count(folder)} studies called {folder.name!r}; expected one in each folder")
    return found

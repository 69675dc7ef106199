"""The user's own file of Python, which registers cells, tasks and probes. Loads no JAX."""

import hashlib
import runpy
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from rnnjax.errors import BadInput, RnnjaxError


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

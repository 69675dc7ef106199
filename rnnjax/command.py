"""What all scripts share: one line for an error, one exit code, no traceback."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from rnnjax.errors import BadInput, RnnjaxError


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

"""One trial: an attempt to break a promise, and what came of it."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple


class Trial(NamedTuple):
    """`lost` says what was not as promised; empty where all was."""

    test: str  # of the kind: trials of one name are counted together
    lost: str = ""
    figures: Mapping[str, float] = {}  # measured in this trial, such as seconds; the largest of each name is kept


Trials = Iterator[Trial]
MakeTrials = Callable[[int, int, Path], Trials]  # (number of trials, random seed, empty folder) -> trials


def describe_error(error: BaseException) -> str:
    """Type and first line of an error."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]

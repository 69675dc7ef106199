"""A long study with many checkpoints: memory, open files and threads of the process stay as they were."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.faults import studies
from benchmarks.faults.trial import Trial, Trials

STEPS_OF_A_SAVE = 1_000
SETTLED = 0.1  # of the saves: after it nothing grows
PAGE = os.sysconf("SC_PAGE_SIZE")
GROWTH = 32 * 2**20  # bytes of memory that may come and go


class Use(NamedTuple):
    """What the process uses."""

    memory: int  # bytes
    files: int
    threads: int


def present_use() -> Use:
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
    return Use(resident, len(list(Path("/proc/self/fd").iterdir())), len(list(Path("/proc/self/task").iterdir())))


def endurance_trials(count: int, seed: int, folder: Path) -> Trials:
    """One trial is one save of a study of 1,000 steps for each."""
    del seed
    settings = {"steps": count * STEPS_OF_A_SAVE, "save_every": STEPS_OF_A_SAVE, "log_every": STEPS_OF_A_SAVE}
    uses: list[Use] = []
    studies.run_quietly(studies.small_study(folder, keep="last", **settings), folder / "out", callback=recorder(uses))
    settled = uses[int(len(uses) * SETTLED)]
    for use in uses:
        grown = [use.memory - settled.memory > GROWTH, use.files > settled.files + 1, use.threads > settled.threads + 1]
        figures = {"MB": use.memory / 2**20, "files": use.files, "threads": use.threads}
        yield Trial("a save", f"{use} after {settled}" if any(grown) else "", figures)
    last = {"MB": uses[-1].memory / 2**20, "MB after a tenth": settled.memory / 2**20, "steps": settings["steps"]}
    yield Trial("the end", "", last)


def recorder(uses: list[Use]) -> Callable[[Any], None]:
    """A callback of a study that notes what is used at each of its checkpoints."""

    def note(update: Any) -> None:
        if update.step % STEPS_OF_A_SAVE == 0:
            uses.append(present_use())

    return note

"""The kinds of faults, in the order in which they are tried: cheap ones first."""

from importlib import import_module
from typing import NamedTuple

from benchmarks.faults.trial import MakeTrials


class Kind(NamedTuple):
    """A kind of fault, in the module of its name."""

    promise: str
    full: int  # trials with --full
    quick: int = 10  # trials without
    module: str = ""  # where several kinds share one

    def trials(self, name: str) -> MakeTrials:
        """The function that makes the trials."""
        return getattr(import_module(f"benchmarks.faults.{self.module or name}"), f"{name}_trials")


KINDS = {
    "letters": Kind("one changed letter in a JSON file changes no answer of any reader", 300, module="damage"),
    "corruptions": Kind("a damaged file changes no answer of any reader and no resumed run", 1_000, module="damage"),
    "configs": Kind("any study file is a study, or is refused in one line", 10_000, 100, module="inputs"),
    "corpora": Kind("any text file is a corpus, or is refused in one line", 1_000, 50, module="inputs"),
    "tables": Kind("any CSV file is a table of finite numbers, or is refused in one line", 1_000, 50, module="inputs"),
    "divergences": Kind("a diverging run changes no other run, and its step is exact", 128, 8),
    "regroupings": Kind("a run has the same bits in any company and at any chunk length", 2_000, 50),
    "races": Kind("of several processes on one folder one runs, the others exit with code 3 within 2 s", 50, 2),
    "disks": Kind("a disk that fails ends a study with a named error within 30 s, and it can go on", 60, 4),
    "kills": Kind("after SIGKILL no acknowledged step is lost, and the study ends with the same bits", 200, 2),
    "signals": Kind("a signal ends a study within 10 s, with its state saved", 100, 2),
    "mutants": Kind("without one of its guards the tests of rnnjax fail", 15, 1),
    "endurance": Kind("memory, open files and threads stay flat over 1,000 saves", 1_000, 20),
    "sizes": Kind("large studies end; peak memory and seconds of each part", 6, 1),
}

"""Run kinds of faults and write what came of them, kind by kind; a kind's result takes the place of its former one.

Exit code: 0 where no trial was lost, else 1. What an ended command has tried stays in the file.
"""

import argparse
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults import processes, results
from benchmarks.faults.kinds import KINDS, Kind
from rnnjax import devices
from rnnjax.cli.common import build_parser
from rnnjax.errors import BadInput

DEFAULT_FILE = Path("results/faults.json")
WRITE_SECONDS = 20.0  # between two writes of the file while a kind is tried


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = build_parser(__doc__)
    add = parser.add_argument
    add("--only", nargs="+", default=list(KINDS), metavar="KIND", help=f"some of: {', '.join(KINDS)}; default all")
    add("--full", action="store_true", help="the numbers of a release; default a few of each")
    add("--count", type=int, metavar="N", help="trials of each kind, in the place of either")
    add("--seconds", type=float, default=float("inf"), metavar="S", help="after which a kind starts no further trial")
    add("--seed", type=int, metavar="N", help="of all random choices; default a new one, which the file names")
    add("--add", action="store_true", help="add to the trials of a kind in the file; default replace them")
    add("--json", type=Path, default=DEFAULT_FILE, metavar="FILE", help=f"default {DEFAULT_FILE}")
    asked = parser.parse_args(given)
    if unknown := [name for name in asked.only if name not in KINDS]:
        raise BadInput(f"--only: got {unknown[0]!r}; expected some of {', '.join(KINDS)}")
    if not asked.json.absolute().parent.is_dir():
        raise BadInput(f"--json: got {asked.json}; expected a file in an existing folder")
    return asked


def core_seconds() -> float:
    """User and system time of this process, of those that it has waited for, and of the server's."""
    return sum(os.times()[:4]) + sum(processes.SPENT.values())


def try_kind(name: str, kind: Kind, asked: argparse.Namespace, seed: int) -> results.Entry:
    """The trials of one kind, written to the file as they come. Returns: its entry."""
    count = asked.count or (kind.full if asked.full else kind.quick)
    entry, started, cores = results.new_entry(kind.full, seed), time.monotonic(), core_seconds()
    before = results.read_results(asked.json).get(name) if asked.add else None

    def write() -> None:
        entry.update(seconds=round(time.monotonic() - started, 1), core_seconds=round(core_seconds() - cores, 1))
        whole = results.added(before, entry) if before else entry
        results.write_results(asked.json, results.read_results(asked.json) | {name: whole})

    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        written = time.monotonic()
        for trial in kind.trials(name)(count, seed, Path(folder)):
            results.count_trial(entry, trial)
            if trial.lost:
                print(f"{name}: {trial.test}: LOST: {trial.lost}", flush=True)
            if trial.lost or time.monotonic() - written > WRITE_SECONDS:
                write()
                written = time.monotonic()
            if time.monotonic() - started > asked.seconds:
                break
        write()
    return entry


def main() -> None:
    asked = arguments()
    devices.prepare()
    seed = secrets.randbits(32) if asked.seed is None else asked.seed
    print(f"random seed {seed}", flush=True)
    lost = 0
    for name in asked.only:
        entry = try_kind(name, KINDS[name], asked, seed)
        lost += entry["lost"]
        counts = f"{entry['survived']:,} of {entry['tried']:,} survived"
        print(f"{name}: {counts} ({entry['core_seconds']:,.0f} core-seconds)", flush=True)
    sys.exit(1 if lost else 0)

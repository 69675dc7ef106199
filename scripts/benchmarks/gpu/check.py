"""Check rnnjax on one GPU, H100 class, in at most 8 minutes; every section in a process and a budget of its own.

Exit code: 0 where no section failed, else 1. What a killed check has measured stays in the file.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from itertools import accumulate
from pathlib import Path

from benchmarks.gpu import process, report
from rnnjax import devices
from rnnjax.cli.common import build_parser
from rnnjax.errors import BadInput

BUDGETS = {  # seconds of each section, in the order in which they run; what one leaves, the next may use
    "machine": 25,
    "cells": 90,
    "bits": 100,
    "resume": 60,
    "agreement": 50,
    "widths": 60,
    "peers": 35,
    "profiling": 30,
    "window": 25,
}
TOTAL_SECONDS = 475
GRACE = 40  # seconds beyond its budget after which a section's process is killed
SHORTEST = 5  # seconds: with less than this left no section is begun
DEFAULT_FILE = Path("results/bench/gpu.json")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = build_parser(__doc__)
    parser.add_argument("--json", type=Path, default=DEFAULT_FILE, metavar="FILE", help=f"default {DEFAULT_FILE}")
    parser.add_argument("--only", default=",".join(BUDGETS), metavar="A,B", help="sections to run; default all")
    parser.add_argument("--quick", action="store_true", help="small sizes, for tests on a CPU")
    return parser.parse_args(given)


def asked_sections(only: str) -> list[str]:
    """Section names in the order of `BUDGETS`. Raises BadInput for one that does not exist."""
    asked = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in asked if name not in BUDGETS]
    if unknown or not asked:
        raise BadInput(f"--only: got {only!r}; expected some of {','.join(BUDGETS)}")
    return [name for name in BUDGETS if name in asked]


def check_file(file: Path) -> None:
    """Raises BadInput for a file that cannot be written at the end."""
    if file.is_dir() or not file.parent.is_dir():
        raise BadInput(f"--json: got {file}; expected a file in an existing folder")


def run_section(name: str, file: str, quick: bool, end: float) -> None:
    """Take the measurements of a section, each merged into the file at once; called in the section's own process.

    Args:
        end: on the machine's monotonic clock, which its processes share.
    """
    measurements = import_module(f"benchmarks.gpu.{name}").measurements(quick)
    found = []
    for pair in report.within_budget(measurements, end):
        found.append(pair)
        report.merge_section(Path(file), name, report.section_figures(found))
        status = "left out" if pair[1] is None else "FAILED" if report.failed(pair[1]) else "done"
        print(f"  {name}: {pair[0]}: {status}", flush=True)


def supervise(name: str, file: Path, quick: bool, end: float, last: float) -> None:
    """Run a section's process; its seconds, and its error where it ends badly, go to the file.

    Args:
        end: when it should end. last: when the whole check has to.
    """
    started = time.monotonic()
    section = {"budget_seconds": round(end - started, 1), "figures": {}, "failed": [], "left_out": []}
    report.merge_section(file, name, section)
    settings = {"name": name, "file": str(file.resolve()), "quick": quick, "end": end}
    limit = min(end + GRACE, last) - started
    outcome = report.guarded(lambda: process.call(__name__, "run_section", settings, limit)) or {}
    report.merge_section(file, name, outcome | {"seconds": round(time.monotonic() - started, 1)})
    print(f"{name}: {time.monotonic() - started:.0f} s {outcome.get('error', '')}".rstrip(), flush=True)


def section_ends(names: Sequence[str], started: float) -> dict[str, float]:
    """When each section should end: the budgets add up, so that what one section leaves, the next may use."""
    ends = accumulate(BUDGETS[name] for name in names)
    return {name: started + end for name, end in zip(names, ends, strict=True)}


def check(names: Sequence[str], file: Path, quick: bool) -> list[str]:
    """Run sections one after the other. Returns: those that failed."""
    started = time.monotonic()
    report.write(file, {"quick": quick, "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "sections": {}})
    for name, end in section_ends(names, started).items():
        if end - time.monotonic() < SHORTEST:
            report.merge_section(file, name, {"error": "not begun: the sections before it took too long"})
        else:
            supervise(name, file, quick, end, started + TOTAL_SECONDS)
        report.merge_into(file, {"seconds": round(time.monotonic() - started, 1)})
    return report.failed_sections(report.read(file))


def main() -> None:
    asked = arguments()
    names = asked_sections(asked.only)
    check_file(asked.json)
    process.exit_on_sigterm()
    with tempfile.TemporaryDirectory() as cache:  # a fresh one, so that seconds of compilation are true
        os.environ[devices.CACHE] = cache
        failed = check(names, asked.json, asked.quick)
    print(f"{asked.json}: {'failed: ' + ', '.join(failed) if failed else 'no section failed'}")
    sys.exit(1 if failed else 0)

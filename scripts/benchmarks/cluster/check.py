"""Measure studies on several processes: speed, the cost of the engine, kills at random times.

Each part is written to the JSON file as soon as it is done; one that is there is left out (--again measures it anew).
"""

import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.cluster.faults import PAUSES, measure_kills
from benchmarks.cluster.speed import measure_overhead, measure_speed
from benchmarks.gpu.report import guarded
from rnnjax import devices
from rnnjax.cli.common import build_parser
from rnnjax.storage.files import read_json, write_json, write_text

FILE = Path("results/bench/cluster.json")
PARTS = ("speed", "overhead", "kills")


def main() -> None:
    parser = build_parser(__doc__)
    add = parser.add_argument
    add("--only", choices=PARTS, action="append", help="measure this part; repeatable; default all")
    add("--again", action="store_true", help="measure anew what the file has")
    add("--kills", type=int, default=30, metavar="N", help="SIGKILLs of workers; default 30")
    add("--scheduler-kills", type=int, default=5, metavar="N", help="SIGKILLs of the scheduler; default 5")
    add("--pauses", type=float, nargs=2, default=PAUSES, metavar="S", help="shortest and longest time between kills")
    add("--seed", type=int, default=0, metavar="N", help="of the random times")
    add("--minutes", type=float, default=60.0, metavar="N", help="begin no study after so many; default 60")
    add("--steps", type=int, default=4_000, metavar="N", help="optimizer steps of the grid; default 4000")
    add("--hidden", type=int, default=64, metavar="N", help="units of the grid; default 64")
    add("--out", type=Path, default=FILE, metavar="FILE", help=f"JSON file; a .md beside it; default {FILE}")
    asked = parser.parse_args()
    end = time.monotonic() + 60 * asked.minutes
    measures: dict[str, Callable[[Path], Any]] = {
        "speed": lambda folder: measure_speed(folder, asked.steps, asked.hidden),
        "overhead": measure_overhead,
        "kills": lambda folder: measure_kills(
            folder, (asked.kills, asked.scheduler_kills), asked.seed, tuple(asked.pauses), end
        ),
    }
    figures = read_json(asked.out) if asked.out.is_file() else {}
    for name in asked.only or PARTS:
        if asked.again or name not in figures:
            figures[name] = measure_one(measures[name]) | {"machine": machine()}
            write_json(asked.out, figures)
    write_text(asked.out.with_suffix(".md"), page(figures))


def measure_one(measure: Callable[[Path], Any]) -> dict[str, Any]:
    """The figures of a part, or its error."""
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="rnnjax-cluster-") as folder:
        found = guarded(lambda: measure(Path(folder) / "work"))
    return {**found, "load_before_and_after": [round(before, 1), round(os.getloadavg()[0], 1)]}


def machine() -> dict[str, Any]:
    names = ("jax", "jaxlib", "distributed")
    return {
        "cores": devices.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def page(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    return "\n".join(["# Studies on several processes", "", INTRODUCTION, "", *sections(figures)]) + "\n"


INTRODUCTION = (
    "Written by `scripts/cluster_check.py`. On a machine that has other work (its load stands below each table), only "
    "CPU seconds can be compared; seconds by the clock are given, and depend on that work."
)
TITLES = {
    "speed": "A grid of two groups, 8 seeds and two rates",
    "overhead": "What a group costs beyond compiling and training",
    "kills": "SIGKILLs at random times",
}


def sections(figures: dict[str, Any]) -> list[str]:
    """A table for each part: what is measured, and its figure."""
    lines: list[str] = []
    for name in [name for name in PARTS if name in figures]:
        lines += [f"## {TITLES[name]}", "", "| figure | value |", "| --- | --- |", *table_rows(figures[name]), ""]
    return lines


def table_rows(figures: dict[str, Any], prefix: str = "") -> list[str]:
    rows = []
    for name, value in figures.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, dict):
            rows += table_rows(value, f"{label}: ")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append(f"| {label} | {text} |")
    return rows

"""Measure the doctor: how often a planted fault is found and named first, how often a healthy network gets an alarm.

The seeds differ from those with which its limits were chosen.
"""

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnjax import devices
from rnnjax.cli.common import build_parser

FIRST_SEED, FIRST_HEALTHY_SEED = 11, 31
HEALTHY_HEADER = "| varied | healthy networks | number | false alarms | seconds |\n| --- | --- | ---: | --- | ---: |\n"
HEADER = "| planted | seeds | found | named first | seconds |\n| --- | ---: | ---: | ---: | ---: |\n"
NOTE = """
Found: the planted condition is among the findings. Named first: it is the first of them, the one to treat. Each network
is examined alone; seconds are for all seeds, training and compiling too. Several faults are planted in one trained
network: its training is in the seconds of the first of them.
"""


def arguments() -> argparse.Namespace:
    parser = build_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="of each fault; default 10")
    parser.add_argument("--healthy", type=int, default=3, metavar="N", help="seeds of each healthy group; default 3")
    parser.add_argument("--abroad", action="store_true", help="instead, networks that rnnjax did not build")
    parser.add_argument("--sequences", action="store_true", help="instead, sets of sequences")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME",
        help="only these faults, healthy groups, or with --abroad members, or kinds of them; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=Path("results/doctor"), metavar="DIR", help="default results/doctor"
    )
    return parser.parse_args()


def measure_fault(case: Any, seeds: Sequence[int]) -> dict[str, Any]:
    """How often one fault is found and named first."""
    from benchmarks.doctor.planted_faults import examine_each

    started = time.monotonic()
    named = [[finding.name for finding in each.findings] for each in examine_each(case, seeds)]
    found, first = sum(case.name in names for names in named), sum(names[:1] == [case.name] for names in named)
    seconds = round(time.monotonic() - started, 1)
    others = [names[:1] for names in named if names[:1] != [case.name]]
    print(f"{case.name}: found {found}, first {first} of {len(seeds)} {others or ''}, {seconds} s", flush=True)
    return {"name": case.name, "seeds": len(seeds), "found": found, "first": first, "seconds": seconds, "named": named}


def measure_healthy(group: Any, seeds: Sequence[int]) -> dict[str, Any]:
    """The faults that the doctor finds in healthy networks of one group."""
    started = time.monotonic()
    alarms = [[one.name for one in each.faults] for each in group.examine(seeds)]
    seconds = round(time.monotonic() - started, 1)
    print(f"healthy: {group.name}: {sum(map(bool, alarms))} alarms of {len(seeds)} {alarms}, {seconds} s", flush=True)
    return {"kind": group.kind, "name": group.name, "networks": len(seeds), "alarms": alarms, "seconds": seconds}


def summary(measured: dict[str, Any]) -> str:
    """Totals as text, without an interval: most faults are planted in the same networks."""
    faults = [row for row in measured["faults"] if row["name"] != "floor"]
    lines = []
    if faults:
        worst = min(faults, key=lambda row: row["first"] / row["seeds"])
        always = sum(row["first"] == row["seeds"] for row in faults)
        lines.append(
            f"{len(faults)} faults: {always} named first in every network; "
            f"worst: {worst['name']}, first in {worst['first']} of {worst['seeds']}."
        )
    alarms = [bool(names) for row in measured["healthy"] for names in row["alarms"]]
    if alarms:
        lines.append(f"{len(alarms)} healthy networks: {sum(alarms)} with a false alarm.")
    return "\n".join(lines) + "\n"


def to_markdown(measured: dict[str, Any]) -> str:
    """casebook.md."""
    rows = [
        f"| {r['name']} | {r['seeds']} | {r['found']} | {r['first']} | {r['seconds']} |\n" for r in measured["faults"]
    ]
    healthy = [
        f"| {row['kind']} | {row['name']} | {row['networks']} | {count_alarms(row['alarms'])} | {row['seconds']} |\n"
        for row in measured["healthy"]
    ]
    parts = [
        "# What the doctor finds\n\n",
        summary(measured),
        "\n",
        HEADER,
        *rows,
        "\n",
        HEALTHY_HEADER,
        *healthy,
        NOTE,
    ]
    return "".join(parts)


def count_alarms(alarms: list[list[str]]) -> str:
    """The number of networks with a false alarm, and what was found in them."""
    names = Counter(name for each in alarms for name in each)
    found = ", ".join(f"{name} {count}" for name, count in names.items())
    return f"{sum(map(bool, alarms))}" + (f" ({found})" if found else "")


def main() -> None:
    options = arguments()
    devices.prepare()
    if options.abroad:
        from benchmarks.doctor.abroad.measure import measure_abroad

        print(measure_abroad(options.out, options.only) + f"done: {options.out / 'abroad.md'}")
        return
    if options.sequences:
        from benchmarks.doctor.sequences.measure import measure_sequences

        print(measure_sequences(options.out, options.only, options.seeds) + f"done: {options.out / 'sequences.md'}")
        return
    from benchmarks.doctor.healthy import HEALTHY  # imports JAX, which must be set up first
    from benchmarks.doctor.planted_faults import AT_FLOOR, FAULTS

    def is_chosen(*names: str) -> bool:
        return not options.only or not set(names).isdisjoint(options.only)

    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    some = range(FIRST_HEALTHY_SEED, FIRST_HEALTHY_SEED + options.healthy)
    groups = [group for group in HEALTHY if is_chosen(group.kind, group.name)] if options.healthy else []
    measured: dict[str, list[Any]] = {"faults": [], "healthy": []}
    for case in (case for case in (*FAULTS, AT_FLOOR) if options.seeds and is_chosen(case.name)):
        measured["faults"].append(measure_fault(case, seeds))
        write_results(options.out, measured)
    for group in groups:
        measured["healthy"].append(measure_healthy(group, some))
        write_results(options.out, measured)
    print(summary(measured) + f"done: {options.out / 'casebook.md'}")


def write_results(out: Path, measured: dict[str, Any]) -> None:
    """Write casebook.json and casebook.md of the results so far."""
    from rnnjax.storage.files import write_json, write_text

    write_json(out / "casebook.json", measured)
    write_text(out / "casebook.md", to_markdown(measured))

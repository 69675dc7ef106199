"""Measure the doctor on sets of sequences: how often a planted fault is named first, and false findings."""

import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from benchmarks.doctor.abroad.cases import is_right
from benchmarks.doctor.sequences import SEQUENCES
from benchmarks.doctor.sequences.cases import SequenceCase
from rnnjax.storage.files import read_json, write_json, write_text

FIRST_SEED = 61  # larger than those with which the limits were chosen
HEADER = (
    "| kind | member | expected | seeds | right | else found | CPU seconds |\n"
    "| --- | --- | --- | ---: | ---: | --- | ---: |\n"
)
NOTE = """
Expected: the condition to be named first; none for a healthy neighbour, of which only faults are false findings. Right:
of so many files, or networks, each examined alone. Files are examined before any network reads them. The networks of a
member are trained on one set of sequences and differ in their initial parameters.
"""


def measure_case(case: SequenceCase, count: int) -> dict[str, Any]:
    """The findings of one case with some seeds."""
    started = time.process_time()
    examined = case.examine(range(FIRST_SEED, FIRST_SEED + count))
    findings = [[one.name for one in each.findings] for each in examined]
    faults = [[one.name for one in each.faults] for each in examined]
    right = [is_right(case.expected, *names) for names in zip(findings, faults, strict=True)]
    others = [names for names, good in zip(faults if not case.expected else findings, right, strict=True) if not good]
    seconds = round(time.process_time() - started, 1)
    print(f"{case.kind}, {case.name}: {sum(right)} of {count} right, {others or ''} {seconds} s", flush=True)
    about = {"kind": case.kind, "member": case.name, "expected": case.expected, "seeds": count}
    return {**about, "right": sum(right), "others": others, "findings": findings, "seconds": seconds}


def measure_sequences(out: Path, only: Collection[str], seeds: int) -> str:
    """Write sequences.json and sequences.md after each case; the summary.

    Args: only: members or kinds, beside which the rows that were measured before stay; empty = all.
    """
    file = out / "sequences.json"
    known = {(row["kind"], row["member"]): row for row in (read_json(file) if only and file.is_file() else [])}
    for case in SEQUENCES:
        if not only or case.name in only or case.kind in only:
            known[case.kind, case.name] = measure_case(case, seeds)
            rows = [known[one.kind, one.name] for one in SEQUENCES if (one.kind, one.name) in known]
            write_json(file, rows)
            write_text(out / "sequences.md", to_markdown(rows))
    return summary(list(known.values()))


def summary(rows: list[dict[str, Any]]) -> str:
    """The worst planted fault, and the false findings on healthy neighbours."""
    faults, healthy = ([row for row in rows if bool(row["expected"]) == planted] for planted in (True, False))
    lines = []
    if faults:
        worst = min(faults, key=lambda row: row["right"] / row["seeds"])
        first, seeds = (sum(row[name] for row in faults) for name in ("right", "seeds"))
        lines.append(
            f"{len(faults)} planted faults: named first in {first} of {seeds}; worst: {worst['member']}, in "
            f"{worst['right']} of {worst['seeds']}."
        )
    if healthy:
        seeds, right = (sum(row[name] for row in healthy) for name in ("seeds", "right"))
        lines.append(f"{len(healthy)} healthy neighbours: {seeds - right} of {seeds} with a false finding.")
    return "\n".join(lines) + "\n"


def to_markdown(rows: list[dict[str, Any]]) -> str:
    """sequences.md."""
    return "".join(["# The doctor on sets of sequences\n\n", summary(rows), "\n", HEADER, *map(table_row, rows), NOTE])


def table_row(row: dict[str, Any]) -> str:
    named = Counter(names[0] if names else "nothing" for names in row["others"])
    others = ", ".join(f"{name} {count}" for name, count in named.items())
    known = (
        row["kind"],
        row["member"],
        row["expected"] or "no fault",
        row["seeds"],
        row["right"],
        others,
        row["seconds"],
    )
    return f"| {' | '.join(map(str, known))} |\n"

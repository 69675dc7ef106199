"""Measure the doctor on the cases abroad: which fault is named first, which healthy neighbour gets an alarm."""

import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from benchmarks.doctor.abroad import ABROAD
from benchmarks.doctor.abroad.cases import REFUSED, AbroadCase, is_right
from rnnjax.errors import BadInput
from rnnjax.storage.files import write_json, write_text

HEADER = "| kind | member | expected | found first | other faults | seconds |\n| --- | --- | --- | --- | --- | ---: |\n"
NOTE = """
Expected: the condition to be named first, or how its name begins; none for a healthy network, of which only faults are
false findings. Networks that members share are trained in the seconds of the first of them.
"""


def measure_case(case: AbroadCase) -> dict[str, Any]:
    """The findings of one case, and whether they are the expected ones."""
    started = time.monotonic()
    try:
        diagnosis = case.build()
        findings, faults = ([one.name for one in each] for each in (diagnosis.findings, diagnosis.faults))
    except BadInput as error:
        findings = faults = [REFUSED]
        print(f"{case.name}: {error}", flush=True)
    right, seconds = is_right(case.expected, findings, faults), round(time.monotonic() - started, 1)
    print(f"{case.kind}, {case.name}: {'right' if right else 'wrong'}, {findings}, {seconds} s", flush=True)
    about = {"kind": case.kind, "member": case.name, "expected": case.expected}
    return {**about, "findings": findings, "faults": faults, "right": right, "seconds": seconds}


def measure_abroad(out: Path, only: Collection[str]) -> str:
    """Write abroad.json and abroad.md after each case; the summary. Args: only: members or kinds; empty for all."""
    rows: list[dict[str, Any]] = []
    for case in ABROAD:
        if not only or case.name in only or case.kind in only:
            rows.append(measure_case(case))
            write_json(out / "abroad.json", rows)
            write_text(out / "abroad.md", to_markdown(rows))
    return summary(rows)


def summary(rows: list[dict[str, Any]]) -> str:
    """Right of all, and the false findings on healthy networks."""
    healthy = [row for row in rows if not row["expected"]]
    false = sum(bool(row["faults"]) for row in healthy)
    right = sum(row["right"] for row in rows)
    return f"{right} of {len(rows)} right. {false} of {len(healthy)} healthy neighbours with a false finding.\n"


def to_markdown(rows: list[dict[str, Any]]) -> str:
    """abroad.md."""
    lines = [table_row(row) for row in rows]
    return "".join(["# The doctor abroad\n\n", summary(rows), "\n", HEADER, *lines, NOTE])


def table_row(row: dict[str, Any]) -> str:
    first = row["findings"][0] if row["findings"] else "nothing"
    others = ", ".join(name for name in row["faults"] if name != first)
    cells = (row["kind"], row["member"], row["expected"] or "no fault", first, others, row["seconds"])
    return f"| {' | '.join(map(str, cells))} |\n"

"""The table of docs/promises.md: what was tried against each promise, from results/faults.json."""

from pathlib import Path

from rnnjax.cli.documentation.markdown import table
from rnnjax.storage.files import read_json

FAULTS_BEGIN, FAULTS_END = "<!-- faults -->", "<!-- end of faults -->"
COUNTS = ("asked", "tried", "survived", "lost")


def faults_table(path: Path) -> str:
    """One row per kind of fault. Raises DamagedState where the file cannot be read."""
    kinds = read_json(path)["kinds"]
    rows = [
        [name, entry["promise"], *(f"{entry[count]:,}" for count in COUNTS), f"{entry['core_seconds']:,.0f}"]
        for name, entry in kinds.items()
    ]
    return "\n" + table(["kind", "promise", *COUNTS, "core-seconds"], rows) + "\n\n"

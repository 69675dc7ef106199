"""results/faults.json: one entry per kind of fault, replaced or added to; and its table in Markdown."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.faults.kinds import KINDS
from benchmarks.faults.trial import Trial
from rnnjax.storage.files import write_json, write_text

ROOT = Path(__file__).parents[3]
CODE = ("rnnjax", "scripts", "tests")  # what a trial may depend on
LOST_SHOWN = 20  # trials of a kind that are described
Entry = dict[str, Any]


def new_entry(asked: int, seed: int) -> Entry:
    """An entry before its first trial. Args: asked: the number of trials with --full."""
    counts = {"asked": asked, "tried": 0, "survived": 0, "lost": 0}
    return counts | {"seeds": [seed], "commits": [commit()], "seconds": 0.0, "core_seconds": 0.0, "tests": {},
                     "figures": {}, "what_was_lost": []}  # fmt: skip


def commit() -> str:
    """The commit of the checkout, "-dirty" appended where code was changed since."""
    changed = git("status", "--porcelain", "--untracked-files=no", "--", *CODE)
    return git("rev-parse", "HEAD") + ("-dirty" if changed else "")


def git(*arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def count_trial(entry: Entry, trial: Trial) -> None:
    """Count a trial, in all and under its name."""
    test = entry["tests"].setdefault(trial.test, {"tried": 0, "survived": 0, "lost": 0})
    for counts in (entry, test):
        counts["tried"] += 1
        counts["lost" if trial.lost else "survived"] += 1
    if trial.lost and len(entry["what_was_lost"]) < LOST_SHOWN:
        entry["what_was_lost"].append(f"{trial.test}: {trial.lost}"[:500])
    figures = entry["figures"].setdefault(trial.test, {}) if trial.figures else {}
    for name, value in trial.figures.items():
        figures[name] = round(max(value, figures.get(name, value)), 3)


def added(old: Entry, new: Entry) -> Entry:
    """Two sittings of one kind as one entry: numbers are added up, the largest of each figure is kept."""
    both = {name: old[name] + new[name] for name in ("tried", "survived", "lost", "seconds", "core_seconds", "seeds")}
    tests = {
        name: {count: sum(e["tests"].get(name, {}).get(count, 0) for e in (old, new)) for count in counts}
        for name, counts in (old["tests"] | new["tests"]).items()
    }
    figures = {
        test: {
            name: max(e["figures"].get(test, {}).get(name, value) for e in (old, new)) for name, value in known.items()
        }
        for test, known in merged_names(old["figures"], new["figures"]).items()
    }
    commits = [*dict.fromkeys([*old["commits"], *new["commits"]])]
    lost = [*old["what_was_lost"], *new["what_was_lost"]][:LOST_SHOWN]
    return new | both | {"tests": tests, "figures": figures, "commits": commits, "what_was_lost": lost}


def merged_names(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Both tables of figures, with the names of both in each."""
    return {name: old.get(name, {}) | new.get(name, {}) for name in {**old, **new}}


def read_results(file: Path) -> dict[str, Entry]:
    """Kind -> entry; empty where there is no file yet."""
    return json.loads(file.read_text())["kinds"] if file.is_file() else {}


def write_results(file: Path, kinds: Mapping[str, Entry]) -> None:
    """Write the JSON file, and the tables beside it. Raises StorageFailed."""
    ordered = {name: {"promise": KINDS[name].promise} | kinds[name] for name in KINDS if name in kinds}
    write_json(file, {"kinds": ordered})
    write_text(file.with_suffix(".md"), markdown(ordered))


def markdown(kinds: Mapping[str, Entry]) -> str:
    """The tables of faults.md."""
    lines = [
        "# Faults",
        "",
        "Written by `python scripts/faults.py`; what is promised: [promises](../docs/promises.md).",
        "",
    ]
    lines += [summary_table(kinds), "", "Every test, with the largest of each measured figure:", "", test_table(kinds)]
    return "\n".join(lines) + "\n"


def summary_table(kinds: Mapping[str, Entry]) -> str:
    """One row per kind."""
    lines = ["| kind | promise | asked | tried | survived | lost | core-seconds | commit |", "|" + " --- |" * 8]
    for name, entry in kinds.items():
        counts = " | ".join(f"{entry[count]:,}" for count in ("asked", "tried", "survived", "lost"))
        commits = ", ".join(one[:10] + ("-dirty" if one.endswith("-dirty") else "") for one in entry["commits"])
        lines.append(f"| {name} | {KINDS[name].promise} | {counts} | {entry['core_seconds']:,.0f} | {commits} |")
    return "\n".join(lines)


def test_table(kinds: Mapping[str, Entry]) -> str:
    """One row per test of a kind."""
    lines = ["| kind | test | tried | lost | figures |", "|" + " --- |" * 5]
    for name, entry in kinds.items():
        for test, counts in sorted(entry["tests"].items()):
            figures = ", ".join(f"{key} {value:,g}" for key, value in entry["figures"].get(test, {}).items())
            lines.append(f"| {name} | {test} | {counts['tried']:,} | {counts['lost']:,} | {figures} |")
    return "\n".join(lines)

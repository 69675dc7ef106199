"""The ledger: all statements of all studies with their verdicts, from summary.json, as a table in a README."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from rnnjax.analysis.statistics import Interval
from rnnjax.errors import BadInput, DamagedState
from rnnjax.reports.document import VERDICTS, Statement, by_verdict
from rnnjax.reports.render import render
from rnnjax.storage.files import replace_between
from rnnjax.storage.run_folder import check_name
from rnnjax.storage.sealed import read_sealed_json

SUMMARY_FILE = "summary.json"
LEDGER_BEGIN, LEDGER_END = "<!-- ledger -->", "<!-- end of ledger -->"


class Entry(NamedTuple):
    """A study in the ledger."""

    folder: Path
    title: str
    question: str
    runs: int
    diverged: int
    statements: list[Statement]

    @property
    def name(self) -> str:
        return self.folder.name


def read_entries(folders: Sequence[Path]) -> list[Entry]:
    """The studies among the folders; folders without results are skipped, so that `results/*` is a valid argument.

    Raises:
        BadInput: no such path, none with results, or two of one name. DamagedState: a summary that cannot be read.
    """
    missing = [folder for folder in folders if not folder.exists()]
    if missing:
        raise BadInput(f"no such folder {str(missing[0])!r}")
    found = dict.fromkeys(folder.resolve() for folder in folders if (folder / SUMMARY_FILE).is_file())
    if not found:
        raise BadInput(f"no {SUMMARY_FILE} in {', '.join(map(str, folders))}; expected folders of finished studies")
    names = [folder.name for folder in found]
    for name in names:
        check_name(name)  # it becomes an address and a name in pages
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"got {names.count(twice)} folders called {twice!r}; expected one for each study")
    return [read_entry(folder) for folder in found]


def read_entry(folder: Path) -> Entry:
    """The study of one folder. Raises DamagedState, also for a summary of another version."""
    tree = read_sealed_json(folder / SUMMARY_FILE)
    try:
        arms = tree["arms"]
        runs, diverged = (sum(arm[count] for arm in arms) for count in ("runs", "diverged"))
        statements = [statement(claim) for claim in tree["claims"]]
        return Entry(folder, str(tree.get("title", folder.name)), str(tree["question"]), runs, diverged, statements)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedState(f"cannot read {folder / SUMMARY_FILE}: got no study of this version ({error!r})") from error


def statement(claim: dict[str, Any]) -> Statement:
    """The inverse of `summary.claim_summary`."""
    if claim["verdict"] not in VERDICTS:
        raise ValueError(f"verdict {claim['verdict']}")
    names = ("id", "text", "source", "stated", "verdict", "expected", "why")
    key, text, source, stated, verdict, expected, why = (str(claim[name]) for name in names)
    estimate = None if claim["estimate"] is None else Interval.from_json(claim)
    return Statement(key, text, source, stated, verdict, estimate, expected, why)


def write_ledger(readme: Path, entries: Sequence[Entry]) -> None:
    """Put the table of the ledger between its two marks in a Markdown file. Raises: as `files.write_between`."""
    replace_between(readme, LEDGER_BEGIN, LEDGER_END, block(entries, readme.resolve().parent))


def block(entries: Sequence[Entry], base: Path) -> str:
    """The ledger in Markdown, with links as seen from the folder `base`: a line per study, and all statements."""
    links = {entry.name: quote(Path(os.path.relpath(entry.folder, base)).as_posix()) for entry in entries}
    parts: dict[str, list[Entry]] = {"documents": [], "papers": []}
    for entry in entries:
        parts["papers" if is_of_papers(entry) else "documents"].append(entry)
    return render("ledger.md.j2", False, entries=entries, links=links, parts=parts, by_verdict=by_verdict)


def is_of_papers(entry: Entry) -> bool:
    """Whether the statements of a study come from papers or other studies, not from documents, which are text files."""
    sources = [statement.source for statement in entry.statements]
    return bool(sources) and all(source and not source.endswith(".txt") for source in sources)

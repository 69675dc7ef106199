"""All studies as a static site: a front page with the ledger, a page per study, one shared plotly script.

It needs no server and no network: DIR/index.html, DIR/<study>/index.html with its tables, DIR/plotly.min.js.
"""

from collections.abc import Sequence
from pathlib import Path

from rnnjax.errors import BadInput, DamagedState, FolderRefused
from rnnjax.reports.document import Report, by_verdict
from rnnjax.reports.document_json import PAGE_FILE, read_report
from rnnjax.reports.ledger import Entry
from rnnjax.reports.plotly_script import write_plotly
from rnnjax.reports.render import render, to_html, write_tables
from rnnjax.storage.files import write_text
from rnnjax.storage.run_folder import check_links, holds_run

GENERATOR = b'<meta name="generator" content="rnnjax">'  # in the head of every page


def write_site(out: Path, entries: Sequence[Entry]) -> None:
    """Write the site of these studies; existing pages of other studies are kept.

    Raises:
        BadInput: a study without page.json. FolderRefused: as `check_site`. DamagedState: its page cannot be read, or
        is of another run than its summary. StorageFailed.
    """
    check_site(out, [entry.name for entry in entries])
    pages = [read_study_report(entry) for entry in entries]
    anchors = {
        statement.id: f"{entry.name}/index.html#statement-{i}"
        for entry in entries
        for i, statement in enumerate(entry.statements, 1)
    }
    seen_from_below = {name: f"../{address}" for name, address in anchors.items()}
    write_plotly(out)
    for entry, page in zip(entries, pages, strict=True):
        write_tables(out / entry.name, page)
        write_text(out / entry.name / "index.html", to_html(page, seen_from_below))
    write_text(out / "index.html", front(entries))


def check_site(out: Path, names: Sequence[str]) -> None:
    """Raises FolderRefused where a site would take the place of something else, or a link leads out of it."""
    if holds_run(out) or (out / PAGE_FILE).is_file():
        raise FolderRefused(f"{out} is a run folder; expected a new folder, or one with a site")
    check_links(out)
    for page in (out / "index.html", *(out / name / "index.html" for name in names)):
        if page.is_file() and GENERATOR not in page.read_bytes():
            raise FolderRefused(f"{page} is not a page of rnnjax; expected a new folder, or one with a site")


def read_study_report(entry: Entry) -> Report:
    """The report in a study's folder, which must be of the same run as its summary."""
    if not (entry.folder / PAGE_FILE).is_file():
        raise BadInput(f"{entry.folder}: has no {PAGE_FILE}, which this version writes; run the study again")
    page = read_report(entry.folder)
    if [(s.id, s.verdict) for s in page.statements] != [(s.id, s.verdict) for s in entry.statements]:
        raise DamagedState(f"{entry.folder}: {PAGE_FILE} and summary.json are not of the same run")
    return page


def front(entries: Sequence[Entry]) -> str:
    """The front page."""
    everything = [statement for entry in entries for statement in entry.statements]
    return render(
        "lab.html.j2",
        True,
        entries=entries,
        verdicts=by_verdict(everything),
        by_verdict=by_verdict,
        everything=everything,
        documents=sorted({statement.source for statement in everything if statement.source}),
    )

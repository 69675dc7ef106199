"""Render the reports of finished studies again, judge a study again, build a site, or update generated tables."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rnnjax import devices
from rnnjax.cli.common import build_parser, printable
from rnnjax.config.included import find_study
from rnnjax.config.load import load_study
from rnnjax.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnjax.reports.ledger import Entry


def build_options() -> argparse.ArgumentParser:
    parser = build_parser(__doc__, "without options: renders report.html, report.md and tables/ again")
    add = parser.add_argument
    add(
        "folders",
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="finished studies, such as results/* or runs/init",
    )
    add("--site", type=Path, metavar="DIR", help="build a site of all studies in DIR; open DIR/index.html")
    add("--judge", metavar="CONFIG", help="judge one study again by this file")
    add("--compact", type=Path, metavar="DIR", help="write a small copy of each study to DIR/NAME, with curves.npz")
    add(
        "--changes",
        type=Path,
        nargs=2,
        metavar=("OLD", "FILE"),
        help="write to FILE what differs from the results of the same studies in OLD: verdicts and numbers",
    )
    add("--ledger", type=Path, metavar="FILE", help="write the table of all claims between its marks in FILE")
    add("--remedies", type=Path, metavar="FILE", help="write the measured effects of remedies to FILE")
    add("--symptoms", type=Path, metavar="FILE", help="write the symptom table between its marks in FILE")
    return parser


def rejudge_folder(typed: str, folders: list[Path]) -> None:
    """Raises BadInput unless there is one folder, and as `rejudge`."""
    if len(folders) > 1:
        raise BadInput(f"--judge: got {len(folders)} folders; expected the one of {typed}")
    study = load_study(find_study(typed).path)
    devices.prepare()
    from rnnjax.storage.run_folder import hold_for_writing
    from rnnjax.studies.analyse import rejudge

    with hold_for_writing(folders[0]):
        rejudge(study, folders[0])
    print(printable(f"done: {folders[0] / 'report.html'}"))


def main() -> None:
    args = build_options().parse_args()
    if args.judge is not None:
        rejudge_folder(args.judge, args.folders)
    from rnnjax.reports import ledger, site

    entries = ledger.read_entries(args.folders)
    if args.site is not None:
        site.write_site(args.site, entries)
        print(printable(f"done: {args.site / 'index.html'}"))
    if args.compact is not None:
        write_compact_copies(args.compact, entries)
    if args.changes is not None:
        write_changes(args.changes[0], args.changes[1], entries)
    if args.ledger is not None:
        ledger.write_ledger(args.ledger, entries)
        print(printable(f"done: {args.ledger}"))
    if args.remedies is not None:
        write_remedies(args.remedies, [entry.folder for entry in entries])
    if args.symptoms is not None:
        rewrite_symptom_table(args.symptoms)
    if not any((args.site, args.compact, args.changes, args.ledger, args.judge, args.remedies, args.symptoms)):
        rewrite_reports(entries)


def write_compact_copies(into: Path, entries: "Sequence[Entry]") -> None:
    """A small copy of each study, from which reports and judging work."""
    from rnnjax.studies.compact import write_compact

    for entry in entries:
        write_compact(entry.folder, into / entry.name)
        print(printable(f"done: {into / entry.name}"))


def write_changes(old: Path, path: Path, entries: "Sequence[Entry]") -> None:
    """Write the differences between two sets of results."""
    from rnnjax.reports.changes import changes_markdown, compare_results
    from rnnjax.storage.files import write_text

    write_text(path, changes_markdown(compare_results(old, [entry.folder for entry in entries])))
    print(printable(f"done: {path}"))


def write_remedies(path: Path, folders: list[Path]) -> None:
    """The measured effects of the doctor's remedies. Raises DamagedState for a study that has not measured them."""
    from rnnjax.doctor import remedies

    remedies.write_effects(path, remedies.remedy_effects(folders))
    print(printable(f"done: {path}"))


def rewrite_symptom_table(path: Path) -> None:
    """The doctor's symptom table."""
    from rnnjax.doctor import symptom_table as symptoms

    symptoms.write_symptoms(path)
    print(printable(f"done: {path}"))


def rewrite_reports(entries: "Sequence[Entry]") -> None:
    """Each study's report from its page.json."""
    from rnnjax.reports import site
    from rnnjax.reports.render import write_report
    from rnnjax.storage.run_folder import hold_for_writing

    for entry, page in [(entry, site.read_study_report(entry)) for entry in entries]:
        with hold_for_writing(entry.folder):
            write_report(entry.folder, page)
        print(printable(f"done: {entry.folder / 'report.html'}"))

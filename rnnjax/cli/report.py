"""Make reports again from what finished studies stored, build the lab as a site, or write the ledger into a README.

With --remedies: keep what the studies measured of the doctor's remedies.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rnnjax import devices
from rnnjax.cli import common as command
from rnnjax.config import load as config
from rnnjax.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnjax.reports.ledger import Entry


def arguments() -> argparse.Namespace:
    parser = command.build_parser(__doc__, "with no other option: writes report.html, report.md and tables/ anew")
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="folders of finished studies (results/*, runs/init)"
    )
    parser.add_argument("--site", type=Path, metavar="DIR", help="build the lab in DIR; open DIR/index.html")
    parser.add_argument(
        "--judge", type=Path, metavar="CONFIG", help="judge one finished study anew by what its file says now"
    )
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="write the ledger between its marks in FILE")
    parser.add_argument("--remedies", type=Path, metavar="FILE", help="write what the doctor's remedies change to FILE")
    parser.add_argument("--symptoms", type=Path, metavar="FILE", help="write the table of symptoms into FILE")
    return parser.parse_args()


def rejudge_folder(path: Path, folders: list[Path]) -> None:
    """Raises BadInput unless there is one folder, and as `lab.rejudge`."""
    if len(folders) > 1:
        raise BadInput(f"--judge: got {len(folders)} folders; expected the one of {path}")
    study = config.load_study(path)
    devices.prepare()
    from rnnjax.studies import run as lab

    lab.rejudge(study, folders[0])
    print(f"done: {folders[0] / 'report.html'}")


def main() -> None:
    asked = arguments()
    if asked.judge is not None:
        rejudge_folder(asked.judge, asked.folders)
    from rnnjax.reports import ledger, site

    entries = ledger.read_entries(asked.folders)
    if asked.site is not None:
        site.write_site(asked.site, entries)
        print(f"done: {asked.site / 'index.html'}")
    if asked.ledger is not None:
        ledger.write_ledger(asked.ledger, entries)
        print(f"done: {asked.ledger}")
    if asked.remedies is not None:
        write_remedies(asked.remedies, [entry.folder for entry in entries])
    if asked.symptoms is not None:
        write_symptoms(asked.symptoms)
    if not any((asked.site, asked.ledger, asked.judge, asked.remedies, asked.symptoms)):
        rewrite_reports(entries)


def write_remedies(path: Path, folders: list[Path]) -> None:
    """What the doctor says that its remedies change. Raises DamagedState for a study that has not measured it."""
    from rnnjax.doctor import remedies

    remedies.write_effects(path, remedies.measured_effects(folders))
    print(f"done: {path}")


def write_symptoms(path: Path) -> None:
    """The doctor's table of symptoms, from what comes with the package."""
    from rnnjax.doctor import symptom_table as symptoms

    symptoms.write_symptoms(path)
    print(f"done: {path}")


def rewrite_reports(entries: "Sequence[Entry]") -> None:
    """Each study's report from its page.json."""
    from rnnjax.reports import site
    from rnnjax.reports.render import write_report

    for entry, page in [(entry, site.read_study_report(entry)) for entry in entries]:
        write_report(entry.folder, page)
        print(f"done: {entry.folder / 'report.html'}")

"""What the doctor says: on the terminal, as doctor.json and as doctor.html."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from rnnjax.analysis.statistics import Interval
from rnnjax.doctor.diagnosis import Examination, Finding, evidence, headline, looked_for
from rnnjax.doctor.figures import drawings
from rnnjax.reports.formatting import escape_controls
from rnnjax.reports.render import render
from rnnjax.storage.files import write_json, write_text
from rnnjax.storage.manifest import to_results_json

STYLES = {"fault": "red", "floor": "green", "note": "yellow"}


def show(console: Console, title: str, examination: Examination) -> None:
    """Print the findings, most weighty first, then what was looked for."""
    console.print(f"[bold]{escape(escape_controls(title))}[/]: {escape(headline(examination))}", soft_wrap=True)
    for number, finding in enumerate(examination.findings, 1):
        console.print(panel(number, finding))
    console.print(f"{looked_for(examination)}.", soft_wrap=True, markup=False)


def panel(number: int, finding: Finding) -> Panel:
    """A finding in a frame of the colour of its kind."""
    rows = {
        "evidence": evidence(finding) + (f" ({finding.remark})" if finding.remark else ""),
        "cause": finding.cause,
        "remedy": finding.remedy,
        "measured": finding.effect.words,
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, words in rows.items():
        table.add_row(name, escape(escape_controls(words)))
    title = f"{number}. {finding.symptom} [{finding.kind}]"
    return Panel(table, title=escape(title), title_align="left", border_style=STYLES[finding.kind])


def plain(title: str, examination: Examination) -> dict[str, Any]:
    """The content of doctor.json."""
    return {
        "examined": title,
        "headline": headline(examination),
        "findings": [
            {
                **{name: getattr(finding, name) for name in ("name", "kind", "symptom", "number")},
                **numbers(finding.evidence),
                "over": finding.over,
                **{name: getattr(finding, name) for name in ("remark", "cause", "remedy")},
                "measured": {
                    "study": finding.effect.study,
                    "says": finding.effect.says,
                    **numbers(finding.effect.difference),
                    "untreated": finding.effect.untreated,
                },
            }
            for finding in examination.findings
        ],
        "checked": [
            {"name": check.name, "kind": check.kind, "limit": check.limit.words, "outcome": check.outcome}
            | numbers(check.evidence)
            for check in examination.checked
        ],
    }


def numbers(interval: Interval | None) -> dict[str, Any]:
    if interval is None:
        return {"estimate": None, "ci95": None, "n": None}
    return {"estimate": interval.estimate, "ci95": [interval.low, interval.high], "n": interval.n}


def page(title: str, examination: Examination) -> str:
    """doctor.html: one file that needs no network."""
    return render(
        "doctor.html.j2",
        True,
        title=title,
        headline=headline(examination),
        looked_for=looked_for(examination),
        examination=examination,
        figures=drawings(examination),
        evidence=evidence,
    )


def write(folder: Path, title: str, examination: Examination) -> None:
    """doctor.json and doctor.html in a folder. Raises StorageFailed."""
    write_json(folder / "doctor.json", to_results_json(plain(title, examination)))
    write_text(folder / "doctor.html", page(title, examination))

"""A diagnosis on the terminal, as doctor.json and as doctor.html."""

from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from rnnjax.doctor.diagnosis import (
    Check,
    Diagnosis,
    Finding,
    coverage_summary,
    describe_evidence,
    format_evidence,
    headline,
)
from rnnjax.doctor.figures import finding_figures, network_pictures
from rnnjax.doctor.loss_levels import describe_levels, loss_levels
from rnnjax.doctor.text_view import TextView
from rnnjax.reports.formatting import escape_controls
from rnnjax.reports.plotly_script import write_plotly
from rnnjax.reports.render import render
from rnnjax.storage.files import write_json, write_text
from rnnjax.storage.manifest import to_results_json

STYLES = {"fault": "red", "floor": "green", "note": "yellow"}


def print_diagnosis(console: Console, title: str, diagnosis: Diagnosis) -> None:
    """Print the headline, the findings, the losses and a summary of the checks."""
    console.print(f"[bold]{escape(escape_controls(title))}[/]: {escape(headline(diagnosis))}", soft_wrap=True)
    for number, finding in enumerate(diagnosis.findings, 1):
        console.print(finding_panel(number, finding))
    levels = describe_levels(diagnosis.indicators)
    if levels:
        console.print(f"{levels}.", soft_wrap=True, markup=False)
    console.print(f"{coverage_summary(diagnosis)}.", soft_wrap=True, markup=False)


def finding_panel(number: int, finding: Finding) -> Panel:
    """A finding in a frame of the colour of its kind."""
    rows = {
        "evidence": describe_evidence(finding),
        "cause": finding.cause,
        "remedy": finding.remedy,
        "measured": finding.effect.text,
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, text in rows.items():
        table.add_row(name, escape(escape_controls(text)))
    symptom = f"[bold]{escape(escape_controls(finding.symptom))}[/]"  # a title would be cut off at the terminal's width
    title = escape(f"{number}. [{finding.kind}]")
    return Panel(Group(symptom, table), title=title, title_align="left", border_style=STYLES[finding.kind])


def to_json(title: str, diagnosis: Diagnosis) -> dict[str, Any]:
    """The content of doctor.json."""
    return {
        "title": title,
        "headline": headline(diagnosis),
        "coverage": coverage_summary(diagnosis),
        "losses": [level._asdict() for level in loss_levels(diagnosis.indicators)],
        "findings": [finding_json(finding) for finding in diagnosis.findings],
        "checks": [check_json(check) for check in diagnosis.checks],
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    return finding._asdict() | {"evidence": finding.evidence.to_json(), "effect": finding.effect.to_json()}


def check_json(check: Check) -> dict[str, Any]:
    evidence = check.evidence and check.evidence.to_json()
    return check._asdict() | {"evidence": evidence, "limit": check.limit.text}


def render_page(title: str, diagnosis: Diagnosis) -> str:
    """doctor.html, which needs plotly.min.js beside it and no network."""
    figures, pictures = finding_figures(diagnosis), network_pictures(diagnosis)
    applicable = [check for check in diagnosis.checks if check.outcome != "not applicable"]
    return render(
        "doctor.html.j2",
        True,
        title=title,
        headline=headline(diagnosis),
        coverage_summary=coverage_summary(diagnosis),
        diagnosis=diagnosis,
        levels=loss_levels(diagnosis.indicators),
        figures=figures,
        pictures=pictures,
        plots=any(not isinstance(each, TextView) for each in [*figures, *pictures.values()]),
        checks=applicable,
        other_checks=[check for check in diagnosis.checks if check not in applicable],
        format_evidence=format_evidence,
    )


def write(folder: Path, title: str, diagnosis: Diagnosis) -> None:
    """Write doctor.json, doctor.html and plotly.min.js into a folder. Raises StorageFailed."""
    write_json(folder / "doctor.json", to_results_json(to_json(title, diagnosis)))
    write_plotly(folder)
    write_text(folder / "doctor.html", render_page(title, diagnosis))

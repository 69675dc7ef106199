"""The generated pages of docs/: one small function per page, each from the registry that the page describes.

May import: every package. Imports JAX, as the registries do.
Begin reading: `PAGES` below, then `rules_page.py` as an example.
"""

from collections.abc import Callable
from pathlib import Path

from rnnjax.cli.documentation.api_page import api_page
from rnnjax.cli.documentation.cells_page import cells_page
from rnnjax.cli.documentation.command_page import command_page
from rnnjax.cli.documentation.faults_table import FAULTS_BEGIN, FAULTS_END, faults_table
from rnnjax.cli.documentation.metrics_page import metrics_page
from rnnjax.cli.documentation.performance_page import performance_page
from rnnjax.cli.documentation.probes_page import probes_page
from rnnjax.cli.documentation.registries import registry_names_json
from rnnjax.cli.documentation.rules_page import rules_page
from rnnjax.cli.documentation.settings_page import settings_page
from rnnjax.cli.documentation.study_keys import KEYS_BEGIN, KEYS_END, study_keys
from rnnjax.cli.documentation.study_table import STUDIES_BEGIN, STUDIES_END, study_table
from rnnjax.doctor.symptom_table import write_symptoms
from rnnjax.reports.ledger import read_entries, write_ledger
from rnnjax.storage.files import replace_between, write_text
from rnnjax.studies.registry_names import REGISTRY_NAMES

ROOT = Path(__file__).parents[3]  # of a checkout: docs/ and results/ are not part of an installed wheel

PAGES: dict[str, Callable[[], str]] = {  # whole files of docs/
    "settings.md": settings_page,
    "cells.md": cells_page,
    "rules.md": rules_page,
    "probes.md": probes_page,
    "metrics.md": metrics_page,
    "cli.md": command_page,
    "python_api.md": api_page,
    "performance.md": lambda: performance_page(ROOT / "results" / "bench" / "quick.json"),
}


def write_pages(root: Path) -> list[Path]:
    """Write the generated pages and blocks of docs/ and README.md. Returns: their paths. Raises BadInput."""
    docs, readme = root / "docs", root / "README.md"
    for name, page in PAGES.items():
        write_text(docs / name, page())
    studies = read_entries(sorted((root / "results").iterdir()))
    replace_between(docs / "studies.md", KEYS_BEGIN, KEYS_END, study_keys())
    replace_between(readme, STUDIES_BEGIN, STUDIES_END, study_table(studies))
    replace_between(docs / "promises.md", FAULTS_BEGIN, FAULTS_END, faults_table(root / "results" / "faults.json"))
    write_symptoms(docs / "troubleshooting.md")
    write_text(REGISTRY_NAMES, registry_names_json())
    write_ledger(docs / "ledger.md", studies)
    pages = [docs / name for name in (*PAGES, "studies.md", "promises.md", "troubleshooting.md", "ledger.md")]
    return [*pages, REGISTRY_NAMES, readme]

"""The generated pages of docs/: one small function per page, each from the registry that the page describes.

May import: every package. Imports JAX, as the registries do.
Begin reading: `PAGES` below, then `rules_page.py` as an example.
"""

from collections.abc import Callable
from pathlib import Path

from rnnjax.cli.documentation.command_page import command_page
from rnnjax.cli.documentation.metrics_page import metrics_page
from rnnjax.cli.documentation.performance_page import performance_page
from rnnjax.cli.documentation.probes_page import probes_page
from rnnjax.cli.documentation.rules_page import rules_page
from rnnjax.cli.documentation.settings_page import settings_page
from rnnjax.cli.documentation.study_keys import KEYS_BEGIN, KEYS_END, study_keys
from rnnjax.doctor.symptom_table import write_symptoms
from rnnjax.reports.ledger import read_entries, write_ledger
from rnnjax.storage.files import replace_between, write_text

ROOT = Path(__file__).parents[3]  # of a checkout: docs/ and results/ are not part of an installed wheel

PAGES: dict[str, Callable[[], str]] = {  # whole files of docs/
    "settings.md": settings_page,
    "rules.md": rules_page,
    "probes.md": probes_page,
    "metrics.md": metrics_page,
    "cli.md": command_page,
    "performance.md": lambda: performance_page(ROOT / "results" / "bench" / "quick.json"),
}


def write_pages(folder: Path) -> list[Path]:
    """Write the generated pages and blocks of docs/. Returns: their paths. Raises StorageFailed, BadInput."""
    for name, page in PAGES.items():
        write_text(folder / name, page())
    replace_between(folder / "studies.md", KEYS_BEGIN, KEYS_END, study_keys())
    write_symptoms(folder / "troubleshooting.md")
    write_ledger(folder / "ledger.md", read_entries(sorted((ROOT / "results").iterdir())))
    return [folder / name for name in (*PAGES, "studies.md", "troubleshooting.md", "ledger.md")]

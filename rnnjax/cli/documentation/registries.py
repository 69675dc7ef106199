"""The names of all registries with one line of meaning each: `studies/registry_names.json`."""

import json
import re
from typing import Any

from rnnjax.analysis.rules import RULES
from rnnjax.cli.documentation.markdown import first_line
from rnnjax.networks.initializers import INITIALIZERS
from rnnjax.probes import PROBES, all_metrics
from rnnjax.studies.metrics import training_metrics
from rnnjax.studies.registry_names import METRICS
from rnnjax.studies.validation import setting_tables
from rnnjax.tasks import TASKS

SECTIONS = re.compile(r" (Source|Args|Raises|Values|Returns): .*")  # of a docstring's first paragraph


def registry_names_json() -> str:
    """The content of the file, by which names are checked before JAX is loaded."""
    tables = {**setting_tables(), "task.name": TASKS, "probes": PROBES, "rules": RULES}
    meanings = {field: {name: meaning(field, name, table) for name in table} for field, table in tables.items()}
    meanings[METRICS] = metric_meanings()
    return json.dumps(meanings, indent=1, ensure_ascii=False) + "\n"


def meaning(field: str, name: str, table: Any) -> str:
    """The first line of a factory's docstring; "" where it has none."""
    factories = INITIALIZERS if field == "kernel_initializer" else table
    return SECTIONS.sub("", first_line(factories[name]))


def metric_meanings() -> dict[str, str]:
    """Metric -> "unit: definition (where it is measured)", in the order of their names."""
    measured = {"training": training_metrics()} | {f"probe {name}": metrics for name, metrics in all_metrics().items()}
    found = {
        name: f"{metric.unit}: {metric.definition} ({source})" if metric.unit else f"{metric.definition} ({source})"
        for source, metrics in measured.items()
        for name, metric in metrics.items()
    }
    return dict(sorted(found.items()))

"""The names that cells, optimizers, tasks, probes, metrics and their like have, without loading JAX.

`registry_names.json` lists them with one line of meaning each, as `python scripts/docs.py` writes it. User code may
register others: where it is used, the full check decides (`validation`).
"""

import json
from functools import cache
from pathlib import Path

from rnnjax.config.fields import FIELDS
from rnnjax.config.schema import Study
from rnnjax.settings.checks import check_known

REGISTRY_NAMES = Path(__file__).with_name("registry_names.json")
METRICS = "metrics"  # of training and of all probes


@cache
def registry_names() -> dict[str, dict[str, str]]:
    """Registry -> name -> meaning.

    The registry of a setting has the setting's name; the others are "probes", "rules" and "metrics".
    """
    return json.loads(REGISTRY_NAMES.read_text("utf-8"))


def check_setting_names(study: Study) -> None:
    """Raises BadInput for a name of a cell, task, probe ... that no registry has."""
    tables = registry_names()
    for arm in study.arms:
        owners = {"task": arm.spec.task, "spec": arm.spec}
        for field, table in tables.items():
            if field in FIELDS:
                check_known(field, getattr(owners[FIELDS[field].owner], field.removeprefix("task.")), table)
    for name in study.file.probes:
        check_known("probes", name, tables["probes"])

"""The names in the claims of a study, checked before JAX is loaded: rules, arms and metrics.

`metric_names.json` lists the metrics, as `python scripts/docs.py` writes it. A series has metrics of its own columns
and user code may define others: of those, and of names that are like no other, the full check decides (`validation`,
`dry_run`).
"""

import difflib
import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from rnnjax.analysis.rules import RULES
from rnnjax.config.schema import Criterion, Study
from rnnjax.errors import BadInput
from rnnjax.metrics import metric_name

METRIC_NAMES = Path(__file__).with_name("metric_names.json")
LIKE = 0.7  # similarity from which a name is taken for a slip of another


@cache
def known_metrics() -> frozenset[str]:
    """The metrics of training and of all probes that rnnjax has."""
    return frozenset(json.loads(METRIC_NAMES.read_text()))


def check_claim_names(study: Study, own_code: bool) -> None:
    """Raises BadInput for a rule, an arm or a metric of a claim that no study can have. Args: own_code: is used."""
    of_series = any(arm.spec.task.name in ("series", "sequences") for arm in study.arms)
    for claim in study.file.claims:
        for criterion in claim.criteria:
            where = f"claims.{claim.id}"
            if not own_code:
                check_known(f"{where}.rule", criterion.rule, RULES)
            for pattern in criterion.patterns():
                check_pattern(where, pattern, study)
            for metric in [] if own_code or of_series else metrics_of(criterion):
                check_metric_like_another(where, metric)


def metrics_of(criterion: Criterion) -> list[str]:
    """The metrics that a criterion names."""
    found = [criterion.metric, criterion.compared_metric, criterion.explained_by, criterion.controlling_for]
    return [name for name in [*found, *criterion.other_metrics] if name]


def check_metric_like_another(where: str, metric: str) -> None:
    """Raises BadInput for a metric that is not known but like one that is."""
    name = metric_name(metric)
    stem = re.sub(r"(_[a-z]+)?(_\d+)?$", "", name)  # of one gate, of one layer
    known = known_metrics()
    if name in known or stem in known:
        return
    if close := difflib.get_close_matches(name, sorted(known), 5, LIKE):
        raise BadInput(f"{where}: got metric {metric!r}; expected one of: {', '.join(close)} ...")


def check_known(field: str, value: str, table: Iterable[str]) -> None:
    """Raises BadInput for a name that is not in a table."""
    names = list(table)
    if value not in names:
        close = difflib.get_close_matches(value, names, 1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise BadInput(f"{field}: got {value!r}; expected one of: {', '.join(nearest_first(value, names))}.{hint}")


def check_pattern(where: str, pattern: str, study: Study) -> None:
    """Raises BadInput for a pattern that names no arm."""
    names = [arm.name for arm in study.arms]
    if not any(fnmatchcase(name, pattern) for name in names):
        listed = ", ".join(map(quote_commas, nearest_first(pattern, names)))
        raise BadInput(f"{where}: got {pattern!r}; expected one of the arms: {listed}")


def nearest_first(value: str, names: Iterable[str]) -> list[str]:
    """The names that are like a value, the nearest first, then the others in their order."""
    known = list(names)
    close = difflib.get_close_matches(value, known, 3, 0.5)
    return [*close, *(name for name in known if name not in close)]


def quote_commas(name: str) -> str:
    """A name in quotes where it has a comma, as those of most arms: a list of them is else not to be read."""
    return f"'{name}'" if "," in name else name

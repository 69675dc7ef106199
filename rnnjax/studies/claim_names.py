"""The names in the claims of a study, checked before JAX is loaded: rules, arms and metrics.

A series has metrics of its own columns and user code may define others: of those, and of names that are like no other,
the full check decides (`validation`, `dry_run`).
"""

import difflib
import re
from fnmatch import fnmatchcase

from rnnjax.analysis.rules import RULES
from rnnjax.config.schema import Criterion, Study
from rnnjax.errors import BadInput
from rnnjax.settings.checks import check_known, nearest_first, quote_commas
from rnnjax.settings.metrics import metric_name
from rnnjax.studies.registry_names import METRICS, registry_names

LIKE = 0.7  # similarity from which a name is taken for a slip of another


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
    known = registry_names()[METRICS]
    if name in known or stem in known:
        return
    if close := difflib.get_close_matches(name, sorted(known), 5, LIKE):
        raise BadInput(f"{where}: got metric {metric!r}; expected one of: {', '.join(close)} ...")


def check_pattern(where: str, pattern: str, study: Study) -> None:
    """Raises BadInput for a pattern that names no arm."""
    names = [arm.name for arm in study.arms]
    if not any(fnmatchcase(name, pattern) for name in names):
        listed = ", ".join(map(quote_commas, nearest_first(pattern, names)))
        raise BadInput(f"{where}: got {pattern!r}; expected one of the arms: {listed}")

"""Consequences for the claims of a run with fewer steps or seeds than its study file."""

from collections.abc import Callable, Iterable

from rnnjax.config.schema import Criterion, Study
from rnnjax.errors import BadInput
from rnnjax.studies.criteria import check_seeds
from rnnjax.studies.validation import check_metric_step

MOST_NAMED = 5  # claims in a line


def reduced_run_lines(study: Study) -> list[str]:
    """The differences from the file, and the claims that have no answer or another meaning because of them."""
    if not study.overrides or not study.file.claims:
        return []
    whole = study._replace(overrides="")  # whose claims are held to all rules
    few = claims_with(study, lambda one: check_seeds("", one, whole))
    late = claims_with(study, lambda one: check_metric_step("", one.metric, whole))
    total = len(study.file.claims)
    lines = [f"not as in the study file: {study.overrides}; verdicts are about this run"]
    lines += (
        [f"{len(few)} of {total} claims stay unresolved, too few seeds for their rules: {list_names(few)}"]
        if few
        else []
    )
    at_end = f"{len(late)} of {total} claims name steps after its end and are judged at the end: {list_names(late)}"
    return lines + ([at_end] if late else [])


def claims_with(study: Study, check: Callable[[Criterion], object]) -> list[str]:
    """The claims of which a criterion does not pass a check."""

    def fails(criterion: Criterion) -> bool:
        try:
            check(criterion)
        except BadInput:
            return True
        return False

    return [claim.id for claim in study.file.claims if any(map(fails, claim.criteria))]


def list_names(names: Iterable[str]) -> str:
    """The first few names, and how many more."""
    known = list(names)
    return ", ".join(known[:MOST_NAMED]) + (f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else "")

"""The judge: a statement holds, does not, or cannot be told, by the rules of its criteria on measured numbers.

Where too few runs are left to measure, or a criterion's measurements do not agree, it is unresolved.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.measurement import CONFIRMED, REFUTED, UNRESOLVED, Measurement
from rnnjax.analysis.results import ArmResult, select_arms
from rnnjax.analysis.rules import RULES
from rnnjax.analysis.statistics import TooFew
from rnnjax.config.schema import Claim, Criterion
from rnnjax.metrics import metric_name

NOT_AS_STATED, DEFINITION = "not-as-stated", "definition"


class Judgement(NamedTuple):
    """The verdict on a statement with the measurements behind it, grouped by criterion."""

    claim: Claim
    verdict: str
    criteria: list[tuple[Criterion, str, list[Measurement]]]
    excluded: int  # runs that diverged and could not be measured
    looked_up: tuple[str, ...] = ()  # sources of values that were not measured


def combine_verdicts(verdicts: Sequence[str], quantifier: str) -> str:
    """`all` of several: refuted by one that is; `any`: confirmed by one that is; of none: unresolved."""
    if not verdicts:
        return UNRESOLVED
    decisive, other = (REFUTED, CONFIRMED) if quantifier == "all" else (CONFIRMED, REFUTED)
    if decisive in verdicts:
        return decisive
    return other if all(verdict == other for verdict in verdicts) else UNRESOLVED


def apply_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The measurements of the criterion's rule; none where too few runs are left."""
    try:
        return RULES[criterion.rule](criterion, arms)
    except TooFew:
        return []


def judge_claim(claim: Claim, arms: Sequence[ArmResult]) -> Judgement:
    """The verdict on one statement: that of its criteria where they agree, `not-as-stated` where they do not."""
    criteria = []
    for criterion in claim.criteria:
        measurements = apply_rule(criterion, arms)
        verdict = combine_verdicts([m.verdict for m in measurements], criterion.quantifier)
        criteria.append((criterion, verdict, measurements))
    verdicts = {verdict for _, verdict, _ in criteria}
    overall = verdicts.pop() if len(verdicts) == 1 else NOT_AS_STATED
    if claim.definition and overall == CONFIRMED:
        overall = DEFINITION
    return Judgement(claim, overall, criteria, count_diverged(claim, arms), looked_up_sources(claim, arms))


def count_diverged(claim: Claim, arms: Sequence[ArmResult]) -> int:
    patterns = [pattern for criterion in claim.criteria for pattern in criterion.patterns()]
    return int(sum(np.sum(arm.diverged_at >= 0) for arm in select_arms(arms, patterns)))


def looked_up_sources(claim: Claim, arms: Sequence[ArmResult]) -> tuple[str, ...]:
    """The documentation or literature that the values of a claim were looked up in; none where all were measured."""
    used = [
        arm.info[name]
        for criterion in claim.criteria
        for name in [metric_name(criterion.metric)]
        for arm in select_arms(arms, criterion.patterns())
        if name in arm.info
    ]
    return tuple(dict.fromkeys(metric.source for metric in used if metric.looked_up))

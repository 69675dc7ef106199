"""The judge: a statement holds, does not, or cannot be told, by the rules of its criteria on measured numbers.

Where too few runs are left to measure, or a criterion's measurements do not agree, it is unresolved.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.measurement import CONFIRMED, REFUTED, UNRESOLVED, Measurement, as_looked_up
from rnnjax.analysis.results import ArmResult, select_arms
from rnnjax.analysis.rules import RULES
from rnnjax.analysis.statistics import TooFew, estimate_mean
from rnnjax.config.schema import Claim, Criterion
from rnnjax.settings.metrics import Metric, metric_name

DEFINITION, DOCUMENTED, DEPENDS = "definition", "documented", "depends on the reading"
PARTLY_CONFIRMED, PARTLY_REFUTED = "unresolved, confirmed in part", "unresolved, refuted in part"


class Judgement(NamedTuple):
    """The verdict on a statement with the measurements behind it, grouped by criterion."""

    claim: Claim
    verdict: str
    criteria: list[tuple[Criterion, str, list[Measurement]]]
    excluded: int  # runs that diverged and could not be measured
    looked_up: tuple[str, ...] = ()  # sources of values that were not measured
    falling: tuple[str, ...] = ()  # arms whose loss was still falling, of a claim about the end of training


def combine_verdicts(verdicts: Sequence[str], quantifier: str) -> str:
    """`all` of several: refuted by one that is; `any`: confirmed by one that is; of none: unresolved."""
    if not verdicts:
        return UNRESOLVED
    decisive, other = (REFUTED, CONFIRMED) if quantifier == "all" else (CONFIRMED, REFUTED)
    if decisive in verdicts:
        return decisive
    return other if all(verdict == other for verdict in verdicts) else UNRESOLVED


def combine_readings(verdicts: Sequence[str]) -> str:
    """The verdict on a statement from those on its readings.

    It depends on the reading only where one is confirmed and another refuted. An unresolved reading leaves the
    statement unresolved, in part confirmed or refuted by the others.
    """
    found = set(verdicts)
    if {CONFIRMED, REFUTED} <= found:
        return DEPENDS
    if UNRESOLVED in found:
        return PARTLY_CONFIRMED if CONFIRMED in found else PARTLY_REFUTED if REFUTED in found else UNRESOLVED
    return found.pop()


def reading_verdicts(criteria: Sequence[tuple[Criterion, str]]) -> list[str]:
    """The verdict on each reading: that of a criterion, or of all criteria that are its parts together."""
    readings: dict[str | int, list[str]] = {}
    for number, (criterion, verdict) in enumerate(criteria):
        readings.setdefault(criterion.reading or number, []).append(verdict)
    return [combine_verdicts(parts, "all") for parts in readings.values()]


def apply_rule(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Measurement]:
    """The measurements of the criterion's rule; none where too few runs are left."""
    try:
        found = RULES[criterion.rule](criterion, arms)
    except TooFew:
        return []
    return [as_looked_up(each) for each in found] if is_looked_up(criterion, arms) else found


def judge_claim(claim: Claim, arms: Sequence[ArmResult]) -> Judgement:
    """The verdict on one statement, from those of its criteria: `combine_readings`.

    A confirmed one is `definition` where it is true by definition, and `documented` where documentation alone confirms
    it and nothing was measured.
    """
    criteria = []
    for criterion in claim.criteria:
        measurements = apply_rule(criterion, arms)
        verdict = combine_verdicts([m.verdict for m in measurements], criterion.quantifier)
        criteria.append((criterion, verdict, measurements))
    overall = combine_readings(reading_verdicts([(criterion, verdict) for criterion, verdict, _ in criteria]))
    if overall == CONFIRMED and claim.definition:
        overall = DEFINITION
    elif overall == CONFIRMED and all(is_looked_up(criterion, arms) for criterion in claim.criteria):
        overall = DOCUMENTED
    falling = tuple(f"{arm.name} by {share:.1%}" for arm in arms_at_end(claim, arms) if (share := recent_fall(arm)))
    return Judgement(claim, overall, criteria, count_diverged(claim, arms), looked_up_sources(claim, arms), falling)


END_METRICS = ("final_loss", "smooth_loss", "below_chance", "validation_loss")  # of the end of training
FALL = 0.02  # of the loss, over the last tenth of training


def arms_at_end(claim: Claim, arms: Sequence[ArmResult]) -> list[ArmResult]:
    """The arms of a claim that are compared by their loss at the end of training."""
    patterns = [pattern for one in claim.criteria if one.metric in END_METRICS for pattern in one.patterns()]
    return select_arms(arms, patterns)


def recent_fall(arm: ArmResult) -> float:
    """By which share of itself the training loss fell over the last tenth of training.

    The rows of the last tenth against as many rows before them, the mean over seeds; 0 where it is at most `FALL`, or
    where its 95% interval reaches down to 0.
    """
    count = int(np.sum(arm.row_steps > 0.9 * arm.row_steps[-1]))
    if "loss" not in arm.rows or len(arm.row_steps) < 2 * count:
        return 0.0
    before_n, last_n = (
        arm.rows["loss"][:, rows].mean(axis=1) for rows in (slice(-2 * count, -count), slice(-count, None))
    )
    learned = before_n == 0  # to the last digit: nothing is left to fall
    fall = estimate_mean(np.where(learned, 0.0, before_n - last_n) / np.where(learned, 1.0, np.abs(before_n)))
    falls = fall is not None and fall.estimate > FALL and (fall.n < 2 or fall.low > 0)
    return fall.estimate if fall is not None and falls else 0.0


def count_diverged(claim: Claim, arms: Sequence[ArmResult]) -> int:
    patterns = [pattern for criterion in claim.criteria for pattern in criterion.patterns()]
    return int(sum(np.sum(arm.diverged_at >= 0) for arm in select_arms(arms, patterns)))


def looked_up_sources(claim: Claim, arms: Sequence[ArmResult]) -> tuple[str, ...]:
    """The documentation or literature that the values of a claim were looked up in; none where all were measured."""
    used = [metric for criterion in claim.criteria for metric in described_metrics(criterion, arms) if metric]
    return tuple(dict.fromkeys(metric.source for metric in used if metric.looked_up))


def is_looked_up(criterion: Criterion, arms: Sequence[ArmResult]) -> bool:
    """Whether all values that a criterion judges stand in documentation."""
    return all(metric is not None and metric.looked_up for metric in described_metrics(criterion, arms))


def described_metrics(criterion: Criterion, arms: Sequence[ArmResult]) -> list[Metric | None]:
    """The description of the judged metric in each arm of a criterion; None where an arm has none."""
    return [arm.info.get(metric_name(criterion.metric)) for arm in select_arms(arms, criterion.patterns())]

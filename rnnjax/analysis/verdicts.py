"""The judge: a statement holds, does not, or cannot be told, by the rules of its readings on measured numbers.

Where too few runs are left to measure, or a reading's measurements do not agree, it is unresolved.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.measurement import CONFIRMED, REFUTED, UNRESOLVED, Measurement
from rnnjax.analysis.results import ArmResult, named
from rnnjax.analysis.rules import RULES
from rnnjax.analysis.statistics import TooFew
from rnnjax.config.schema import Claim, Reading

NOT_AS_STATED, DEFINITION = "not-as-stated", "definition"


class Judgement(NamedTuple):
    """The verdict on a statement with the measurements behind it, grouped by reading."""

    claim: Claim
    verdict: str
    readings: list[tuple[Reading, str, list[Measurement]]]
    excluded: int  # runs that diverged and could not be measured


def combined(verdicts: Sequence[str], quantifier: str) -> str:
    """`all` of several: refuted by one that is; `any`: confirmed by one that is; of none: unresolved."""
    if not verdicts:
        return UNRESOLVED
    decisive, other = (REFUTED, CONFIRMED) if quantifier == "all" else (CONFIRMED, REFUTED)
    if decisive in verdicts:
        return decisive
    return other if all(verdict == other for verdict in verdicts) else UNRESOLVED


def measurements_of(reading: Reading, arms: Sequence[ArmResult]) -> list[Measurement]:
    """What the reading's rule measures; nothing where too few runs are left to measure."""
    try:
        return RULES[reading.rule](reading, arms)
    except TooFew:
        return []


def judge(claim: Claim, arms: Sequence[ArmResult]) -> Judgement:
    """The verdict on one statement: that of its readings where they agree, `not-as-stated` where they do not."""
    readings = []
    for reading in claim.readings:
        measurements = measurements_of(reading, arms)
        verdict = combined([m.verdict for m in measurements], reading.quantifier)
        readings.append((reading, verdict, measurements))
    verdicts = {verdict for _, verdict, _ in readings}
    overall = verdicts.pop() if len(verdicts) == 1 else NOT_AS_STATED
    if claim.definition and overall == CONFIRMED:
        overall = DEFINITION
    return Judgement(claim, overall, readings, excluded(claim, arms))


def excluded(claim: Claim, arms: Sequence[ArmResult]) -> int:
    patterns = [pattern for reading in claim.readings for pattern in reading.patterns()]
    return int(sum(np.sum(arm.diverged_at >= 0) for arm in named(arms, patterns)))

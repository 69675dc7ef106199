"""From signs to findings: which conditions hold, in the order of their table, and what was checked."""

from typing import NamedTuple

import numpy as np

from rnnjax.doctor.conditions import CONDITIONS, Condition, Kind, Limit
from rnnjax.doctor.remedies import Effect
from rnnjax.doctor.signs import Sign, Signs
from rnnjax.stats import Interval, estimate


class Finding(NamedTuple):
    """A condition that holds."""

    name: str
    kind: Kind
    symptom: str
    number: str  # what the evidence is a number of
    evidence: Interval
    over: str  # what its interval goes over: runs, streams or one network
    cause: str
    remedy: str
    effect: Effect  # what a study measured of that remedy
    remark: str = ""


class Check(NamedTuple):
    """A condition that was looked for."""

    name: str
    kind: Kind
    sign: str
    number: str
    evidence: Interval | None  # None: it could not be looked for
    limit: Limit  # of its sign; the first one of the condition
    outcome: str  # found, not found, not checked, or at the floor


class Examination(NamedTuple):
    """What was found, most weighty first, and all that was looked for."""

    findings: tuple[Finding, ...]
    checked: tuple[Check, ...]
    signs: Signs

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The findings that are to be treated."""
        return tuple(finding for finding in self.findings if finding.kind == "fault")


def judged(signs: Signs, effects: dict[str, Effect]) -> Examination:
    """The findings in some signs. Args: effects: of the remedy of every condition, by its name."""
    at_floor = holds(next(one for one in CONDITIONS if one.kind == "floor"), signs)
    found, checked = [], []
    for condition in CONDITIONS:
        sign = signs.values.get(condition.limits[0].sign)
        evidence = None if sign is None else estimate(sign.values_n)
        outcome = outcome_of(condition, signs, at_floor, evidence is not None)
        about = condition.name, condition.kind, condition.limits[0].sign, condition.number
        checked.append(Check(*about, evidence, condition.limits[0], outcome))
        if outcome == "found" and sign is not None and evidence is not None:
            remark = signs.remarks.get(condition.limits[0].sign, "")
            words = condition.symptom, condition.number, evidence, sign.over, condition.cause, condition.remedy
            found.append(Finding(condition.name, condition.kind, *words, effects[condition.name], remark))
    return Examination(tuple(found), tuple(checked), signs)


def outcome_of(condition: Condition, signs: Signs, at_floor: bool, seen: bool) -> str:
    if not seen:
        return "not checked"
    if not holds(condition, signs):
        return "not found"
    return "at the floor" if at_floor and condition.learning else "found"


def holds(condition: Condition, signs: Signs) -> bool:
    """Whether all its limits are passed."""
    known = [limit for limit in condition.limits if limit.sign in signs.values or not limit.optional]
    return all(passes(limit, signs.values.get(limit.sign)) for limit in known)


def passes(limit: Limit, sign: Sign | None) -> bool:
    """Whether the mean of what is finite lies within; not where nothing is."""
    if sign is None or not np.isfinite(sign.values_n).any():
        return False
    return bool(limit.above < np.nanmean(sign.values_n) < limit.below)

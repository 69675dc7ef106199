"""From signs to findings: which conditions hold, in the order of their table, and what was checked."""

from typing import NamedTuple

import numpy as np

from rnnjax.analysis.statistics import Interval, estimate_mean
from rnnjax.doctor.conditions import CONDITIONS, Condition, Kind, Limit
from rnnjax.doctor.indicators import Sign, Signs
from rnnjax.doctor.remedies import Effect
from rnnjax.doctor.training_curves import FEWEST_ROWS, OF_RECORD
from rnnjax.reports.formatting import format_value

HEALTHY = "No fault found."
BLIND = " The curves of training were not looked at."


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

    def __str__(self) -> str:
        """What was found and looked for, in words; `showing` has more of them, and pictures."""
        found = [f"- {finding.symptom} {evidence(finding)}. {finding.remedy}" for finding in self.findings]
        return "\n".join([headline(self), *found, f"{looked_for(self)}."])


# In words


def headline(examination: Examination) -> str:
    """The first thing to know."""
    faults = examination.faults
    if faults:
        more = f", and {len(faults) - 1} more that may follow from it" if len(faults) > 1 else ""
        return f"{faults[0].symptom[:-1]}{more}."
    at_floor = any(finding.kind == "floor" for finding in examination.findings)
    unseen = "" if any(check.outcome != "not checked" for check in examination.checked if of_curves(check)) else BLIND
    return HEALTHY + (" The loss is at its floor." if at_floor else "") + unseen


def looked_for(examination: Examination) -> str:
    """How many conditions were looked for."""
    missing = [check for check in examination.checked if check.outcome == "not checked"]
    kinds = {
        "not checked": [check.name for check in missing if not of_curves(check)],
        f"for want of curves of training, or of rows in them ({FEWEST_ROWS} or more)": [
            check.name for check in missing if of_curves(check)
        ],
    }
    done = f"{len(examination.checked) - len(missing)} conditions were looked for"
    return "; ".join([done, *(f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names)])


def of_curves(check: Check) -> bool:
    """Whether it is looked for in the curves of training."""
    return check.sign in OF_RECORD


def evidence(finding: Finding) -> str:
    """The number in words."""
    over = {"network": ""}.get(finding.over, f" {finding.over}")
    return f"{finding.number}: {format_value(finding.evidence)}{over}"


# The judgement


def judged(signs: Signs, effects: dict[str, Effect]) -> Examination:
    """The findings in some signs. Args: effects: of the remedy of every condition, by its name."""
    at_floor = holds(next(one for one in CONDITIONS if one.kind == "floor"), signs)
    found, checked = [], []
    for condition in CONDITIONS:
        sign = signs.values.get(condition.limits[0].sign)
        evidence = None if sign is None else estimate_mean(sign.values_n)
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

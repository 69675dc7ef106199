"""From indicators to findings: the conditions that hold, in the order of their table, and all checks that were made."""

from collections import Counter
from html import escape
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.statistics import Interval, estimate_mean
from rnnjax.doctor.conditions import CONDITIONS, Condition, Kind, Limit
from rnnjax.doctor.indicators.curves import CURVE_INDICATORS
from rnnjax.doctor.indicators.types import Indicator, Indicators, Reason
from rnnjax.doctor.loss_levels import describe_levels
from rnnjax.doctor.remedies import Effect
from rnnjax.doctor.views import Views
from rnnjax.reports.formatting import format_value

HEALTHY = "No fault found."
NO_CURVES = " No training curves were examined."
REASONS_SHOWN = 3  # why checks were not possible


class Finding(NamedTuple):
    """A condition that holds."""

    name: str
    kind: Kind
    symptom: str
    quantity: str  # the definition of the evidence
    evidence: Interval
    over: str  # the axis of its interval: runs, streams or one network
    cause: str
    remedy: str
    effect: Effect  # of the remedy, measured by a study
    remark: str = ""


class Check(NamedTuple):
    """The check of one condition."""

    name: str
    kind: Kind
    indicator: str
    quantity: str
    evidence: Interval | None  # None: it could not be measured
    limit: Limit  # of the condition's first indicator
    outcome: str  # found, not found, at the floor, not checked, or not applicable
    reason: str = ""  # why it was not checked


class Diagnosis(NamedTuple):
    """The findings, causes first, and the checks of all conditions."""

    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    indicators: Indicators
    views: Views | None = None  # what its pictures show

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The findings that need treatment."""
        return tuple(finding for finding in self.findings if finding.kind == "fault")

    def __str__(self) -> str:
        """Headline, losses, findings and checks as text; `report` writes more, with figures."""
        lines = [f"- {finding.symptom} {describe_evidence(finding)}. {finding.remedy}" for finding in self.findings]
        levels = describe_levels(self.indicators)
        return "\n".join([headline(self), *lines, *([f"{levels}."] if levels else []), f"{coverage_summary(self)}."])

    def _repr_html_(self) -> str:
        """The same text, for a notebook."""
        return f"<pre>{escape(str(self))}</pre>"


# As text


def headline(diagnosis: Diagnosis) -> str:
    """The first fault in one sentence, or that there is none."""
    faults = diagnosis.faults
    if faults:
        more = f", and {len(faults) - 1} more that may follow from it" if len(faults) > 1 else ""
        return f"{faults[0].symptom[:-1]}{more}."
    floors = "".join(f" {finding.symptom}" for finding in diagnosis.findings if finding.kind == "floor")
    has_curves = any(check.outcome in ("found", "not found") for check in diagnosis.checks if uses_curves(check))
    return HEALTHY + floors + ("" if has_curves else NO_CURVES)


def coverage_summary(diagnosis: Diagnosis) -> str:
    """How many checks found no fault, and how many were not possible and why.

    Those of other kinds of networks do not count. Notes and floors are no faults.
    """
    possible = [check for check in diagnosis.checks if check.outcome not in ("not checked", "not applicable")]
    reasons = Counter(check.reason for check in diagnosis.checks if check.outcome == "not checked")
    passed = sum(check.outcome != "found" or check.kind != "fault" for check in possible)
    summary = f"{passed} of {len(possible) + reasons.total()} checks passed"
    found = f", {len(possible) - passed} found a fault" if passed < len(possible) else ""
    missing = f", {reasons.total()} not possible" if reasons else ""
    return summary + found + missing + (f" because {join_reasons(reasons)}" if any(reasons) else "")


def join_reasons(reasons: Counter[str]) -> str:
    """The most frequent reasons, with the number of checks of each if there are several reasons."""
    if len(reasons) == 1:
        return next(iter(reasons))
    shown = reasons.most_common(REASONS_SHOWN)
    left = reasons.total() - sum(count for _, count in shown)
    texts = [f"{reason} [{count}]" for reason, count in shown]
    return "; ".join([*texts, *([f"other reasons [{left}]"] if left else [])])


def uses_curves(check: Check) -> bool:
    """Whether the condition is detected from training curves."""
    return check.indicator in CURVE_INDICATORS


def format_evidence(finding: Finding) -> str:
    """The quantity with its value and interval."""
    over = {"network": ""}.get(finding.over, f" {finding.over}")
    return f"{finding.quantity}: {format_value(finding.evidence)}{over}"


def describe_evidence(finding: Finding) -> str:
    """The evidence with its remark."""
    return format_evidence(finding) + (f" ({finding.remark})" if finding.remark else "")


# The judgement


def judge_indicators(indicators: Indicators, effects: dict[str, Effect]) -> Diagnosis:
    """The diagnosis of some indicators. Args: effects: of the remedy of every condition, by its name."""
    at_floor = any(is_met(one, indicators) for one in CONDITIONS if one.kind == "floor" or one.explains_shortfall)
    checks = tuple(check_condition(condition, indicators, at_floor) for condition in CONDITIONS)
    pairs = zip(CONDITIONS, checks, strict=True)
    findings = tuple(
        build_finding(condition, check.evidence, indicators, effects[condition.name])
        for condition, check in pairs
        if check.outcome == "found" and check.evidence is not None
    )
    return Diagnosis(findings, checks, indicators)


def check_condition(condition: Condition, indicators: Indicators, at_floor: bool) -> Check:
    """Args: at_floor: the loss is at its floor, so that a shortfall of learning is none."""
    limit = condition.limits[0]
    indicator = indicators.values.get(limit.indicator)
    evidence = None if indicator is None else estimate_mean(indicator.values_n)
    reason = indicators.reasons.get(limit.indicator, Reason(""))
    outcome = "not checked" if reason.applies else "not applicable"
    if evidence is not None:
        outcome = "found" if is_met(condition, indicators) else "not found"
    if outcome == "found" and at_floor and condition.learning_shortfall:
        outcome = "at the floor"
    about = condition.name, condition.kind, limit.indicator, condition.quantity
    return Check(*about, evidence, limit, outcome, reason.text if evidence is None else "")


def build_finding(condition: Condition, evidence: Interval, indicators: Indicators, effect: Effect) -> Finding:
    """The finding of a condition that holds."""
    indicator = condition.limits[0].indicator
    return Finding(
        condition.name,
        condition.kind,
        condition.symptom,
        condition.quantity,
        evidence,
        indicators.values[indicator].over,
        condition.cause,
        condition.remedy,
        effect,
        indicators.remarks.get(indicator, ""),
    )


def is_met(condition: Condition, indicators: Indicators) -> bool:
    """Whether the means of all its indicators are within their limits."""
    limits = [limit for limit in condition.limits if limit.indicator in indicators.values or not limit.optional]
    return all(is_within(limit, indicators.values.get(limit.indicator)) for limit in limits)


def is_within(limit: Limit, indicator: Indicator | None) -> bool:
    """Whether the mean of the finite values is within the limit; false if there are none."""
    if indicator is None or not np.isfinite(indicator.values_n).any():
        return False
    return bool(limit.above < np.nanmean(indicator.values_n) < limit.below)

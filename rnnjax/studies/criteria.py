"""The checks of a criterion before any training: its fields, and whether its claim can hold and can fail at all."""

import math
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from rnnjax.analysis.intervals import together
from rnnjax.analysis.measurement import CONFIRMED, interval_verdict
from rnnjax.analysis.results import select_arms
from rnnjax.analysis.rules import FEWEST_SEEDS
from rnnjax.analysis.statistics import share_interval
from rnnjax.config.schema import Arm, Criterion, Study
from rnnjax.errors import BadInput
from rnnjax.settings.metrics import CORRELATION, SHARE, metric_name

Range = tuple[float, float]
Ranges = Mapping[str, Mapping[str, Range]]  # arm -> metric -> its smallest and largest possible value

REQUIRED_FIELDS = {  # fields of a criterion that its rule cannot do without
    "exact": ["expected"],
    "number": ["expected"],
    "share": ["expected"],
    "difference": ["compared_to"],
    "equal": ["tolerance"],
    "best": ["compared_to"],
    "explained": ["explained_by"],
    "contrast": ["weights"],
    "trend": ["axes"],
    "interaction": ["axes"],
    "widest": ["factors"],
    "additive": ["axes", "compared_to"],
    "correlation": ["explained_by"],
    "variance_share": ["other_metrics"],
}
INTERVAL_RULES = (  # rules that place an interval between `low` and `high`
    *("bound", "difference", "share", "explained", "contrast", "trend"),
    *("interaction", "spread", "correlation", "variance_share"),
)
RULE_AXES = {"trend": (1,), "interaction": (2,), "additive": range(1, 10)}  # how many of them a rule takes
RULE_SCALES = {
    "difference": ("difference", "relative"),
    "equal": ("difference", "relative"),
    "contrast": ("difference", "log"),
    "trend": ("difference", "log", "rank"),
    "interaction": ("difference", "log"),
}
INTRINSIC = {"share": SHARE, "explained": SHARE, "variance_share": SHARE, "correlation": CORRELATION}


def check_limits(where: str, criterion: Criterion) -> None:
    """Raises BadInput for limits that are missing, crossed, not used by the rule, or beyond what the rule measures."""
    low, high, rule = criterion.low, criterion.high, criterion.rule
    unlimited = low == -math.inf and high == math.inf
    if rule in INTERVAL_RULES and unlimited:
        raise BadInput(f"{where}: missing field 'low' or 'high': without a limit the rule '{rule}' always holds")
    if rule not in INTERVAL_RULES and not unlimited:
        raise BadInput(f"{where}: got low = {low:g} and high = {high:g}; the rule '{rule}' has no such limits")
    if not low <= high:
        raise BadInput(f"{where}: got low = {low:g} and high = {high:g}; expected low <= high")
    possible = possible_range(criterion)
    for name, limit in (("low", low), ("high", high)):
        if possible and math.isfinite(limit) and not possible[0] <= limit <= possible[1]:
            expected = f"a number from {possible[0]:g} to {possible[1]:g}"
            raise BadInput(f"{where}.{name}: got {limit:g}; expected {expected}, as the rule '{rule}' measures")
    check_range(where, low, high, possible)


def possible_range(criterion: Criterion) -> Range | None:
    """The range of what a rule measures, whatever the metric; None where the rule sets none."""
    ranks = criterion.rule == "trend" and criterion.scale == "rank"
    return CORRELATION if ranks else INTRINSIC.get(criterion.rule)


def check_range(where: str, low: float, high: float, possible: Range | None) -> None:
    """Raises BadInput where [low, high] contains all that is possible, or nothing of it."""
    if possible is None:
        return
    words = f"possible are only values from {possible[0]:g} to {possible[1]:g}"
    if low <= possible[0] and possible[1] <= high:
        raise BadInput(f"{where}: {low:g} to {high:g} cannot fail: {words}")
    if high < possible[0] or possible[1] < low:
        raise BadInput(f"{where}: {low:g} to {high:g} cannot hold: {words}")


def check_tolerance(where: str, criterion: Criterion) -> None:
    """Raises BadInput for a tolerance that makes a criterion hold whatever is measured."""
    expected, tolerance = criterion.expected, criterion.tolerance
    if not math.isfinite(tolerance):
        raise BadInput(f"{where}.tolerance: got {tolerance:g}; expected a finite number")
    if criterion.rule in ("number", "equal") and not tolerance > 0:
        raise BadInput(f"{where}.tolerance: got {tolerance:g}; expected a number > 0")
    if criterion.rule == "number" and expected is not None and tolerance >= abs(expected):
        instead = "; for 0 use the rule 'bound' or 'exact'" if expected == 0 else f" (|expected| = {abs(expected):g})"
        raise BadInput(f"{where}.tolerance: got {tolerance:g}; expected less than the number itself{instead}")


def check_arms(where: str, criterion: Criterion, arms: list[Arm]) -> None:
    """Raises BadInput for too few arms to compare, or for `any` of many where one almost surely holds by chance."""
    chosen = select_arms(arms, criterion.patterns())
    own = select_arms(arms, criterion.arms)
    if criterion.rule == "best" and len(own) == len(chosen):
        raise BadInput(f"{where}.compared_to: got no other arm than in 'arms'; expected one to compare with")
    if criterion.rule == "equal" and len(chosen) < 2:
        raise BadInput(f"{where}.arms: got one arm; expected two or more that are equal")
    chances = {"number": len(own), "equal": len(chosen) * (len(chosen) - 1) // 2}.get(criterion.rule, 1)
    if criterion.quantifier == "any" and chances > 1:
        raise BadInput(
            f"{where}.quantifier: got 'any' for the rule '{criterion.rule}' with {chances} chances to hold; "
            "expected 'all', or one arm"
        )
    if criterion.rule == "widest":
        sizes = {name: len(select_arms(arms, patterns)) for name, patterns in criterion.factors.items()}
        if len(sizes) < 2 or min(sizes.values()) < 2:
            raise BadInput(f"{where}.factors: got {sizes}; expected two factors or more, each with two arms or more")


def check_seeds(where: str, criterion: Criterion, study: Study) -> None:
    """Raises BadInput where the arms have fewer seeds than the rule needs, or than a share needs to be confirmed.

    Only of a study as its file describes it: a short run with few seeds is judged as unresolved.
    """
    if study.overrides:
        return
    counts = {arm.name: len(arm.seeds(study.seeds)) for arm in select_arms(study.arms, criterion.patterns())}
    name = min(counts, key=counts.__getitem__)
    fewest = FEWEST_SEEDS[criterion.rule]
    if counts[name] < fewest:
        raise BadInput(
            f"{where}: arm {name} has {counts[name]} seeds; the rule '{criterion.rule}' needs {fewest} or more"
        )
    if criterion.rule == "share":
        check_share(where, criterion, max(counts.values()), len(counts))


def check_share(where: str, criterion: Criterion, n: int, arms: int) -> None:
    """Raises BadInput where no number of successes among n seeds confirms a share, or every number does."""
    verdicts = [
        interval_verdict(share_interval(k, n, together(arms)), criterion.low, criterion.high) for k in range(n + 1)
    ]
    if CONFIRMED not in verdicts:
        limits = f"{criterion.low:g} to {criterion.high:g}"
        raise BadInput(f"{where}: {limits} cannot hold: no number of successes of {n} seeds confirms such a share")
    if set(verdicts) == {CONFIRMED}:
        raise BadInput(f"{where}: {criterion.low:g} to {criterion.high:g} cannot fail with {n} seeds")


def check_attainable(study: Study, ranges: Ranges) -> None:
    """Raises BadInput for a criterion whose limits contain all possible values of its metric, or none of them."""
    for claim in study.file.claims:
        for criterion in claim.criteria:
            known = [
                ranges.get(arm.name, {}).get(metric_name(criterion.metric))
                for arm in study.arms
                if any(fnmatchcase(arm.name, pattern) for pattern in criterion.patterns())
            ]
            if known and None not in known:
                least, most = min(one[0] for one in known if one), max(one[1] for one in known if one)
                check_metric_range(f"claims.{claim.id}", criterion, (least, most))


def check_metric_range(where: str, criterion: Criterion, possible: Range) -> None:
    """Raises BadInput where a criterion on a metric in this range cannot fail or cannot hold."""
    low, high = stated_range(criterion)
    find = ATTAINED.get(criterion.rule)
    if find is not None and not criterion.compared_metric:
        check_range(where, low, high, find(criterion, possible))


def stated_range(criterion: Criterion) -> Range:
    """The range in which a criterion puts what its rule measures."""
    if criterion.rule in ("number", "exact"):
        assert criterion.expected is not None, "checked before"
        return criterion.expected - criterion.tolerance, criterion.expected + criterion.tolerance
    if criterion.rule == "equal":
        return -criterion.tolerance, criterion.tolerance
    return criterion.low, criterion.high


def difference_range(criterion: Criterion, possible: Range) -> Range | None:
    """Of a difference of two values, or of a ratio of two that are not negative, minus 1."""
    least, most = possible
    if criterion.scale == "relative":
        return (-1.0, math.inf) if least >= 0 else None
    return least - most, most - least


def contrast_range(criterion: Criterion, possible: Range) -> Range | None:
    """Of a weighted sum of values; None for a ratio or logarithms."""
    if criterion.divided_by or criterion.scale == "log":
        return None
    ends = [sorted((weight * possible[0], weight * possible[1])) for weight in criterion.weights]
    return sum(end[0] for end in ends), sum(end[1] for end in ends)


ATTAINED: Mapping[str, Callable[[Any, Range], Range | None]] = {  # what a rule can measure of a metric in a range
    "bound": lambda _, possible: possible,
    "number": lambda _, possible: possible,
    "exact": lambda _, possible: possible,
    "difference": difference_range,
    "equal": difference_range,
    "contrast": contrast_range,
    "spread": lambda _, possible: (0.0, (possible[1] - possible[0]) * 0.5**0.5),  # two seeds, one at either end
}

"""docs/rules.md: the rules that judge a claim, from `RULES` and from the checks of a criterion."""

from rnnjax.analysis.rules import RULES
from rnnjax.cli.documentation.markdown import code, docstring, page, table
from rnnjax.studies.criteria import INTERVAL_RULES, REQUIRED_FIELDS, RULE_AXES, RULE_SCALES

INTRODUCTION = """\
A rule turns a criterion of a claim into measurements: an interval, and the range in which the claim places it. The
verdict of a criterion is *confirmed* when the interval lies inside the range, *refuted* when it lies outside,
*unresolved* when it overlaps a limit. Each criterion is one reading of the claim, or with others of the same `reading`
the part of one, which holds where all its parts hold. A claim has the verdict on which its readings agree. With one
confirmed and another refuted it *depends on the reading*; with confirmed and unresolved ones it is *unresolved,
confirmed in part*, with refuted and unresolved ones *unresolved, refuted in part*. A confirmed claim that is true by
definition is *definition*; one that looked-up documentation confirms, without a measurement, is *documented*. The keys
are explained in [studies.md](studies.md).

All intervals of means are one method, Student's t widened for skewed seeds (`analysis/statistics.py`). How often each
rule errs at the boundary, simulated for normal and other seeds, is in
[results/judge](../results/judge/judge_error.md): at most 5% for normal seeds.

Rules with "`low` and/or `high`" are refused without a limit, since they would always hold. `scale` defaults to
`"difference"`."""


def rules_page() -> str:
    """The page: an overview and one section per rule."""
    rows = [[f"[{name}](#{name})", required_keys(name), scales(name)] for name in RULES]
    overview = table(["rule", "required keys", "`scale`"], rows)
    sections = [f"## {name}\n\n{docstring(rule)}" for name, rule in RULES.items()]
    return page("Rules", INTRODUCTION, overview, *sections)


def required_keys(rule: str) -> str:
    """The keys without which a criterion of this rule is refused."""
    keys = [axes_key(rule) if key == "axes" else code(key) for key in REQUIRED_FIELDS.get(rule, ())]
    limits = ["`low` and/or `high`"] if rule in INTERVAL_RULES else []
    return ", ".join([*keys, *limits])


def axes_key(rule: str) -> str:
    counts = list(RULE_AXES[rule])
    return f"`axes` ({counts[0]})" if len(counts) == 1 else f"`axes` ({counts[0]} or more)"


def scales(rule: str) -> str:
    return ", ".join(map(code, RULE_SCALES.get(rule, ("difference",))))

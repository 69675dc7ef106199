"""The answer of a study in at most three sentences, by fixed rules from its verdicts and from one ranking of arms."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rnnjax.analysis.statistics import Interval
from rnnjax.reports.document import Statement, by_verdict
from rnnjax.reports.formatting import format_interval, format_value

PHRASES = {
    "depends on the reading": "dependent on the reading",
    "unresolved, confirmed in part": "unresolved (confirmed in part)",
    "unresolved, refuted in part": "unresolved (refuted in part)",
    "definition": "true by definition",
    "documented": "confirmed by documentation",
}


class Leader(NamedTuple):
    """The best arm by one metric, and how many of the others are not told apart from it."""

    metric: str
    unit: str
    best: str  # lowest or highest
    arm: str
    value: Interval
    others: int  # arms compared with it
    tied: int | None  # None: too few common seeds
    excluded: int = 0  # arms with a run without a finite value


def answer_sentences(statements: Sequence[Statement], leader: Leader | None) -> list[str]:
    """Counts of verdicts; the best arm; the most precise refutation, or confirmation where nothing is refuted."""
    decisive = decisive_statement(statements)
    sentences = [verdict_sentence(statements)] if statements else []
    sentences += [leader_sentence(leader)] if leader else []
    return sentences + ([decisive_sentence(decisive)] if decisive else [])


def verdict_sentence(statements: Sequence[Statement]) -> str:
    """As "Of 19 statements, 5 are confirmed, 8 refuted and 6 unresolved."."""
    counts = {name: len(found) for name, found in by_verdict(statements).items() if found}
    parts = [f"{count} {PHRASES.get(name, name)}" for name, count in counts.items()]
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    if len(statements) == 1:
        return f"The one statement is {listed.removeprefix('1 ')}."
    number, _, rest = listed.partition(" ")
    return f"Of {len(statements)} statements, {number} {'is' if number == '1' else 'are'} {rest}."


def leader_sentence(leader: Leader) -> str:
    """The best arm with its interval, its ties, and how many arms could not be compared."""
    excluded = f" ({leader.excluded} with diverged or unfinished runs not compared)" if leader.excluded else ""
    estimate, low, high = format_interval(leader.value)
    bounds = f" [{low}, {high}]" if leader.value.n > 1 else ""
    unit = f" {leader.unit}" if leader.unit else ""
    best = f"The {leader.best} {leader.metric} is that of {leader.arm}: {estimate}{bounds}{unit}, n = {leader.value.n}"
    if not leader.others:
        return f"{best}{excluded}."
    if leader.tied is None:
        return f"{best}; there are too few common seeds to compare it with the {leader.others} others{excluded}."
    if not leader.tied:
        return f"{best}; all {leader.others} other arms are told apart from it{excluded}."
    verb = "is" if leader.tied == 1 else "are"
    return f"{best}; of {leader.others} other arms, {leader.tied} {verb} not told apart from it{excluded}."


def decisive_statement(statements: Sequence[Statement]) -> Statement | None:
    """The refuted statement with the narrowest interval relative to its estimate, one with a stated figure first.

    A confirmed one where no refuted statement has an interval; None where neither has.
    """
    for verdict in ("refuted", "confirmed"):
        known = [s for s in statements if s.verdict == verdict and math.isfinite(relative_width(s.estimate))]
        if known:
            return min(known, key=lambda s: (not s.stated, relative_width(s.estimate)))
    return None


def relative_width(interval: Interval | None) -> float:
    """(high - low) / |estimate|; infinite where there is no interval or it has no width."""
    if interval is None or not interval.high > interval.low or not interval.estimate:
        return math.inf
    return (interval.high - interval.low) / abs(interval.estimate)


def decisive_sentence(statement: Statement) -> str:
    """The statement, the figure that it states, the range that confirms it, and the measured interval."""
    repeated = statement.expected.startswith(statement.stated)
    parts = {
        "stated": "" if repeated else statement.stated,
        "expected": statement.expected,
        "measured": format_value(statement.estimate),
    }
    numbers = "; ".join(f"{name} {text}" for name, text in parts.items() if text)
    return f"Most clearly {statement.verdict}: {statement.text.rstrip('.')} ({numbers})."

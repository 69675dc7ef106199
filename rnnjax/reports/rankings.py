"""Arms in order of a measured number: the answers to questions, the best arm, its ties, and recommendations."""

from collections.abc import Sequence

import numpy as np

from rnnjax.analysis.intervals import not_told_apart
from rnnjax.analysis.measurement import common_seeds
from rnnjax.analysis.results import ArmResult, direction, per_seed, rank_arms, select_arms, shared_unit
from rnnjax.analysis.statistics import estimate_mean
from rnnjax.config.schema import AdviceSpec, ContradictionSpec, QuestionSpec
from rnnjax.reports.answer import Leader
from rnnjax.reports.document import IntervalRow
from rnnjax.reports.formatting import format_value

FEWEST_FOR_TIES = 2  # seeds: for an interval
MOST_NAMED = 5  # arms of a sentence
FIRST_NAMED = 3  # of a sentence that does not name all


def ranking(question: QuestionSpec | ContradictionSpec, arms: Sequence[ArmResult]) -> tuple[str, list[IntervalRow]]:
    """The arms in order of a measured number: a sentence, and all of them as rows where it does not name them all."""
    chosen = select_arms(arms, question.arms)
    known = rank_arms(chosen, question.metric, question.best)
    if not known:
        return f"No run has a finite {question.metric}.", []
    words = question.unit or shared_unit(chosen, question.metric)
    by = f"{question.metric} in {words}" if words else question.metric
    values = [f"{arm.name} {format_value(value)}" for arm, value in known]
    if len(values) <= MOST_NAMED:
        return f"By {by}, {question.best} first: {'; '.join(values)} (mean, 95% interval).", []
    sentence = f"By {by}, {question.best} first: {'; '.join(values[:FIRST_NAMED])}; last of {len(values)}: {values[-1]}"
    rows = [IntervalRow(arm.name, value) for arm, value in known]
    return f"{sentence} (mean, 95% interval).{tie_sentence(question, chosen, known[0][0].name)}", rows


def tie_sentence(question: QuestionSpec | ContradictionSpec, arms: Sequence[ArmResult], first: str) -> str:
    """Which arms are not told apart from the first, or how many; empty where the first has a run without a value."""
    sign, values = direction(question.best), finite_arms(arms, question.metric)
    ranked = sorted(values, key=lambda name: sign * values[name].mean())
    if not ranked or ranked[0] != first or min(map(len, values.values())) < FEWEST_FOR_TIES:
        return ""
    tied = near_ties(values, ranked, sign)
    if not tied:
        return " The first is told apart from all others."
    named = ", ".join(tied) if len(tied) <= MOST_NAMED else f"{len(tied)} arms"
    return f" Not told apart from the first: {named}."


def finite_arms(arms: Sequence[ArmResult], metric: str) -> dict[str, np.ndarray]:
    """The values of the arms that have a finite value for every seed, by name."""
    values = {arm.name: per_seed(arm, metric) for arm in arms}
    return {name: of_arm for name, of_arm in values.items() if np.isfinite(of_arm).all()}


def leader(question: QuestionSpec, arms: Sequence[ArmResult]) -> Leader | None:
    """The best arm by the question's metric among those with a finite value for every seed; None where none has."""
    sign = direction(question.best)
    chosen = select_arms(arms, question.arms)
    known = finite_arms(chosen, question.metric)
    ranked = sorted(known, key=lambda name: sign * known[name].mean())
    if not ranked or (value := estimate_mean(known[ranked[0]])) is None:
        return None
    near = near_ties(known, ranked, sign)
    tied = len(near) if min(map(len, known.values())) >= FEWEST_FOR_TIES else None
    unit = question.unit or shared_unit(chosen, question.metric)
    excluded = len(chosen) - len(ranked)
    return Leader(question.metric, unit, question.best, ranked[0], value, len(ranked) - 1, tied, excluded)


def fill_advice(advice: AdviceSpec, arms: Sequence[ArmResult]) -> str:
    """The advice with the names and numbers that were measured."""
    sign = direction(advice.best)
    known = finite_arms(select_arms(arms, advice.arms), advice.metric)
    ranked = sorted(known, key=lambda name: sign * known[name].mean())
    if not ranked:
        return f"No arm has a finite {advice.metric} for every seed."
    return advice.text.format(
        best=ranked[0],
        value=format_value(estimate_mean(known[ranked[0]])),
        ties=", ".join(near_ties(known, ranked, sign)) or "none",
        worst=ranked[-1],
    )


def near_ties(values: dict[str, np.ndarray], ranked: Sequence[str], sign: int) -> list[str]:
    """The arms besides the first that are not told apart from it: intervals of paired differences, together 95%."""
    table = sign * common_seeds([values[name] for name in ranked])
    if table.shape[1] < FEWEST_FOR_TIES:
        return [f"too few seeds to tell ({table.shape[1]})"]
    tied = not_told_apart(table, 0)
    return [name for name, close in zip(ranked[1:], tied[1:], strict=True) if close]

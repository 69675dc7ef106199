"""The answer of a study: counts, the best arm and the statement that the data decide most clearly."""

import math

import pytest
from finished import grid

from rnnjax.analysis.statistics import Interval
from rnnjax.analysis.verdicts import judge_claim
from rnnjax.reports.answer import Leader, answer_sentences, decisive_statement, leader_sentence, verdict_sentence
from rnnjax.reports.build import statement
from rnnjax.reports.document import Statement
from rnnjax.reports.rankings import leader

VALUE = Interval(0.572, 0.564, 0.58, 12, "t, 95%")
LEADER = Leader("final_loss", "nats per character", "lowest", "tanh", VALUE, 5, 2)


def judged(verdict: str, low: float = 0.5, high: float = 1.5, stated: str = "") -> Statement:
    estimate = Interval(1.0, low, high, 12, "t, 95%")
    return Statement(f"s/{verdict}/{low}", "It is.", "a.txt", stated, verdict, estimate, "at most 3", "")


def test_a_finished_study_is_answered_in_three_sentences() -> None:
    study, arms = grid()
    statements = [statement(judge_claim(claim, arms)) for claim in study.file.claims]
    assert answer_sentences(statements, leader(study.file.questions[0], arms)) == [
        "Of 2 statements, 1 is confirmed and 1 refuted.",
        "The lowest final_loss is that of hidden=64,tanh,window=50: 0.572 [0.564, 0.585] nats per character, n = 12; "
        "of 16 other arms, 1 is not told apart from it (1 with diverged or unfinished runs not compared).",
        "Most clearly refuted: The window changes nothing (measured -0.309 [-0.331, -0.288], n = 12).",
    ]


@pytest.mark.parametrize(
    ("verdicts", "sentence"),
    [
        (["refuted"] * 2, "Of 2 statements, 2 are refuted."),
        (["confirmed"], "The one statement is confirmed."),
        (["definition", "depends on the reading", "unresolved"],
         "Of 3 statements, 1 is dependent on the reading, 1 unresolved and 1 true by definition."),
        (["unresolved, refuted in part", "unresolved, confirmed in part", "documented"],
         "Of 3 statements, 1 is unresolved (confirmed in part), 1 unresolved (refuted in part) and 1 confirmed by "
         "documentation."),
    ],
)  # fmt: skip
def test_verdicts_are_counted(verdicts: list[str], sentence: str) -> None:
    assert verdict_sentence([judged(verdict) for verdict in verdicts]) == sentence


@pytest.mark.parametrize(
    ("change", "end"),
    [
        ({"tied": 0}, "; all 5 other arms are told apart from it."),
        ({"tied": 1}, "; of 5 other arms, 1 is not told apart from it."),
        ({"tied": 3}, "; of 5 other arms, 3 are not told apart from it."),
        ({"tied": None}, "; there are too few common seeds to compare it with the 5 others."),
        ({"others": 0, "tied": None}, "nats per character, n = 12."),
        ({"value": VALUE._replace(n=1), "others": 0}, "tanh: 0.572 nats per character, n = 1."),
    ],
)
def test_the_best_arm_is_compared_with_the_others(change: dict[str, object], end: str) -> None:
    assert leader_sentence(LEADER._replace(**change)).endswith(end)


def test_arms_with_the_same_values_as_the_best_are_not_told_apart() -> None:
    study, arms = grid()
    copies = [arm._replace(name=f"{arm.name} again") for arm in arms]  # so many that each is best with under 5%
    same = [arm._replace(metrics={"final_loss": arms[0].metrics["final_loss"]}) for arm in arms + copies]
    found = leader(study.file.questions[0], same)
    assert found is not None and found.tied == found.others == 35


def test_the_most_precise_refutation_decides() -> None:
    wide, narrow, figure = judged("refuted"), judged("refuted", 0.9, 1.1), judged("refuted", stated="2")
    sure = judged("confirmed", 0.99, 1.01)
    point, none = judged("refuted", 1.0, 1.0), judged("refuted")._replace(estimate=None)
    assert decisive_statement([sure, wide, narrow]) == narrow
    assert decisive_statement([sure, wide, narrow, figure]) == figure, "a stated figure comes first"
    assert decisive_statement([sure, point, none]) == sure
    assert decisive_statement([point, none, judged("unresolved"), judged("refuted", math.nan, math.nan)]) is None


def test_a_study_without_statements_or_questions_has_no_answer() -> None:
    assert answer_sentences([], None) == []

"""Reports that have one word wherever a word can come from outside."""

import math

import plotly.graph_objects as go

from rnnjax.analysis.statistics import Interval
from rnnjax.reports.document import (
    VERDICTS,
    Choice,
    Contradiction,
    Cost,
    Explorer,
    GridCell,
    IntervalRow,
    JudgedCriterion,
    Question,
    Report,
    ReportSettings,
    ReportTable,
    Sample,
    Statement,
)
from rnnjax.reports.figures.traces import CaptionedFigure

LOSS = Interval(1.1234, 1.1011, 1.1457, 32, "t, 95%")
LAST = Interval(2.5, 2.25, 2.75, 29, "BCa bootstrap, 95%")


def page_of(word: str = "word", figures: int = 2) -> Report:
    """A page that has this word wherever a word can come from outside."""
    figure = go.Figure(go.Scatter(x=[1, 2], y=[1.0, math.nan], name=word), layout={"meta": {"dark": {}}, "title": word})
    table = ReportTable(
        "loss", f"Loss {word}", ["arm", "loss", word], [[word, LOSS, 7], ["none", None, math.nan]], word
    )
    return Report(
        title=f"Title {word}",
        question=f"Question {word}?",
        statements=[
            Statement(
                f"init/{verdict}",
                f"It is {verdict} {word}",
                f"{word}.txt",
                word,
                verdict,
                LAST,
                word,
                f"Why {word}",
                [
                    JudgedCriterion(
                        f"Part {word}", word, "refuted", word, [IntervalRow(word, LAST, 2.0, 3.0, "refuted")], 3
                    )
                ],
                f"Remark {word}",
            )
            for verdict in VERDICTS
        ],
        hypothesis=f"Hypothesis {word}",
        protocol=[f"Protocol {word}"],
        settings=ReportSettings(
            {word: {"gain": 1.5}, "other": {"gain": math.inf, word: word}}, {"corpus": word, "H": 64}
        ),
        figures=[CaptionedFigure(f"Figure {word}", f"Caption {word}", figure)] * figures,
        tables=[table],
        samples=[
            Sample(word, decoder, step, word, role)
            for decoder in ("greedy", word)
            for step in (0, 3000)
            for role in (f"Role {word}", "")
        ],
        questions=[Question(f"Asked {word}?", f"Answered {word}: 1.5 [1.2, 1.8], n = 32.", [IntervalRow(word, LAST)])],
        advice=[f"Advice {word}"],
        cost=Cost({"compile": 12.5, "train": 100.0}, f"machine {word}"),
        answer=[f"Sentence {word}"],
        key_figures=1,
    )


def full_page_of(word: str = "word") -> Report:
    """With the chapters that few reports have, and a table that is too wide for a page."""
    cells = [GridCell([0, 0], [LAST, word], word, 1, True), GridCell([1, 0], [None, 7], word, 2, False)]
    grid = Explorer([Choice(word, [word, "b"])], Choice("rows", [word]), [word, "size"], "lowest", cells, word)
    said = Contradiction(f"Twice {word}", ["init/refuted", f"other/{word}"], f"The data {word}")
    wide = ReportTable(
        "metrics",
        f"Metrics {word}",
        ["arm", *(f"{word} {i}" for i in range(9))],
        [[word, *[LOSS] * 9]],
        word,
        [f"{word} 3"],
    )
    page = page_of(word)
    return page._replace(explorer=grid, contradictions=[said], tables=[*page.tables, wide])

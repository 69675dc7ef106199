"""A report as a tree of plain values; `render` writes it as HTML, Markdown and CSV, `document_json` stores it."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import plotly.graph_objects as go

from rnnjax.analysis.statistics import Interval

VERDICTS = {
    "confirmed": "✓",
    "refuted": "✗",
    "depends on the reading": "≠",
    "unresolved": "?",
    "unresolved, confirmed in part": "?✓",
    "unresolved, refuted in part": "?✗",
    "definition": "≡",
    "documented": "§",
}
TableCell = str | int | float | Interval | None


class ReportSettings(NamedTuple):
    """The settings of the arms: fields in which they differ, derived ones included, and common fields."""

    arms: Mapping[str, Mapping[str, Any]]  # arm -> field -> value
    common: Mapping[str, Any]


@runtime_checkable
class Figure(Protocol):
    """A captioned plotly figure, as the package `figures` makes it."""

    @property
    def title(self) -> str: ...
    @property
    def caption(self) -> str: ...
    @property
    def figure(self) -> go.Figure: ...


class ReportTable(NamedTuple):
    """A table; `tables/<name>.csv` holds it in full precision."""

    name: str  # letters, digits, "_", "-" and "."
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[TableCell]]
    note: str = ""
    shown: Sequence[str] = ()  # columns that the page shows first; the others are folded


class Sample(NamedTuple):
    """A text that a network generated."""

    arm: str
    decoder: str
    step: int
    text: str
    role: str = ""  # "baseline", "lowest final_loss": an arm whose text the page shows first


class IntervalRow(NamedTuple):
    """A measured value, drawn beside the range that confirms it."""

    what: str
    interval: Interval
    low: float = -math.inf
    high: float = math.inf
    verdict: str = ""


class JudgedCriterion(NamedTuple):
    """A criterion of a statement with its measurements."""

    text: str
    metric: str
    verdict: str
    needed: str  # what confirms it
    rows: Sequence[IntervalRow]
    omitted: int = 0  # further measurements


class Question(NamedTuple):
    """An observation question of the study; the answer gives measured numbers."""

    question: str
    answer: str
    ranked: Sequence[IntervalRow] = ()  # the arms in order, where the answer does not name all


class Statement(NamedTuple):
    """A statement of a source document with its verdict."""

    id: str
    text: str  # paraphrased
    source: str  # the document's file name
    stated: str  # the figure given there; "" where it gives none
    verdict: str  # a key of `VERDICTS`
    estimate: Interval | None
    expected: str
    why: str
    judged: Sequence[JudgedCriterion] = ()
    remarks: str = ""  # runs left out, and values that were looked up


class Contradiction(NamedTuple):
    """Two statements of the documents that exclude each other, and the measured answer."""

    text: str  # paraphrased
    between: Sequence[str]  # ids of the statements
    answer: str
    ranked: Sequence[IntervalRow] = ()


class Choice(NamedTuple):
    """One axis of a grid."""

    name: str  # of the field
    values: Sequence[str]


class GridCell(NamedTuple):
    """One cell of a grid."""

    at: Sequence[int]  # index into each choice, and into the rows
    values: Sequence[TableCell]  # one per column
    status: str
    rank: int | None  # 1 is best; None: a run without a finite value, so the cell has no rank
    tied: bool  # not told apart from the best cell, which is itself tied


class Explorer(NamedTuple):
    """A grid whose best cell the reader predicts before it is revealed."""

    choices: Sequence[Choice]
    rows: Choice
    columns: Sequence[str]  # the first decides the rank
    best: str  # lowest or highest
    cells: Sequence[GridCell]
    note: str

    def sides(self) -> list[Choice]:
        """The choices, and the rows."""
        return [*self.choices, self.rows]

    def lines(self) -> list[tuple[list[str], list[GridCell | None]]]:
        """For each combination of the choices its values, and its cell for each of the rows."""
        known = {tuple(cell.at): cell for cell in self.cells}
        found = []
        for at in itertools.product(*(range(len(side.values)) for side in self.choices)):
            cells = [known.get((*at, row)) for row in range(len(self.rows.values))]
            if any(cells):
                found.append(([side.values[i] for side, i in zip(self.choices, at, strict=True)], cells))
        return found


class Cost(NamedTuple):
    """Wall time of the study by phase."""

    seconds: Mapping[str, float]  # phase -> seconds: compile, train, probe, io
    machine: str


class Report(NamedTuple):
    """A report. Open to the reader: question, answer, verdicts and the key figures; the rest is folded."""

    title: str
    question: str
    statements: Sequence[Statement]
    hypothesis: str
    protocol: Sequence[str]  # paragraphs
    settings: ReportSettings
    figures: Sequence[Figure]
    tables: Sequence[ReportTable]
    samples: Sequence[Sample]
    questions: Sequence[Question]
    advice: Sequence[str]  # recommendations, one action each
    cost: Cost
    contradictions: Sequence[Contradiction] = ()
    explorer: Explorer | None = None
    overrides: str = ""  # settings of this run that differ from the study's file
    answer: Sequence[str] = ()  # sentences with numbers, as `answer.answer_sentences` makes them
    key_figures: int = 2  # how many of the first figures carry the answer


def check(report: Report) -> None:
    """Raises ValueError for an unknown verdict or a table name that is no file name."""
    for statement in report.statements:
        if statement.verdict not in VERDICTS:
            raise ValueError(f"{statement.id}: verdict must be one of {', '.join(VERDICTS)}, got {statement.verdict!r}")
    for table in report.tables:
        if not re.fullmatch(r"\w[\w.-]*", table.name):
            raise ValueError(f"a table's name must be a file name, got {table.name!r}")


def by_verdict(statements: Sequence[Statement]) -> dict[str, list[Statement]]:
    """The statements of each verdict, an empty list where there are none."""
    return {name: [s for s in statements if s.verdict == name] for name in VERDICTS}

"""What a report holds, as one tree of plain values: `report.py` writes it, `pagefile.py` keeps it."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import plotly.graph_objects as go

from rnnjax.analysis.statistics import Interval

VERDICTS = {"confirmed": "✓", "refuted": "✗", "unresolved": "?", "not-as-stated": "≠", "definition": "≡"}
Cell = str | int | float | Interval | None


class Settings(NamedTuple):
    """What the arms were run with: the fields in which they differ, derived ones too, and those they share."""

    arms: Mapping[str, Mapping[str, Any]]  # arm -> field -> value
    common: Mapping[str, Any]


@runtime_checkable
class Figure(Protocol):
    """What `figures.py` makes."""

    @property
    def title(self) -> str: ...
    @property
    def caption(self) -> str: ...
    @property
    def figure(self) -> go.Figure: ...


class Table(NamedTuple):
    """A table; `tables/<name>.csv` holds it in full precision."""

    name: str  # letters, digits, "_", "-" and "."
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


class Sample(NamedTuple):
    """A text that a network wrote."""

    arm: str
    decoder: str
    step: int
    text: str


class Question(NamedTuple):
    """An observation question of the guided study; the answer names a measured number."""

    question: str
    answer: str


class Statement(NamedTuple):
    """A statement of a source document, and what the data say of it."""

    id: str
    text: str  # in our words
    source: str  # the document's file name
    stated: str  # the figure given there; "" where it gives none
    verdict: str  # a key of `VERDICTS`
    estimate: Interval | None
    expected: str
    why: str


class Contradiction(NamedTuple):
    """Where the documents contradict themselves, and what the data say."""

    text: str  # in our words
    between: Sequence[str]  # ids of the statements
    answer: str


class Choice(NamedTuple):
    """One side of a grid."""

    name: str  # of the field
    values: Sequence[str]


class GridCell(NamedTuple):
    """One cell of a grid."""

    at: Sequence[int]  # which value of each choice, and of the rows
    values: Sequence[Cell]  # one per column
    status: str
    rank: int | None  # 1 is best; None: not every run ended with a number, so it cannot be
    tied: bool  # not told apart from the best, which is itself one of these


class Explorer(NamedTuple):
    """A grid whose best cell the reader predicts before seeing it."""

    choices: Sequence[Choice]
    rows: Choice
    columns: Sequence[str]  # the first decides
    best: str  # lowest or highest
    cells: Sequence[GridCell]
    note: str

    def sides(self) -> list[Choice]:
        """The choices, and the rows."""
        return [*self.choices, self.rows]

    def lines(self) -> list[tuple[list[str], list[GridCell | None]]]:
        """For each combination of the choices its words, and its cell for each of the rows."""
        known = {tuple(cell.at): cell for cell in self.cells}
        found = []
        for at in itertools.product(*(range(len(side.values)) for side in self.choices)):
            cells = [known.get((*at, row)) for row in range(len(self.rows.values))]
            if any(cells):
                found.append(([side.values[i] for side, i in zip(self.choices, at, strict=True)], cells))
        return found


class Cost(NamedTuple):
    """What the study took."""

    seconds: Mapping[str, float]  # phase -> seconds: compile, train, probe, io
    machine: str


class Report(NamedTuple):
    """A report, in the order in which it is read."""

    title: str
    question: str
    statements: Sequence[Statement]
    hypothesis: str
    protocol: Sequence[str]  # paragraphs
    settings: Settings
    figures: Sequence[Figure]
    tables: Sequence[Table]
    samples: Sequence[Sample]
    questions: Sequence[Question]
    advice: Sequence[str]  # what a user should do, one thing each
    cost: Cost
    contradictions: Sequence[Contradiction] = ()
    explorer: Explorer | None = None
    overrides: str = ""  # what was run otherwise than the study's file has it


def check(page: Report) -> None:
    """Raises ValueError for an unknown verdict or a table name that is no file name."""
    for statement in page.statements:
        if statement.verdict not in VERDICTS:
            raise ValueError(f"{statement.id}: verdict must be one of {', '.join(VERDICTS)}, got {statement.verdict!r}")
    for table in page.tables:
        if not re.fullmatch(r"\w[\w.-]*", table.name):
            raise ValueError(f"a table's name must be a file name, got {table.name!r}")


def by_verdict(statements: Sequence[Statement]) -> dict[str, list[Statement]]:
    """The statements of each verdict, an empty list where there are none."""
    return {name: [s for s in statements if s.verdict == name] for name in VERDICTS}

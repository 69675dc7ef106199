"""What a study file says, and what becomes of it: arms x seeds with everything that is asked of them.

The dataclasses are the tables of the TOML file, in which unknown keys are refused; `Study` is the file with its axes
expanded.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import Discriminator, Strict, Tag

from rnnjax.settings import HParams, Spec

Text = Annotated[str, MinLen(1)]
Number = Annotated[float, Strict()]
PositiveInt = Annotated[int, Strict(), Ge(1)]
Points = Annotated[int, Strict(), Ge(1), Le(10_000)]
Steps = Annotated[list[Annotated[int, Strict(), Ge(0)]], MinLen(1)]
COUNT, LIST = "count of points", "list of steps"  # the two forms of what a probe is asked for, as pydantic calls them
ProbeSteps = Annotated[
    Annotated[Points, Tag(COUNT)] | Annotated[Steps, Tag(LIST)],
    Discriminator(lambda value: LIST if isinstance(value, list) else COUNT),
]
STRICT = {"extra": "forbid"}


@dataclass(frozen=True)
class Criterion:
    """One sharpened, checkable form of a statement: a rule, a metric, and the arms it is about.

    Arms are named by patterns (`normal_*`). A metric is a number per seed; `name@step` is a probe at that step of
    training and `name` alone the last one; `name@a-b` is the mean of a row of the record over the steps in (a, b].
    """

    __pydantic_config__: ClassVar[Any] = STRICT
    rule: str  # one of claims.RULES
    metric: Text
    arms: Annotated[list[str], MinLen(1)]
    compared_to: list[str] = field(default_factory=list)  # arms to compare with
    compared_metric: str = ""  # what is compared in these, if another one; an arm may then be compared with itself
    matched: list[str] = field(default_factory=list)  # only pairs of arms that agree in these fields
    low: Number = float("-inf")  # the statement holds between low and high
    high: Number = float("inf")
    expected: Number | None = None
    tolerance: Number = 0.0
    scale: Literal["difference", "relative", "log", "rank"] = "difference"  # relative: mean a / mean b - 1
    prefers: Literal["lowest", "highest"] = "lowest"  # of the rule `best`
    explained_by: str = ""  # the metric on whose logarithm `metric` is fitted, or with which it is correlated
    controlling_for: str = ""  # of the rule `correlation`: the metric whose part in both is taken out
    other_metrics: list[str] = field(default_factory=list)  # of `variance_share`: the metrics of the other columns
    share_of: Literal["columns", "arms", "interaction", "seeds"] = "columns"  # of `variance_share`: what is asked
    weights: list[Number] = field(default_factory=list)  # of the rule `contrast`, one for each pattern of `arms`
    divided_by: list[Number] = field(default_factory=list)  # likewise: the contrast that it is divided by
    axes: list[str] = field(default_factory=list)  # the fields that `trend` (one) and `interaction` (two) go along
    factors: dict[str, list[str]] = field(default_factory=dict)  # of the rule `widest`: arms by what varies in them
    quantifier: Literal["all", "any"] = "all"  # over the arms or pairs
    text: str = ""  # what this criterion adds to the statement

    def patterns(self) -> list[str]:
        """Of all arms that it is about."""
        return [*self.arms, *self.compared_to, *(name for names in self.factors.values() for name in names)]


@dataclass(frozen=True)
class Claim:
    """A statement of a document, in our words, with the criteria that judge it."""

    __pydantic_config__: ClassVar[Any] = STRICT
    id: Text
    text: Text
    criteria: Annotated[list[Criterion], MinLen(1)]
    source: str = ""  # the document's file name
    stated: str = ""  # the figure that it gives
    expected: str = ""
    definition: bool = False  # true by construction: a unit test rather than a finding


@dataclass(frozen=True)
class QuestionSpec:
    """An observation question, answered by ranking or following measured numbers."""

    __pydantic_config__: ClassVar[Any] = STRICT
    text: Text
    metric: Text
    arms: list[str] = field(default_factory=lambda: ["*"])
    best: Literal["lowest", "highest"] = "lowest"
    unit: str = ""


@dataclass(frozen=True)
class AdviceSpec:
    """What a user should do, with the measured names and numbers filled in."""

    __pydantic_config__: ClassVar[Any] = STRICT
    text: Text  # may name {best}, {value}, {ties} (arms whose chance to be best is over 5%) and {worst}
    metric: Text
    arms: list[str] = field(default_factory=lambda: ["*"])
    best: Literal["lowest", "highest"] = "lowest"


@dataclass(frozen=True)
class FigureSpec:
    """A figure of the report."""

    __pydantic_config__: ClassVar[Any] = STRICT
    form: Literal["curve", "probe", "lag", "interval", "map"]  # map: of words, one run of the first of `arms`
    metric: Text
    title: Text
    unit: str = ""
    along: str = ""  # lag: what the lags are, if not steps back in time
    arms: list[str] = field(default_factory=lambda: ["*"])
    log: bool = False


@dataclass(frozen=True)
class TableSpec:
    """A table of the report: some metrics of some arms; or what part each of some fields has in their variance."""

    __pydantic_config__: ClassVar[Any] = STRICT
    title: Text
    metrics: Annotated[list[str], MinLen(1)]
    arms: list[str] = field(default_factory=lambda: ["*"])
    shares_of: list[str] = field(default_factory=list)  # fields in which the arms differ
    note: str = ""


@dataclass(frozen=True)
class ContradictionSpec:
    """Statements of the documents that cannot all hold, answered like a question by a measured number."""

    __pydantic_config__: ClassVar[Any] = STRICT
    text: Text
    between: Annotated[list[str], MinLen(2)]  # ids of statements, of this study or of others
    metric: Text
    arms: list[str] = field(default_factory=lambda: ["*"])
    best: Literal["lowest", "highest"] = "lowest"
    unit: str = ""


@dataclass(frozen=True)
class ReferenceValue:
    """A number of the documents that a convention should come near to."""

    __pydantic_config__: ClassVar[Any] = STRICT
    metric: Text
    value: Annotated[float, Strict(), Gt(0)]
    arms: list[str] = field(default_factory=lambda: ["*"])  # at most one of each convention


@dataclass(frozen=True)
class ConventionComparison:
    """Which of several unstated conventions comes nearest to the documents' numbers, all taken together."""

    __pydantic_config__: ClassVar[Any] = STRICT
    text: Text
    by: Annotated[list[str], MinLen(1)]  # the fields that make a convention
    numbers: Annotated[list[ReferenceValue], MinLen(1)]


@dataclass(frozen=True)
class ExplorerSpec:
    """A grid of arms whose best cell the reader predicts and then sees."""

    __pydantic_config__: ClassVar[Any] = STRICT
    choose: Annotated[list[Text], MinLen(1)]  # fields of the axes, of which the reader chooses one value each
    rows: Text  # the field whose values are the rows of the table that is then shown
    metrics: Annotated[list[Text], MinLen(1)]  # the first decides; `failed` becomes the status
    arms: list[str] = field(default_factory=lambda: ["*"])
    best: Literal["lowest", "highest"] = "lowest"


@dataclass(frozen=True)
class InitialStatistics:
    """Fresh starts, not trained: the distribution of what a start is like."""

    __pydantic_config__: ClassVar[Any] = STRICT
    count: Annotated[PositiveInt, Le(100_000)]
    arms: Annotated[list[str], MinLen(1)]


@dataclass(frozen=True)
class StudyFile:
    """The top level of a study's TOML file."""

    __pydantic_config__: ClassVar[Any] = STRICT
    question: Text
    title: str = ""
    hypothesis: str = ""
    protocol: list[str] = field(default_factory=list)
    baseline: str = ""  # the arm that the others are compared with; the first if not given
    seeds: Any = 32  # a count (42, 43, ...) or the seeds themselves
    save_every: PositiveInt | None = None  # optimizer steps between checkpoints; a tenth of the steps by default
    base: dict[str, Any] = field(default_factory=dict)
    axes: list[dict[str, Any]] = field(default_factory=list)  # each a product, all together the arms; `seeds`: fewer
    probes: dict[str, ProbeSteps] = field(
        default_factory=dict
    )  # how many log-spaced points (1 = the end), or the steps
    initial_statistics: InitialStatistics | None = None
    conventions: ConventionComparison | None = None
    explorer: ExplorerSpec | None = None
    figures: list[FigureSpec] = field(default_factory=list)
    questions: list[QuestionSpec] = field(default_factory=list)
    tables: list[TableSpec] = field(default_factory=list)
    contradictions: list[ContradictionSpec] = field(default_factory=list)
    advice: list[AdviceSpec] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)


class Arm(NamedTuple):
    """One point of the axes."""

    name: str
    axes: dict[str, Any]  # the fields that vary in this study, with this arm's values
    spec: Spec
    hp: HParams  # its seed is set per run
    max_seeds: int | None = None  # only the study's first ones, where an arm needs fewer; None = all

    def seeds(self, of_study: list[int]) -> list[int]:
        """The seeds that this arm is run with."""
        return of_study[: self.max_seeds]


class Study(NamedTuple):
    """A study ready to run."""

    name: str
    file: StudyFile
    arms: list[Arm]
    seeds: list[int]
    config: dict[str, Any]  # all that decides the results, as plain values: the manifest keeps it and its hash
    complete: bool = True  # false where only some arms of its file are to be run
    overrides: str = ""  # settings of this run that differ from the file: "steps 5,000 (file: 30,000)"

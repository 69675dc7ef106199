"""The schema of a study file, and `Study`: the file with its axes expanded into arms.

The dataclasses are the tables of the TOML file; unknown keys are refused. The comment of a field is its description in
docs/studies.md.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import Discriminator, Strict, Tag

from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import metric_name

Text = Annotated[str, MinLen(1)]
Number = Annotated[float, Strict()]
PositiveInt = Annotated[int, Strict(), Ge(1)]
PointCount = Annotated[int, Strict(), Ge(1), Le(10_000)]
Steps = Annotated[list[Annotated[int, Strict(), Ge(0)]], MinLen(1)]
COUNT, LIST = "count of points", "list of steps"  # the two forms of what a probe is asked for, as pydantic calls them
ProbeSteps = Annotated[
    Annotated[PointCount, Tag(COUNT)] | Annotated[Steps, Tag(LIST)],
    Discriminator(lambda value: LIST if isinstance(value, list) else COUNT),
]
STRICT = {"extra": "forbid"}


@dataclass(frozen=True)
class Criterion:
    """One checkable form of a claim: a rule, a metric, and the arms that it compares.

    Arms are named by patterns (`normal_*`). A metric is a number per seed; `name@step` is a probe at that step of
    training and `name` alone the last one; `name@a-b` is the mean of a row of the record over the steps in (a, b].
    """

    __pydantic_config__: ClassVar[Any] = STRICT
    rule: str  # a rule of docs/rules.md
    metric: Text  # the metric that is judged
    arms: Annotated[list[str], MinLen(1)]  # patterns of arm names
    compared_to: list[str] = field(default_factory=list)  # patterns of the arms to compare with
    compared_metric: str = ""  # metric of `compared_to`, if another one; an arm may then be compared with itself
    matched: list[str] = field(default_factory=list)  # compare only arms that agree in these fields
    low: Number = float("-inf")  # the claim holds between `low` and `high`
    high: Number = float("inf")  # upper limit
    expected: Number | None = None  # the expected value, or the threshold of `share`
    # accepted distance from `expected`; rule `best`: smallest advantage that counts; rule `equal`: largest difference
    tolerance: Annotated[Number, Ge(0)] = 0.0
    # scale of differences; relative is mean a / mean b - 1
    scale: Literal["difference", "relative", "log", "rank"] = "difference"
    prefers: Literal["lowest", "highest"] = "lowest"  # rule `best`: which extreme wins
    explained_by: str = ""  # rules `explained`, `correlation`: the other metric
    controlling_for: str = ""  # rule `correlation`: metric whose effect is removed (partial correlation)
    other_metrics: list[str] = field(default_factory=list)  # rule `variance_share`: metrics of the other columns
    share_of: Literal["columns", "arms", "interaction", "seeds"] = "columns"  # rule `variance_share`: the component
    weights: list[Number] = field(default_factory=list)  # rule `contrast`: one weight for each pattern of `arms`
    divided_by: list[Number] = field(default_factory=list)  # rule `contrast`: weights of the denominator
    axes: list[str] = field(
        default_factory=list
    )  # fields: one for `trend`, two for `interaction`, several for `additive`
    factors: dict[str, list[str]] = field(default_factory=dict)  # rule `widest`: factor name -> patterns of its arms
    quantifier: Literal["all", "any"] = "all"  # over arms or pairs
    reading: str = ""  # criteria with the same one are the parts of one reading: all must hold
    text: str = ""  # one sentence that states this criterion

    def patterns(self) -> list[str]:
        """The patterns of all its arms."""
        return [*self.arms, *self.compared_to, *(name for names in self.factors.values() for name in names)]


@dataclass(frozen=True)
class Claim:
    """A claim with the criteria that judge it."""

    __pydantic_config__: ClassVar[Any] = STRICT
    id: Text  # unique in the study
    text: Text  # the claim in one sentence
    criteria: Annotated[list[Criterion], MinLen(1)]  # tables `[[claims.criteria]]`
    source: str = ""  # document that makes the claim
    stated: str = ""  # the number that the document gives
    expected: str = ""  # the author's prediction before the study ran
    definition: bool = False  # true by definition: a check, not a finding


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
    """A recommendation, with measured names and numbers filled in."""

    __pydantic_config__: ClassVar[Any] = STRICT
    text: Text  # may contain {best}, {value}, {ties} (arms with a chance over 5% to be best) and {worst}
    metric: Text
    arms: list[str] = field(default_factory=lambda: ["*"])
    best: Literal["lowest", "highest"] = "lowest"


@dataclass(frozen=True)
class FigureSpec:
    """A figure of the report."""

    __pydantic_config__: ClassVar[Any] = STRICT
    # kind of plot; setting: a number of each arm against a setting; scatter: every run; a map and a portrait (states
    # with fixed points) show one run of the first arm
    form: Literal["curve", "probe", "lag", "interval", "setting", "map", "portrait", "scatter"]
    metric: Text
    title: Text
    unit: str = ""
    along: str = ""  # form lag: name of its axis, default steps back in time; setting: the field; scatter: the metric
    lines: list[str] = field(default_factory=list)  # form setting: fields whose values name a line
    below: Number | None = None  # form setting: show the share of seeds below this value; default the mean
    arms: list[str] = field(default_factory=lambda: ["*"])
    log: bool = False  # logarithmic value axis


@dataclass(frozen=True)
class TableSpec:
    """A table of the report: metrics of arms, or the variance share of each factor."""

    __pydantic_config__: ClassVar[Any] = STRICT
    title: Text
    metrics: Annotated[list[str], MinLen(1)]
    arms: list[str] = field(default_factory=lambda: ["*"])
    shares_of: list[str] = field(default_factory=list)  # fields whose variance shares are shown instead of the values
    note: str = ""  # text below the table


@dataclass(frozen=True)
class ContradictionSpec:
    """Claims that cannot all hold, with the measurement that decides between them."""

    __pydantic_config__: ClassVar[Any] = STRICT
    text: Text
    between: Annotated[list[str], MinLen(2)]  # ids of claims, of this study or of others
    metric: Text
    arms: list[str] = field(default_factory=lambda: ["*"])
    best: Literal["lowest", "highest"] = "lowest"
    unit: str = ""


@dataclass(frozen=True)
class ReferenceValue:
    """A stated number that a convention should reproduce."""

    __pydantic_config__: ClassVar[Any] = STRICT
    metric: Text
    value: Annotated[float, Strict(), Gt(0)]  # the stated number
    arms: list[str] = field(default_factory=lambda: ["*"])  # at most one of each convention


@dataclass(frozen=True)
class ConventionComparison:
    """The unstated convention whose results come nearest to the stated numbers, all taken together."""

    __pydantic_config__: ClassVar[Any] = STRICT
    text: Text
    by: Annotated[list[str], MinLen(1)]  # fields that define a convention
    numbers: Annotated[list[ReferenceValue], MinLen(1)]


@dataclass(frozen=True)
class ExplorerSpec:
    """A prediction exercise: the reader guesses the best cell of a grid of arms before its results are shown."""

    __pydantic_config__: ClassVar[Any] = STRICT
    choose: Annotated[list[Text], MinLen(1)]  # fields of the axes; the reader chooses one value of each
    rows: Text  # field whose values are the rows of the result table
    metrics: Annotated[list[Text], MinLen(1)]  # the first decides; `failed` is shown as status
    arms: list[str] = field(default_factory=lambda: ["*"])
    best: Literal["lowest", "highest"] = "lowest"


@dataclass(frozen=True)
class InitialStatistics:
    """Statistics of freshly initialised networks, without training."""

    __pydantic_config__: ClassVar[Any] = STRICT
    count: Annotated[PositiveInt, Le(100_000)]  # networks per arm
    arms: Annotated[list[str], MinLen(1)]


@dataclass(frozen=True)
class StudyFile:
    """The top level of a study's TOML file."""

    __pydantic_config__: ClassVar[Any] = STRICT
    question: Text  # the question in one sentence
    title: str = ""  # title of the report; default the question
    hypothesis: str = ""  # expected answer
    protocol: list[str] = field(default_factory=list)  # paragraphs on the method
    baseline: str = ""  # arm that the others are compared with; default the first
    seeds: Any = 32  # number of seeds (42, 43, ...) or a list of seeds
    save_every: PositiveInt | None = None  # optimizer steps between checkpoints; default a tenth of the steps
    # curves in TensorBoard: few, in at most 40 cards, or all with their bands, medians and distributions over seeds
    tensorboard: Literal["few", "all"] = "few"
    # checkpoints of a finished run; best = the last, of which readers take the parameters of the best validation check
    keep: Literal["last", "best", "all"] = "last"
    init_from: str = ""  # run folder of a finished study whose trained parameters every run starts from
    base: dict[str, Any] = field(default_factory=dict)  # settings of every arm
    # each table is a product of lists, all tables together the arms; `seeds` limits the seeds of a table
    axes: list[dict[str, Any]] = field(default_factory=list)
    # probe name -> number of log-spaced points (1 = the end), or a list of steps
    probes: dict[str, ProbeSteps] = field(default_factory=dict)
    initial_statistics: InitialStatistics | None = None
    conventions: ConventionComparison | None = None
    explorer: ExplorerSpec | None = None
    figures: list[FigureSpec] = field(default_factory=list)
    questions: list[QuestionSpec] = field(default_factory=list)
    tables: list[TableSpec] = field(default_factory=list)
    contradictions: list[ContradictionSpec] = field(default_factory=list)
    advice: list[AdviceSpec] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)


def judged_metrics(file: StudyFile) -> list[str]:
    """The names of the metrics that the claims of a study judge, those first that most criteria do."""
    counts = Counter(metric_name(criterion.metric) for claim in file.claims for criterion in claim.criteria)
    return [name for name, _ in counts.most_common()]


def requested_metrics(file: StudyFile) -> list[str]:
    """The names of the metrics that a study asks for, the most important first: questions, claims, figures, tables."""
    criteria = [criterion for claim in file.claims for criterion in claim.criteria]
    asked = [
        *(question.metric for question in file.questions),
        *(advice.metric for advice in file.advice),
        *(metric for each in criteria for metric in (each.metric, each.compared_metric, each.explained_by)),
        *(contradiction.metric for contradiction in file.contradictions),
        *(figure.metric for figure in file.figures),
        *(metric for table in file.tables for metric in table.metrics),
    ]
    return list(dict.fromkeys(metric_name(metric) for metric in asked if metric))


class Arm(NamedTuple):
    """One point of the axes."""

    name: str
    axes: dict[str, Any]  # the fields that vary in this study, with this arm's values
    spec: Spec
    hp: HParams  # its seed is set per run
    max_seeds: int | None = None  # only the study's first ones, where an arm needs fewer; None = all

    def seeds(self, study_seeds: list[int]) -> list[int]:
        """The seeds of this arm."""
        return study_seeds[: self.max_seeds]


class Study(NamedTuple):
    """A study ready to run."""

    name: str
    file: StudyFile
    arms: list[Arm]
    seeds: list[int]
    config: dict[str, Any]  # every value that affects the results; stored in the manifest with its hash
    complete: bool = True  # false where only some arms of its file are to be run
    overrides: str = ""  # settings of this run that differ from the file: "steps 5,000 (file: 30,000)"
    file_values: Mapping[str, Any] = MappingProxyType({})  # what the file has for each of them

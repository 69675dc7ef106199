"""What a study file says, and what becomes of it: arms x seeds with everything that is asked of them.

The dataclasses are the tables of the TOML file, in which unknown keys are refused; `Study` is the file with its axes
expanded.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Le, MinLen
from pydantic import Strict

from rnnjax.settings import HParams, Spec

Text = Annotated[str, MinLen(1)]
Number = Annotated[float, Strict()]
Whole = Annotated[int, Strict(), Ge(1)]
Points = Annotated[int, Strict(), Ge(2), Le(10_000)]
STRICT = {"extra": "forbid"}


@dataclass(frozen=True)
class Reading:
    """One sharpened, checkable form of a statement: a rule, a metric, and the arms it is about.

    Arms are named by patterns (`normal_*`). A metric is a number per seed; `name@step` is a probe at that step of
    training and `name` alone the last one.
    """

    __pydantic_config__: ClassVar[Any] = STRICT
    rule: str  # one of claims.RULES
    metric: Text
    arms: Annotated[list[str], MinLen(1)]
    against: list[str] = field(default_factory=list)  # arms to compare with
    low: Number = float("-inf")  # the statement holds between low and high
    high: Number = float("inf")
    expected: Number | None = None
    tolerance: Number = 0.0
    scale: Literal["difference", "relative"] = "difference"  # relative: (a - b) / mean of b
    prefers: Literal["lowest", "highest"] = "lowest"  # of the rule `best`
    explained_by: str = ""  # the metric on whose logarithm `metric` is fitted
    quantifier: Literal["all", "any"] = "all"  # over the arms or pairs
    says: str = ""  # what this reading adds to the statement


@dataclass(frozen=True)
class Claim:
    """A statement of a document, in our words, with the readings that judge it."""

    __pydantic_config__: ClassVar[Any] = STRICT
    id: Text
    says: Text
    readings: Annotated[list[Reading], MinLen(1)]
    source: str = ""  # the document's file name
    stated: str = ""  # the figure that it gives
    expected: str = ""


@dataclass(frozen=True)
class Question:
    """An observation question, answered by ranking or following measured numbers."""

    __pydantic_config__: ClassVar[Any] = STRICT
    asks: Text
    metric: Text
    arms: list[str] = field(default_factory=lambda: ["*"])
    best: Literal["lowest", "highest"] = "lowest"
    unit: str = ""


@dataclass(frozen=True)
class Advice:
    """What a user should do, with the measured names and numbers filled in."""

    __pydantic_config__: ClassVar[Any] = STRICT
    says: Text  # may name {best}, {value}, {ties} (arms whose chance to be best is over 5%) and {worst}
    metric: Text
    arms: list[str] = field(default_factory=lambda: ["*"])
    best: Literal["lowest", "highest"] = "lowest"


@dataclass(frozen=True)
class Figure:
    """A figure of the report."""

    __pydantic_config__: ClassVar[Any] = STRICT
    form: Literal["curve", "probe", "lag", "interval"]
    metric: Text
    title: Text
    unit: str = ""
    arms: list[str] = field(default_factory=lambda: ["*"])
    log: bool = False


@dataclass(frozen=True)
class Draws:
    """Fresh starts, not trained: the distribution of what a start is like."""

    __pydantic_config__: ClassVar[Any] = STRICT
    count: Annotated[Whole, Le(100_000)]
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
    save_every: Whole | None = None  # optimizer steps between checkpoints; a tenth of the steps by default
    base: dict[str, Any] = field(default_factory=dict)
    axes: list[dict[str, Any]] = field(default_factory=list)  # each a product; the arms are all of them
    probes: dict[str, Points] = field(default_factory=dict)  # name -> points of training, log-spaced, ends included
    draws: Draws | None = None
    figures: list[Figure] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    advice: list[Advice] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)


class Arm(NamedTuple):
    """One point of the axes."""

    name: str
    axes: dict[str, Any]  # the fields that vary in this study, with this arm's values
    spec: Spec
    hp: HParams  # its seed is set per run


class Study(NamedTuple):
    """A study ready to run."""

    name: str
    file: StudyFile
    arms: list[Arm]
    seeds: list[int]
    config: dict[str, Any]  # all that decides the results, as plain values: the manifest keeps it and its hash

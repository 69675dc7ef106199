"""The simulated statements: which rule judges which arms, and which verdicts are wrong.

The truth lies at the boundary of a statement, so that any verdict is unearned, or clearly on one side of it.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.judge import samples
from benchmarks.judge.samples import Sampler
from rnnjax.analysis.measurement import CONFIRMED, REFUTED
from rnnjax.config.schema import Criterion

EITHER = (CONFIRMED, REFUTED)
LARGEST_NORMAL, LARGEST_OTHER, FEWEST_OTHER = 0.05, 0.08, 16  # error rates; other distributions from 16 seeds on


class Case(NamedTuple):
    """One simulated statement.

    Attributes:
        sample: draws the arms. fields: of the criterion. wrong: verdicts that are errors; none for a case that shows
            how often a rule reaches a verdict. part: of the repetitions, where a rule is slow. bounded: whether the
            error rate is promised, and not only reported.
    """

    name: str
    sample: Sampler
    fields: Mapping[str, Any]
    wrong: tuple[str, ...] = EITHER
    part: float = 1.0
    bounded: bool = True

    @property
    def criterion(self) -> Criterion:
        return Criterion(**{"metric": "m", "arms": ["a"]} | dict(self.fields))

    def bound(self, distribution: str, n: int) -> float | None:
        """The largest error rate that is promised; None where none is."""
        if not self.bounded or not self.wrong:
            return None
        if distribution == "normal":
            return LARGEST_NORMAL
        return LARGEST_OTHER if n >= FEWEST_OTHER else None


def axes_of(name: str) -> dict[str, int]:
    """{"x": 2, "y": 4} of "x=2,y=4"."""
    return {field: int(value) for field, value in re.findall(r"(\w+)=(\d+)", name)}


ALL_A = {"arms": ["a*"]}
AGAINST_B = {"rule": "difference", "arms": ["a*"], "compared_to": ["b"], "high": 0.0}
ABOVE_B = {"rule": "difference", "arms": ["a*"], "compared_to": ["b"], "low": 0.0}
BEST = {"rule": "best", "arms": ["a0"], "compared_to": ["a*"]}
NUMBER = {"rule": "number", "expected": 10.0}
EQUAL = {"rule": "equal", "arms": ["a*"], "compared_to": ["b"]}
WIDEST = {"rule": "widest", "arms": ["f*"], "factors": {"first": ["f*"], "second": ["g*"]}}
ALONG_X = {"rule": "trend", "arms": ["x=*"], "axes": ["x"], "high": 0.0}
CORRELATION = {"rule": "correlation", **ALL_A, "explained_by": "x", "high": 0.0}
EXPLAINED = {"rule": "explained", **ALL_A, "explained_by": "x"}
SHARES = {"rule": "variance_share", **ALL_A, "other_metrics": ["x"], "low": 0.5}
CONTRAST = {"rule": "contrast", "arms": ["a0", "a1", "a2"]}
ADDITIVE = {"rule": "additive", "arms": ["x=*"], "compared_to": ["x=1,y=1"], "axes": ["x", "y"]}

CASES = [
    Case("bound, mean <= its mean", samples.one(), {"rule": "bound", "high": 0.0}),
    Case("bound x 8", samples.independent(8), {"rule": "bound", **ALL_A, "high": 0.0}),
    Case("number, one more seed", samples.stated_by_one_seed(), NUMBER | {"tolerance": 9.9}, (REFUTED,)),
    Case("number, 3 sd off, tolerance 1 sd", samples.one(13.0), NUMBER | {"tolerance": 1.0}, (CONFIRMED,)),
    Case(
        "number, 3 sd off, any tolerance", samples.one(13.0), NUMBER | {"tolerance": 9.9}, (CONFIRMED,), bounded=False
    ),
    Case("share, p = 0.5 >= 0.5", samples.share(0.5), {"rule": "share", "expected": 0.5, "low": 0.5}),
    Case("share, p = 0.9 >= 0.9", samples.share(0.9), {"rule": "share", "expected": 0.5, "low": 0.9}),
    Case("spread, sd <= its sd", samples.one(), {"rule": "spread", "high": 1.0}, part=0.5),
    Case("difference, one arm varies", samples.against_constant(1), AGAINST_B),
    Case("difference, both vary", samples.against_varying(1), AGAINST_B),
    Case("difference, relative", samples.against_varying(1), AGAINST_B | {"scale": "relative"}, part=0.25),
    Case("difference x 8, one arm varies", samples.against_constant(8), AGAINST_B, part=0.5),
    Case("difference x 8, one arm varies, >=", samples.against_constant(8), ABOVE_B, part=0.5),
    Case("difference x 8, both vary", samples.against_varying(8), AGAINST_B, part=0.5),
    Case("equal, apart by the tolerance", samples.against_varying(1, shift=0.75), EQUAL | {"tolerance": 0.75}),
    Case("equal, same mean", samples.against_varying(1), EQUAL | {"tolerance": 0.75}, (REFUTED,)),
    Case("equal, 5 arms of one mean", samples.against_varying(4), EQUAL | {"tolerance": 0.1}, (REFUTED,), 0.5),
    Case("best, 2 arms tie", samples.independent(2), BEST),
    Case("best, 5 arms tie", samples.independent(5), BEST, part=0.5),
    Case("best, 10 arms tie", samples.independent(10), BEST, part=0.5),
    Case("best, 3 favoured of 10 tie", samples.independent(10), BEST | {"arms": ["a0", "a1", "a2"]}, part=0.25),
    Case("best, 2 arms, best by 0.25 se", samples.independent(2, lead=0.25), BEST, (REFUTED,)),
    Case("best, 5 arms, best by 0.25 se", samples.independent(5, lead=0.25), BEST, (REFUTED,), 0.5),
    Case("best, 10 arms, best by 0.25 se", samples.independent(10, lead=0.25), BEST, (REFUTED,), 0.5),
    Case("best, 5 arms, best by 4 se", samples.independent(5, lead=4.0), BEST, (), 0.5),
    Case("trend, slope 0", samples.along_axis(), ALONG_X),
    Case("trend, log slope 0", samples.along_axis(log=True), ALONG_X | {"scale": "log"}),
    Case("trend, rank 0", samples.along_axis(), ALONG_X | {"scale": "rank"}),
    Case("contrast 1, -2, 1", samples.independent(3), CONTRAST | {"weights": [1, -2, 1], "high": 0.0}),
    Case(
        "contrast, ratio 1",
        samples.independent(3, 5.0),
        CONTRAST | {"weights": [1, 0, 0], "divided_by": [0, 1, 0], "high": 1.0},
        part=0.25,
    ),
    Case("interaction 0", samples.grid, {"rule": "interaction", "arms": ["x=*"], "axes": ["x", "y"], "high": 0.0}),
    Case("widest, 2 and 2 arms of one range", samples.factors(2, 2, 0.5, 0.5), WIDEST),
    Case("widest, 6 null arms, 2 apart 0.5 sd", samples.factors(6, 2, 0.0, 0.5), WIDEST, (CONFIRMED,), 0.25),
    Case("additive, tied cells", samples.tied_cells, ADDITIVE, part=0.5),
    Case("correlation 0, 1 arm", samples.correlated(1), CORRELATION, part=0.25),
    Case("correlation 0, 4 arms", samples.correlated(4), CORRELATION, part=0.25),
    Case("correlation 0, 4 arms, seed effect 0.9", samples.correlated(4, 0.9), CORRELATION, part=0.25),
    Case("explained, R2 = 0.5 >= 0.5", samples.explained(1.0), EXPLAINED | {"low": 0.5}, part=0.25),
    Case("explained, R2 = 0.5, 4 arms", samples.explained(1.0, 4), EXPLAINED | {"low": 0.5}, part=0.25),
    Case("explained, R2 = 0 <= 0.05", samples.explained(0.0), EXPLAINED | {"high": 0.05}, (REFUTED,), 0.25),
    Case("variance_share, arms 0.5 >= 0.5", samples.decomposed, SHARES | {"share_of": "arms"}, part=0.25),
    Case("variance_share, seeds 0.5 >= 0.5", samples.decomposed, SHARES | {"share_of": "seeds"}, part=0.25),
]

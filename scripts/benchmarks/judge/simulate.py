"""How often the judge errs: every rule on arms whose truth is known, through the real rules and the real judge."""

import argparse
import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.judge.cases import CASES, LARGEST_NORMAL, LARGEST_OTHER, Case, axes_of
from benchmarks.judge.samples import DISTRIBUTIONS, Seeds, arm
from rnnjax.analysis.measurement import CONFIRMED, REFUTED
from rnnjax.analysis.verdicts import judge_claim
from rnnjax.cli.common import build_parser
from rnnjax.config.schema import Claim
from rnnjax.storage.files import write_text

SEEDS = (8, 16, 32)
NOTE = f"""
Per cent confirmed / refuted, with the standard error of their sum. The truth lies at the boundary, so that a verdict
either way is wrong; where the column "wrong" names one verdict, that one is. Promised: at most {LARGEST_NORMAL:.0%}
wrong with normal seeds, {LARGEST_OTHER:.0%} with lognormal (sigma 1) and t (3 degrees of freedom) from 16 seeds on. A
rate that leaves its bound by more than two standard errors is bold. All distributions have mean 0 and deviation 1.
"""


class Rate(NamedTuple):
    """The verdicts on one case, as shares of the repetitions."""

    case: str
    rule: str
    distribution: str
    n: int
    repetitions: int
    confirmed: float
    refuted: float
    error: float  # share of wrong verdicts
    standard_error: float  # of `error`, at least that of the bound
    bound: float | None

    def leaves_bound(self, standard_errors: float = 2.0) -> bool:
        """Whether the error rate is above its bound by more than its own uncertainty."""
        return self.bound is not None and self.error > self.bound + standard_errors * self.standard_error


def arguments() -> argparse.Namespace:
    parser = build_parser(__doc__)
    parser.add_argument("--repetitions", type=int, default=2_000, metavar="N", help="of each case; default 2,000")
    parser.add_argument(
        "--output", type=Path, default=Path("results/judge"), metavar="DIR", help="default results/judge"
    )
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    rates = []
    for rate in simulate(CASES, SEEDS, DISTRIBUTIONS, asked.repetitions):
        rates.append(rate)
        print(f"{rate.case}, {rate.distribution}, n = {rate.n}: {shares(rate)}", flush=True)
    write(asked.output, rates)
    print(f"done: {asked.output / 'judge_error.md'}")


def simulate(
    cases: Iterable[Case], seeds: Sequence[int], distributions: Sequence[str], repetitions: int
) -> Iterable[Rate]:
    """The rates of each case for each number of seeds and distribution."""
    for case in cases:
        for n in seeds:
            for distribution in distributions:
                yield measure(case, distribution, n, max(1, round(repetitions * case.part)))


def measure(case: Case, distribution: str, n: int, repetitions: int) -> Rate:
    """The rate of one case; its random draws depend on nothing else."""
    words = f"{case.name}, {distribution}, {n}"
    drawn = Seeds(np.random.default_rng(zlib.crc32(words.encode())), distribution, n)
    claim = Claim("id", "text", [case.criterion])
    verdicts = [judge(claim, case, drawn) for _ in range(repetitions)]
    confirmed, refuted = (verdicts.count(name) / repetitions for name in (CONFIRMED, REFUTED))
    error = sum(verdicts.count(name) for name in case.wrong) / repetitions
    bound = case.bound(distribution, n)
    standard_error = (max(error * (1 - error), 0.05 * 0.95) / repetitions) ** 0.5
    found = (repetitions, confirmed, refuted, error, standard_error, bound)
    return Rate(case.name, case.criterion.rule, distribution, n, *found)


def judge(claim: Claim, case: Case, drawn: Seeds) -> str:
    """The verdict on one drawn data set."""
    arms = [arm(name, metrics, axes_of(name)) for name, metrics in case.sample(drawn).items()]
    return judge_claim(claim, arms).verdict


def write(folder: Path, rates: Sequence[Rate]) -> None:
    """Write judge_error.json and judge_error.md. Raises StorageFailed."""
    write_text(folder / "judge_error.json", json.dumps([rate._asdict() for rate in rates], indent=1) + "\n")
    write_text(folder / "judge_error.md", to_markdown(rates))


def to_markdown(rates: Sequence[Rate]) -> str:
    """A row per case and number of seeds, a column per distribution."""
    cells: dict[tuple[str, int], dict[str, Rate]] = {}
    for rate in rates:
        cells.setdefault((rate.case, rate.n), {})[rate.distribution] = rate
    wrong = {case.name: ", ".join(case.wrong) if len(case.wrong) < 2 else "either" for case in CASES}
    head = ["statement", "seeds", "wrong", *DISTRIBUTIONS, "repetitions"]
    rows = [
        [name, n, wrong[name] or "neither", *(shares(of[each]) for each in DISTRIBUTIONS), of["normal"].repetitions]
        for (name, n), of in cells.items()
    ]
    lines: list[list[Any]] = [head, ["---"] * len(head), *rows]
    return "# Error rates of the judge\n" + NOTE + "\n" + "\n".join(map(markdown_row, lines)) + "\n"


def markdown_row(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def shares(rate: Rate) -> str:
    """As "2.1 / 2.4 (0.5)", in per cent; bold where it leaves its bound."""
    text = f"{100 * rate.confirmed:.1f} / {100 * rate.refuted:.1f} ({100 * rate.standard_error:.1f})"
    return f"**{text}**" if rate.leaves_bound() else text

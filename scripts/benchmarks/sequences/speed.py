"""Measure the cost of training on sequences of different lengths, and of segments that are computed again."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sequences import layouts
from benchmarks.sequences.segments import segment_rows
from rnnjax import devices
from rnnjax.cli.common import build_parser
from rnnjax.cli.documentation.markdown import table
from rnnjax.cli.speed.tables import PACKAGES, cpu_name, installed
from rnnjax.storage.files import write_text

SPEECH, FOUR_TO_ONE, EQUAL = (7, 29), (7, 28), 18  # lengths from ... to; all alike
NOTE = """\
CPU time (user + system) of one process; contenders take turns, and a ratio is the median over rounds of two costs of
the same round. Other programs ran on the machine: ratios hold, absolute times are above those of an idle one."""
RACE = """\
LSTM, D = 12, H = 64, batches of 32, 9 classes, Adam, a clip at 5. Cost: nanoseconds of CPU time for one step of a
sequence (padding is not counted) of one run, forward, backward and update. rnnjax trains 64 seeds together; torch's
`nn.LSTM` reads packed sequences in eager mode, one run at a time on one thread."""
SEGMENT = """\
One gradient at T = 784, H = 128, batch 32, the loss at the last step. Memory: what the compiled program needs besides
its arguments and results. Difference: the largest of two gradients in any parameter, beside the largest gradient."""


def arguments() -> argparse.Namespace:
    parser = build_parser(__doc__)
    parser.add_argument("--parts", nargs="+", choices=FIND, default=list(FIND), help="default all; others stay")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="timings of each; default 5")
    parser.add_argument("--output", type=Path, default=Path("results/bench"), metavar="DIR")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    devices.prepare()
    file = asked.output / "sequences.json"
    found = json.loads(file.read_text()) if file.exists() else {}  # what is not asked for stays
    found |= {"cpu": cpu_name(), "versions": {name: installed(name) or "-" for name in PACKAGES}}
    for part in asked.parts:
        found[part] = FIND[part](asked.rounds)
        write_text(file, json.dumps(found, indent=1) + "\n")
        write_text(asked.output / "sequences.md", markdown(found))
    print(f"done: {asked.output / 'sequences.md'}")


def drawn_lengths(between: tuple[int, int]) -> np.ndarray:
    """The lengths of some sequences, uniform between two of them."""
    return np.random.default_rng(0).integers(between[0], between[1] + 1, size=layouts.SEQUENCES)


def against_torch(rounds: int) -> list[dict[str, Any]]:
    """Packed and padded rows beside torch's packed LSTM, at the lengths of the speech set."""
    lengths_N = drawn_lengths(SPEECH)
    contenders = {layout: layouts.ours(lengths_N, layout) for layout in ("packed", "padded")}
    return rows(contenders | {"torch": layouts.torch_packed(lengths_N)}, "packed", rounds, {"torch": 40})


def four_to_one(rounds: int) -> list[dict[str, Any]]:
    """Packing and padding where the longest sequence is four times the shortest."""
    lengths_N = drawn_lengths(FOUR_TO_ONE)
    return rows({layout: layouts.ours(lengths_N, layout) for layout in ("packed", "padded")}, "packed", rounds)


def against_equal(rounds: int) -> list[dict[str, Any]]:
    """Packed sequences of different lengths beside sequences that all have their mean length."""
    lengths_N, equal_N = drawn_lengths(SPEECH), np.full(layouts.SEQUENCES, EQUAL)
    contenders = {"equal lengths": layouts.ours(equal_N, "padded"), "packed": layouts.ours(lengths_N, "packed")}
    return rows(contenders, "equal lengths", rounds)


def segments(rounds: int) -> list[dict[str, Any]]:
    """A long window of an LSTM and of an Elman network."""
    return [row for cell in ("lstm", "elman") for row in segment_rows(cell, rounds)]


def rows(
    contenders: dict[str, layouts.Contender], reference: str, rounds: int, steps: dict[str, int] | None = None
) -> list[dict[str, Any]]:
    """The cost of each contender, and over that of one of them."""
    counts = {name: (steps or {}).get(name, 4) for name in contenders}
    costs = layouts.race(contenders, counts, rounds)
    return [
        {
            "contender": name,
            "nanoseconds": float(np.median(cost)),
            "ratio": layouts.median_ratio(cost, costs[reference]),
            "over": reference,
        }
        for name, cost in costs.items()
    ]


def markdown(found: dict[str, Any]) -> str:
    """The page."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    parts = ["# Sequences of different lengths", f"{found['cpu']}; {versions}.", NOTE, RACE]
    titles = {
        "torch": f"Lengths {SPEECH[0]} to {SPEECH[1]}, beside torch",
        "four_to_one": f"Lengths {FOUR_TO_ONE[0]} to {FOUR_TO_ONE[1]}: 4 to 1",
        "equal": f"Lengths {SPEECH[0]} to {SPEECH[1]} beside equal lengths of {EQUAL}",
    }
    for name, title in titles.items():
        parts += [f"## {title}", cost_table(found[name])] if name in found else []
    if "segments" in found:
        parts += ["## Segments that are computed again", SEGMENT, segment_table(found["segments"])]
    return "\n\n".join(parts) + "\n"


def cost_table(found: Sequence[dict[str, Any]]) -> str:
    lines = [[row["contender"], f"{row['nanoseconds']:,.0f}", f"{row['ratio']:.2f}"] for row in found]
    return table(["", "ns for a step", f"times {found[0]['over']}"], lines)


def segment_table(found: Sequence[dict[str, Any]]) -> str:
    lines = [
        [
            row["cell"],
            str(row["remat"]) if row["remat"] else "all stored",
            f"{row['megabytes']:,.1f}",
            f"{row['memory']:.2f}",
            f"{row['cpu_seconds']:.2f}",
            f"{row['time']:.2f}",
            f"{row['difference']:.1e} of {row['largest_gradient']:.1e}",
        ]
        for row in found
    ]
    return table(["cell", "remat", "MB", "memory", "CPU s", "time", "difference"], lines)


FIND: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "torch": against_torch,
    "four_to_one": four_to_one,
    "equal": against_equal,
    "segments": segments,
}

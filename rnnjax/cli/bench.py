"""Time one optimizer step of one run: rnnjax against what one would use instead, all in one process and in turns.

Absolute times drift with the machine; the ratios of one call do not.
"""

import argparse
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console

from rnnjax import devices
from rnnjax.cli.common import build_parser
from rnnjax.cli.speed import ablations as tuning
from rnnjax.cli.speed import tables
from rnnjax.cli.speed.builds import check_commits, open_builds
from rnnjax.cli.speed.contenders import (
    EVALUATION,
    GATES,
    Contender,
    Size,
    Stepper,
    flax_one,
    ours,
    plain_vmap,
    windows,
)
from rnnjax.cli.speed.contenders_numpy import numpy_one
from rnnjax.cli.speed.timing import Entry, Found, Scaling, Timing, grown, peak_gflops, race
from rnnjax.errors import BadInput

SAY = Console(stderr=True, highlight=False, soft_wrap=True)


def torch_eager(size: Size) -> tuple[Stepper, int]:
    from rnnjax.cli.speed import contenders_torch as peers_torch  # not at the top: torch need not be installed

    return peers_torch.torch_eager(size)


def torch_bmm(size: Size) -> tuple[Stepper, int]:
    from rnnjax.cli.speed import contenders_torch as peers_torch

    return peers_torch.torch_bmm(size)


def in_library(name: str, size: Size) -> tuple[Stepper, int]:
    from rnnjax.cli.speed import contenders_libraries  # not at the top: it imports JAX

    build: Contender = getattr(contenders_libraries, name)
    return build(size)


CONTENDERS: dict[str, Contender] = {
    "rnnjax": ours,
    "rnnjax_fused": partial(ours, recurrence="fused"),
    "plain_vmap": plain_vmap,
    "flax": flax_one,
    "torch": torch_eager,
    "torch_bmm": torch_bmm,
    "numpy": numpy_one,
    "equinox": partial(in_library, "equinox_one"),
    "keras": partial(in_library, "keras_one"),
    "rnnjax_evaluation": partial(in_library, "ours_evaluation"),
    "onnxruntime": partial(in_library, "onnxruntime_one"),
}
NEEDS = {  # packages that do not come with rnnjax
    "torch": ("torch",),
    "torch_bmm": ("torch",),
    "equinox": ("equinox",),
    "keras": ("keras",),
    "onnxruntime": ("onnx", "onnxruntime"),
}
ONE_RUN = ("flax", "torch", "numpy", "equinox", "keras", "onnxruntime")  # advance one run at a time, whatever is asked
GRID: dict[str, Any] = {  # of the suite "full"
    "cell": tuple(GATES),
    "hidden": (64, 128, 256),
    "window": (25,),
    "batch": (1, 8, 32),
    "runs": (1, 8, 64, 256),
}
AXES = {"runs": (16, 32, 64, 128, 256), "hidden": (32, 64, 128, 256), "window": (10, 25, 50, 100)}  # of scaling
# Suites: what is timed


def sizes(asked: argparse.Namespace) -> list[Size]:
    """quick: one size and one more for each cell, or the product of the options; full: the grid, or parts of it."""
    given = {name: getattr(asked, name) for name in Size._fields}
    if asked.suite == "full":
        return [Size(*values) for values in product(*(given[name] or GRID[name] for name in Size._fields))]
    if any(given.values()):
        return [Size(*values) for values in product(*(given[name] or [getattr(Size(), name)] for name in given))]
    return [Size(), *(Size(cell=cell, hidden=128, batch=8) for cell in GATES)]


def left_out(asked: argparse.Namespace, entry: Entry) -> bool:
    """What the full suite does not time unless numbers of runs are asked for, so that it ends; see `tables.NOTES`."""
    if asked.suite != "full" or asked.runs:
        return False
    one_run_again = entry.name in ONE_RUN and entry.size.runs not in (1, 64)
    return one_run_again or (entry.size.cell != "elman" and entry.size.runs != 64)


def base(asked: argparse.Namespace, **more: int) -> Size:
    """One size: the first of what each option gives, but for `more`."""
    from rnnjax.networks.cells import CELLS

    given = {name: getattr(asked, name)[0] for name in Size._fields if getattr(asked, name)}
    size = Size(**(given | more))
    if size.cell not in CELLS:
        raise BadInput(f"--cell: rnnjax has no cell {size.cell!r}; it has {', '.join(CELLS)}")
    return size


def races(asked: argparse.Namespace, builds: Mapping[str, Contender]) -> list[Timing]:
    """A race for each size whose cell rnnjax has."""
    from rnnjax.networks.cells import CELLS

    entered = CONTENDERS | dict(builds)
    names = entrants(asked, list(builds))
    found: list[Timing] = []
    asked_for = list(dict.fromkeys(sizes(asked)))
    for size in asked_for:
        windows(size)  # so that a text too short for the last size is told before the first is timed
    for size in asked_for:
        if size.cell not in CELLS:
            SAY.print(f"left out: rnnjax has no cell {size.cell!r}: {size}")
            continue
        entries = [Entry(name, entered[name], size) for name in names]
        entries = [entry for entry in entries if not left_out(asked, entry)]
        if entries:
            SAY.print(f"racing at {size}")
            found += race(entries, asked.rounds)
    return found


def entrants(asked: argparse.Namespace, builds: Sequence[str]) -> list[str]:
    """The names of those who take part: rnnjax before what is compared with it, in training and in evaluation."""
    names = [*(installed_contenders() if asked.against is None else asked.against), *builds]
    own = ["rnnjax", *([EVALUATION[0]] if set(names) & set(EVALUATION) else [])]
    return list(dict.fromkeys([*own, *names]))


def scaling(asked: argparse.Namespace) -> list[Scaling]:
    """rnnjax along one axis at a time, all points of an axis in one race."""
    found = []
    for axis, defaults in AXES.items():
        values = dict.fromkeys(getattr(asked, axis) or defaults)
        points = [base(asked, **{axis: value}) for value in values]
        if len(points) > 1:
            timings = race([Entry("rnnjax", CONTENDERS["rnnjax"], size) for size in points], asked.rounds)
            found.append(grown(axis, timings))
    return found


def tuned(asked: argparse.Namespace) -> list[Timing]:
    """Every variant at one size, with runs enough to fill the widest block on each device."""
    import jax

    filled = max(tuning.BLOCKS) * len(jax.devices())
    size = base(asked) if asked.runs else base(asked, runs=filled)
    return race([Entry(name, contender, size) for name, contender in tuning.variants(size).items()], asked.rounds)


FIND: dict[str, Callable[[argparse.Namespace, Mapping[str, Contender]], Found]] = {
    "quick": lambda asked, builds: Found(timings=races(asked, builds)),
    "full": lambda asked, builds: Found(timings=races(asked, builds)),
    "scaling": lambda asked, _: Found(scaling=scaling(asked)),
    "tuning": lambda asked, _: Found(variants=tuned(asked), starts=tuning.study_starts()),
}


# The command


def count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a whole number from 1 to 1,000,000")
    return int(text)


def build_options() -> argparse.ArgumentParser:
    parser = build_parser(__doc__)
    add = parser.add_argument
    add("--suite", choices=[*FIND], default="quick", help="default quick; full takes about 40 minutes")
    add("--json", type=Path, metavar="FILE", help="write the figures here, and the tables as FILE.md")
    names = ", ".join(CONTENDERS)
    add(
        "--against", nargs="*", choices=[*CONTENDERS], metavar="NAME",
        help=f"contenders, of {names}; default all that are installed",
    )  # fmt: skip
    add(
        "--against-build",
        nargs="+",
        default=[],
        metavar="COMMIT",
        help="older builds of rnnjax, in turns with this one",
    )
    add("--cell", nargs="+", choices=[*GATES], default=[], help="recurrent cells; default those of the suite")
    add("--hidden", nargs="+", type=count, default=[], metavar="H", help="numbers of hidden units")
    add("--window", nargs="+", type=count, default=[], metavar="T", help="time steps of a window")
    add("--batch", nargs="+", type=count, default=[], metavar="B", help="numbers of parallel streams")
    add("--runs", nargs="+", type=count, default=[], metavar="R", help="numbers of runs trained together")
    add("--rounds", type=count, default=7, metavar="N", help="timings of each; the median counts; default 7")
    return parser


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    return build_options().parse_args(given)


def check(asked: argparse.Namespace) -> None:
    """Raises BadInput for what would only fail after the timing."""
    if asked.json and (asked.json.suffix == ".md" or asked.json.is_dir() or not asked.json.parent.is_dir()):
        raise BadInput(f"--json: got {asked.json}; expected a file, not .md, in a folder that is there")
    absent = [name for name in asked.against or () if name not in installed_contenders()]
    if asked.suite in ("quick", "full") and absent:
        (lacking, *_) = missing_packages(absent[0])
        raise BadInput(f"--against {absent[0]}: {lacking} is not installed; pip install {lacking}, or leave it out")
    if asked.against_build and asked.suite not in ("quick", "full"):
        raise BadInput(f"--against-build: got --suite {asked.suite}; expected quick or full")
    check_commits(asked.against_build)


def missing_packages(contender: str) -> list[str]:
    """What the contender needs and is not installed here."""
    if contender == "rnnjax_fused":
        return [] if devices.has_compiler() else ["a compiler of C++"]
    return [name for name in NEEDS.get(contender, ()) if importlib.util.find_spec(name) is None]


def installed_contenders() -> list[str]:
    return [name for name in CONTENDERS if not missing_packages(name)]


def main() -> None:
    asked = arguments()
    check(asked)
    for name in dict.fromkeys(package for one in CONTENDERS for package in missing_packages(one)):
        if asked.against is None:
            SAY.print(f"left out: {name} is not installed")
    os.environ[devices.CACHE] = ""  # else the seconds of compiling would be those of an earlier call
    devices.prepare()
    before = peak_gflops()
    with open_builds(asked.against_build) as builds:
        found = FIND[asked.suite](asked, builds)
    after = peak_gflops()
    peak = max(before, after)
    shown = tables.sheets(found, peak, asked.suite)
    tables.show(shown)
    if asked.json:
        tables.write(asked.json, {"machine": tables.machine(before, after)} | tables.figures(found, peak), shown)

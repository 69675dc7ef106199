"""Section 6: the time of one optimizer step of one run, by how many runs the device advances together."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax

from benchmarks.gpu import training
from benchmarks.gpu.report import Figures, Measurement
from rnnjax.cli.speed.contenders import Size, ours
from rnnjax.cli.speed.timing import Entry, race

WIDTHS = (8, 16, 32, 64, 128, 256, 512)
RUNS = (64, 256, 1024)
SIZES = {"elman": Size(), "lstm": Size(cell="lstm", hidden=128, batch=8)}
ROUNDS = 3
Timings = dict[int, dict[int, float]]  # runs -> width -> microseconds of one step of one run


def measurements(quick: bool) -> Iterator[Measurement]:
    """By size the widest block first: where time runs out, the slowest are missing."""
    sizes = {"elman": Size(hidden=8, window=5)} if quick else SIZES
    widths, numbers = ((8, 16), (16,)) if quick else (WIDTHS, RUNS)
    points = [(runs, width) for width in reversed(widths) for runs in numbers if width <= runs]
    timings: dict[str, Timings] = {name: {} for name in sizes}
    for runs, width in points:
        for name, size in sizes.items():
            yield f"{name}, {runs} runs, K = {width}", partial(timed, size, runs, width, timings[name])
    for name, size in sizes.items():
        yield f"{name}, summary", partial(summary, size, timings[name])
    for name, size in sizes.items():
        yield f"{name}, best K at precision highest", partial(timed_at_highest, size, timings[name])


def timed(size: Size, runs: int, width: int, timings: Timings) -> Figures:
    """Microseconds of one step of one run, the median; enters them in `timings`."""
    entry = Entry("rnnjax", partial(ours, block=width), size._replace(runs=runs))
    (timing,) = race([entry], ROUNDS)
    timings.setdefault(runs, {})[width] = timing.microseconds
    return {"microseconds": timing.microseconds, "gflops": timing.gflops, "compile_seconds": timing.compile_seconds}


def summary(size: Size, timings: Timings) -> Figures:
    """The fastest width by number of runs, and what rnnjax chooses today."""
    setting = training.Setting(size.cell, size.hidden, size.batch, size.window)
    chosen = training.block_width(setting)
    return {"chosen": chosen, "by_runs": {str(runs): ranked(by_width, chosen) for runs, by_width in timings.items()}}


def ranked(by_width: dict[int, float], chosen: int) -> Figures:
    """The fastest width, and how many times slower the chosen one is; None where it was not timed."""
    best = min(by_width, key=lambda width: by_width[width])
    slower: Any = by_width[chosen] / by_width[best] if chosen in by_width else None
    return {"best": best, "microseconds": by_width, "chosen_over_best": slower}


def timed_at_highest(size: Size, timings: Timings) -> Figures:
    """The best width of the largest number of runs, with products in full float32."""
    runs = max(timings)
    width = ranked(timings[runs], 0)["best"]
    before = timings[runs][width]
    with jax.default_matmul_precision("highest"):
        figures = timed(size, runs, width, {})
    return figures | {"runs": runs, "width": width, "over_default": figures["microseconds"] / before}

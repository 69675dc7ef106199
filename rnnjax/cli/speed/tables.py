"""What the benchmark found as tables, on the terminal and in Markdown, and as JSON."""

import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from rnnjax import devices
from rnnjax.cli.speed import ablations as tuning
from rnnjax.cli.speed.contenders import EVALUATION
from rnnjax.cli.speed.timing import Found, Scaling, Timing

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch", "equinox", "keras", "onnxruntime")
WIDTH = 150  # of the tables where no terminal says how wide it is
NOTES = {
    "race": "Contenders take turns within a round; the figure is the median over rounds. torch, flax and numpy "
    "advance one run at a time in one process; P processes on P free cores would divide their figures by P at most. "
    "GF/s count matrix products only, without the input's; torch takes one thread or all, whichever is faster. "
    "The peak is the faster of the two f32 matrix products, measured before and after. Core-us are the microseconds of "
    "all cores together; their ratio is the median of the rounds' ratios. Evaluation is the forward pass alone; "
    "its contenders are compared with rnnjax_evaluation.",
    "full": "Left out of the full grid: LSTM and GRU at other than 64 runs; contenders that advance one run at a time "
    "at other than 1 and 64 runs, since their figure does not depend on the number.",
    "scaling": "The exponent is the slope of log cost against log axis; cost is the time of one step of all runs for "
    "the axis `runs` and of one run for the others. Flatness is the largest over the smallest cost per run.",
    "tuning": "Gain: how much longer a step takes when this one choice is made otherwise.",
    "cache": "A study of 4 seeds and 100 steps, each time in a new process.",
}


class Sheet(NamedTuple):
    title: str
    columns: tuple[str, ...]
    rows: list[list[str]]
    note: str = ""

    def table(self) -> Table:
        table = Table(*self.columns, title=self.title, caption=self.note, title_justify="left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"## {self.title}\n\n{body}\n\n{self.note}\n"


SIZE_COLUMNS = ("cell", "H", "T", "batch", "runs")


def race_sheet(timings: Sequence[Timing], peak: float, full: bool) -> Sheet:
    figures = ("us / step / run", "fastest", "GF/s", "of peak", "x rnnjax", "compile s", "core-us", "x rnnjax, cores")
    rows = [
        [
            *map(str, timing.size),
            timing.name,
            f"{timing.microseconds:,.1f}",
            f"{timing.fastest:,.1f}",
            f"{timing.gflops:.1f}",
            f"{timing.gflops / peak:.1%}",
            f"{slower(timing, timings)['times_rnnjax']:.2f}",
            f"{timing.compile_seconds:.2f}",
            f"{timing.core_microseconds:,.1f}",
            f"{slower(timing, timings)['core_times_rnnjax']:.2f}",
        ]
        for timing in timings
    ]
    return Sheet(
        "One optimizer step of one run",
        (*SIZE_COLUMNS, "contender", *figures),
        rows,
        NOTES["race"] + (" " + NOTES["full"]) * full,
    )


def scaling_sheets(found: Sequence[Scaling], peak: float) -> list[Sheet]:
    sheets = []
    for axis, slope, flatness, timings in found:
        rows = [
            [*map(str, t.size), f"{t.microseconds:,.1f}", f"{t.gflops:.1f}", f"{t.gflops / peak:.1%}"] for t in timings
        ]
        title = f"Cost against {axis}: exponent {slope:.2f}, flatness per run {flatness:.2f}"
        sheets.append(Sheet(title, (*SIZE_COLUMNS, "us / step / run", "GF/s", "of peak"), rows, NOTES["scaling"]))
    return sheets


def show(sheets: Sequence[Sheet]) -> None:
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    for sheet in sheets:
        console.print(sheet.table())


def gain(timing: Timing, timings: Sequence[Timing]) -> float:
    """In percent of the chosen setting's time; positive where the choice is the better one."""
    return (timing.microseconds / timings[0].microseconds - 1) * 100


def tuning_sheets(timings: Sequence[Timing], starts: Sequence[tuning.Start]) -> list[Sheet]:
    rows = [[t.name, f"{t.microseconds:,.1f}", f"{t.fastest:,.1f}", f"{gain(t, timings):+.0f} %"] for t in timings]
    columns = ("done otherwise", "us / step / run", "fastest", "gain of the choice")
    starting = [
        [
            s.cache,
            f"{s.seconds:.1f}",
            f"{s.compile_seconds:.1f}",
            str(s.compilations),
            f"{start_gain(s, starts):+.0f} %",
        ]
        for s in starts
    ]
    of_start = ("compile cache", "seconds", "of which compiling", "compilations", "gain of a full cache")
    size = " ".join(f"{name}={value}" for name, value in timings[0].size._asdict().items())
    return [
        Sheet(f"Choices at {size}", columns, rows, NOTES["tuning"]),
        Sheet("Start of a small study", of_start, starting, NOTES["cache"]),
    ]


def start_gain(start: tuning.Start, starts: Sequence[tuning.Start]) -> float:
    return (start.seconds / starts[-1].seconds - 1) * 100


def sheets(found: Found, peak: float, suite: str) -> list[Sheet]:
    raced = [race_sheet(found.timings, peak, suite == "full")] if found.timings else []
    chosen = tuning_sheets(found.variants, found.starts) if found.variants else []
    return [*raced, *scaling_sheets(found.scaling, peak), *chosen]


def figures(found: Found, peak: float) -> dict[str, Any]:
    along = [timing for axis in found.scaling for timing in axis.timings]
    chosen = [row(timing, peak) | {"gain_percent": gain(timing, found.variants)} for timing in found.variants]
    starts = [start._asdict() | {"gain_percent": start_gain(start, found.starts)} for start in found.starts]
    return {
        "timings": [row(timing, peak) | slower(timing, found.timings) for timing in found.timings],
        "scaling": [row(timing, peak) for timing in along],
        "exponents": {axis.name: {"exponent": axis.exponent, "flatness": axis.flatness} for axis in found.scaling},
        "tuning": chosen,
        "study_starts": starts,
    }


def row(timing: Timing, peak: float) -> dict[str, Any]:
    """A timing as it stands in the JSON."""
    flat = {name: value for name, value in timing._asdict().items() if name not in ("name", "size")}
    rates = {"gflops": timing.gflops, "share_of_peak": timing.gflops / peak}
    return timing.size._asdict() | {"contender": timing.name} | flat | rates


def slower(timing: Timing, timings: Sequence[Timing]) -> dict[str, float]:
    """How many times slower than rnnjax at the same size: by the clock, and by the cores' time, a median of rounds."""
    own = EVALUATION[0] if timing.name in EVALUATION else "rnnjax"
    (reference,) = (other for other in timings if (other.name, other.size) == (own, timing.size))
    alike = timing.rounds == reference.rounds
    cores = np.divide(timing.core_turns, reference.core_turns if alike else reference.core_microseconds)
    return {
        "times_rnnjax": timing.microseconds / reference.microseconds,
        "core_times_rnnjax": float(np.median(cores)),
    }


def cpu_name() -> str:
    """The model of this machine's processor."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def machine(before: float, after: float) -> dict[str, Any]:
    return {
        "cpu": cpu_name(),
        "cores": devices.cpu_count(),
        "peak_gflops": {"before": before, "after": after},
        "versions": {"python": platform.python_version()} | {name: installed(name) for name in PACKAGES},
    }


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def write(file: Path, figures: dict[str, Any], sheets: list[Sheet]) -> None:
    """The figures, and beside them the tables as Markdown."""
    file.write_text(json.dumps(figures, indent=1) + "\n")
    about = figures["machine"]
    peak, versions = about["peak_gflops"], ", ".join(f"{name} {which}" for name, which in about["versions"].items())
    product = f"f32 matrix product {peak['before']:.0f} GF/s before and {peak['after']:.0f} after"
    head = f"# Benchmark\n\n{about['cpu']}, {about['cores']} cores; {product}; {versions}.\n"
    file.with_suffix(".md").write_text("\n".join([head, *(sheet.markdown() for sheet in sheets)]))

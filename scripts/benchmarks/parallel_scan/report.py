"""Time windows of cells that are linear in their state: step by step and by an associative scan, in turns."""

import argparse
import os
from pathlib import Path
from typing import Any

import jax

from benchmarks.parallel_scan.measure import BATCH, HIDDEN, INPUTS, PARTS, WAYS, Timing, measure
from rnnjax.cli.common import build_parser
from rnnjax.cli.documentation.markdown import table
from rnnjax.storage.files import read_json, write_json, write_text

HEADER = ["device", "cell", "T", "what", "scan: ms", "associative: ms", "times as fast", "scan: CPU ms",
          "associative: CPU ms", "compile: s", "difference"]  # fmt: skip


def main() -> None:
    args = build_options().parse_args()
    timings = [one for cell in args.cells for steps in args.steps for one in measure(cell, steps, args.rounds)]
    write_results(args.out, device_name(), timings)


def build_options() -> argparse.ArgumentParser:
    parser = build_parser(__doc__)
    add, out = parser.add_argument, Path("results/bench/parallel_scan.json")
    add("--cells", nargs="+", default=["min_gru", "lru"], metavar="CELL", help="default min_gru lru")
    add("--steps", nargs="+", type=int, default=[256, 4096], metavar="T", help="lengths of a window; default 256 4096")
    add("--rounds", type=int, default=7, metavar="N", help="timings of each; the median counts; default 7")
    add("--out", type=Path, default=out, metavar="FILE", help=f"and FILE as .md; default {out}")
    return parser


def device_name() -> str:
    device = jax.devices()[0]
    return f"{len(os.sched_getaffinity(0))} CPU cores" if device.platform == "cpu" else device.device_kind


def write_results(path: Path, device: str, timings: list[Timing]) -> None:
    """The JSON of a device beside the others that are there, and the page of all."""
    stored = (read_json(path) if path.exists() else {}) | {device: [timing._asdict() for timing in timings]}
    write_json(path, stored)
    write_text(path.with_suffix(".md"), page(stored))
    print(f"done: {path}")


NOTE = f"""\
# Windows in parallel

One layer, H = {HIDDEN}, batch {BATCH}, {INPUTS} inputs: medians over rounds in which both ways take turns, by
`python scripts/parallel_scan.py`. `times as fast` is the wall time of the scan over that of the associative scan.
`{PARTS[1]}`: of the parameters and the inputs. `difference`: the largest of h, or of the gradient, over the largest
number. Other processes ran beside it on the CPU, so that wall times there are upper bounds; CPU times are of this one.
"""


def page(stored: dict[str, list[dict[str, Any]]]) -> str:
    """One row per cell, length and part."""
    rows = [row(device, Timing(**timing)) for device, timings in stored.items() for timing in timings]
    return f"{NOTE}\n{table(HEADER, rows)}\n"


def row(device: str, timing: Timing) -> list[str]:
    wall, cpu = ([values[way] for way in WAYS] for values in (timing.wall, timing.cpu))
    compile_seconds = " / ".join(f"{timing.compile[way]:.1f}" for way in WAYS)
    numbers = [f"{1000 * wall[0]:.3g}", f"{1000 * wall[1]:.3g}", f"{wall[0] / wall[1]:.2f}"]
    numbers += [f"{1000 * value:.3g}" for value in cpu]
    numbers += [compile_seconds, f"{timing.difference:.1e}"]
    return [device, timing.cell, f"{timing.steps:,}", timing.part, *numbers]

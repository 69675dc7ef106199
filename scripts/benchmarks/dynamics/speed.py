"""Exponents and fixed points of 32 networks at once, and one after the other in NumPy: seconds of CPU, in turns.

CPU seconds (user and system, of all threads) are counted, because they depend less on what else the machine does than
the clock; the clock is shown beside them.
"""

import argparse
import json
import platform
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnjax import devices
from rnnjax.cli.common import build_parser

NETWORKS, HIDDEN, COUNT, STEPS, TRANSIENT, SEARCHES = 32, 64, 8, 2_000, 100, 256
GAIN, DRIVE = 1.2, 0.3
IN_NUMPY = 8  # networks that NumPy is timed on; its time is scaled to all of them
FOLDER = Path(__file__).parents[3] / "results" / "bench"


class Cost(NamedTuple):
    """Seconds of one call."""

    cpu: float
    clock: float


def networks() -> tuple[np.ndarray, np.ndarray]:
    """Recurrent kernels [R, H, H] and a drive [T, H], float32."""
    rng = np.random.default_rng(0)
    kernels = GAIN * rng.normal(size=(NETWORKS, HIDDEN, HIDDEN)) / HIDDEN**0.5
    return kernels.astype(np.float32), (DRIVE * rng.normal(size=(STEPS, HIDDEN))).astype(np.float32)


def numpy_exponents(kernel: np.ndarray, drive: np.ndarray) -> np.ndarray:
    """The exponents of one network by NumPy's QR of J Q, J as a diagonal times a kernel."""
    h, frame = np.zeros(HIDDEN, np.float32), np.eye(HIDDEN, COUNT, dtype=np.float32)
    sums, transposed = np.zeros(COUNT), np.ascontiguousarray(kernel.T)
    for t, u in enumerate(drive):
        h = np.tanh(u + h @ kernel)
        frame, upper = np.linalg.qr((1 - h * h)[:, None] * (transposed @ frame))
        if t >= TRANSIENT:
            sums += np.log(np.abs(np.diag(upper)))
    return sums / (len(drive) - TRANSIENT)


def cost(function: Callable[[], Any]) -> tuple[Cost, Any]:
    """The seconds of one call, and what it returns."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = function()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Cost(cpu, time.perf_counter() - started), result


def compiled_calls(kernels: np.ndarray, drive: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Both searches of all networks, compiled for all devices: name -> the call."""
    import jax
    import jax.numpy as jnp

    from rnnjax.probes.dynamics.exponents import lyapunov_exponents
    from rnnjax.probes.dynamics.fixed_point_search import find_minima, merge_duplicates
    from rnnjax.training.parallel import RunBlocks

    def exponents(kernel: Any, drive: Any) -> Any:
        counted = jnp.arange(STEPS) >= TRANSIENT
        step = lambda h, u: jnp.tanh(u + h @ kernel)  # noqa: E731
        return lyapunov_exponents(step, jnp.zeros(HIDDEN), drive, COUNT, counted).exponents_K

    def points(kernel: Any, drive: Any) -> Any:
        def step(h: Any, u: Any) -> Any:
            return (jnp.tanh(u + h @ kernel),) * 2

        states = jax.lax.scan(step, jnp.zeros(HIDDEN), drive)[1][-SEARCHES:]
        advance = lambda h: jnp.tanh(h @ kernel)  # noqa: E731
        return merge_duplicates(advance, find_minima(advance, states), 12).speed_M

    blocks = RunBlocks(NETWORKS, -(-NETWORKS // len(jax.devices())))
    (scattered,), shared = blocks.scatter(kernels), jax.device_put(drive, blocks.shared)
    programs = {"exponents": blocks.compile(exponents), "fixed points": blocks.compile(points)}

    def run(program: Callable[..., Any]) -> np.ndarray:
        return np.asarray(program(scattered, shared))

    calls: dict[str, Callable[[], Any]] = {name: partial(run, program) for name, program in programs.items()}
    for call in calls.values():
        call()
    return calls


def measure(rounds: int) -> dict[str, Any]:
    """All figures: medians over the rounds, each contender once in each round."""
    kernels, drive = networks()
    calls = compiled_calls(kernels, drive)
    calls["NumPy, exponents"] = lambda: np.stack([numpy_exponents(kernel, drive) for kernel in kernels[:IN_NUMPY]])
    found: dict[str, list[Cost]] = {name: [] for name in calls}
    results = {}
    for _ in range(rounds):
        for name, call in calls.items():
            one, results[name] = cost(call)
            scale = NETWORKS / IN_NUMPY if name.startswith("NumPy") else 1.0
            found[name].append(Cost(one.cpu * scale, one.clock * scale))
    figures = {
        name: {field: statistics.median(getattr(one, field) for one in costs) for field in Cost._fields}
        for name, costs in found.items()
    }
    gap = float(np.abs(results["exponents"][:IN_NUMPY] - results["NumPy, exponents"]).max())
    ratio = {field: figures["NumPy, exponents"][field] / figures["exponents"][field] for field in Cost._fields}
    share = float(np.isfinite(results["fixed points"]).any(axis=1).mean())
    return {"seconds": figures, "numpy_over_rnnjax": ratio, "largest_difference": gap, "networks_with_points": share}


def describe(figures: dict[str, Any], rounds: int) -> str:
    """The figures as a page."""
    rows = [
        f"| {name} | {seconds['cpu']:.2f} | {seconds['clock']:.2f} |" for name, seconds in figures["seconds"].items()
    ]
    ratio = figures["numpy_over_rnnjax"]
    return "\n".join([
        "# Exponents and fixed points: time", "",
        f"`python scripts/dynamics_speed.py`: {NETWORKS} tanh networks of {HIDDEN} units. Exponents: the {COUNT} "
        f"largest over {STEPS:,} steps. Fixed points: {SEARCHES} searches in each network. After compiling; medians "
        f"of {rounds} rounds in turns; NumPy is timed on {IN_NUMPY} of the networks, and its time scaled. "
        f"{figures['machine']}.", "",
        "| | CPU seconds | seconds |", "| --- | --- | --- |", *rows, "",
        f"NumPy, one network after the other, takes {ratio['cpu']:.0f} times the CPU seconds and "
        f"{ratio['clock']:.0f} times the seconds. The largest difference of an exponent, from other rounding and "
        f"another first frame, is {figures['largest_difference']:.1g}.", "",
    ])  # fmt: skip


def build_options() -> argparse.ArgumentParser:
    parser = build_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default 5")
    parser.add_argument("--json", type=Path, default=FOLDER / "dynamics.json", metavar="FILE", help="and FILE as .md")
    return parser


def main() -> None:
    asked = build_options().parse_args()
    devices.prepare()
    machine = (
        f"{devices.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}"
    )
    figures = {"machine": machine} | measure(max(asked.rounds, 1))
    asked.json.write_text(json.dumps(figures, indent=1) + "\n")
    asked.json.with_suffix(".md").write_text(describe(figures, max(asked.rounds, 1)))
    print(f"done: {asked.json}")

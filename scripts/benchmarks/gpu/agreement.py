"""Section 5: training on this device against the same training on the CPU, at two precisions of matrix products.

The CPU computes products in float32 throughout; a GPU may use TF32 (10 bits of mantissa) at the default precision.
"""

from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import Any

import jax
import numpy as np

from benchmarks.gpu import process, training
from benchmarks.gpu.report import Figures, Measurement

CELLS = ("elman", "lstm", "gru")
POINTS, QUICK_POINTS = (0, 1, 100), (0, 1, 10)  # steps after which the parameters are compared
SEEDS = (0, 1, 2, 3)
LIMITS = {0: 1e-5, 1: 1e-5, 10: 1e-4, 100: 1e-2}  # of the difference at precision "highest"; rounding grows with steps
SECONDS = 45  # of the process on the CPU
Outcome = dict[str, Any]  # {"losses": [R, steps], "parameters": {step: {name: [R, ...]}}} as nested lists


def measurements(quick: bool) -> Iterator[Measurement]:
    points = QUICK_POINTS if quick else POINTS
    cells = CELLS[:1] if quick else CELLS
    for cell in cells:
        expected = cache(partial(on_cpu, cell, points))
        for precision in ("highest", "default"):
            yield f"{cell}, {precision}", partial(compared, cell, points, precision, expected)


def compared(cell: str, points: Sequence[int], precision: str, expected: Any) -> Figures:
    """Relative differences from the CPU; the check is on precision "highest" only."""
    found = differences(outcome(cell, points, precision), expected(), points)
    within = all(value["parameters"] <= LIMITS[int(step)] for step, value in found.items())
    return {"ok": within or precision != "highest", "platform": jax.default_backend(), "after_steps": found}


def outcome(cell: str, points: Sequence[int], precision: str) -> Outcome:
    """Train a few runs on this process's device."""
    with jax.default_matmul_precision(precision):
        runs = training.sweep(training.Setting(cell=cell, block=len(SEEDS)), SEEDS)
        losses, parameters, step = [], {}, 0
        for point in points:
            if point > step:
                losses.append(runs.advance(point - step))
            step = point
            parameters[str(point)] = [runs.parameters(run) for run in range(len(SEEDS))]
    return as_lists({"losses": np.concatenate(losses, axis=1), "parameters": parameters})


def on_cpu(cell: str, points: Sequence[int]) -> Outcome:
    """The same training on the CPU, in a process of its own."""
    arguments = {"cell": cell, "points": list(points), "precision": "highest"}
    return process.call(__name__, "outcome", arguments, SECONDS, {"JAX_PLATFORMS": "cpu"})


def as_lists(tree: Any) -> Any:
    """Arrays as nested lists of Python numbers, which hold a float32 exactly."""
    return jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), tree)


def differences(found: Outcome, expected: Outcome, points: Sequence[int]) -> Figures:
    """By step: the largest relative difference of a loss up to it and of a parameter after it, over runs and leaves."""
    table = {}
    for point in points:
        losses = [np.asarray(one["losses"])[:, :point] for one in (found, expected)]
        pairs = zip(found["parameters"][str(point)], expected["parameters"][str(point)], strict=True)
        leaves = [relative(run[name], other[name]) for run, other in pairs for name in run]
        by_loss = np.max(np.abs(losses[0] / losses[1] - 1), initial=0.0)
        table[str(point)] = {"loss": float(by_loss), "parameters": max(leaves)}
    return table


def relative(found: Any, expected: Any) -> float:
    """max |found - expected| / max |expected| of one leaf; 0 where both are 0."""
    apart, size = np.max(np.abs(np.subtract(found, expected))), np.max(np.abs(expected))
    return float(apart / size) if size else float(apart)

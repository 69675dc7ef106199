"""Section 2: every kind of cell trains: its loss falls from chance on the grammar task, and stays finite."""

import time
from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.gpu import training
from benchmarks.gpu.report import Figures, Measurement

STEPS, QUICK_STEPS = 200, 60
FALL, QUICK_FALL = 0.2, 0.05  # nats per character that the loss has to fall below chance
LAST = 20  # steps whose mean is the loss after training
SEEDS = (0, 1, 2, 3)


def measurements(quick: bool) -> Iterator[Measurement]:
    setting = training.Setting(hidden=16 if quick else 64, batch=8, block=len(SEEDS))
    steps, fall = (QUICK_STEPS, QUICK_FALL) if quick else (STEPS, FALL)
    for cell in training.CELL_NAMES:
        yield cell, partial(trained, setting._replace(cell=cell), steps, fall)


def trained(setting: training.Setting, steps: int, fall: float) -> Figures:
    """The loss of the first step and the mean of the last ones, of the worst run; seconds to the end of the first."""
    started = time.perf_counter()
    runs = training.sweep(setting, SEEDS)
    first = runs.advance(1)
    compiled = time.perf_counter()
    losses = np.concatenate([first, runs.advance(steps - 1)], axis=1)
    after = float(losses[:, -LAST:].mean(axis=1).max())
    finite = bool(np.isfinite(losses).all())
    return {
        "ok": finite and after < runs.chance - fall,
        "finite": finite,
        "chance": runs.chance,
        "loss_before": float(losses[:, 0].max()),
        "loss_after": after,
        "compile_seconds": compiled - started,
        "train_seconds": time.perf_counter() - compiled,
    }

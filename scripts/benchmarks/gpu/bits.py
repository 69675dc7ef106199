"""Section 3: a run is bitwise the same alone, in company, in other chunks, again, and in another process."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.gpu import process, training
from benchmarks.gpu.report import Figures, Measurement
from rnnjax import devices

SEED, RATE = 7, 0.01  # of the run that is followed
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
SECONDS = 60  # of another process
SETTINGS = {
    "elman": training.Setting(),
    "lstm": training.Setting(cell="lstm", hidden=128, batch=8),
    "gru": training.Setting(cell="gru", hidden=128, batch=8),
}
QUICK_SETTING = training.Setting(hidden=8, window=5)


class Trace(NamedTuple):
    """The followed run at its end."""

    digest: str  # of its whole state
    losses: list[float]  # of every step


class Company(NamedTuple):
    """How the followed run is trained: which runs come before and after it, and the lengths of the chunks."""

    before: int = 0
    after: int = 0
    chunks: int = 1  # the steps are cut into so many, of unequal length


COMPANIES = {
    "again": Company(),
    "first of 5": Company(after=4),
    "last of 41": Company(before=40),
    "in the middle of 100": Company(before=37, after=62),
    "alone in 7 chunks": Company(chunks=7),
    "last of 20 in 4 chunks": Company(before=19, chunks=4),
}
QUICK_COMPANIES = ("again", "last of 20 in 4 chunks")


def measurements(quick: bool) -> Iterator[Measurement]:
    """Every cell in one process first; what other processes find costs more time."""
    settings, steps = ({"elman": QUICK_SETTING}, 20) if quick else (SETTINGS, 60)
    companies = QUICK_COMPANIES if quick else tuple(COMPANIES)
    for cell, setting in settings.items():
        yield f"{cell} in one process", partial(compare_companies, setting, steps, companies)
    if quick:
        return
    for cell, setting in settings.items():
        yield f"{cell} in a fresh process", partial(compare_processes, setting, steps)
        if jax.default_backend() != "cpu":
            yield f"{cell} in two processes with {DETERMINISTIC}", partial(compare_deterministic, setting, steps)


def chunk_lengths(steps: int, chunks: int) -> list[int]:
    """`chunks` lengths, each longer than the one before where it can be, that add up to `steps`."""
    ends = [round(steps * (i / chunks) ** 2) for i in range(chunks + 1)]
    return [length for length in np.diff(ends).tolist() if length]


def mixed_sweep(setting: training.Setting, company: Company) -> training.Sweep:
    """The followed run among others with other seeds and learning rates."""
    seeds = [100 + i for i in range(company.before)] + [SEED] + [500 + i for i in range(company.after)]
    rates = [RATE if seed == SEED else RATE * (1 + seed % 5) / 3 for seed in seeds]
    return training.sweep(setting, seeds, rates)


def follow(runs: training.Sweep, steps: int, company: Company) -> Trace:
    losses = [runs.advance(length)[company.before] for length in chunk_lengths(steps, company.chunks)]
    return Trace(training.state_digest(runs.state(company.before)), np.concatenate(losses).tolist())


def trace(setting: training.Setting, steps: int, company: Company) -> Trace:
    return follow(mixed_sweep(setting, company), steps, company)


def difference(one: Trace, other: Trace) -> Figures | None:
    """None where the states and all losses are bitwise equal; else where they part and by how much."""
    if one.digest == other.digest and one.losses == other.losses:
        return None
    apart = np.abs(np.subtract(one.losses, other.losses))
    steps = np.flatnonzero(apart)
    return {"first_step": int(steps[0]) if steps.size else None, "largest_loss_difference": float(apart.max())}


def comparison(reference: Trace, others: Mapping[str, Callable[[], Trace]]) -> Figures:
    """What differs from the reference, by name."""
    found = {name: difference(reference, make()) for name, make in others.items()}
    differs = {name: value for name, value in found.items() if value is not None}
    return {"ok": not differs, "digest": reference.digest, "compared": list(found), "differs": differs}


def compare_companies(setting: training.Setting, steps: int, names: Sequence[str]) -> Figures:
    others = {name: partial(trace, setting, steps, COMPANIES[name]) for name in names}
    return comparison(trace(setting, steps, Company()), others)


def timed_trace(setting: Sequence[Any], steps: int) -> tuple[Trace, float]:
    """The run alone, and the seconds of as many steps again; plain arguments, for another process."""
    runs = mixed_sweep(training.Setting(*setting), Company())
    return follow(runs, steps, Company()), training.timed_advance(runs, steps)


def elsewhere(setting: training.Setting, steps: int, flags: str) -> tuple[Trace, float]:
    """`timed_trace` in a process that compiles everything anew: it has no cache of programs."""
    changes = {devices.CACHE: "", "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()}
    arguments = {"setting": list(setting), "steps": steps}
    found, seconds = process.call(__name__, "timed_trace", arguments, SECONDS, changes)
    return Trace(*found), seconds


def compare_processes(setting: training.Setting, steps: int) -> Figures:
    """Programs compiled in two processes: a GPU's compiler may choose other kernels by timing them."""
    there, seconds = elsewhere(setting, steps, "")
    here = trace(setting, steps, Company())
    return comparison(here, {"fresh process": lambda: there}) | {"microseconds_per_step": seconds / steps * 1e6}


def compare_deterministic(setting: training.Setting, steps: int) -> Figures:
    """As above with XLA's deterministic kernels in both processes, and what they cost."""
    (one, seconds), (two, _) = (elsewhere(setting, steps, DETERMINISTIC) for _ in range(2))
    return comparison(one, {"second process": lambda: two}) | {"microseconds_per_step": seconds / steps * 1e6}

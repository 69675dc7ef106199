"""A race: contenders timed in turns, in one process, and the machine's own speed beside them."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.cli.speed import ablations as tuning
from rnnjax.cli.speed.contenders import EVALUATION, Contender, Size, Stepper, timed

SHORTEST = 0.5  # seconds that one timing should take
FEWEST = 10  # steps of one timing: training takes many at a time, and what a call costs is shared by them
PATIENCE = 3.0  # seconds of one step from which a contender is timed once


class Entry(NamedTuple):
    """Someone who takes part in a race."""

    name: str
    contender: Contender
    size: Size


class Timing(NamedTuple):
    name: str
    size: Size
    microseconds: float  # per optimizer step of one run, the median over rounds
    fastest: float  # the minimum
    rounds: int
    compile_seconds: float  # of the first call, beyond a step
    core_microseconds: float  # of all cores together, per step of one run, the median over rounds
    core_turns: tuple[float, ...]  # the same in each round

    @property
    def gflops(self) -> float:
        return self.size.flops / (3 if self.name in EVALUATION else 1) / self.microseconds / 1e3


class Clock(NamedTuple):
    """Seconds of one step."""

    wall: float
    cores: float  # user and system, of all threads


class Runner(NamedTuple):
    """An entry that is built, compiled and warm."""

    step: Stepper
    runs: int
    steps: int  # of one timing
    compile_seconds: float
    once: list[Clock]  # the only timing there will be of a very slow one


def warm(entry: Entry) -> Runner:
    step, runs = entry.contender(entry.size)
    first, again = timed(step, 1), clock(step, 1)
    second = again.wall
    per_step = second if second > SHORTEST / 10 else timed(step, 10) / 10
    steps = max(FEWEST, min(10_000, int(SHORTEST / per_step)))
    return Runner(step, runs, steps, max(first - second, 0.0), [again] if second > PATIENCE else [])


def race(entries: list[Entry], rounds: int) -> list[Timing]:
    """Time the entries in turns, so that a slow moment of the machine hits all of them."""
    runners = [warm(entry) for entry in entries]
    times = [list(runner.once) for runner in runners]
    for _ in range(rounds):
        for seconds, runner in zip(times, runners, strict=True):
            if not runner.once:
                seconds.append(clock(runner.step, runner.steps))
    return [timing(entry, runner, seconds) for entry, runner, seconds in zip(entries, runners, times, strict=True)]


def clock(step: Stepper, steps: int) -> Clock:
    """Time `steps` steps. Returns: seconds of one of them."""
    wall, cores = time.perf_counter(), time.process_time()
    elsewhere = step(steps) or 0.0
    return Clock((time.perf_counter() - wall) / steps, (time.process_time() - cores + elsewhere) / steps)


def timing(entry: Entry, runner: Runner, clocks: list[Clock]) -> Timing:
    wall, cores = np.asarray(clocks).T / runner.runs * 1e6
    of_wall = float(np.median(wall)), float(wall.min()), len(wall)
    return Timing(
        entry.name, entry.size, *of_wall, runner.compile_seconds, float(np.median(cores)), tuple(map(float, cores))
    )


def peak_gflops() -> float:
    """This machine's own f32 matrix product: NumPy's on all cores, or that of JAX's device where it is no CPU."""
    import jax

    multiply = on_cores if jax.default_backend() == "cpu" else on_device
    return max(2 * size**3 / multiply(size) / 1e9 for size in (512, 1024, 2048))


def on_cores(size: int) -> float:
    """Seconds of one product."""
    a = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)
    times = max(1, 2 * 1024**3 // size**3)

    def multiply(times: int) -> None:
        for _ in range(times):
            a @ a

    return min(timed(multiply, times) / times for _ in range(5))


def on_device(size: int) -> float:
    """Seconds of one product, in f32 throughout."""
    import jax

    a = jax.random.normal(jax.random.key(0), (size, size))
    product = jax.jit(lambda a: jax.numpy.matmul(a, a, precision="highest"))

    def multiply(times: int) -> None:
        jax.block_until_ready([product(a) for _ in range(times)])

    multiply(1)
    return min(timed(multiply, 10) / 10 for _ in range(5))


def exponent(x: list[float], y: list[float]) -> float:
    """The slope of log y against log x, by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


class Scaling(NamedTuple):
    """How the cost grows along one axis."""

    name: str
    exponent: float
    flatness: float  # of the cost per run, largest over smallest
    timings: list[Timing]


def grown(axis: str, timings: list[Timing]) -> Scaling:
    per_run = [timing.microseconds for timing in timings]
    cost = [timing.microseconds * (timing.size.runs if axis == "runs" else 1) for timing in timings]
    return Scaling(axis, exponent([getattr(t.size, axis) for t in timings], cost), max(per_run) / min(per_run), timings)


class Found(NamedTuple):
    """The figures of a suite."""

    timings: Sequence[Timing] = ()
    scaling: Sequence[Scaling] = ()
    variants: Sequence[Timing] = ()
    starts: Sequence[tuning.Start] = ()

"""Times of windows of one layer, both ways in turns, in wall and CPU seconds."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.networks.cells import build_spec_cell
from rnnjax.networks.unroll import unroll
from rnnjax.settings import HParams, Spec

HIDDEN, BATCH, INPUTS = 128, 8, 32
WAYS = ("step by step", "associative scan")
PARTS = ("forward", "forward and gradient")


class Timing(NamedTuple):
    """The times of one window, in seconds, and how far the two ways are apart."""

    cell: str
    steps: int  # T
    part: str  # one of PARTS
    wall: dict[str, float]  # median over the rounds, by way
    cpu: dict[str, float]
    compile: dict[str, float]
    difference: float  # the largest of h, or of the gradient, over the largest number


def measure(cell: str, steps: int, rounds: int) -> list[Timing]:
    """The timings of one cell at one length: each round runs both ways, one after the other."""
    found = []
    for part in PARTS:
        programs = [program(cell, steps, part, parallel) for parallel in (False, True)]
        compiles, outputs, seconds = [], [], []
        for run in programs:
            took, output = timed(run)
            compiles.append(took[0])
            outputs.append(np.asarray(output))
        for _ in range(rounds):
            seconds.append([timed(run)[0] for run in programs])
        wall_W, cpu_W = np.median(np.array(seconds), axis=0).T
        gap = float(np.abs(outputs[0] - outputs[1]).max() / np.abs(outputs[0]).max())
        wall, cpu, compile_ = (dict(zip(WAYS, map(float, values), strict=True)) for values in (wall_W, cpu_W, compiles))
        found.append(Timing(cell, steps, part, wall, cpu, compile_, gap))
    return found


def program(cell: str, steps: int, part: str, parallel: bool) -> Callable[[], Any]:
    """A window of a layer with its first parameters: h [T, B, H], or the gradient of its sum as one vector."""
    built = build_spec_cell(Spec(cell=cell, hidden=HIDDEN, inputs=INPUTS, parallel=parallel), HParams())
    params = built.init(jax.random.key(0))
    carry = jax.tree.map(lambda leaf: jnp.zeros((BATCH, *leaf.shape)), built.carry())
    x = jax.random.normal(jax.random.key(1), (steps, BATCH, INPUTS))

    def outputs(params: Any, x: Any) -> Any:
        return unroll(built, params, carry, x)[1]

    def gradient(params: Any, x: Any) -> Any:
        found = jax.grad(lambda params, x: jnp.sum(outputs(params, x) ** 2), argnums=(0, 1))(params, x)
        return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(found)])

    return partial(jax.jit(outputs if part == PARTS[0] else gradient), params, x)


def timed(run: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Wall and CPU seconds of a call until its result is there, and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = jax.block_until_ready(run())
    return (time.perf_counter() - wall, time.process_time() - cpu), result

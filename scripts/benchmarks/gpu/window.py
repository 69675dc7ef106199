"""Section 9: windows as one Pallas program for each run, against the scan: states, gradients and time.

The program is not used by rnnjax; this is its first run on a GPU.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu.report import Figures, Measurement
from rnnjax.networks.fused.gpu_window import elman_windows

SIZES = ((64, 25, 16, 1024), (64, 25, 16, 128), (128, 25, 16, 256))  # H, T, B and the number of runs
QUICK_SIZES = ((16, 3, 16, 2),)
LIMIT = 1e-4  # of the largest difference of states and gradients over the largest value
ROUNDS = 5


def measurements(quick: bool) -> Iterator[Measurement]:
    for size in QUICK_SIZES if quick else SIZES:
        hidden, steps, streams, runs = size
        yield f"elman H={hidden} T={steps} B={streams} R={runs}", partial(compared, size)


def compared(size: tuple[int, int, int, int]) -> Figures:
    """Microseconds of one window of one run, forward and backward, of both, and their largest difference."""
    hidden, steps, streams, runs = size
    rng = np.random.default_rng(0)
    shapes = (runs, hidden, hidden), (runs, streams, hidden), (runs, steps, streams, hidden)
    arguments = [jnp.asarray(rng.normal(size=shape) / hidden**0.5, jnp.float32) for shape in shapes]
    pallas = partial(elman_windows, interpret=jax.default_backend() != "gpu")
    programs = {"pallas": gradient_of(pallas), "scan": gradient_of(jax.vmap(scanned_window))}
    found = {name: jax.block_until_ready(program(*arguments)) for name, program in programs.items()}
    pairs = zip(jax.tree.leaves(found["pallas"]), jax.tree.leaves(found["scan"]), strict=True)
    difference = max(float(jnp.abs(one - other).max() / jnp.abs(other).max()) for one, other in pairs)
    times = {f"{name}_microseconds": microseconds(program, arguments, runs) for name, program in programs.items()}
    return {"ok": difference <= LIMIT, "difference": difference} | times


def gradient_of(window: Callable[..., jax.Array]) -> Any:
    """The compiled states and gradients of all runs, of a sum over the states."""

    def total(*arguments: jax.Array) -> tuple[jax.Array, jax.Array]:
        states = window(*arguments)
        return jnp.sum(states * jnp.cos(states)), states

    return jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2), has_aux=True))


def scanned_window(kernel_HH: jax.Array, start_BH: jax.Array, input_TBH: jax.Array) -> jax.Array:
    """The same as `elman_windows` of one run, at full float32."""

    def step(h_BH: jax.Array, u_BH: jax.Array) -> tuple[jax.Array, jax.Array]:
        h_BH = jnp.tanh(u_BH + jnp.dot(h_BH, kernel_HH, precision="highest"))
        return h_BH, h_BH

    return jax.lax.scan(step, start_BH, input_TBH)[1]


def microseconds(program: Any, arguments: list[jax.Array], runs: int) -> float:
    """The fastest of some calls, per run."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        seconds.append(time.perf_counter() - start)
    return min(seconds) / runs * 1e6

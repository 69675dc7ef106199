"""Section 1: versions, the device, and the speed of what everything is made of: products, calls, iterations."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.gpu.report import Figures, Measurement

PRODUCTS = {"float32, default": "default", "float32, highest": "highest"}
ITERATIONS = 2000
QUERY = "name,driver_version,memory.total,memory.used,power.limit,clocks.max.sm,compute_mode"
VARIABLES = ("XLA_FLAGS", "JAX_PLATFORMS", "XLA_PYTHON_CLIENT_PREALLOCATE", "NVIDIA_TF32_OVERRIDE")


def measurements(quick: bool) -> Iterator[Measurement]:
    yield "versions", versions
    yield "device", device
    yield "driver", driver
    yield "environment", lambda: {name: os.environ.get(name) for name in VARIABLES}
    for size in (256,) if quick else (2048, 4096, 8192):
        yield f"matrix product {size}", partial(product_figures, size)
    yield "overhead", overhead


def versions() -> Figures:
    from rnnjax.cli.speed.tables import PACKAGES, installed

    return {name: installed(name) for name in (*PACKAGES, "jax-cuda12-plugin", "jax-cuda13-plugin")}


def device() -> Figures:
    """The first device; memory is None where the backend does not say."""
    first = jax.devices()[0]
    return {
        "platform": first.platform,
        "kind": first.device_kind,
        "devices": len(jax.devices()),
        "memory": first.memory_stats(),
        "backend": first.client.platform_version,
        "cores": len(os.sched_getaffinity(0)),
    }


def driver() -> Figures:
    """As nvidia-smi says it, where there is one."""
    if shutil.which("nvidia-smi") is None:
        return {"skipped": "there is no nvidia-smi"}
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=15, check=True).stdout.splitlines()
    return dict(zip(QUERY.split(","), [one.strip() for one in lines[0].split(",")], strict=True))


def best_seconds(function: Callable[[], Any], calls: int, rounds: int = 5) -> float:
    """Seconds of one call, the best round; the calls of a round are in flight together."""
    jax.block_until_ready(function())
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        jax.block_until_ready([function() for _ in range(calls)])
        found.append((time.perf_counter() - started) / calls)
    return min(found)


def product_figures(size: int) -> Figures:
    """GF/s of square products: float32 as JAX does it (TF32 where the card has it), full float32, and bfloat16."""
    a = jax.random.normal(jax.random.key(0), (size, size))
    speeds = {name: product_speed(a, precision) for name, precision in PRODUCTS.items()}
    return speeds | {"bfloat16": product_speed(a.astype(jnp.bfloat16), "default")}


def product_speed(a: Any, precision: str) -> float:
    product = jax.jit(partial(jnp.matmul, precision=precision))
    return 2 * a.shape[0] ** 3 / best_seconds(lambda: product(a, a), calls=10) / 1e9


def overhead() -> Figures:
    """Microseconds of a call and of an iteration of a loop that do next to nothing, and of an iteration with a product.

    A recurrent network is a loop of small products, so on a GPU the last figure bounds what any width can reach.
    """
    a = jax.random.normal(jax.random.key(0), (16, 64, 64)) / 8
    add_one = jax.jit(lambda x: x + 1)
    counted = jax.jit(lambda x, steps: jax.lax.fori_loop(0, steps, lambda _, y: y + 1, x))
    scanned = jax.jit(lambda h: jax.lax.scan(lambda h, _: (jnp.tanh(h @ a), None), h, length=ITERATIONS)[0])
    x = jnp.float32(0)
    return {
        "call_microseconds": best_seconds(lambda: jax.block_until_ready(add_one(x)), 200) * 1e6,
        "loop_iteration_microseconds": best_seconds(lambda: counted(x, ITERATIONS), 1) / ITERATIONS * 1e6,
        "scan_with_product_microseconds": best_seconds(lambda: scanned(a), 1) / ITERATIONS * 1e6,
    }

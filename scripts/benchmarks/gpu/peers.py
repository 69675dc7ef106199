"""Section 7: rnnjax against a plain vmap, Flax with optax, and torch, each on this device."""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import jax

from benchmarks.gpu.report import Figures, Measurement
from rnnjax.cli.speed.contenders import Contender, Size, Stepper, flax_one, ours, plain_vmap
from rnnjax.cli.speed.timing import Entry, race

SIZES = (Size(), Size(runs=1024), Size(cell="lstm", hidden=128, batch=8), Size(cell="gru", hidden=128, batch=8))
ROUNDS = 3


def measurements(quick: bool) -> Iterator[Measurement]:
    for size in (Size(hidden=8, window=5, runs=8),) if quick else SIZES:
        label = f"{size.cell} H={size.hidden} T={size.window} B={size.batch} R={size.runs}"
        for name, contender in contenders().items():
            yield f"{label}, {name}", partial(timed, name, contender, size)


def contenders() -> dict[str, Contender]:
    """By name; those that do not depend on the number of runs advance one at a time."""
    return {
        "rnnjax": ours,
        "rnnjax, all runs in one block": one_block,
        "plain vmap": plain_vmap,
        "flax, a run at a time": flax_one,
        "torch, a run at a time": partial(in_torch, "torch_eager"),
        "torch, runs batched": partial(in_torch, "torch_bmm"),
    }


def timed(name: str, contender: Contender, size: Size) -> Figures:
    """Microseconds of one step of one run; torch is skipped, with the reason, where it cannot run on this device."""
    reason = torch_is_missing() if name.startswith("torch") else ""
    if reason:
        return {"skipped": reason}
    (timing,) = race([Entry(name, contender, size)], ROUNDS)
    return {"microseconds": timing.microseconds, "gflops": timing.gflops, "compile_seconds": timing.compile_seconds}


def one_block(size: Size) -> tuple[Stepper, int]:
    return ours(size, block=size.runs)


def torch_is_missing() -> str:
    """Why torch takes no part; "" where it does."""
    if find_spec("torch") is None:
        return "torch is not installed"
    import torch

    if jax.default_backend() != "cpu" and not torch.cuda.is_available():
        return "this torch has no CUDA device"
    return ""


def in_torch(name: str, size: Size) -> tuple[Stepper, int]:
    """A contender in torch on JAX's device, with the same precision of matrix products as JAX's default (TF32)."""
    import torch

    from rnnjax.cli.speed import contenders_torch

    build: Callable[[Size], tuple[Stepper, int]] = getattr(contenders_torch, name)
    if jax.default_backend() == "cpu":
        return build(size)
    torch.set_float32_matmul_precision("high")
    with torch.device("cuda"):
        step, runs = build(size)
    return synchronised(step, torch), runs


def synchronised(step: Stepper, torch: Any) -> Stepper:
    """The steps, and a wait for the device to end them."""

    def until_done(steps: int) -> None:
        step(steps)
        torch.cuda.synchronize()

    return until_done

"""rnnjax as it is set up against rnnjax with one choice made otherwise."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from rnnjax import devices
from rnnjax.cli.speed.contenders import Contender, Size, Stepper, ours

CHOSEN = "as chosen"
BLOCKS = (1, 4, 8, 16, 32, 64)
UNROLLED = (5, 25)
STUDY = """
question = "How long does a small study take to start?"
seeds = 4
[base]
steps = 100
"""


def patched(target: str, replacement: Callable[[], Any]) -> Contender:
    """rnnjax built, traced and run with something of it replaced; what is compiled stays as it was traced."""

    def build(size: Size) -> tuple[Stepper, int]:
        replaced = partial(mock.patch, target, replacement())
        with replaced():
            inner, runs = ours(size)

        def step(steps: int) -> None:
            with replaced():
                inner(steps)

        return step, runs

    return build


def one_device() -> Any:
    import jax

    from rnnjax.training.parallel import RunBlocks

    return partial(RunBlocks, devices=jax.devices()[:1])


def not_donated() -> Any:
    from rnnjax.training.parallel import RunBlocks

    class Kept(RunBlocks):
        def compile(self, function: Any, batched: int = 1, donate: tuple[int, ...] = (), quick: bool = False) -> Any:
            return super().compile(function, batched, quick=quick)

    return Kept


def autodiff() -> Any:
    """Reverse mode through the plain scan: the kernel's gradient is summed step by step."""
    from rnnjax.networks.unroll import recurrence

    return recurrence.fun


def all_in_scan() -> Any:
    """A network's unroll with the input's product inside the scan too, and autodiff's way back."""
    import jax

    def unroll(cell: Any, params: Any, carry: Any, x: Any, mask_TB: None, dropout_BH: None) -> Any:
        def step(carry: Any, x_B: Any) -> Any:
            carry = jax.vmap(partial(cell.step, params))(carry, x_B)
            return carry, jax.vmap(cell.hidden_state)(carry)

        return jax.lax.scan(step, carry, x)

    return unroll


def unrolled(factor: int) -> Any:
    import jax

    return partial(jax.lax.scan, unroll=factor)


def variants(size: Size) -> dict[str, Contender]:
    """By what is done otherwise; the first is what the others are measured against."""
    import jax

    blocks: dict[str, Contender] = {f"block {block}": partial(ours, block=block) for block in BLOCKS}
    scans = {f"scan unrolled {n}": patched("jax.lax.scan", partial(unrolled, n)) for n in UNROLLED if n <= size.window}
    found = {CHOSEN: ours} | blocks | scans
    if len(jax.devices()) > 1:
        found["one device"] = patched("rnnjax.training.parallel.RunBlocks", one_device)
    return found | {
        "buffers not donated": patched("rnnjax.training.parallel.RunBlocks", not_donated),
        "kernel gradient in the scan (autodiff)": patched("rnnjax.networks.unroll.recurrence", autodiff),
        "input and kernel gradient in the scan": patched("rnnjax.networks.model.unroll", all_in_scan),
        "one-hot input product": partial(ours, one_hot=True),
    }


class Start(NamedTuple):
    """A small study in a process of its own."""

    cache: str
    seconds: float  # the whole process, with imports and report
    compile_seconds: float
    compilations: int  # programs asked for, found in the cache or not


def study_starts() -> list[Start]:
    """The same study without a cache of compiled programs, then with an empty one, then with a full one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "small.toml").write_text(STUDY)
        kept = {"off": "", "empty": str(folder / "cache"), "full": str(folder / "cache")}
        return [study_start(folder, cache, path) for cache, path in kept.items()]


def study_start(folder: Path, cache: str, path: str) -> Start:
    out = folder / cache
    command = [sys.executable, "-m", "rnnjax.cli", "study", str(folder / "small.toml"), "--out", str(out)]
    begun = time.perf_counter()
    subprocess.run(command, env=os.environ | {devices.CACHE: path}, check=True, capture_output=True)
    seconds = time.perf_counter() - begun
    manifest = json.loads((out / "manifest.json").read_text())
    return Start(cache, seconds, manifest["seconds"]["compile"], manifest["compilations"])

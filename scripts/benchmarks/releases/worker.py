"""One release: a process that trains what it is asked to, one line of JSON for each request and each answer.

Requests: {"setting": [...]} builds and hashes; {"steps": n} trains on and times. The process ends with its input.
"""

import json
import platform
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.releases.settings import DIGEST_STEPS, Setting

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


class Training(NamedTuple):
    """A program in training."""

    advance: Callable[[int], Any]  # n optimizer steps further -> losses [R, rows]
    state: Callable[[], Any]  # of all runs, on the host


def build(setting: Setting) -> Training:
    """The runs at their first step."""
    import jax

    from rnnjax.cli.speed.contenders import VOCABULARY, Size, windows
    from rnnjax.settings import HParams, Spec
    from rnnjax.training.parallel import Run, compile_program, init_states

    given = {name: value for name, value in setting._asdict().items() if name != "runs"}
    spec = Spec(**given, inputs=VOCABULARY, outputs=VOCABULARY)
    runs = [Run(0, spec, HParams(seed=seed)) for seed in range(setting.runs)]
    data = windows(Size(window=setting.window, batch=setting.batch))
    program = compile_program(runs, data, rows=400)
    states = [program.blocks.scatter(init_states(runs))]

    def advance(steps: int) -> Any:
        states[0], record = program.advance(states[0], steps)
        jax.block_until_ready(states[0])
        return record.loss

    return Training(advance, lambda: program.blocks.gather(states[0]))


def describe(training: Training) -> dict[str, Any]:
    """The hashes of the states of all runs at `DIGEST_STEPS`, and the mean losses of the last stretch [R]."""
    import numpy as np

    from benchmarks.gpu.training import state_digest

    first, *later = DIGEST_STEPS
    digests, done, losses = {str(first): state_digest(training.state())}, first, np.zeros((0, 1))
    for step in later:
        losses, done = training.advance(step - done), step
        digests[str(step)] = state_digest(training.state())
    return {"digests": digests, "losses": losses.mean(axis=1).tolist()}


def timed(training: Training, steps: int) -> dict[str, float]:
    """Seconds on the clock and of all cores that `steps` steps take."""
    wall, processor = time.perf_counter(), time.process_time()
    training.advance(steps)
    return {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def serve() -> None:
    """Answer the requests of stdin on stdout."""
    from rnnjax import devices

    devices.prepare()
    print(json.dumps(versions()), flush=True)
    training: Any = None
    for line in sys.stdin:
        asked = json.loads(line)
        if "setting" in asked:
            training = build(Setting(*asked["setting"]))
        print(json.dumps(describe(training) if "setting" in asked else timed(training, asked["steps"])), flush=True)


if __name__ == "__main__":
    serve()

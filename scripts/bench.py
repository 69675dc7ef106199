"""Time one optimizer step of one run: ours against what one would use instead, all in one process and in turns.

Absolute times drift with the machine; the ratios of one call do not.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from rnnjax import command, devices
from rnnjax.errors import BadInput

VOCABULARY, CHARACTERS = 24, 18_710
LEARNING_RATE, CLIP_NORM = 0.01, 5.0
SHORTEST = 0.5  # seconds that one timing should take


class Size(NamedTuple):
    """What is trained: H, T, B and the number of runs."""

    hidden: int = 64
    window: int = 25
    batch: int = 1
    runs: int = 64

    @property
    def flops(self) -> float:
        """Of one optimizer step of one run: forward, and twice that backward, counting matrix products only."""
        return 3 * 2 * self.window * self.batch * self.hidden * (self.hidden + VOCABULARY)


Stepper = Callable[[int], None]  # takes n optimizer steps of every run and waits for them
Contender = Callable[[Size], tuple[Stepper, int]]  # -> the stepper and how many runs it advances


def text() -> np.ndarray:
    return np.random.default_rng(0).integers(0, VOCABULARY, CHARACTERS).astype(np.int32)


def ours(size: Size) -> tuple[Stepper, int]:
    """rnnjax: blocks over all devices, hand-written backward pass, record and alive mask included."""
    import jax

    from rnnjax import sweep
    from rnnjax.settings import HParams, Spec
    from rnnjax.tasks.windows import cut_windows

    spec = Spec(hidden=size.hidden, window=size.window, batch=size.batch, inputs=VOCABULARY, outputs=VOCABULARY)
    runs = [sweep.Run(0, spec, HParams(seed=seed)) for seed in range(size.runs)]
    program = sweep.program(runs, cut_windows(text(), size.batch, size.window), rows=400)
    states = [program.blocks.scatter(sweep.start(runs))]

    def step(steps: int) -> None:
        states[0], _ = program.advance(states[0], steps)
        jax.block_until_ready(states[0])

    return step, size.runs


def plain_vmap(size: Size) -> tuple[Stepper, int]:
    """JAX as one writes it first: lax.scan, jax.grad, optax, one vmap over all runs, one device."""
    import jax
    import jax.numpy as jnp
    import optax

    from rnnjax.tasks.windows import cut_windows

    data = cut_windows(text(), size.batch, size.window)
    inputs, targets = jnp.asarray(data.inputs_WTB), jnp.asarray(data.targets_WTB)
    optimizer = optax.chain(optax.clip_by_global_norm(CLIP_NORM), optax.sgd(LEARNING_RATE))

    def init(key: Any) -> Any:
        a, b, c = jax.random.split(key, 3)
        shapes = (VOCABULARY, size.hidden), (size.hidden, size.hidden), (size.hidden, VOCABULARY)
        kernels = [jax.random.normal(k, shape) / shape[0] ** 0.5 for k, shape in zip((a, b, c), shapes, strict=True)]
        return kernels, jnp.zeros(size.hidden), jnp.zeros(VOCABULARY)

    def loss(params: Any, h: Any, x: Any, y: Any) -> Any:
        (kernel, recurrent, readout), bias, out_bias = params

        def cell(h: Any, x: Any) -> Any:
            h = jnp.tanh(kernel[x] + h @ recurrent + bias)
            return h, h

        h, hs = jax.lax.scan(cell, h, x)
        losses = optax.softmax_cross_entropy_with_integer_labels(hs @ readout + out_bias, y)
        return losses.sum() / size.batch, h

    def train_step(i: Any, state: Any) -> Any:
        params, opt_state, h = state
        x, y = inputs[i % len(inputs)], targets[i % len(inputs)]
        gradient, h = jax.grad(loss, has_aux=True)(params, h, x, y)
        update, opt_state = optimizer.update(gradient, opt_state)
        return optax.apply_updates(params, update), opt_state, h

    run = jax.jit(lambda steps, state: jax.lax.fori_loop(0, steps, jax.vmap(train_step, in_axes=(None, 0)), state))
    params = jax.vmap(init)(jax.random.split(jax.random.key(0), size.runs))
    state = [(params, jax.vmap(optimizer.init)(params), jnp.zeros((size.runs, size.batch, size.hidden)))]

    def step(steps: int) -> None:
        state[0] = jax.block_until_ready(run(steps, state[0]))

    return step, size.runs


def torch_eager(size: Size) -> tuple[Stepper, int]:
    """torch.nn.RNN, one run at a time, one thread (more are slower at these sizes)."""
    import torch

    torch.set_num_threads(1)
    rnn, readout = torch.nn.RNN(VOCABULARY, size.hidden), torch.nn.Linear(size.hidden, VOCABULARY)
    params = [*rnn.parameters(), *readout.parameters()]
    optimizer = torch.optim.SGD(params, lr=LEARNING_RATE)
    ids = torch.as_tensor(text(), dtype=torch.int64)
    state = [torch.zeros(1, size.batch, size.hidden)]

    def step(steps: int) -> None:
        length = size.window * size.batch
        for i in range(steps):
            start = i * length % (CHARACTERS - length - 1)
            x = ids[start : start + length].view(size.window, size.batch)
            y = ids[start + 1 : start + length + 1]
            outputs, hidden = rnn(torch.nn.functional.one_hot(x, VOCABULARY).float(), state[0])
            logits = readout(outputs).view(-1, VOCABULARY)
            loss = torch.nn.functional.cross_entropy(logits, y, reduction="sum") / size.batch
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(params, CLIP_NORM)
            optimizer.step()
            state[0] = hidden.detach()

    return step, 1


CONTENDERS: dict[str, Contender] = {"rnnjax": ours, "plain_vmap": plain_vmap, "torch": torch_eager}


class Timing(NamedTuple):
    contender: str
    size: Size
    microseconds: float  # per optimizer step of one run, the median over rounds
    compile_seconds: float


def timed(step: Stepper, steps: int) -> float:
    start = time.perf_counter()
    step(steps)
    return time.perf_counter() - start


def race(names: list[str], size: Size, rounds: int) -> list[Timing]:
    """Time the contenders in turns, so that a slow moment of the machine hits all of them."""
    built = {}
    for name in names:
        stepper, runs = CONTENDERS[name](size)
        first = timed(stepper, 2)
        per_step = max(timed(stepper, 10) / 10, 1e-7)
        built[name] = (stepper, runs, max(10, min(10_000, int(SHORTEST / per_step))), first)
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, (stepper, runs, steps, _) in built.items():
            times[name].append(timed(stepper, steps) / steps / runs * 1e6)
    return [Timing(name, size, float(np.median(times[name])), built[name][3]) for name in names]


def peak_gflops(size: int = 1024) -> float:
    """This machine's own f32 matrix product, on all cores."""
    a = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)

    def multiply(times: int) -> None:
        for _ in range(times):
            a @ a

    seconds = min(timed(multiply, 5) / 5 for _ in range(5))
    return 2 * size**3 / seconds / 1e9


def show(timings: list[Timing], peak: float) -> None:
    table = Table(
        "H", "T", "batch", "runs", "contender", "us / step / run", "GF/s", "of peak", "times slower", "first call s"
    )
    for timing in timings:
        size, rate = timing.size, timing.size.flops / timing.microseconds / 1e3
        reference = next(t for t in timings if t.size == size)
        row = [*map(str, size), timing.contender, f"{timing.microseconds:,.1f}", f"{rate:.1f}", f"{rate / peak:.0%}"]
        table.add_row(*row, f"{timing.microseconds / reference.microseconds:.1f}", f"{timing.compile_seconds:.1f}")
    Console().print(table)


def sizes(asked: argparse.Namespace) -> list[Size]:
    return [
        Size(hidden=hidden, batch=batch, runs=runs)
        for hidden in asked.hidden
        for batch in asked.batch
        for runs in asked.runs
    ]


def arguments() -> argparse.Namespace:
    parser = command.parser(__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--against", nargs="*", choices=[*CONTENDERS], default=[*CONTENDERS], help="default all")
    parser.add_argument("--hidden", nargs="+", type=int, default=[64], metavar="H")
    parser.add_argument("--batch", nargs="+", type=int, default=[1], metavar="B")
    parser.add_argument("--runs", nargs="+", type=int, default=[64], metavar="R")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="timings of each; the median counts")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    devices.prepare()
    names = list(dict.fromkeys(["rnnjax", *asked.against]))
    if "torch" in names:
        require_torch()
    peak = peak_gflops()
    timings = [timing for size in sizes(asked) for timing in race(names, size, asked.rounds)]
    show(timings, peak)
    if asked.json:
        rows = [
            timing.size._asdict()
            | {
                "contender": timing.contender,
                "microseconds": timing.microseconds,
                "first_call_seconds": timing.compile_seconds,
            }
            for timing in timings
        ]
        machine = {"cpu": platform.processor() or platform.machine(), "peak_gflops": peak}
        asked.json.write_text(json.dumps({"machine": machine, "timings": rows}, indent=1) + "\n")


def require_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError:
        raise BadInput("--against: torch is not installed; pip install -e '.[bench]', or leave it out") from None


if __name__ == "__main__":
    command.run(main)

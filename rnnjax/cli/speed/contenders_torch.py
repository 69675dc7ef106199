"""The contenders in torch: its own layers one run at a time, and the seeds as a batch of matrix products."""

from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, one_hot

from rnnjax import devices
from rnnjax.cli.speed.contenders import (
    CELLS,
    CLIP_NORM,
    LEARNING_RATE,
    LEAVES,
    VOCABULARY,
    Carry,
    Library,
    Params,
    Size,
    Stepper,
    start,
    timed,
    windows,
)

SLOW = 0.2  # seconds of one step from which one step tells how fast it is


def on_threads(step: Stepper, threads: int, steps: int) -> float:
    torch.set_num_threads(threads)
    return timed(step, steps)


def with_best_threads(step: Stepper) -> Stepper:
    """`step` on one thread or on all cores, whichever is faster here: at small sizes threads cost more than they do."""
    steps = 5 if on_threads(step, 1, 1) < SLOW else 1
    choices = sorted({1, devices.cpu_count()})
    best = min(choices, key=lambda threads: min(on_threads(step, threads, steps) for _ in range(2)))

    def on_best(steps: int) -> None:
        on_threads(step, best, steps)

    return on_best


def torch_windows(size: Size) -> list[tuple[Any, Any]]:
    data = windows(size)
    pairs = zip(data.inputs_WTB, data.targets_WTB, strict=True)
    return [(torch.as_tensor(x, dtype=torch.int64), torch.as_tensor(y, dtype=torch.int64)) for x, y in pairs]


def torch_loss(rnn: Any, readout: Any, carry: Any, x_TB: Any, y_TB: Any) -> tuple[Any, Any]:
    outputs, carry = rnn(one_hot(x_TB, VOCABULARY).float(), carry)
    logits = readout(outputs).view(-1, VOCABULARY)
    return cross_entropy(logits, y_TB.reshape(-1), reduction="sum") / x_TB.shape[1], carry


def torch_network(cell: str, hidden: int) -> tuple[Any, Any]:
    """(recurrent layer, readout)."""
    kinds = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    return kinds[cell](VOCABULARY, hidden), torch.nn.Linear(hidden, VOCABULARY)


def torch_eager(size: Size) -> tuple[Stepper, int]:
    """torch.nn.RNN, LSTM or GRU, one run at a time."""
    rnn, readout = torch_network(size.cell, size.hidden)
    params = [*rnn.parameters(), *readout.parameters()]
    optimizer = torch.optim.SGD(params, lr=LEARNING_RATE)
    data = torch_windows(size)
    zero = torch.zeros(1, size.batch, size.hidden)
    held = [(zero, zero) if size.cell == "lstm" else zero]

    def step(steps: int) -> None:
        for i in range(steps):
            loss, carry = torch_loss(rnn, readout, held[0], *data[i % len(data)])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(params, CLIP_NORM)
            optimizer.step()
            held[0] = tuple(leaf.detach() for leaf in carry) if size.cell == "lstm" else carry.detach()

    return with_best_threads(step), 1


def batched_loss(cell: str, params: Params, carry: Carry, x_TB: Any, y_TB: Any) -> tuple[Any, Carry]:
    """Losses [R] of all runs by batched products; every leaf has a run axis, the biases [R, 1, ...]."""
    library = Library(torch.tanh, torch.sigmoid, lambda x, n: x.chunk(n, -1))
    (steps, batch), runs = x_TB.shape, len(params["kernel"])
    ones = one_hot(x_TB.reshape(-1), VOCABULARY).float().expand(runs, -1, -1)
    u_RTBG = torch.baddbmm(params["bias"], ones, params["kernel"]).view(runs, steps, batch, -1)
    outputs = []
    for u_RBG in u_RTBG.unbind(1):
        carry = CELLS[cell](library, params, carry, u_RBG, torch.bmm(carry[0], params["recurrent"]))
        outputs.append(carry[0])
    h_RNH = torch.stack(outputs, 1).view(runs, steps * batch, -1)
    logits = torch.baddbmm(params["readout_bias"], h_RNH, params["readout"]).view(-1, VOCABULARY)
    losses = cross_entropy(logits, y_TB.reshape(-1).repeat(runs), reduction="none")
    return losses.view(runs, -1).sum(1) / batch, carry


def batched_start(size: Size) -> Params:
    rows = [start(size, seed) for seed in range(size.runs)]
    stacked = {name: torch.as_tensor(np.stack([row[name] for row in rows])) for name in rows[0]}
    return {
        name: (leaf[:, None] if leaf.ndim == 2 else leaf).contiguous().requires_grad_()
        for name, leaf in stacked.items()
    }


def batched_update(params: Params) -> None:
    """The clip of each run's own gradient and the SGD step, in place."""
    with torch.no_grad():
        squares = [leaf.grad.flatten(1).square().sum(1) for leaf in params.values()]
        rates_R = LEARNING_RATE * (CLIP_NORM / torch.stack(squares).sum(0).sqrt()).clamp(max=1)
        for leaf in params.values():
            leaf.addcmul_(leaf.grad, rates_R.view(-1, 1, 1), value=-1)
            leaf.grad = None


def torch_bmm(size: Size) -> tuple[Stepper, int]:
    """torch with the seeds as a batch of matrix products, a Python loop over time, autograd."""
    params, data = batched_start(size), torch_windows(size)
    held = [(torch.zeros(size.runs, size.batch, size.hidden),) * LEAVES[size.cell]]

    def step(steps: int) -> None:
        for i in range(steps):
            losses_R, carry = batched_loss(size.cell, params, held[0], *data[i % len(data)])
            losses_R.sum().backward()
            batched_update(params)
            held[0] = tuple(leaf.detach() for leaf in carry)

    return with_best_threads(step), size.runs

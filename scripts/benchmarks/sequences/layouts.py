"""Contenders: sequences of given lengths in a layout of rnnjax, or through torch's packed LSTM one run at a time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.tasks.sequences.layout import row_lengths, training_pool
from rnnjax.types import SequenceParts, SequenceSet

INPUTS, HIDDEN, BATCH, CLASSES, RUNS = 12, 64, 32, 9, 64
SEQUENCES, BUCKETS, CLIP_NORM = 640, 4, 5.0


class Contender(NamedTuple):
    """Something whose cost is measured."""

    step: Callable[[int], None]  # takes n optimizer steps of all its runs and waits for them
    runs: int
    valid: float  # steps of sequences in a batch, without padding; mean

    def nanoseconds(self, steps: int) -> float:
        """CPU time for one step of a sequence and one run."""
        begin = time.process_time()
        self.step(steps)
        return (time.process_time() - begin) / (steps * self.runs * self.valid) * 1e9


def labelled_sequences(lengths_N: np.ndarray) -> SequenceSet:
    """Random sequences of some lengths, each with a class that counts at its last step."""
    rng = np.random.default_rng(0)
    offsets_N = np.concatenate([[0], np.cumsum(lengths_N)]).astype(np.int64)
    mask_R = np.zeros(offsets_N[-1], np.float32)
    mask_R[offsets_N[1:] - 1] = 1
    inputs_RD = rng.normal(size=(offsets_N[-1], INPUTS)).astype(np.float32)
    targets_R = (rng.integers(CLASSES, size=offsets_N[-1]) * (mask_R > 0)).astype(np.int32)
    return SequenceSet(inputs_RD, targets_R, mask_R, offsets_N)


def ours(lengths_N: np.ndarray, layout: str, runs: int = RUNS) -> Contender:
    """rnnjax: all runs together, in rows that are padded, bucketed or packed."""
    import jax

    from rnnjax.training.parallel import Run, block_width, compile_program, init_states

    sequences, longest = labelled_sequences(lengths_N), int(lengths_N.max())
    rows = (*row_lengths(lengths_N, BUCKETS)[:-1], longest) if layout == "bucketed" else (longest,)
    pool = training_pool(SequenceParts(sequences, sequences, rows, layout == "packed"), ())
    settings: dict[str, Any] = {"hidden": HIDDEN, "inputs": INPUTS, "outputs": CLASSES, "batch": BATCH}
    spec = Spec(
        cell="lstm",
        window=longest,
        carry="reset",
        reduction="mean",
        optimizer="adam",
        steps=10**6,
        task=TaskSpec(name="sequences"),
        **settings,
    )
    spec = replace(spec, block=block_width(spec))
    every = [Run(0, spec, HParams(seed=seed, clip_norm=CLIP_NORM)) for seed in range(runs)]
    program = compile_program(every, pool, rows=400)
    states = [program.blocks.scatter(init_states(every))]

    def step(steps: int) -> None:
        states[0], _ = program.advance(states[0], steps)
        jax.block_until_ready(states[0])

    share_K = np.bincount(pool.plan_S, minlength=len(pool.sets)) / len(pool.plan_S)
    valid_K = [BATCH * rows.valid_MT.sum(axis=1).mean() for rows in pool.sets]
    return Contender(step, runs, float(share_K @ valid_K))


def torch_packed(lengths_N: np.ndarray) -> Contender:
    """torch.nn.LSTM on packed sequences in eager mode, one run on one thread: the loop of its tutorials."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

    torch.set_num_threads(1)
    rnn, readout = torch.nn.LSTM(INPUTS, HIDDEN), torch.nn.Linear(HIDDEN, CLASSES)
    params = [*rnn.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(params, lr=0.01)
    sequences = labelled_sequences(lengths_N)
    pieces = [torch.as_tensor(one) for one in np.split(sequences.inputs_R, sequences.offsets_N[1:-1])]
    labels_N = torch.as_tensor(sequences.targets_R[sequences.offsets_N[1:] - 1], dtype=torch.int64)
    order_N, taken = np.random.default_rng(1).permutation(len(lengths_N)), [0]

    def step(steps: int) -> None:
        for _ in range(steps):
            chosen = order_N[taken[0] % len(order_N) :][:BATCH]
            taken[0] += BATCH
            padded = pad_sequence([pieces[n] for n in chosen])
            packed = pack_padded_sequence(padded, torch.as_tensor(lengths_N[chosen]), enforce_sorted=False)
            _, (h_1BH, _) = rnn(packed)
            loss = torch.nn.functional.cross_entropy(readout(h_1BH[0]), labels_N[chosen])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(params, CLIP_NORM)
            optimizer.step()

    return Contender(step, 1, float(BATCH * lengths_N.mean()))


def race(contenders: dict[str, Contender], steps: dict[str, int], rounds: int) -> dict[str, list[float]]:
    """The nanoseconds of each contender in each round; all take turns, so that a slow moment hits all of them."""
    for name, contender in contenders.items():
        contender.step(steps[name])  # compiled, and warm
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            found[name].append(contender.nanoseconds(steps[name]))
    return found


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median over rounds of one cost over another of the same round."""
    return float(np.median(np.asarray(over) / np.asarray(under)))

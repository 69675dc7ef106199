"""Memory tasks with exact reference losses: two copy tasks and the adding problem.

In both the values to be remembered are independent of all other inputs, so only a state that carries them helps.
"""

import math
import string
from functools import partial

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.entropy import chance_loss
from rnnjax.types import LabelledSequence, Task

VALUE, MARKER, TARGET, COUNTED, MASK = range(5)  # the columns of the adding problem
ADDING_CHANCE = 1 / 6  # variance of the sum of two independent uniform numbers in [0, 1)


def recall_task(settings: TaskSpec, source: str | None) -> Task:
    """The problem that `recall` names. Args: source: not used; no file is read. Raises: as the problem's factory."""
    return {"copy": copy_task, "delayed_copy": delayed_copy_task, "adding": adding_task}[settings.recall](settings)


def copy_task(settings: TaskSpec) -> Task:
    """target_t = input_{t - lag}, the inputs independent and equally likely letters.

    Drawn are `characters` letters to train on, and round(characters * validation) more, apart from them. The
    reference loss "floor" is that of a carried state, which has every target after its first `copy_delay` steps; see
    `copy_floor` for a state that is reset.

    Args:
        settings: `characters`, `corpus_seed`, `validation`, `copy_delay` and `symbols` are used.
    Raises:
        BadInput: one of the two parts is no longer than the lag.
    """
    sizes = settings.characters, round(settings.characters * settings.validation)
    if min(sizes) <= settings.copy_delay:
        raise BadInput(
            f"task.copy_delay: got {settings.copy_delay:,}; expected less than the {sizes[0]:,} characters to train on "
            f"and the {sizes[1]:,} held out"
        )
    rngs = np.random.default_rng(settings.corpus_seed).spawn(2)
    train_N, validation_N = (
        rng.integers(settings.symbols, size=size, dtype=np.int32) for rng, size in zip(rngs, sizes, strict=True)
    )
    return Task(
        train_N=train_N,
        validation_N=validation_N,
        make_sequence=partial(copy_pairs, settings.copy_delay),
        inputs=settings.symbols,
        outputs=settings.symbols,
        loss="cross_entropy",
        reference_losses={"chance": chance_loss(settings.symbols), "floor": 0.0},
        vocabulary=string.ascii_lowercase[: settings.symbols],
    )


def copy_pairs(lag: int, ids_N: np.ndarray) -> LabelledSequence:
    """target_t = input_{t - lag}, from the first step that has one."""
    return LabelledSequence(ids_N[lag:], ids_N[:-lag])


def copy_floor(lag: int, window: int, symbols: int) -> float:
    """min(lag, window) / window * log V: the floor of copying, in nats, of a state that is reset at every window.

    The first `lag` targets of a window are inputs before it, unknown to a state that was reset; each later target is an
    input of the window.
    """
    return min(lag, window) / window * chance_loss(symbols)


def delayed_copy_task(settings: TaskSpec) -> Task:
    """A few symbols are read, then nothing for a while; after a signal they are to be repeated.

    Of an example of S + lag + S steps the first S inputs are independent and equally likely among V symbols; the step
    before the last S holds the signal, id V + 1, and all others the blank, id V. The targets are the S symbols, at the
    last S steps, which alone count: input t is asked for at t + S + lag.

    Drawn are `examples` to train on, and round(examples * validation), at least 1, apart.

    Args: settings: `copy_delay` (the lag), `copy_length` (S), `symbols`, `examples`, `corpus_seed` and `validation`.
    Source: Hochreiter and Schmidhuber 1997; Arjovsky et al. 2016, arXiv:1511.06464, where all steps count and S = 10.
    """
    rngs = np.random.default_rng(settings.corpus_seed).spawn(2)
    counts = settings.examples, max(1, round(settings.examples * settings.validation))
    train_N, validation_N = (delayed_copies(rng, count, settings) for rng, count in zip(rngs, counts, strict=True))
    return Task(
        train_N=train_N,
        validation_N=validation_N,
        make_sequence=partial(delayed_pairs, 2 * settings.copy_length + settings.copy_delay, settings.copy_length),
        inputs=settings.symbols + 2,
        outputs=settings.symbols,
        loss="cross_entropy",
        reference_losses={"chance": chance_loss(settings.symbols), "floor": 0.0},
    )


def delayed_copies(rng: np.random.Generator, count: int, settings: TaskSpec) -> np.ndarray:
    """The input and the target of each step of some examples, one after the other: int32 [count * T, 2]."""
    kept, length = settings.copy_length, 2 * settings.copy_length + settings.copy_delay
    symbols = rng.integers(settings.symbols, size=(count, kept), dtype=np.int32)
    examples = np.zeros((count, length, 2), np.int32)
    examples[:, :, 0] = settings.symbols
    examples[:, :kept, 0] = symbols
    examples[:, -kept - 1, 0] = settings.symbols + 1
    examples[:, -kept:, 1] = symbols
    return examples.reshape(count * length, 2)


def delayed_pairs(length: int, kept: int, examples_N: np.ndarray) -> LabelledSequence:
    """Inputs and targets of examples of `length` steps, of which the last `kept` count."""
    counted_N = np.arange(len(examples_N)) % length >= length - kept
    return LabelledSequence(
        examples_N[:, 0], examples_N[:, 1], loss_mask_N=counted_N.astype(np.float32), example_length=length
    )


def adding_task(settings: TaskSpec) -> Task:
    """Inputs [value, marker]; target: the sum of the two marked values, at the last step of an example.

    A value is uniform in [0, 1); the marker is 1 at one place in the first half of the example and at one in the
    second, else 0. An example ends after n steps, n uniform in ceil(shortest * length) ... length, and is filled with
    zeros up to `length`. Drawn are `examples` to train on, and round(examples * validation), at least 1, apart.

    The reference loss "chance" is that of the best constant, 1. `train_N` has the five columns named above; with the
    default `length`, which is meant for series, it takes 200 MB.

    Args:
        settings: `length`, `shortest`, `examples`, `corpus_seed` and `validation` are used.
    Raises:
        BadInput: examples of fewer than 2 steps, which have no place for two markers.
    """
    length, shortest = settings.length, _shortest_length(settings)
    rngs = np.random.default_rng(settings.corpus_seed).spawn(2)
    counts = settings.examples, max(1, round(settings.examples * settings.validation))
    train_N, validation_N = (
        adding_examples(rng, count, length, shortest) for rng, count in zip(rngs, counts, strict=True)
    )
    return Task(
        train_N=train_N,
        validation_N=validation_N,
        make_sequence=partial(adding_pairs, length, settings.shortest < 1),
        inputs=2,
        outputs=1,
        loss="squared_error",
        reference_losses={"chance": ADDING_CHANCE, "floor": 0.0},
    )


def adding_examples(rng: np.random.Generator, count: int, length: int, shortest: int) -> np.ndarray:
    """Examples one after the other: float32 [count * length, 5].

    Source: Hochreiter & Schmidhuber 1997, Neural Computation 9:1735, experiment 4; the ranges are ours.
    """
    ends_B = rng.integers(shortest, length + 1, size=count)
    marked_B2 = np.stack([rng.integers(ends_B // 2), rng.integers(ends_B // 2, ends_B)], axis=1)
    examples = np.zeros((count, length, 5), dtype=np.float32)
    examples[:, :, MASK] = np.arange(length) < ends_B[:, None]
    examples[:, :, VALUE] = rng.random((count, length), dtype=np.float32) * examples[:, :, MASK]
    rows_B = np.arange(count)
    examples[rows_B[:, None], marked_B2, MARKER] = 1
    examples[rows_B, ends_B - 1, COUNTED] = 1
    examples[rows_B, ends_B - 1, TARGET] = examples[rows_B[:, None], marked_B2, VALUE].sum(axis=1)
    return examples.reshape(count * length, 5)


def adding_pairs(length: int, ends_differ: bool, examples_N: np.ndarray) -> LabelledSequence:
    """The columns of `adding_examples` by what they are for."""
    return LabelledSequence(
        inputs_N=examples_N[:, [VALUE, MARKER]],
        targets_N=examples_N[:, [TARGET]],
        loss_mask_N=examples_N[:, COUNTED],
        valid_N=examples_N[:, MASK].astype(bool) if ends_differ else None,
        example_length=length,
    )


def _shortest_length(settings: TaskSpec) -> int:
    """The steps of the shortest example that may be drawn; rounded first, as 0.28 * 25 is a little more than 7."""
    if settings.length < 2:
        raise BadInput(f"task.length: got {settings.length}; expected >= 2 (one step for each marker)")
    steps = math.ceil(round(settings.shortest * settings.length, 9))
    if steps < 2:
        raise BadInput(
            f"task.shortest: got {settings.shortest:g}; expected more than {1 / settings.length:g} "
            f"(2 steps of {settings.length})"
        )
    return steps

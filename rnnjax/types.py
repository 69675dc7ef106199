"""The words every layer shares: the axis legend and the contracts of what can be swapped.

Axis letters, used as suffixes of arrays of rank >= 2; time comes first (`inputs_TB`):

    R runs (arm x seed)      T time, the TBPTT window    V vocabulary     L lag
    K runs of one block      D input                     O output         P prompts
    S rows of the record     H hidden                    G gates          N characters
    B batch                  W windows of the text

Losses are in nats per character whatever the reduction that is optimised. A run is one arm with one seed; an arm is
one point of a study's axes; a group is the runs that share one compiled program.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jax import Array

Params = dict[str, Any]  # a tree of arrays
Carry = Any  # a cell's own state: an array or a tuple of arrays
Factory = Callable[..., Any]  # factory(spec, hp) -> a NamedTuple of pure functions


class Cell(NamedTuple):
    """A recurrent cell for ONE example: a linear recurrence and an elementwise gate.

    `r = h @ recurrent_kernel` is done by `unroll`, which can therefore own its backward pass too.
    """

    init: Callable[[Array], Params]  # key -> {kernel [D, G*H], recurrent_kernel [H, G*H], bias [G*H]}
    carry: Callable[[], Carry]  # the carry at t = 0
    drive: Callable[[Params, Array], Array]  # params, x [D] or an id -> u [G*H], outside the scan
    gate: Callable[[Carry, Array, Array], Carry]  # carry, u, r [G*H] -> carry, elementwise
    output: Callable[[Carry], Array]  # carry -> h [H]


class Data(NamedTuple):
    """A sequence to learn, cut into windows: what stands at [w, t, b] is followed by what stands at [w, t+1, b]."""

    inputs_WTB: np.ndarray  # int32 ids
    targets_WTB: np.ndarray  # int32 ids, one character later


class Task(NamedTuple):
    """What there is to learn, with what is known about it exactly."""

    vocabulary: str  # the character of id i is vocabulary[i]
    train_N: np.ndarray  # int32 ids
    validation_N: np.ndarray  # int32 ids, held out
    levels: dict[str, float]  # nats per character: "chance", "unigram", "bigram", "trigram", "floor"
    text_measures: Callable[[str], dict[str, float]]  # of a generated text, "valid_words" in [0, 1] and the like


class Probe(NamedTuple):
    """A look at a network between two chunks of training."""

    measure: Callable[[Any, Any, Array], dict[str, Array]]  # state, hp, step of ONE run -> scalars or [L]; compiled
    summarise: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]  # on the host: [R, ...] -> [R, ...]


def as_measured(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The summary of a probe that needs none."""
    return values

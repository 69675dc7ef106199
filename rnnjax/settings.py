"""The two kinds of setting. Defaults and ranges live here and nowhere else.

A field of `Spec` fixes the compiled program; a field of `HParams` is batched over the runs of one program.
The rule of a field (its type and range) stands in its annotation; `config.py` enforces it where a user's value enters.
This module imports nothing heavy, so that a bad value is refused before JAX is loaded.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, Lt

Count = Annotated[int, Ge(1), Le(2**31 - 1)]
Seed = Annotated[int, Ge(0), Le(2**32 - 1)]
Positive = Annotated[float, Gt(0), Lt(math.inf)]
PositiveOrInf = Annotated[float, Gt(0)]
Share = Annotated[float, Gt(0), Lt(1)]
Probability = Annotated[float, Ge(0), Le(1)]


@dataclass(frozen=True)
class TaskSpec:
    """What is learned. A task ignores the fields of other tasks."""

    name: str = "grammar"
    characters: Count = 18_710  # grammar: length of the training text
    corpus_seed: Seed = 0  # grammar: which text is drawn
    determiner: Probability = 0.5  # grammar: how often an optional "the" is said
    path: str = ""  # text: the file; empty is the Markdown text that comes with rnnjax
    encoding: str = "utf-8"  # text: of the file
    validation: Share = 0.1  # held out: the end of a file, or that share of `characters` drawn afresh


@dataclass(frozen=True)
class Spec:
    """Everything that fixes a compiled program; hashable, so that it can be a static argument of `jax.jit`."""

    task: TaskSpec = field(default_factory=TaskSpec)
    cell: str = "elman"
    activation: str = "tanh"
    hidden: Count = 64  # H
    kernel_initializer: str = "xavier_normal"  # of the input kernel
    recurrent_initializer: str = "orthogonal"
    window: Count = 25  # T, steps of truncated back-propagation through time
    batch: Count = 1  # B, parallel streams of the text
    carry: Literal["carried", "reset"] = "carried"  # what a window starts from
    reduction: Literal["sum", "mean", "last"] = "sum"  # over T: the loss that is optimised
    optimizer: str = "sgd"
    steps: Count = 30_000  # optimizer steps
    record_every: Count = 25  # steps averaged into one row of the record
    block: Count = 16  # K, runs that one device advances together; part of a run's numerical identity
    inputs: Annotated[int, Ge(0)] = 0  # D; 0 = whatever the task has
    outputs: Annotated[int, Ge(0)] = 0  # O; 0 = whatever the task has

    @property
    def program(self) -> "Spec":
        """This spec without what only decides how a run starts: specs that agree here share one training program."""
        return replace(self, **{name: getattr(Spec, name) for name in START_FIELDS})


START_FIELDS = ("kernel_initializer", "recurrent_initializer")


class HParams(NamedTuple):
    """What may differ between the runs of one program: scalars here, arrays with a run axis inside. Off is a number."""

    seed: Seed = 42
    learning_rate: Positive = 0.01
    clip_norm: PositiveOrInf = 5.0  # of the whole gradient; inf = off
    kernel_gain: Positive = 1.0  # multiplies the kernel initializer
    recurrent_gain: Positive = 1.0  # multiplies the recurrent initializer
    adam_b1: Annotated[float, Ge(0), Lt(1)] = 0.9
    adam_b2: Annotated[float, Ge(0), Lt(1)] = 0.999

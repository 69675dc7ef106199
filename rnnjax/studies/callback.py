"""A user's function that is called between two chunks of training."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax

from rnnjax.training.parallel import Run
from rnnjax.training.state import StepMetrics, TrainState


class ChunkUpdate(NamedTuple):
    """Runs that are in training, after a chunk of their steps."""

    group: str  # of a study: runs that share a program
    step: int  # optimizer steps done
    steps: int  # at the end of training
    arms: Sequence[str]  # [R]
    seeds: Sequence[int]  # [R]
    record: StepMetrics  # leaves [R, rows so far]
    states: Callable[[], TrainState]  # copies the states, leaves [R, ...], to the host


Callback = Callable[[ChunkUpdate], bool | None]  # true: stop after this chunk


def call_user(
    callback: Callback | None,
    group: str,
    step: int,
    arms: Sequence[str],
    runs: Sequence[Run],
    record: StepMetrics,
    states: Callable[[], TrainState],
) -> bool:
    """Call a user's function. Args: record: leaves [R, S]. Returns: whether it asks to stop."""
    if callback is None:
        return False
    spec = runs[0].spec
    known = jax.tree.map(lambda leaf: leaf[:, : -(-step // spec.log_every)].copy(), record)
    return bool(callback(ChunkUpdate(group, step, spec.steps, arms, [run.hp.seed for run in runs], known, states)))

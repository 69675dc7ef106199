"""Trajectories of a trained network: driven by its data, with one input held, or by its own outputs."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import BadInput
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model, build_layers, require_unidirectional
from rnnjax.probes.numerics.orthonormal import state_vector
from rnnjax.probes.series.closed_loop import to_input_units
from rnnjax.settings import HParams, Spec
from rnnjax.settings.vocabulary import known_tokens
from rnnjax.tasks.series_layout import is_plain
from rnnjax.tasks.windows import spread_windows
from rnnjax.types import Carry, Params, Task

SHORTEST = 4  # steps of a trajectory

Feedback = Callable[[Array], Array]  # the output of a step -> the next input


class HeldInput(NamedTuple):
    """One input that a network reads at every step, and what it is."""

    x: np.ndarray  # an id, int32, or numbers [D]
    words: str


def state_size(spec: Spec) -> int:
    """The numbers of a network's state, of all layers. Raises BadInput for a bidirectional or a stateless network."""
    require_unidirectional(spec)
    carry = {name: cell.carry() for name, cell in build_layers(spec, HParams()).items()}
    size = int(state_vector(carry)[0].size)
    if not size:
        raise BadInput(f"cell: got '{spec.cell}', which has no state; expected a recurrent cell")
    return size


def training_inputs(task: Task, steps: int, streams: int) -> np.ndarray:
    """The training data at evenly spaced places, [T, S, ...]; T is at most `steps`, fewer where the data are shorter.

    Of a set of sequences the longest ones, as far as the shortest of these goes; of examples, one example each.

    Raises:
        BadInput: fewer than 4 steps.
    """
    if task.sequences is not None:
        return longest_sequences(task, steps, streams)
    pairs = task.make_sequence(task.train_N)
    longest = pairs.example_length if pairs.example_length > 1 else len(pairs.inputs_N)
    return np.asarray(spread_windows(pairs, max(min(steps, longest), SHORTEST), streams).inputs_WTB[0])


def longest_sequences(task: Task, steps: int, streams: int) -> np.ndarray:
    """The first steps [T, S, ...] of the longest training sequences."""
    assert task.sequences is not None
    known = task.sequences.train
    chosen = np.argsort(-known.lengths, kind="stable")[:streams]
    length = min(int(known.lengths[chosen].min()), steps)
    if length < SHORTEST:
        raise BadInput(f"task: has sequences of {length} steps; need >= {SHORTEST} for a trajectory")
    return np.stack([known.inputs_R[known.offsets_N[i] :][:length] for i in chosen], axis=1)


def all_inputs(task: Task) -> np.ndarray:
    """Every training input, [N] ids or [N, D]."""
    if task.sequences is not None:
        return np.asarray(task.sequences.train.inputs_R)
    return np.asarray(task.make_sequence(task.train_N).inputs_N)


def default_input(task: Task) -> HeldInput:
    """The input that probes hold: the most frequent symbol of the training data, or the mean of its inputs."""
    inputs_N = all_inputs(task)
    if not np.issubdtype(inputs_N.dtype, np.integer):
        return HeldInput(inputs_N.mean(axis=0).astype(np.float32), "the mean of the training inputs")
    symbol = int(np.argmax(np.bincount(inputs_N.ravel())))
    name = repr(task.vocabulary[symbol]) if isinstance(task.vocabulary, str | tuple) and task.vocabulary else symbol
    return HeldInput(np.array(symbol, np.int32), f"the most frequent symbol, {name}")


def feedback_of(spec: Spec, task: Task) -> Feedback | None:
    """How an output becomes the next input: the most likely symbol, or the predicted row; None where it cannot."""
    if task.vocabulary and predicts_next_symbol(task):
        return partial(most_likely, known_tokens(task.vocabulary))
    rows = bool(task.columns) and task.sequences is None and not task.axes_swapped and task.loss == "squared_error"
    if not rows or (task.layout is not None and not is_plain(task.layout)) or task.inputs != task.outputs:
        return None
    if spec.task.standardise != "targets":
        return lambda output_O: output_O
    mean_1O, scale_1O = (np.array(values, np.float32)[None] for values in (task.target_mean_O, task.target_scale_O))
    return lambda output_O: to_input_units(mean_1O, scale_1O, output_O[None])[0]


def predicts_next_symbol(task: Task) -> bool:
    """Whether the target of each step of a stream is the next input."""
    if task.sequences is not None or task.inputs != task.outputs:
        return False
    pairs = task.make_sequence(task.train_N)
    return bool(np.array_equal(pairs.targets_N[:-1], pairs.inputs_N[1:]))


def most_likely(allowed_V: np.ndarray | None, logits_V: Array) -> Array:
    """The id of the largest logit among the symbols that are allowed."""
    return jnp.argmax(logits_V if allowed_V is None else jnp.where(allowed_V, logits_V, -jnp.inf)).astype(jnp.int32)


def start_carries(model: Model, hp: HParams, params: Params, inputs_TS: Any) -> Carry:
    """The states [S, ...] after S streams of inputs [T, S, ...], read from the initial state."""
    start = model.carry(params, key_for(hp, "evaluation"), inputs_TS.shape[1])
    step = jax.vmap(partial(model.step, params))
    return jax.lax.scan(lambda carry, x: (step(carry, x), None), start, jnp.asarray(inputs_TS))[0]

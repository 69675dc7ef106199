"""Trajectories of a trained network: driven by its data, with one input held, or by its own outputs."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import BadInput
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_layers, build_network, require_unidirectional
from rnnjax.probes.numerics.orthonormal import state_vector
from rnnjax.probes.series.closed_loop import to_input_units
from rnnjax.settings import HParams, Spec
from rnnjax.settings.vocabulary import known_tokens
from rnnjax.tasks.series_layout import is_plain
from rnnjax.tasks.windows import spread_windows
from rnnjax.types import Params, Task

SHORTEST = 4  # steps of a trajectory
MOST_GROUPS, OTHERS = 6, "others"  # of the points of a picture

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
    return HeldInput(np.array(symbol, np.int32), f"the most frequent symbol, {symbol_name(task, symbol)}")


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


def trajectory_units(spec: Spec, hp: HParams, params: Params, inputs_TS: Array, first: int) -> Array:
    """h [N, H] of the last layer after each step from `first` on, of all streams from the initial state."""
    model = build_network(spec, hp)
    start = model.carry(params, key_for(hp, "evaluation"), inputs_TS.shape[1])
    h_TSH = model.apply(params, start, inputs_TS)[2][first:]
    return h_TSH.reshape(-1, h_TSH.shape[-1])


def trajectory_labels(task: Task, inputs_TS: np.ndarray, first: int) -> list[tuple[str, str]]:
    """(name, group) of each step from `first` on of S streams, stream after stream, and ("", "") after each stream.

    The name is the symbol that is read, the class of the sequence, or the number of the stream. The most frequent names
    are groups of their own, all others are one together.
    """
    inputs_ST = np.swapaxes(inputs_TS[first:], 0, 1)
    streams = stream_names(task, len(inputs_ST))
    if np.issubdtype(inputs_ST.dtype, np.integer):
        names_ST = [[symbol_name(task, symbol) for symbol in inputs_T] for inputs_T in inputs_ST]
    else:
        names_ST = [[name] * inputs_ST.shape[1] for name in streams]
    frequent = {name for name, _ in Counter(name for names in names_ST for name in names).most_common(MOST_GROUPS)}
    labelled = ([(name, name if name in frequent else OTHERS) for name in names] + [("", "")] for names in names_ST)
    return [label for labels in labelled for label in labels]


def symbol_name(task: Task, symbol: int) -> str:
    """A symbol of the vocabulary in quotes, or its number."""
    return repr(task.vocabulary[symbol]) if task.vocabulary else f"symbol {symbol}"


def stream_names(task: Task, streams: int) -> list[str]:
    """The class of each of the longest sequences, or the numbers of the streams."""
    parts = task.sequences
    if parts is None or parts.predict != "label":
        return [f"stream {number + 1}" for number in range(streams)]
    chosen = np.argsort(-parts.train.lengths, kind="stable")[:streams]
    labels = parts.train.targets_R[parts.train.offsets_N[chosen + 1] - 1]
    return [parts.classes[label] if parts.classes else f"class {label}" for label in np.asarray(labels, int)]

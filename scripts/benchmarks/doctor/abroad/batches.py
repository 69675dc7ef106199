"""Cases whose fault is in the data: leaks, axes, padding, classes, unknown ids, noise."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from benchmarks.doctor.abroad import data, networks
from benchmarks.doctor.abroad.cases import AbroadCase
from benchmarks.doctor.abroad.networks import Objective, Pair, Params, Sampler, draw, symbols, text_ids, waves, windows
from rnnjax.doctor import examine
from rnnjax.doctor.diagnosis import Diagnosis

# Objectives


def masked_cross_entropy(logits: Array, ids: Array) -> Array:
    """Padding, id 0, does not count."""
    counted = ids > 0
    return jnp.sum(optax.softmax_cross_entropy_with_integer_labels(logits, ids) * counted) / counted.sum()


def binary_cross_entropy(logits: Array, events: Array) -> Array:
    return optax.sigmoid_binary_cross_entropy(logits, events).mean()


# Examinations


def examine_numbers(
    sampler: Sampler, objective: Objective, outputs: int, updates: int = networks.UPDATES, held_out: bool = False
) -> Diagnosis:
    """A network of numbers, trained on a sampler."""
    batch = draw(sampler)
    params, record = networks.train(
        networks.elman_step, networks.initial_params(batch[0].shape[-1], outputs), sampler, objective, updates
    )
    return examine(
        networks.elman_step, params, batch, carry=networks.zero_carry(), objective=objective, record=record,
        held_out=draw(sampler, 101) if held_out else None,
    )  # fmt: skip


def examine_column(column: data.Column) -> Diagnosis:
    return examine_numbers(data.with_column(column), networks.squared_error, 1, 400)


def examine_series(series: Callable[[], np.ndarray], held_out: bool = False) -> Diagnosis:
    return examine_numbers(windows(series()), networks.squared_error, 1, held_out=held_out)


def examine_padded(objective: Objective, updates: int) -> Diagnosis:
    letters = int(data.padded_sentences().max()) + 1
    params, record = networks.train(
        networks.embedded_step, networks.embedded_params(letters), data.padded_windows, objective, updates
    )
    carry, batch = networks.zero_carry(), draw(data.padded_windows)
    return examine(networks.embedded_step, params, batch, carry=carry, objective=objective, record=record)


def examine_text(change: Callable[[Pair], Pair], carry_axis: int = 1) -> Diagnosis:
    """The text model on a changed batch. Args: carry_axis: of the batch, with the streams of the carry."""
    batch = change(draw(windows(text_ids())))
    params = networks.trained_text_model().params
    carry = networks.zero_carry(batch[0].shape[carry_axis])
    return examine(networks.embedded_step, params, batch, carry=carry, objective=networks.cross_entropy)


def more_streams(batch: Pair) -> Pair:
    """More streams than steps."""
    return np.concatenate([batch[0]] * 3, axis=1), np.concatenate([batch[1]] * 3, axis=1)


def one_hot_step(params: Params, carry: Array, ids: Array) -> tuple[Array, Array]:
    """Ids beyond the vocabulary are coded as zeros."""
    return networks.elman_step(params, carry, jax.nn.one_hot(ids, symbols()))


def examine_one_hot_ids() -> Diagnosis:
    params, batch = networks.initial_params(symbols(), symbols()), data.beyond_vocabulary(draw(windows(text_ids())))
    return examine(one_hot_step, params, batch, carry=networks.zero_carry(), objective=networks.cross_entropy)


CASES = (
    *(AbroadCase("leak", name, "target_leak", partial(examine_column, column)) for name, column in data.LEAKS.items()),
    *(AbroadCase("leak", name, "", partial(examine_column, column)) for name, column in data.NO_LEAKS.items()),
    AbroadCase(
        "leak", "one_hot_of_target", "target_leak",
        lambda: examine_numbers(data.one_hot_beside_noise, networks.cross_entropy, symbols(), 300),
    ),
    AbroadCase(
        "leak", "id_of_target", "target_leak",
        lambda: examine_numbers(data.id_as_column, networks.cross_entropy, symbols(), 300),
    ),
    AbroadCase("axes", "batch_first_ids", "wrong_axis", partial(examine_text, data.swap_axes)),
    AbroadCase("axes", "time_first_ids", "", partial(examine_text, more_streams)),
    AbroadCase("unknown ids", "clamped_embedding", "unknown_ids", partial(examine_text, data.beyond_vocabulary)),
    AbroadCase("unknown ids", "one_hot_of_zeros", "unknown_ids", examine_one_hot_ids),
    AbroadCase("unknown ids", "all_known", "", partial(examine_text, lambda batch: batch)),
    AbroadCase("padding", "counted", "padding_counted", partial(examine_padded, networks.cross_entropy, 150)),
    AbroadCase("padding", "masked", "", partial(examine_padded, masked_cross_entropy, 700)),
    AbroadCase("classes", "ids_as_numbers", "classes_as_numbers", partial(examine_series, data.ids_as_numbers)),
    AbroadCase("classes", "counts", "", partial(examine_series, data.counts)),
    AbroadCase(
        "classes", "events", "",
        partial(examine_numbers, data.event_windows, binary_cross_entropy, 1, held_out=True),
    ),
    AbroadCase("unforeseeable", "white_noise", "unforeseeable", partial(examine_series, data.white_noise, True)),
    AbroadCase("unforeseeable", "waves", "", partial(examine_series, waves, True)),
    AbroadCase("unforeseeable", "random_walk", "unforeseeable", partial(examine_series, data.random_walk)),
)  # fmt: skip

"""Batches with a fault of the data, and batches like them without it."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from benchmarks.doctor.abroad import networks
from benchmarks.doctor.abroad.networks import Pair, Sampler, symbols, text_ids, waves, windows

Column = Callable[[np.ndarray], np.ndarray]


def noise_like(values: np.ndarray, scale: float) -> np.ndarray:
    return scale * np.random.default_rng(31).normal(size=values.shape)


LEAKS: dict[str, Column] = {  # a second input column, from the series [N, 1]; the target is the next value
    "negated_target": lambda x: -np.roll(x, -1, 0),
    "rounded_target": lambda x: np.round(np.roll(x, -1, 0), 1),
    "late_target": lambda x: np.roll(x, -3, 0),
    "noisy_other_unit": lambda x: 2 * np.roll(x, -1, 0) + 1 + noise_like(x, 0.01),
}
NO_LEAKS: dict[str, Column] = {
    "past_in_other_unit": lambda x: 1.8 * np.roll(x, 3, 0) + 0.3,
    "square_of_input": lambda x: x**2 + noise_like(x, 0.1),
}


def with_column(column: Column) -> Sampler:
    """Windows of the series and a second column; edges, to which `np.roll` moves values, are left out."""
    series = waves()
    inputs = np.concatenate([series, column(series)], axis=1).astype(np.float32)
    return windows(inputs[8:-8], series[9:-7])


def one_hot_beside_noise(rng: np.random.Generator) -> Pair:
    """The target's code beside two columns of noise."""
    ids, targets = windows(text_ids())(rng)
    code = np.eye(symbols(), dtype=np.float32)[targets]
    return np.concatenate([rng.normal(size=(*ids.shape, 2)).astype(np.float32), code], -1), targets


def id_as_column(rng: np.random.Generator) -> Pair:
    """The number of the target id, scaled, beside noise."""
    _, targets = windows(text_ids())(rng)
    return np.stack([targets / symbols(), rng.normal(size=targets.shape)], -1).astype(np.float32), targets


def one_hot_of_last(rng: np.random.Generator) -> Pair:
    """The last letter's code: no leak."""
    ids, targets = windows(text_ids())(rng)
    return np.eye(symbols(), dtype=np.float32)[ids], targets


@lru_cache
def padded_sentences() -> np.ndarray:
    """Sentences of 2 to 5 words, as ids [400, 33] from 1, padded with 0."""
    rng, words = np.random.default_rng(32), ["an", "owl", "sat", "near", "old", "barns", "so", "late"]
    texts = [" ".join(rng.choice(words, rng.integers(2, 6))) + "." for _ in range(400)]
    letters = sorted(set("".join(texts)))
    rows = np.zeros((len(texts), 33), np.int32)
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = [letters.index(letter) + 1 for letter in text]
    return rows


def padded_windows(rng: np.random.Generator) -> Pair:
    """Whole sentences, time first."""
    ids = padded_sentences()[rng.integers(0, 400, networks.STREAMS)].T
    return ids[:-1], ids[1:]


@lru_cache
def ids_as_numbers() -> np.ndarray:
    """Letters, standardised as if they were sizes [N, 1]."""
    return networks.standardise(text_ids().astype(float))[:, None]


@lru_cache
def counts() -> np.ndarray:
    """Poisson counts about a sine, which are sizes [N, 1]."""
    mean = 20 + 15 * np.sin(2 * np.pi * np.arange(3000) / 50)
    return (np.random.default_rng(33).poisson(mean) / 20.0).astype(np.float32)[:, None]


def beyond_vocabulary(batch: Pair) -> Pair:
    """Some input ids above all that the network knows."""
    inputs = batch[0].copy()
    inputs[3::5, ::2] = symbols() + 9
    return inputs, batch[1]


def white_noise() -> np.ndarray:
    """Too long to be learned by heart [N, 1]."""
    return np.random.default_rng(34).normal(size=(60_000, 1)).astype(np.float32)


def random_walk() -> np.ndarray:
    return networks.standardise(np.cumsum(np.random.default_rng(35).normal(size=(4000, 1)), axis=0))


def event_windows(rng: np.random.Generator) -> Pair:
    """Events of probability 1/2 that depend on this step and the one before."""
    inputs = rng.normal(size=(networks.STEPS, networks.STREAMS, 3)).astype(np.float32)
    return inputs, (inputs[..., :1] + np.roll(inputs, 1, 0)[..., 1:2] > 0).astype(np.float32)


def swap_axes(batch: Pair) -> Pair:
    return np.swapaxes(batch[0], 0, 1), np.swapaxes(batch[1], 0, 1)

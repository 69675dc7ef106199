"""Texts of a network at several temperatures beside the true text: shares of known words, and losses under n-grams."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.networks.sampling import sample
from rnnjax.settings.vocabulary import ids_to_text
from rnnjax.studies.load_networks import LoadedNetwork
from rnnjax.tasks.ngrams import LONGEST_NGRAM, ngram_losses
from rnnjax.tasks.text import known_word_share
from rnnjax.types import Task

PROMPTS, PROMPT, LENGTH = 16, 200, 1000  # texts of a network, and their characters
TEMPERATURES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


def true_row(task: Task) -> dict[str, Any]:
    """The held-out text itself, in as many pieces; a word is known if it occurs in the training part."""
    return {"temperature": "true text"} | measures(task, held_out_pieces(task)[PROMPT:])


def temperature_rows(networks: Sequence[LoadedNetwork], task: Task) -> Iterator[dict[str, Any]]:
    """The texts that all networks write after pieces of the held-out text."""
    first = networks[0]
    prompts_TP = jnp.asarray(held_out_pieces(task)[:PROMPT])
    draw = jax.jit(partial(sample, first.spec, first.hp, length=LENGTH))
    for temperature in TEMPERATURES:
        drawn = [
            draw(
                params=network.params,
                prompts_TP=prompts_TP,
                temperature=jnp.float32(temperature),
                key=jax.random.key(network.hp.seed),
            )
            for network in networks
        ]
        yield {"temperature": temperature} | measures(task, np.concatenate([np.asarray(ids) for ids in drawn], axis=1))


def held_out_pieces(task: Task) -> np.ndarray:
    """Pieces [T, P] of the held-out text, evenly spread."""
    ids_N = np.asarray(task.validation_N)
    starts_P = np.linspace(0, len(ids_N) - PROMPT - LENGTH, PROMPTS).astype(int)
    return np.stack([ids_N[start : start + PROMPT + LENGTH] for start in starts_P], axis=1)


def measures(task: Task, ids_NP: np.ndarray) -> dict[str, Any]:
    """The shares of words that occur in the training part, and the loss under its longest n-grams."""
    words = frozenset(ids_to_text(task.train_N, task.vocabulary).split())
    shares = [known_word_share(words, ids_to_text(ids_N, task.vocabulary)) for ids_N in ids_NP.T]
    losses = ngram_losses(task.train_N, ids_NP.T.reshape(-1), len(task.vocabulary), LONGEST_NGRAM)
    return {"known_words": float(np.mean(shares)), "fewest": min(shares), "ngram_loss": float(losses[-1])}

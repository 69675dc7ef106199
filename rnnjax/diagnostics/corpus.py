"""What is known of the text itself, whatever reads it."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.grammar import Grammar, sentences
from rnnjax.train import TrainState
from rnnjax.types import Probe, Task


def corpus(spec: Spec, task: Task) -> Probe:
    """Of the grammar's sentences, in characters with the space: sentence_length, the mean, and sentence_length_90, the
    length that 90% of them do not exceed.

    Raises:
        NotApplicable: another task.
    """
    if spec.task.name != "grammar":
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected 'grammar', whose sentences are known")
    known = sentences(Grammar(determiner=spec.task.determiner))
    lengths, chances = np.array(list(map(len, known))), np.array(list(known.values()))
    order = np.argsort(lengths)
    longest_90 = lengths[order][np.searchsorted(np.cumsum(chances[order]), 0.9)]

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del state, hp
        return {"sentence_length": jnp.zeros_like(step, float)}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        runs = np.ones(len(values["sentence_length"]))
        return {"sentence_length": runs * (lengths @ chances), "sentence_length_90": runs * longest_90}

    return Probe(measure, summarise)

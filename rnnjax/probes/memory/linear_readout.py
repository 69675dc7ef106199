"""What the best linear readout could make of a state: an echo state network, whatever the rest has learned."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.probes.memory.symbol_recall import (
    CONTEXT,
    WARM_UP,
    contexts,
    guesses,
    looked_at_contexts,
    states,
    symbol_windows,
)
from rnnjax.probes.numerics.linear_fits import logistic, logits, ridge, scale_of
from rnnjax.settings import HParams, Spec
from rnnjax.training.losses import LOSSES
from rnnjax.training.state import TrainState
from rnnjax.types import Probe, Task, WindowData

STEPS = 32  # states of each training window
PENALTY = 3e-4  # of both fits, whose features are standardised
ITERATIONS = 40  # the loss is then within 0.01 nats of its limit


def readout(spec: Spec, task: Task) -> Probe:
    """Linear readouts fitted anew on 8,192 states of the training text and scored on 1,024 of the held-out text.

    ridge_accuracy                    share of right first guesses of a ridge regression on one-hot targets
    readout_accuracy, readout_loss    of a multinomial logistic regression; the loss in nats per character
    own_loss                          of the network's own readout at the same held-out states
    next_majority                     accuracy of always guessing the most frequent target
    next_ngram, next_ngram_loss       of counts after the last three symbols; the loss with add-one smoothing

    Raises: as `memory.memory`.
    Source: Jaeger 2001, GMD Report 148.
    """
    train, held_out = symbol_windows(spec, task, STEPS)
    targets_N, asked_M = looked_at_targets(train), looked_at_targets(held_out)
    baselines = {name: np.float32(value) for name, value in baselines_of(spec, task, held_out).items()}

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        h_NH, asked_MH = (states(spec, hp, state.params, data) for data in (train, held_out))
        scale = scale_of(h_NH)
        x_NF, asked_MF = scale.features(h_NH), scale.features(asked_MH)
        linear_FO = ridge(x_NF, jax.nn.one_hot(targets_N, spec.outputs), PENALTY)
        weights = logistic(x_NF, jnp.asarray(targets_N)[:, None], spec.outputs, PENALTY, ITERATIONS)
        said_MO, own = logits(asked_MF, weights)[:, 0], state.params["readout"]
        return {
            "ridge_accuracy": accuracy(asked_MF @ linear_FO, asked_M),
            "readout_accuracy": accuracy(said_MO, asked_M),
            "readout_loss": loss(said_MO, asked_M),
            "own_loss": loss(asked_MH @ own["kernel"] + own["bias"][None], asked_M),
        }

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return values | {name: np.full(len(values["own_loss"]), value) for name, value in baselines.items()}

    return Probe(measure, summarise)


def looked_at_targets(windows: WindowData) -> np.ndarray:
    """What is to be said at the steps that are looked at: [N]."""
    return windows.targets_WTB[0, WARM_UP:].ravel()


def accuracy(said_MO: Array, targets_M: np.ndarray) -> Array:
    """Share of right first guesses."""
    return jnp.mean(jnp.argmax(said_MO, axis=1) == targets_M, dtype=float)


def loss(logits_MO: Array, targets_M: np.ndarray) -> Array:
    """Mean of -log softmax at the targets, in nats."""
    return jnp.mean(jax.vmap(LOSSES["cross_entropy"])(logits_MO, jnp.asarray(targets_M)))


def baselines_of(spec: Spec, task: Task, held_out: WindowData) -> dict[str, float]:
    """What counts in the training text alone can say at the held-out steps that are looked at."""
    pairs = task.make_sequence(task.train_N)
    targets_N, base = pairs.targets_N[CONTEXT - 1 :], spec.inputs
    known_N, asked_M = contexts(pairs.inputs_N, base), looked_at_contexts(held_out, base)
    right_M = looked_at_targets(held_out)
    return {
        "next_majority": np.mean(right_M == np.bincount(targets_N).argmax()),
        "next_ngram": np.mean(right_M == guesses(known_N, targets_N, asked_M)),
        "next_ngram_loss": smoothed_loss(known_N, targets_N, asked_M, right_M, spec.outputs),
    }


def smoothed_loss(
    contexts_N: np.ndarray, targets_N: np.ndarray, asked_M: np.ndarray, right_M: np.ndarray, outputs: int
) -> float:
    """Mean of -log p in nats, with p = (count of context and target + 1) / (count of context + O)."""
    joint_M = occurrences(contexts_N * outputs + targets_N, asked_M * outputs + right_M)
    return float(np.mean(np.log((occurrences(contexts_N, asked_M) + outputs) / (joint_M + 1))))


def occurrences(known_N: np.ndarray, asked_M: np.ndarray) -> np.ndarray:
    """How often each number that is asked about occurs among the known ones: [M]."""
    numbers_K, counts_K = np.unique(known_N, return_counts=True)
    place_M = np.minimum(np.searchsorted(numbers_K, asked_M), len(numbers_K) - 1)
    return np.where(numbers_K[place_M] == asked_M, counts_K[place_M], 0)

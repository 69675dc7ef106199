"""The best linear readout of a state, as in an echo state network, compared with the network's own."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.probes.memory.symbol_recall import (
    CONTEXT,
    WARM_UP,
    contexts,
    ngram_predictions,
    probe_contexts,
    states,
    symbol_windows,
)
from rnnjax.probes.numerics.linear_fits import feature_scale, logistic, logits, ridge
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import SHARE, Metric
from rnnjax.training.losses import LOSSES
from rnnjax.training.state import TrainState
from rnnjax.types import Probe, Task, WindowData

STEPS = 32  # states of each training window
PENALTY = 3e-4  # of both fits, whose features are standardised
ITERATIONS = 40  # the loss is then within 0.01 nats of its limit

READOUT_METRICS = {
    "ridge_accuracy": Metric(
        "held-out accuracy of a ridge regression of the one-hot target on the states",
        better="higher",
        source="Jaeger 2001, GMD Report 148",
        range=SHARE,
    ),
    "readout_accuracy": Metric(
        "held-out accuracy of a multinomial logistic regression of the target on the states",
        better="higher",
        range=SHARE,
    ),
    "readout_loss": Metric(
        "held-out loss of a multinomial logistic regression of the target on the states", "{loss}", "lower"
    ),
    "own_loss": Metric("loss of the network's own readout at the same held-out states", "{loss}", "lower"),
    "next_majority": Metric("held-out accuracy of the most frequent target", range=SHARE),
    "next_ngram": Metric("held-out accuracy of the most frequent target after the last three symbols", range=SHARE),
    "next_ngram_loss": Metric(
        "held-out loss of the target counts after the last three symbols, with add-one smoothing", "{loss}"
    ),
}


def readout(spec: Spec, task: Task) -> Probe:
    """Linear readouts fitted anew on 8,192 states of the training text and scored on 1,024 of the held-out text.

    Values: see READOUT_METRICS.

    Raises: as `symbol_recall.memory`.
    Source: Jaeger 2001, GMD Report 148.
    """
    train, held_out = symbol_windows(spec, task, STEPS)
    targets_N, query_M = probe_targets(train), probe_targets(held_out)
    baselines = {name: np.float32(value) for name, value in baseline_metrics(spec, task, held_out).items()}

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        h_NH, query_MH = (states(spec, hp, state.params, data) for data in (train, held_out))
        scale = feature_scale(h_NH)
        x_NF, query_MF = scale.features(h_NH), scale.features(query_MH)
        linear_FO = ridge(x_NF, jax.nn.one_hot(targets_N, spec.outputs), PENALTY)
        weights = logistic(x_NF, jnp.asarray(targets_N)[:, None], spec.outputs, PENALTY, ITERATIONS)
        logits_MO, own = logits(query_MF, weights)[:, 0], state.params["readout"]
        return {
            "ridge_accuracy": accuracy(query_MF @ linear_FO, query_M),
            "readout_accuracy": accuracy(logits_MO, query_M),
            "readout_loss": loss(logits_MO, query_M),
            "own_loss": loss(query_MH @ own["kernel"] + own["bias"][None], query_M),
        }

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return values | {name: np.full(len(values["own_loss"]), value) for name, value in baselines.items()}

    return Probe(measure, summarise, READOUT_METRICS)


def probe_targets(windows: WindowData) -> np.ndarray:
    """Targets at the probed steps: [N]."""
    return windows.targets_WTB[0, WARM_UP:].ravel()


def accuracy(logits_MO: Array, targets_M: np.ndarray) -> Array:
    """Share of targets with the highest logit."""
    return jnp.mean(jnp.argmax(logits_MO, axis=1) == targets_M, dtype=float)


def loss(logits_MO: Array, targets_M: np.ndarray) -> Array:
    """Mean of -log softmax at the targets, in nats."""
    return jnp.mean(jax.vmap(LOSSES["cross_entropy"])(logits_MO, jnp.asarray(targets_M)))


def baseline_metrics(spec: Spec, task: Task, held_out: WindowData) -> dict[str, float]:
    """Accuracies and losses of counts in the training text alone at the probed held-out steps."""
    pairs = task.make_sequence(task.train_N)
    targets_N, base = pairs.targets_N[CONTEXT - 1 :], spec.inputs
    known_N, query_M = contexts(pairs.inputs_N, base), probe_contexts(held_out, base)
    query_targets_M = probe_targets(held_out)
    return {
        "next_majority": np.mean(query_targets_M == np.bincount(targets_N).argmax()),
        "next_ngram": np.mean(query_targets_M == ngram_predictions(known_N, targets_N, query_M)),
        "next_ngram_loss": smoothed_loss(known_N, targets_N, query_M, query_targets_M, spec.outputs),
    }


def smoothed_loss(
    contexts_N: np.ndarray, targets_N: np.ndarray, query_M: np.ndarray, query_targets_M: np.ndarray, outputs: int
) -> float:
    """Mean of -log p in nats, with p = (count of context and target + 1) / (count of context + O)."""
    joint_M = occurrences(contexts_N * outputs + targets_N, query_M * outputs + query_targets_M)
    return float(np.mean(np.log((occurrences(contexts_N, query_M) + outputs) / (joint_M + 1))))


def occurrences(known_N: np.ndarray, query_M: np.ndarray) -> np.ndarray:
    """Count of each query among the known numbers: [M]."""
    numbers_K, counts_K = np.unique(known_N, return_counts=True)
    index_M = np.minimum(np.searchsorted(numbers_K, query_M), len(numbers_K) - 1)
    return np.where(numbers_K[index_M] == query_M, counts_K[index_M], 0)

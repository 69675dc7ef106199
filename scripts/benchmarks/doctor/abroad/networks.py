"""Small Elman networks written as plain JAX functions, their data, and their training within seconds."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

STEPS, STREAMS, HIDDEN, EMBEDDED = 20, 16, 24, 12
UPDATES = 700
LEARNING_RATE, CLIP_NORM = 5e-3, 1.0
NOUNS, VERBS = ("river", "storm", "garden", "fox", "lantern"), ("found", "left", "carried")

Params = dict[str, Array]
Pair = tuple[np.ndarray, np.ndarray]  # inputs and targets
Sampler = Callable[[np.random.Generator], Pair]
Step = Callable[[Any, Any, Any], tuple[Any, Any]]
Objective = Callable[[Array, Any], Array]
Function = Callable[[Array], Array]


class Trained(NamedTuple):
    """Parameters and the curves of their training."""

    params: Params
    record: dict[str, np.ndarray]


# Networks


def initial_params(inputs: int, outputs: int, gain: float = 0.9, seed: int = 21) -> Params:
    """Args: gain: of the orthogonal recurrent kernel."""
    kernel, recurrent, readout = jax.random.split(jax.random.key(seed), 3)
    return {
        "kernel": jax.random.normal(kernel, (inputs, HIDDEN)) / np.sqrt(inputs),
        "recurrent_kernel": gain * jax.random.orthogonal(recurrent, HIDDEN),
        "bias": jnp.zeros(HIDDEN),
        "readout": jax.random.normal(readout, (HIDDEN, outputs)) / np.sqrt(HIDDEN),
        "readout_bias": jnp.zeros(outputs),
    }


def embedded_params(symbols: int, seed: int = 21) -> Params:
    """A network of ids with logits for the same symbols."""
    embedding = jax.random.normal(jax.random.key(seed + 1), (symbols, EMBEDDED))
    return {**initial_params(EMBEDDED, symbols, seed=seed), "embedding": embedding}


def elman_step(params: Params, carry: Array, x: Array) -> tuple[Array, Array]:
    """h' = tanh(W_xh x + W_hh h + b), y = W_hy h' + c, of a batch [B, D]."""
    carry = jnp.tanh(x @ params["kernel"] + carry @ params["recurrent_kernel"] + params["bias"][None])
    return carry, carry @ params["readout"] + params["readout_bias"][None]


def embedded_step(params: Params, carry: Array, ids: Array) -> tuple[Array, Array]:
    """The same of ids [B]."""
    return elman_step(params, carry, params["embedding"][ids])


def with_output(step: Step, function: Function) -> Step:
    """A step whose outputs pass through a function."""

    def transformed(params: Any, carry: Any, x: Any) -> tuple[Any, Any]:
        carry, y = step(params, carry, x)
        return carry, function(y)

    return transformed


def zero_carry(streams: int = STREAMS) -> Array:
    return jnp.zeros((streams, HIDDEN))


# Objectives


def squared_error(outputs: Array, targets: Array) -> Array:
    return jnp.mean((outputs - targets) ** 2)


def cross_entropy(logits: Array, ids: Array) -> Array:
    return optax.softmax_cross_entropy_with_integer_labels(logits, ids).mean()


# Data


def standardise(values: np.ndarray) -> np.ndarray:
    return ((values - values.mean()) / values.std()).astype(np.float32)


@lru_cache
def waves(rows: int = 3000, noise: float = 0.05) -> np.ndarray:
    """Two sines of periods 44 and 19 with white noise [N, 1]."""
    time = np.arange(rows)
    clean = np.sin(2 * np.pi * time / 44) + 0.6 * np.sin(2 * np.pi * time / 19)
    return standardise(clean + noise * np.random.default_rng(0).normal(size=rows))[:, None]


@lru_cache
def text_ids() -> np.ndarray:
    """Letters of random short sentences, as ids [N]."""
    rng = np.random.default_rng(1)
    text = "".join(f"the {rng.choice(NOUNS)} {rng.choice(VERBS)} the {rng.choice(NOUNS)}. " for _ in range(200))
    return np.unique(list(text), return_inverse=True)[1].astype(np.int32)


def symbols() -> int:
    return int(text_ids().max()) + 1


def windows(inputs: np.ndarray, targets: np.ndarray | None = None, shift: int = 1, steps: int = STEPS) -> Sampler:
    """Random windows [T, B, ...] of series [N, ...]. Args: targets: default the inputs `shift` steps later."""
    last = len(inputs) - steps - shift

    def sample(rng: np.random.Generator) -> Pair:
        rows_TB = np.arange(steps)[:, None] + rng.integers(0, last, STREAMS)
        return inputs[rows_TB], inputs[rows_TB + shift] if targets is None else targets[rows_TB]

    return sample


def draw(sampler: Sampler, seed: int = 100) -> Pair:
    """One batch that training has not drawn."""
    return sampler(np.random.default_rng(seed))


# Training


def train(
    step: Step,
    params: Params,
    sampler: Sampler,
    objective: Objective,
    updates: int = UPDATES,
    optimizer: optax.GradientTransformation | None = None,
    seed: int = 7,
) -> Trained:
    """Adam with clipping, unless another optimizer is given; one batch an update. Args: seed: of the batches."""
    chosen = optimizer or optax.chain(optax.clip_by_global_norm(CLIP_NORM), optax.adam(LEARNING_RATE))
    rng = np.random.default_rng(seed)
    batches = jax.tree.map(lambda *parts: np.stack(parts), *(sampler(rng) for _ in range(updates)))

    def loss_of(params: Params, inputs: Array, targets: Array) -> Array:
        return objective(jax.lax.scan(lambda carry, x: step(params, carry, x), zero_carry(), inputs)[1], targets)

    def update(state: tuple[Any, Any], batch: tuple[Array, Array]) -> tuple[Any, dict[str, Array]]:
        params, moments = state
        loss, gradient = jax.value_and_grad(loss_of)(params, *batch)
        change, moments = chosen.update(gradient, moments, params)
        norms = {"gradient_norm": optax.tree.norm(gradient), "update_norm": optax.tree.norm(change)}
        return (optax.apply_updates(params, change), moments), {"loss": loss, **norms}

    (trained, _), rows = jax.jit(lambda state: jax.lax.scan(update, state, batches))((params, chosen.init(params)))
    record = {name: np.asarray(values) for name, values in rows.items()}
    return Trained(trained, {**record, "steps": np.arange(1, updates + 1)})


@lru_cache
def trained_forecaster() -> Trained:
    """One step ahead on `waves`."""
    return train(elman_step, initial_params(1, 1), windows(waves()), squared_error, 800)


@lru_cache
def trained_text_model() -> Trained:
    """The next letter of `text_ids`."""
    return train(embedded_step, embedded_params(symbols()), windows(text_ids()), cross_entropy, 800)

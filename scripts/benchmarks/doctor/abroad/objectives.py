"""Cases of other objectives than squared error and cross-entropy of ids: labels, margins, rates, smoothed codes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from benchmarks.doctor.abroad import networks
from benchmarks.doctor.abroad.batches import examine_numbers
from benchmarks.doctor.abroad.cases import AbroadCase
from benchmarks.doctor.abroad.networks import Pair, draw, embedded_params, embedded_step, symbols, text_ids, windows
from rnnjax.doctor import examine
from rnnjax.doctor.diagnosis import Diagnosis

SMOOTHING, START = 0.1, networks.zero_carry()

# Data


def last_two(rng: np.random.Generator, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Normal inputs, and their sums with the step before."""
    inputs = rng.normal(size=(networks.STEPS, networks.STREAMS, columns)).astype(np.float32)
    return inputs, inputs + np.concatenate([np.zeros_like(inputs[:1]), inputs[:-1]])


def signs(with_answer: bool, rng: np.random.Generator) -> Pair:
    """The sign of a sum of two steps, -1 or 1. Args: with_answer: in a further column, as 0 or 1."""
    inputs, sums = last_two(rng, 1)
    answer = (sums > 0).astype(np.float32)
    return np.concatenate([inputs, answer], axis=-1) if with_answer else inputs, 2 * answer - 1


def labels(rng: np.random.Generator) -> Pair:
    """Three labels, 0 or 1, that may hold together."""
    inputs, sums = last_two(rng, 3)
    return inputs, (sums > 0.5).astype(np.float32)


def counts(rng: np.random.Generator) -> Pair:
    """Counts whose rate is the exponential of a sum of two steps."""
    inputs, sums = last_two(rng, 1)
    return inputs, rng.poisson(np.exp(0.5 + 0.6 * sums)).astype(np.float32)


def smoothed(rng: np.random.Generator) -> Pair:
    """Ids, and smoothed codes of the next ones."""
    ids, targets = windows(text_ids())(rng)
    return ids, ((1 - SMOOTHING) * np.eye(symbols()) + SMOOTHING / symbols())[targets].astype(np.float32)


def codes(rng: np.random.Generator) -> Pair:
    """Ids, and codes of the next ones."""
    ids, targets = windows(text_ids())(rng)
    return ids, np.eye(symbols(), dtype=np.float32)[targets]


# Objectives


def hinge(outputs: Array, sign: Array) -> Array:
    return jnp.mean(jnp.maximum(0, 1 - sign * outputs))


def logistic(outputs: Array, events: Array) -> Array:
    return optax.sigmoid_binary_cross_entropy(outputs, events).mean()


def poisson(log_rates: Array, counted: Array) -> Array:
    return jnp.mean(jnp.exp(log_rates) - counted * log_rates)


def soft_cross_entropy(logits: Array, code: Array) -> Array:
    return optax.softmax_cross_entropy(logits, code).mean()


def categorical(probabilities: Array, code: Array) -> Array:
    return -jnp.mean(jnp.sum(code * jnp.log(probabilities + 1e-7), axis=-1))


def unguarded(probabilities: Array, ids: Array) -> Array:
    return -jnp.mean(jnp.log(jnp.take_along_axis(probabilities, ids[..., None], -1)))


def upper_quantile(outputs: Array, targets: Array) -> Array:
    return jnp.mean(jnp.maximum(0.9 * (targets - outputs), 0.1 * (outputs - targets)))


# Examinations


def examine_letters(sampler: networks.Sampler, objective: networks.Objective, function: networks.Function) -> Diagnosis:
    """A text model whose logits pass through a function."""
    step = networks.with_output(embedded_step, function)
    params, record = networks.train(step, embedded_params(symbols()), sampler, objective, 800)
    carry = networks.zero_carry()
    return examine(
        step, params, draw(sampler), carry=carry, objective=objective, record=record, held_out=draw(sampler, 101)
    )


def cut_off(logits: Array) -> Array:
    """Probabilities, of which small ones are 0."""
    probabilities = jax.nn.softmax(logits)
    kept = jnp.where(probabilities < 0.01, 0.0, probabilities)
    return kept / kept.sum(-1, keepdims=True)


def examine_cut_off(beside: bool) -> Diagnosis:
    """The text model with probabilities that are cut off. Args: beside: one target is another letter."""
    step, params, carry = networks.with_output(embedded_step, cut_off), networks.trained_text_model().params, START
    inputs, targets = draw(windows(text_ids()))
    outputs = np.asarray(jax.lax.scan(partial(step, params), carry, inputs)[1])
    possible = np.take_along_axis(outputs, targets[..., None], -1)[..., 0] > 0
    targets = np.where(possible, targets, outputs.argmax(-1)).astype(np.int32)
    if beside:
        targets[9, 3] = int(outputs[9, 3].argmin())
    return examine(step, params, (inputs, targets), carry=carry, objective=unguarded)


def identity(values: Array) -> Array:
    return values


KIND = "objectives"
CASES = (
    AbroadCase(KIND, "hinge", "", partial(examine_numbers, partial(signs, False), hinge, 1, held_out=True)),
    AbroadCase(KIND, "hinge_with_answer", "target_leak", partial(examine_numbers, partial(signs, True), hinge, 1)),
    AbroadCase(KIND, "several_labels", "", partial(examine_numbers, labels, logistic, 3, held_out=True)),
    AbroadCase(KIND, "poisson", "", partial(examine_numbers, counts, poisson, 1, held_out=True)),
    AbroadCase(KIND, "upper_quantile", "", partial(examine_numbers, windows(networks.waves()), upper_quantile, 1)),
    AbroadCase(KIND, "smoothed_codes", "", partial(examine_letters, smoothed, soft_cross_entropy, identity)),
    AbroadCase(KIND, "codes_and_probabilities", "", partial(examine_letters, codes, categorical, jax.nn.softmax)),
    AbroadCase("not finite", "probability_of_zero", "broken", partial(examine_cut_off, True)),
    AbroadCase("not finite", "probabilities_cut_off", "", partial(examine_cut_off, False)),
)

"""Healthy networks written as plain JAX, Flax and optax programs: other objectives, data, precisions and optimizers."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from benchmarks.doctor.abroad import batches, data, networks
from benchmarks.doctor.abroad.networks import Objective, Pair, Params, Sampler, Step, draw, symbols, text_ids, windows
from benchmarks.doctor.healthy.groups import HealthyGroup
from rnnjax.doctor import examine
from rnnjax.doctor.diagnosis import Diagnosis

HELD_OUT_SEED = 5000


class Program(NamedTuple):
    """A network, its data and its training."""

    step: Step
    params: Callable[[int], Params]  # seed -> initial parameters
    sampler: Sampler
    objective: Objective
    updates: int = 900
    optimizer: optax.GradientTransformation | None = None
    held_out: Sampler | None = None
    after: Callable[[Params], Params] = lambda params: params  # a change of the trained parameters


def examine_programs(program: Program, seeds: Sequence[int]) -> list[Diagnosis]:
    """The diagnosis of one network of each seed."""
    return [examine_program(program, seed) for seed in seeds]


def examine_program(program: Program, seed: int) -> Diagnosis:
    params, record = networks.train(
        program.step, program.params(seed), program.sampler, program.objective, program.updates, program.optimizer, seed
    )
    held_out = None if program.held_out is None else draw(program.held_out, HELD_OUT_SEED + seed)
    return examine(
        program.step, program.after(params), draw(program.sampler, 100 + seed), carry=networks.zero_carry(),
        objective=program.objective, record=record, held_out=held_out,
    )  # fmt: skip


def of_numbers(sampler: Sampler, objective: Objective, outputs: int = 1, **changes: Any) -> Program:
    """An Elman network of numbers."""
    width = draw(sampler)[0].shape[-1]
    return Program(
        networks.elman_step, lambda seed: networks.initial_params(width, outputs, seed=seed), sampler, objective
    )._replace(**changes)


def of_ids(sampler: Sampler, vocabulary: int, objective: Objective = networks.cross_entropy, **changes: Any) -> Program:
    """An Elman network of ids with an embedding."""
    params = partial(networks.embedded_params, vocabulary)
    return Program(networks.embedded_step, params, sampler, objective)._replace(**changes)


# Objectives


def gaussian_likelihood(outputs: Array, targets: Array) -> Array:
    """Mean and logarithm of the deviation; negative for a good forecast on a small scale."""
    mean, log_deviation = outputs[..., :1], outputs[..., 1:]
    return jnp.mean(0.5 * ((targets - mean) / jnp.exp(log_deviation)) ** 2 + log_deviation)


def quantile_loss(outputs: Array, targets: Array) -> Array:
    """Of the quantiles 0.9, 0.5 and 0.1, in this order."""
    levels = jnp.array([0.9, 0.5, 0.1])
    above = targets - outputs
    return jnp.mean(jnp.maximum(levels * above, (levels - 1) * above))


def one_hot_cross_entropy(logits: Array, code: Array) -> Array:
    return optax.softmax_cross_entropy(logits, code).mean()


def absolute_error(outputs: Array, targets: Array) -> Array:
    return jnp.mean(jnp.abs(outputs - targets))


def huber_loss(outputs: Array, targets: Array) -> Array:
    return optax.huber_loss(outputs, targets).mean()


# Data


def split(series: np.ndarray, share: float = 0.2) -> tuple[Sampler, Sampler]:
    """Windows of the first part of a series [N, D], and of its end."""
    end = int(len(series) * (1 - share))
    return windows(series[:end]), windows(series[end:])


@lru_cache
def trend() -> np.ndarray:
    """A wave of period 30 on a slow rise, differenced by nobody [N, 1]."""
    time = np.arange(4000)
    noise = 0.1 * np.random.default_rng(51).normal(size=len(time))
    return networks.standardise(time / 4000 + np.sin(2 * np.pi * time / 30) + noise)[:, None]


@lru_cache
def periodic() -> np.ndarray:
    """A wave without noise, of one value for each of 24 hours [N, 1]."""
    day = np.sin(2 * np.pi * np.arange(24) / 24) + 0.5 * np.sin(4 * np.pi * np.arange(24) / 24)
    return networks.standardise(np.tile(day, 120))[:, None]


@lru_cache
def several_columns() -> np.ndarray:
    """Five mixtures of two waves, with noise [N, 5]."""
    rng = np.random.default_rng(52)
    time = np.arange(4000)[:, None]
    waves = np.concatenate([np.sin(2 * np.pi * time / 40), np.sin(2 * np.pi * time / 13)], axis=1)
    mixed = waves @ rng.normal(size=(2, 5)) + 0.2 * rng.normal(size=(len(time), 5))
    return ((mixed - mixed.mean(0)) / mixed.std(0)).astype(np.float32)


@lru_cache
def markov_ids(vocabulary: int, rows: int = 40_000) -> np.ndarray:
    """A Markov chain of the second order: after each pair of ids one with probability 0.8, or another [N]."""
    rng = np.random.default_rng(53)
    ids = np.zeros(rows, np.int32)
    factors = rng.integers(1, 10**6, 3)
    choice = rng.random(rows) < 0.8
    for n in range(2, rows):
        ids[n] = (factors[0] * ids[n - 1] + (ids[n - 2] % 2) * factors[1] + choice[n]) % vocabulary
    return ids


def one_hot_windows(rng: np.random.Generator) -> Pair:
    """Ids and codes of the next ones."""
    ids, targets = windows(text_ids())(rng)
    return ids, np.eye(symbols(), dtype=np.float32)[targets]


def one_hot_pairs(rng: np.random.Generator) -> Pair:
    """Codes of ids and of the next ones."""
    ids, targets = windows(text_ids())(rng)
    return np.eye(symbols(), dtype=np.float32)[ids], np.eye(symbols(), dtype=np.float32)[targets]


def one_batch(sampler: Sampler) -> Sampler:
    """The same batch at each draw: it is to be learned by heart."""
    fixed = draw(sampler, 77)
    return lambda rng: fixed


def sum_windows(rng: np.random.Generator) -> Pair:
    """Several columns, and a target that is a mixture of this step and the two before."""
    inputs = rng.normal(size=(networks.STEPS, networks.STREAMS, 2)).astype(np.float32)
    late = [np.concatenate([np.zeros_like(inputs[:back]), inputs[: len(inputs) - back]]) for back in range(3)]
    return inputs, (0.5 * late[0] + 0.8 * late[1] - 0.6 * late[2]).sum(-1, keepdims=True).astype(np.float32)


# Networks


def low_precision(step: Step) -> Step:
    """A step computed in bfloat16 from parameters of float32."""

    def rounded(params: Any, carry: Any, x: Any) -> tuple[Any, Any]:
        down = partial(jax.tree.map, lambda leaf: leaf.astype(jnp.bfloat16) if leaf.dtype == jnp.float32 else leaf)
        new, outputs = step(down(params), down(carry), down(jnp.asarray(x)))
        return new.astype(carry.dtype), outputs.astype(jnp.float32)

    return rounded


def as_bfloat16(params: Params) -> Params:
    """Trained in float32, stored in bfloat16."""
    return {name: value.astype(jnp.bfloat16) for name, value in params.items()}


class FlaxForecaster(nn.Module):
    """A Flax cell of which the carry is one array, and a dense readout."""

    cell: str
    outputs: int

    @nn.compact
    def __call__(self, carry: Array, x: Array) -> tuple[Array, Array]:
        carry, y = getattr(nn, self.cell)(networks.HIDDEN)(carry, x)
        return carry, nn.Dense(self.outputs)(y)


def of_flax(cell: str, sampler: Sampler, held_out: Sampler) -> Program:
    """A Flax module, its variables as the parameters."""
    inputs, targets = draw(sampler)
    module = FlaxForecaster(cell, targets.shape[-1])

    def initial(seed: int) -> Any:
        return module.init(jax.random.key(seed), networks.zero_carry(), inputs[0])

    step: Any = module.apply
    return Program(step, initial, sampler, networks.squared_error, held_out=held_out)


def clipped(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(networks.CLIP_NORM), optimizer)


OPTIMIZERS: dict[str, optax.GradientTransformation] = {
    "lion": optax.lion(1e-3),
    "adafactor": optax.adafactor(0.02, multiply_by_parameter_scale=False),
    "lamb": optax.lamb(0.02),
    "adamw_cosine": optax.adamw(optax.cosine_decay_schedule(0.01, 900)),
    "one_cycle": optax.adam(optax.cosine_onecycle_schedule(900, 0.01)),
    "momentum": optax.sgd(0.05, momentum=0.9),
    "rmsprop": optax.rmsprop(3e-3),
    "no_rate_at_first": optax.adam(optax.warmup_cosine_decay_schedule(0.0, 0.01, 150, 900)),
}
WAVES, LATE_WAVES = split(networks.waves(6000, 0.05))
NOISY, LATE_NOISY = split(networks.waves(6000, 1.0))
COLUMNS, LATE_COLUMNS = split(several_columns())
TEXT = windows(text_ids())
PROGRAMS: dict[str, dict[str, Program]] = {
    "loss": {
        "negative_likelihood": of_numbers(WAVES, gaussian_likelihood, 2, updates=2000, held_out=LATE_WAVES),
        "likelihood_about_zero": of_numbers(NOISY, gaussian_likelihood, 2, held_out=LATE_NOISY),
        "quantiles": of_numbers(NOISY, quantile_loss, 3, held_out=LATE_NOISY),
        "near_zero": of_numbers(windows(periodic()), networks.squared_error, updates=1500),
        "absolute_error": of_numbers(WAVES, absolute_error, held_out=LATE_WAVES),
        "huber_loss": of_numbers(WAVES, huber_loss, held_out=LATE_WAVES),
        "events": of_numbers(data.event_windows, batches.binary_cross_entropy),
    },
    "learned by heart": {
        "one_batch_of_numbers": of_numbers(one_batch(NOISY), networks.squared_error, updates=2500),
        "one_batch_of_text": of_ids(one_batch(TEXT), symbols(), updates=1500),
    },
    "form": {
        "one_hot_targets": of_ids(one_hot_windows, symbols(), one_hot_cross_entropy),
        "one_hot_pairs": of_numbers(one_hot_pairs, one_hot_cross_entropy, symbols()),
        "masked_padding": of_ids(
            data.padded_windows, int(data.padded_sentences().max()) + 1, batches.masked_cross_entropy
        ),
        "several_columns": of_numbers(COLUMNS, networks.squared_error, 5, held_out=LATE_COLUMNS),
        "other_target": of_numbers(sum_windows, networks.squared_error),
        "two_ids": of_ids(windows(markov_ids(2)), 2),
        "thousand_ids": of_ids(windows(markov_ids(1000)), 1000, updates=2500),
    },
    "series": {
        "noisy": of_numbers(NOISY, networks.squared_error, held_out=LATE_NOISY),
        "trend": of_numbers(windows(trend()), networks.squared_error),
        "periodic": of_numbers(*split(periodic())[:1], networks.squared_error, held_out=split(periodic())[1]),
        "counts": of_numbers(windows(data.counts()), networks.squared_error),
    },
    "precision": {
        "bfloat16_of_numbers": of_numbers(WAVES, networks.squared_error, step=low_precision(networks.elman_step)),
        "bfloat16_of_text": of_ids(TEXT, symbols(), step=low_precision(networks.embedded_step)),
        "stored_as_bfloat16": of_numbers(NOISY, networks.squared_error, after=as_bfloat16),
    },
    "flax": {cell: of_flax(cell, WAVES, LATE_WAVES) for cell in ("SimpleCell", "GRUCell", "MGUCell")},
    "optax": {
        name: of_numbers(WAVES, networks.squared_error, optimizer=clipped(each), held_out=LATE_WAVES)
        for name, each in OPTIMIZERS.items()
    },
}
GROUPS = tuple(
    HealthyGroup(kind, name, partial(examine_programs, program))
    for kind, programs in PROGRAMS.items()
    for name, program in programs.items()
)

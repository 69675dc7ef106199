"""Cases that a comparison shows: with simple predictors, with the held-out part, with the given loss mask."""

from functools import partial
from typing import Any

import numpy as np
from jax import Array

from benchmarks.doctor.abroad import networks
from benchmarks.doctor.abroad.cases import AbroadCase
from benchmarks.doctor.abroad.networks import (
    Objective,
    Sampler,
    cross_entropy,
    draw,
    elman_step,
    embedded_params,
    embedded_step,
    initial_params,
    squared_error,
    standardise,
    symbols,
    text_ids,
    train,
    windows,
    zero_carry,
)
from rnnjax.doctor import examine
from rnnjax.doctor.diagnosis import Diagnosis

STEPS, LATE, AVERAGED = 60, 20, 20  # of windows whose targets depend on early inputs
CLASSES = 3


# Simple predictors


def wave(period: float, rows: int = 3000) -> np.ndarray:
    """A sine with a little noise [N, 1]."""
    noise = 0.05 * np.random.default_rng(61).normal(size=rows)
    return standardise(np.sin(2 * np.pi * np.arange(rows) / period) + noise)[:, None]


def examine_wave(period: float, updates: int, trained_shift: int = 1) -> Diagnosis:
    """A forecaster of a wave. Args: trained_shift: steps between inputs and targets in training."""
    series = wave(period)
    sampler = windows(series, shift=trained_shift)
    params = train(elman_step, initial_params(1, 1), sampler, squared_error, updates).params
    return examine(elman_step, params, draw(windows(series)), carry=zero_carry(), objective=squared_error)


def examine_letters(trained_shift: int) -> Diagnosis:
    """A text model. Args: trained_shift: steps between inputs and targets in training."""
    sampler = windows(text_ids(), shift=trained_shift)
    params = train(embedded_step, embedded_params(symbols()), sampler, cross_entropy, 800).params
    return examine(embedded_step, params, draw(windows(text_ids())), carry=zero_carry(), objective=cross_entropy)


# Classes


def rare_events(rng: np.random.Generator) -> networks.Pair:
    """Two rare classes that follow from the inputs of three steps before."""
    inputs = rng.normal(size=(networks.STEPS, networks.STREAMS, 2)).astype(np.float32)
    early = np.concatenate([np.zeros_like(inputs[:3]), inputs[:-3]])
    limit = 1.88  # exceeded by 3% of normal values
    return inputs, np.where(early[..., 0] > limit, 1, np.where(early[..., 1] > limit, 2, 0)).astype(np.int32)


def examine_rare(updates: int) -> Diagnosis:
    params = train(elman_step, initial_params(2, CLASSES), rare_events, cross_entropy, updates).params
    return examine(elman_step, params, draw(rare_events), carry=zero_carry(), objective=cross_entropy)


# Early inputs


def early_means(late: int, rng: np.random.Generator) -> networks.Pair:
    """Targets that are a mean of the inputs `late` to `late` + 19 steps before, no one of which says much."""
    inputs = rng.normal(size=(late + STEPS + AVERAGED - 1, networks.STREAMS, 1)).astype(np.float32)
    means = np.mean([inputs[lag : lag + STEPS] for lag in range(AVERAGED)], axis=0)
    return inputs[-STEPS:], np.sqrt(np.float32(AVERAGED)) * means


def examine_means(late: int, gain: float) -> Diagnosis:
    sampler, params = partial(early_means, late), initial_params(1, 1, gain)
    params, record = train(elman_step, params, sampler, squared_error, 900)
    batch, carry = draw(sampler), zero_carry()
    return examine(elman_step, params, batch, carry=carry, objective=squared_error, record=record)


# Steps that count


def later_steps(first: int, outputs: Array, targets: Array) -> Array:
    return squared_error(outputs[first:], targets[first:])


def examine_counted(first: int, counted_from: int) -> Diagnosis:
    """An objective of the steps from `first` on, and a loss mask of those from `counted_from` on."""
    objective: Objective = partial(later_steps, first)
    sampler = windows(wave(44))
    params, record = train(elman_step, initial_params(1, 1), sampler, objective, 800)
    inputs, targets = draw(sampler)
    mask = np.ones(inputs.shape[:2], np.float32)
    mask[:counted_from] = 0
    batch, carry = (inputs, targets, mask), zero_carry()
    return examine(elman_step, params, batch, carry=carry, objective=objective, record=record)


# Values and parts


def with_codes(code: float, share: float, rng: np.random.Generator) -> networks.Pair:
    """A second input column in which a code stands for missing values."""
    inputs, targets = windows(wave(44))(rng)
    other = rng.normal(size=inputs.shape).astype(np.float32)
    other[rng.random(inputs.shape) < share] = code
    return np.concatenate([inputs, other], axis=-1), targets


def examine_codes(code: float, share: float) -> Diagnosis:
    sampler = partial(with_codes, code, share)
    params, record = train(elman_step, initial_params(2, 1), sampler, squared_error, 900)
    batch, carry = draw(sampler), zero_carry()
    return examine(elman_step, params, batch, carry=carry, objective=squared_error, record=record)


def examine_parts(step: Any, params: Any, parts: tuple[Sampler, Sampler], objective: Objective) -> Diagnosis:
    """A network trained on the first of two parts, the second held out."""
    trained, record = train(step, params, parts[0], objective, 800)
    batch, held_out = draw(parts[0]), draw(parts[1], 101)
    return examine(
        step, trained, batch, carry=zero_carry(), objective=objective, record=record, held_out=held_out
    )  # fmt: skip


def rising_parts(slope: float) -> tuple[Sampler, Sampler]:
    """The first 80% of a wave on a line, standardised by them, and the rest."""
    time = np.arange(3000)
    series = wave(30)[:, 0] + slope * time / len(time)
    standard = ((series - series[:2400].mean()) / series[:2400].std()).astype(np.float32)[:, None]
    return windows(standard[:2400]), windows(standard[2400:])


def alphabet_parts(other: bool) -> tuple[Sampler, Sampler]:
    """Two parts of a text. Args: other: in the second, each letter is replaced by one that the first does not have."""
    ids = text_ids()
    end = int(0.8 * len(ids))
    return windows(ids[:end]), windows(ids[end:] + (symbols() if other else 0))


def examine_alphabets(other: bool) -> Diagnosis:
    return examine_parts(embedded_step, embedded_params(2 * symbols()), alphabet_parts(other), cross_entropy)


def examine_rising(slope: float) -> Diagnosis:
    return examine_parts(elman_step, initial_params(1, 1), rising_parts(slope), squared_error)


CASES = (
    AbroadCase("levels", "short_training", "worse_than_linear", partial(examine_wave, 5.0, 2)),
    AbroadCase("levels", "repeats_last_value", "no_better_than_last", partial(examine_wave, 44.0, 800, 0)),
    AbroadCase("levels", "repeats_last_letter", "copies_input", partial(examine_letters, 0)),
    AbroadCase("levels", "fast_wave", "", partial(examine_wave, 5.0, 800)),
    AbroadCase("levels", "slow_wave", "", partial(examine_wave, 44.0, 800)),
    AbroadCase("levels", "next_letter", "", partial(examine_letters, 1)),
    AbroadCase("classes", "rare_classes_not_learned", "one_class", partial(examine_rare, 150)),
    AbroadCase("classes", "rare_classes_learned", "", partial(examine_rare, 2500)),
    AbroadCase("memory", "mean_of_early_inputs", "vanishing_slowly", partial(examine_means, LATE, 0.6)),
    AbroadCase("memory", "mean_of_last_inputs", "", partial(examine_means, 0, 0.9)),
    AbroadCase("counted", "objective_of_late_steps", "uncounted", partial(examine_counted, 8, 0)),
    AbroadCase("counted", "mask_of_late_steps", "", partial(examine_counted, 8, 8)),
    AbroadCase("values", "code_in_column", "suspicious_values", partial(examine_codes, -9999.0, 0.03)),
    AbroadCase("values", "zeros_in_column", "", partial(examine_codes, 0.0, 0.3)),
    AbroadCase("held-out part", "trend", "shifted", partial(examine_rising, 30.0)),
    AbroadCase("held-out part", "slight_trend", "", partial(examine_rising, 0.3)),
    AbroadCase("held-out part", "other_alphabet", "unseen_symbols", partial(examine_alphabets, True)),
    AbroadCase("held-out part", "same_alphabet", "", partial(examine_alphabets, False)),
)

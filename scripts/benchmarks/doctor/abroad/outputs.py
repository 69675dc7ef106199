"""Cases whose fault is in the outputs: bounded logits, bounded predictions, probabilities for logits."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks.doctor.abroad import networks
from benchmarks.doctor.abroad.cases import AbroadCase
from benchmarks.doctor.abroad.networks import Objective, draw, symbols, text_ids, waves, windows, with_output
from rnnjax.doctor import examine
from rnnjax.doctor.diagnosis import Diagnosis


def unit_norm(values: Array) -> Array:
    return values / jnp.linalg.norm(values, axis=-1, keepdims=True)


def softmax_over_streams(values: Array) -> Array:
    return jax.nn.softmax(values, axis=0)


def clip(bound: float, values: Array) -> Array:
    return jnp.clip(values, -bound, bound)


BOUNDED_LOGITS: dict[str, networks.Function] = {
    "tanh": jnp.tanh,
    "softmax_over_streams": softmax_over_streams,
    "relu": jax.nn.relu,
    "clip": partial(clip, 1.0),
    "unit_norm": unit_norm,
}
BOUNDED_OUTPUTS: dict[str, networks.Function] = {
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "clip": partial(clip, 0.8),
    "softplus": jax.nn.softplus,
}


def likelihood_of_probabilities(probabilities: Array, ids: Array) -> Array:
    return -jnp.mean(jnp.log(jnp.take_along_axis(probabilities, ids[..., None], -1) + 1e-9))


def likelihood_of_logarithms(log_probabilities: Array, ids: Array) -> Array:
    return -jnp.mean(jnp.take_along_axis(log_probabilities, ids[..., None], -1))


def examine_text_outputs(function: networks.Function, objective: Objective, updates: int) -> Diagnosis:
    """A text model whose logits pass through a function, trained with an objective."""
    step, sampler = with_output(networks.embedded_step, function), windows(text_ids())
    params, record = networks.train(step, networks.embedded_params(symbols()), sampler, objective, updates)
    carry = networks.zero_carry()
    return examine(step, params, draw(sampler), carry=carry, objective=objective, record=record)


def examine_forecasts(function: networks.Function, scale: float = 1.0) -> Diagnosis:
    """A forecaster whose outputs pass through a function. Args: scale: of the series."""
    step, sampler = with_output(networks.elman_step, function), windows(waves() * np.float32(scale))
    objective, carry = networks.squared_error, networks.zero_carry()
    params, record = networks.train(step, networks.initial_params(1, 1), sampler, objective)
    return examine(step, params, draw(sampler), carry=carry, objective=objective, record=record)


CASES = (
    *(
        AbroadCase(
            "bounded logits", f"{name}_of_logits", "distribution",
            partial(examine_text_outputs, function, networks.cross_entropy, 500),
        )
        for name, function in BOUNDED_LOGITS.items()
    ),
    AbroadCase(
        "bounded logits", "likelihood_of_probabilities", "",
        partial(examine_text_outputs, jax.nn.softmax, likelihood_of_probabilities, 700),
    ),
    AbroadCase(
        "bounded logits", "likelihood_of_logarithms", "",
        partial(examine_text_outputs, jax.nn.log_softmax, likelihood_of_logarithms, 700),
    ),
    *(
        AbroadCase("bounded outputs", f"{name}_of_outputs", "out_of_range", partial(examine_forecasts, function))
        for name, function in BOUNDED_OUTPUTS.items()
    ),
    AbroadCase("bounded outputs", "tanh_within_range", "", partial(examine_forecasts, jnp.tanh, 0.45)),
)  # fmt: skip

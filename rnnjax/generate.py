"""Free running: a network reads a prompt, then its own output."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.model import network
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Params


def sample(
    spec: Spec, hp: HParams, params: Params, prompts_TP: Array, length: int, temperature: Array, key: Array
) -> Array:
    """Draw `length` symbols after each prompt from softmax(logits / temperature).

    Args:
        prompts_TP: ids of P prompts of equal length, read from the start state. length: static.
        temperature: > 0, or 0 for the most likely symbol at every step (greedy).

    Returns:
        ids [length, P], int32.
    """
    model = network(spec, hp)
    prompts = prompts_TP.shape[1]
    carry, logits_TPV, _ = model.apply(params, model.carry(prompts), prompts_TP)

    def step(state: tuple[Carry, Array], uniform_P: Array) -> tuple[tuple[Carry, Array], Array]:
        carry, logits_PV = state
        ids_P = jax.vmap(partial(draw, temperature))(uniform_P, logits_PV)
        carry, logits_1PV, _ = model.apply(params, carry, ids_P[None])
        return (carry, logits_1PV[0]), ids_P

    uniforms = jax.random.uniform(key, (length, prompts))
    return jax.lax.scan(step, (carry, logits_TPV[-1]), uniforms)[1]


def draw(temperature: Array, uniform: Array, logits_V: Array) -> Array:
    """The id at which the cumulative distribution softmax(logits / temperature) passes `uniform`; greedy at 0.

    One uniform number per symbol costs far less than the Gumbel numbers of `jax.random.categorical`.
    """
    scaled = (logits_V - jnp.max(logits_V)) / jnp.where(temperature > 0, temperature, 1)
    cumulative = jnp.cumsum(jnp.exp(scaled))
    sampled = jnp.sum(cumulative <= uniform * cumulative[-1])
    best = jnp.argmax(logits_V)
    return jnp.where(temperature > 0, jnp.minimum(sampled, logits_V.shape[0] - 1), best).astype(jnp.int32)

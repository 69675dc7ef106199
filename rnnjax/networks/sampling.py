"""Free running: a network reads a prompt, then its own samples (symbols) or outputs (series)."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from rnnjax.networks.documents import build_reader
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model, build_network
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Params


class Truncation(NamedTuple):
    """The symbols that may be drawn, after the temperature; all of them at top_k >= V and top_p = 1."""

    top_k: Array  # >= 1: the k most likely symbols; of equally likely symbols those with the lowest ids
    top_p: Array  # in (0, 1]: of these the fewest symbols whose share of the probability reaches p


def sample(
    spec: Spec,
    hp: HParams,
    params: Params,
    prompts_TP: Array,
    length: int,
    temperature: Array,
    key: Array,
    truncation: Truncation | None = None,
    allowed_V: ArrayLike | None = None,
    document: int | None = None,
) -> Array:
    """Draw `length` symbols after each prompt from softmax(logits / temperature).

    Args:
        prompts_TP: ids of P prompts of equal length, read from the initial state. length: static.
        temperature: > 0, or 0 for the most likely symbol at every step (greedy).
        truncation: None = none, which saves a sort of the logits.
        allowed_V: false for symbols that are never drawn; None = all are allowed.
        document: the id before which the state becomes the initial state; None = none. Static.

    Returns:
        ids [length, P], int32.
    """
    model = build_reader(spec, hp, document)
    uniforms_NP = jax.random.uniform(key, (length, prompts_TP.shape[1]))
    start = prefill(model, hp, params, prompts_TP)
    return generate_from(model, params, start, uniforms_NP, temperature, truncation, allowed_V)


def generate_from(
    model: Model,
    params: Params,
    start: tuple[Carry, Array],
    uniforms_NP: Array,
    temperature: Array,
    truncation: Truncation | None = None,
    allowed_V: ArrayLike | None = None,
) -> Array:
    """As `sample`, from the carries of P texts and their logits [P, V]; one uniform number per symbol."""
    choose = (
        partial(sample_id, temperature) if truncation is None else partial(sample_truncated_id, truncation, temperature)
    )

    def step(state: tuple[Carry, Array], uniform_P: Array) -> tuple[tuple[Carry, Array], Array]:
        carry, logits_PV = state
        ids_P = jax.vmap(choose)(uniform_P, mask_logits(allowed_V, logits_PV))
        return decode_step(model, params, carry, ids_P), ids_P

    return jax.lax.scan(step, start, uniforms_NP)[1]


def mask_logits(allowed_V: ArrayLike | None, logits_PV: Array) -> Array:
    """The logits, -inf for symbols that are not allowed; None = all are."""
    return logits_PV if allowed_V is None else jnp.where(allowed_V, logits_PV, -jnp.inf)


def prefill(model: Model, hp: HParams, params: Params, prompts: Array) -> tuple[Carry, Array]:
    """The carry after P prompts, ids [T, P] or vectors x_TPD, and the last outputs [P, O]."""
    start = model.carry(params, key_for(hp, "evaluation"), prompts.shape[1])
    carry, outputs_TPO, _ = model.apply(params, start, prompts)
    return carry, outputs_TPO[-1]


def decode_step(model: Model, params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
    """The carry after one more step of P sequences, ids [P] or vectors x_PD, and its outputs [P, O]."""
    carry = jax.vmap(partial(model.step, params))(carry, x)
    return carry, jax.vmap(partial(model.readout, params))(carry)


def sample_inputs(
    model: Model, params: Params, carry: Carry, ids_TB: Array, own_TB: Array, temperature: float, uniforms_TB: Array
) -> Array:
    """B texts with some symbols replaced by samples: x_t = own_t ? draw(y_{t-1}) : id_t, then y_t reads x_t.

    Args:
        carry: of B streams before the first symbol; a first symbol that is replaced is drawn from its readout.
        own_TB: true where a sample replaces the symbol of the text. temperature: 0 = argmax.

    Returns:
        x_TB, int32.
    """

    def step(state: tuple[Carry, Array], given: tuple[Array, Array, Array]) -> tuple[tuple[Carry, Array], Array]:
        (carry, logits_BV), (ids_B, own_B, uniforms_B) = state, given
        drawn_B = jax.vmap(partial(sample_id, jnp.asarray(temperature)))(uniforms_B, logits_BV)
        read_B = jnp.where(own_B, drawn_B, ids_B)
        return decode_step(model, params, carry, read_B), read_B

    start = carry, jax.vmap(partial(model.readout, params))(carry)
    return jax.lax.scan(step, start, (ids_TB, own_TB, uniforms_TB))[1]


def sample_id(temperature: Array, uniform: Array, logits_V: Array) -> Array:
    """The id at which the cumulative distribution softmax(logits / temperature) passes `uniform`; greedy at 0.

    One uniform number per symbol costs far less than the Gumbel numbers of `jax.random.categorical`.
    """
    cumulative = jnp.cumsum(softmax_weights(temperature, logits_V))
    sampled = jnp.sum(cumulative <= uniform * cumulative[-1])
    best = jnp.argmax(logits_V)
    return jnp.where(temperature > 0, jnp.minimum(sampled, logits_V.shape[0] - 1), best).astype(jnp.int32)


def softmax_weights(temperature: Array, logits: Array) -> Array:
    """exp(logits / temperature), the largest being 1; of the logits themselves at temperature 0."""
    return jnp.exp((logits - jnp.max(logits)) / jnp.where(temperature > 0, temperature, 1))


def sample_truncated_id(truncation: Truncation, temperature: Array, uniform: Array, logits_V: Array) -> Array:
    """As `sample_id`, after truncation; bitwise as `sample_id` where the truncation leaves all symbols."""
    allowed_V = truncation_mask(truncation, temperature, logits_V)
    drawn = sample_id(temperature, uniform, jnp.where(allowed_V, logits_V, -jnp.inf))
    # Over many symbols a cumulative sum is made in pieces and may rise by a rounding error where a weight is 0.
    return jnp.where(allowed_V[drawn], drawn, jnp.argmax(logits_V).astype(jnp.int32))


def truncation_mask(truncation: Truncation, temperature: Array, logits_V: Array) -> Array:
    """The symbols that may be drawn [V]: the top_k most likely, and of these the fewest with a share of at least top_p.

    Source: Holtzman et al. 2020, arXiv:1904.09751 (top-p); Fan et al. 2018, arXiv:1805.04833 (top-k).
    """
    order_V = jnp.argsort(-logits_V, stable=True)
    rank_V = jnp.arange(len(logits_V))
    among_V = rank_V < truncation.top_k
    cumulative_V = jnp.cumsum(jnp.where(among_V, softmax_weights(temperature, logits_V[order_V]), 0))
    before_V = jnp.concatenate([jnp.zeros(1), cumulative_V[:-1]])
    # At p = 1 rounding must remove no symbol, and the most likely symbol stays for any p.
    needed_V = (before_V < truncation.top_p * cumulative_V[-1]) | (truncation.top_p >= 1) | (rank_V == 0)
    return jnp.zeros(len(logits_V), bool).at[order_V].set(among_V & needed_V)


def forecast(
    spec: Spec,
    hp: HParams,
    params: Params,
    prompts_TPD: Array,
    length: int,
    feedback_transform: Callable[[Array], Array] | None = None,
) -> Array:
    """Continue P series: y_t = network(x_1 ... x_T, y_1 ... y_{t-1}), for t = 1 ... length.

    Args:
        prompts_TPD: x, in the units of the network's inputs, read from the initial state. length: static.
        feedback_transform: of an output y_PD to the next input, if inputs and outputs have different units.

    Returns:
        y [length, P, D], in the units of the network's outputs.
    """
    model = build_network(spec, hp)

    def step(state: tuple[Carry, Array], _: None) -> tuple[tuple[Carry, Array], Array]:
        carry, y_PD = state
        x_PD = y_PD if feedback_transform is None else feedback_transform(y_PD)
        return decode_step(model, params, carry, x_PD), y_PD

    return jax.lax.scan(step, prefill(model, hp, params, prompts_TPD), length=length)[1]

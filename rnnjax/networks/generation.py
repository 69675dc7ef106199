"""Free running: a network reads a prompt, then its own output."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model, build_network
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Params

COMPLETE = 1  # the place of a text that is complete


class Truncation(NamedTuple):
    """Which symbols may be drawn at all, after the temperature; all of them at top_k >= V and top_p = 1."""

    top_k: Array  # >= 1: the k most likely ones, of equally likely ones those with the lowest ids
    top_p: Array  # in (0, 1]: of these the fewest whose share of the probability reaches p


class BeamResult(NamedTuple):
    """The M texts that a beam found after each of P prompts, best first; a score of -inf is no text."""

    ids_MNP: Array  # int32, the end symbol repeated after a text's end
    lengths_MP: Array  # int32, symbols said, the end symbol too
    scores_MP: Array  # log p / ((5 + length) / 6)^length_penalty


class Hypotheses(NamedTuple):
    """The M partial texts of one beam."""

    carry: Carry  # leaves [M, ...]
    logits_MV: Array
    log_p: Array  # [M] of what was said; -inf where there is no text
    length: Array  # [M] int32, how many symbols
    state: Array  # [M] int32, where each is on its way to its end; `COMPLETE` when there


def sample(
    spec: Spec,
    hp: HParams,
    params: Params,
    prompts_TP: Array,
    length: int,
    temperature: Array,
    key: Array,
    truncation: Truncation | None = None,
) -> Array:
    """Draw `length` symbols after each prompt from softmax(logits / temperature).

    Args:
        prompts_TP: ids of P prompts of equal length, read from the start state. length: static.
        temperature: > 0, or 0 for the most likely symbol at every step (greedy).
        truncation: what may be drawn; None = everything, without the sort that finding out would cost.

    Returns:
        ids [length, P], int32.
    """
    model = build_network(spec, hp)
    uniforms_NP = jax.random.uniform(key, (length, prompts_TP.shape[1]))
    return generate_from(model, params, prefill(model, hp, params, prompts_TP), uniforms_NP, temperature, truncation)


def generate_from(
    model: Model,
    params: Params,
    start: tuple[Carry, Array],
    uniforms_NP: Array,
    temperature: Array,
    truncation: Truncation | None = None,
) -> Array:
    """As `sample`, from the carries of P texts and what the network says there [P, V]; a uniform number per symbol."""
    choose = (
        partial(sample_id, temperature) if truncation is None else partial(sample_truncated_id, truncation, temperature)
    )

    def step(state: tuple[Carry, Array], uniform_P: Array) -> tuple[tuple[Carry, Array], Array]:
        carry, logits_PV = state
        ids_P = jax.vmap(choose)(uniform_P, logits_PV)
        return decode_step(model, params, carry, ids_P), ids_P

    return jax.lax.scan(step, start, uniforms_NP)[1]


def prefill(model: Model, hp: HParams, params: Params, prompts: Array) -> tuple[Carry, Array]:
    """The carry after P prompts, ids [T, P] or vectors x_TPD, and what the network then says [P, O]."""
    start = model.carry(params, key_for(hp, "evaluation"), prompts.shape[1])
    carry, outputs_TPO, _ = model.apply(params, start, prompts)
    return carry, outputs_TPO[-1]


def decode_step(model: Model, params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
    """The carry after one step more of some texts, ids [P] or vectors x_PD, and what the network then says [P, O]."""
    carry = jax.vmap(partial(model.step, params))(carry, x)
    return carry, jax.vmap(partial(model.readout, params))(carry)


def sample_inputs(
    model: Model, params: Params, carry: Carry, ids_TB: Array, own_TB: Array, temperature: float, uniforms_TB: Array
) -> Array:
    """B texts in which the network has replaced some symbols: x_t = own_t ? draw(y_{t-1}) : id_t, then y_t reads x_t.

    Args:
        carry: of B streams before the first symbol; what it says is what the first own symbol is drawn from.
        own_TB: where the network's symbol takes the place of the text's. temperature: 0 = its best guess.

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
    """As `sample_id`, from what is left after truncation; bitwise as `sample_id` where everything is."""
    left_V = truncation_mask(truncation, temperature, logits_V)
    drawn = sample_id(temperature, uniform, jnp.where(left_V, logits_V, -jnp.inf))
    # Over many symbols a cumulative sum is made in pieces and may rise by a rounding error where a weight is 0.
    return jnp.where(left_V[drawn], drawn, jnp.argmax(logits_V).astype(jnp.int32))


def truncation_mask(truncation: Truncation, temperature: Array, logits_V: Array) -> Array:
    """Which symbols are left [V]: the top_k most likely, and of these the fewest with a share of at least top_p.

    Source: Holtzman et al. 2020, arXiv:1904.09751 (top-p); Fan et al. 2018, arXiv:1805.04833 (top-k).
    """
    order_V = jnp.argsort(-logits_V, stable=True)
    rank_V = jnp.arange(len(logits_V))
    among_V = rank_V < truncation.top_k
    cumulative_V = jnp.cumsum(jnp.where(among_V, softmax_weights(temperature, logits_V[order_V]), 0))
    before_V = jnp.concatenate([jnp.zeros(1), cumulative_V[:-1]])
    # At p = 1 rounding must take nothing away, and whatever p is the most likely symbol stays.
    needed_V = (before_V < truncation.top_p * cumulative_V[-1]) | (truncation.top_p >= 1) | (rank_V == 0)
    return jnp.zeros(len(logits_V), bool).at[order_V].set(among_V & needed_V)


def beam_search(
    spec: Spec,
    hp: HParams,
    params: Params,
    prompts_TP: Array,
    length: int,
    width: int,
    length_penalty: Array,
    end: Array,
    transitions_AV: Array | None = None,
) -> BeamResult:
    """Search for the texts with the highest log p / ((5 + n) / 6)^length_penalty, n being the symbols of a text.

    At each step the `width` most likely continuations of what is kept are kept, by log p; the penalty ranks them at the
    last. A text that has said the end symbol keeps its log p and its place as long as nothing more likely needs it.

    Args:
        prompts_TP: ids of P prompts of equal length, read from the start state. length, width: static.
        length_penalty: >= 0; 0 ranks by log p alone. end: the id that ends a text, -1 = none does.
        transitions_AV: where no single id does: the place that each id leads to from each of A places. A text begins
        at place
            0, has ended when it comes to place 1, and is then filled up with `end`.

    Returns:
        `width` texts for each prompt. Of these as many as there are have a score above -inf.

    Source: Wu et al. 2016, arXiv:1609.08144, equation 14.
    """
    model = build_network(spec, hp)
    transitions_AV = end_token_automaton(end, spec.outputs) if transitions_AV is None else transitions_AV

    def search(carry: Carry, logits_V: Array) -> BeamResult:
        start = initial_beam(width, carry, logits_V)
        last, (parents_NM, ids_NM) = jax.lax.scan(
            partial(beam_step, model, params, end, transitions_AV), start, length=length
        )
        scores = last.log_p / ((5 + last.length) / 6) ** length_penalty
        ranking = jnp.argsort(-scores, stable=True)
        return BeamResult(backtrack(parents_NM, ids_NM, ranking).T, last.length[ranking], scores[ranking])

    return jax.vmap(search, out_axes=-1)(*prefill(model, hp, params, prompts_TP))


def initial_beam(width: int, carry: Carry, logits_V: Array) -> Hypotheses:
    """A beam before its first step: one empty text, in M places."""
    carry, logits_MV = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (width, *leaf.shape)), (carry, logits_V))
    log_p = jnp.full(width, -jnp.inf).at[0].set(0)  # the others have no probability: they would be copies of the first
    return Hypotheses(carry, logits_MV, log_p, *jnp.zeros((2, width), jnp.int32))


def end_token_automaton(end: Array, symbols: int) -> Array:
    """The two places of a text that one symbol ends: [2, V]."""
    return jnp.stack([(jnp.arange(symbols) == end).astype(jnp.int32), jnp.full(symbols, COMPLETE, jnp.int32)])


def beam_step(
    model: Model, params: Params, end: Array, transitions_AV: Array, beam: Hypotheses, _: None
) -> tuple[Hypotheses, tuple[Array, Array]]:
    """One step of one beam. Also returns for each new text which old one it goes on from, and its new symbol."""
    vocabulary, ended = beam.logits_MV.shape[1], beam.state == COMPLETE
    ending_MV = jnp.broadcast_to(jnp.where(jnp.arange(vocabulary) == end, 0, -jnp.inf), beam.logits_MV.shape)
    gains_MV = jnp.where(ended[:, None], ending_MV, jax.nn.log_softmax(beam.logits_MV))
    # What is compared is the distance from the leader: far from 0, rounding would make equals of different texts.
    leader = jnp.max(beam.log_p)
    ahead, places = jax.lax.top_k(((beam.log_p - leader)[:, None] + gains_MV).ravel(), len(beam.log_p))
    parents, ids = places // vocabulary, places % vocabulary
    carry, said, place = jax.tree.map(lambda leaf: leaf[parents], (beam.carry, beam.length + ~ended, beam.state))
    carry, logits_MV = decode_step(model, params, carry, ids)
    return Hypotheses(carry, logits_MV, leader + ahead, said, transitions_AV[place, ids]), (parents, ids)


def backtrack(parents_NM: Array, ids_NM: Array, places: Array) -> Array:
    """The symbols [N, M] of the texts that stand at these places [M] after the last step."""

    def step(places: Array, before: tuple[Array, Array]) -> tuple[Array, Array]:
        parents, ids = before
        return parents[places], ids[places]

    return jax.lax.scan(step, places, (parents_NM, ids_NM), reverse=True)[1]


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
        prompts_TPD: x, what is read from the start state, as the network was trained to see it. length: static.
        feedback_transform: what is read where y_PD was said, if the network was trained to say and to see other units.

    Returns:
        y [length, P, D], in the units in which the network speaks.
    """
    model = build_network(spec, hp)

    def step(state: tuple[Carry, Array], _: None) -> tuple[tuple[Carry, Array], Array]:
        carry, said_PD = state
        return decode_step(
            model, params, carry, said_PD if feedback_transform is None else feedback_transform(said_PD)
        ), said_PD

    return jax.lax.scan(step, prefill(model, hp, params, prompts_TPD), length=length)[1]

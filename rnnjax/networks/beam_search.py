"""Beam search: the most likely continuations of a prompt."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from rnnjax.networks.documents import build_reader
from rnnjax.networks.model import Model
from rnnjax.networks.sampling import decode_step, mask_logits, prefill
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Params

COMPLETE = 1  # the state of a text that is complete


class BeamResult(NamedTuple):
    """The M best texts of a beam after each of P prompts, best first; a score of -inf is no text."""

    ids_MNP: Array  # int32, the end symbol repeated after a text's end
    lengths_MP: Array  # int32, symbols with the end symbol
    scores_MP: Array  # log p / ((5 + length) / 6)^length_penalty


class Hypotheses(NamedTuple):
    """The M partial texts of one beam."""

    carry: Carry  # leaves [M, ...]
    logits_MV: Array
    log_p: Array  # [M] of the text; -inf where there is none
    length: Array  # [M] int32, number of symbols
    state: Array  # [M] int32, of the automaton that ends a text; `COMPLETE` at the end


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
    min_length: Array | None = None,
    allowed_V: ArrayLike | None = None,
    document: int | None = None,
) -> BeamResult:
    """Search for the texts with the highest log p / ((5 + n) / 6)^length_penalty, n being the symbols of a text.

    Each step keeps the `width` most likely continuations of the texts kept before, by log p; the penalty ranks the
    texts after the last step. A text that has ended keeps its log p and stays unless more likely texts replace it.

    Args:
        prompts_TP: ids of P prompts of equal length, read from the initial state. length, width: static.
        length_penalty: >= 0; 0 ranks by log p alone. end: the id that ends a text, -1 = none does.
        transitions_AV: for ends that are not a single id: the next state for each of A states and each id. A text
            begins in state 0, has ended in state 1, and is then padded with `end`.
        min_length: symbols of a text, with the end symbol, before which it cannot end; None = 0.
        allowed_V: false for symbols that no text may have; None = all are allowed.
        document: as in `sampling.sample`.

    Returns:
        `width` texts for each prompt. Of these as many as there are have a score above -inf.

    Source: Wu et al. 2016, arXiv:1609.08144, equation 14.
    """
    model = build_reader(spec, hp, document)
    transitions_AV = end_token_automaton(end, spec.outputs) if transitions_AV is None else transitions_AV

    def search(carry: Carry, logits_V: Array) -> BeamResult:
        start = initial_beam(width, carry, logits_V)
        last, (parents_NM, ids_NM) = jax.lax.scan(
            partial(beam_step, model, params, end, transitions_AV, min_length, allowed_V), start, length=length
        )
        scores = last.log_p / ((5 + last.length) / 6) ** length_penalty
        ranking = jnp.argsort(-scores, stable=True)
        return BeamResult(backtrack(parents_NM, ids_NM, ranking).T, last.length[ranking], scores[ranking])

    return jax.vmap(search, out_axes=-1)(*prefill(model, hp, params, prompts_TP))


def initial_beam(width: int, carry: Carry, logits_V: Array) -> Hypotheses:
    """A beam before its first step: M entries, of which the first is the empty text."""
    carry, logits_MV = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (width, *leaf.shape)), (carry, logits_V))
    log_p = jnp.full(width, -jnp.inf).at[0].set(0)  # the others would be copies of the first
    return Hypotheses(carry, logits_MV, log_p, *jnp.zeros((2, width), jnp.int32))


def end_token_automaton(end: Array, symbols: int) -> Array:
    """The automaton of texts that one symbol ends: [2, V]."""
    return jnp.stack([(jnp.arange(symbols) == end).astype(jnp.int32), jnp.full(symbols, COMPLETE, jnp.int32)])


def beam_step(
    model: Model,
    params: Params,
    end: Array,
    transitions_AV: Array,
    min_length: Array | None,
    allowed_V: ArrayLike | None,
    beam: Hypotheses,
    _: None,
) -> tuple[Hypotheses, tuple[Array, Array]]:
    """One step of one beam; also, for each new text, the index of the text that it continues and its new symbol."""
    vocabulary, ended = beam.logits_MV.shape[1], beam.state == COMPLETE
    ending_MV = jnp.broadcast_to(jnp.where(jnp.arange(vocabulary) == end, 0, -jnp.inf), beam.logits_MV.shape)
    gains_MV = jnp.where(ended[:, None], ending_MV, mask_logits(allowed_V, jax.nn.log_softmax(beam.logits_MV)))
    if min_length is not None:
        too_short_M = ~ended & (beam.length + 1 < min_length)
        gains_MV = jnp.where(too_short_M[:, None] & (transitions_AV[beam.state] == COMPLETE), -jnp.inf, gains_MV)
    # Distances from the largest log p are compared: far from 0, rounding would make different texts equal.
    largest = jnp.max(beam.log_p)
    relative, entries = jax.lax.top_k(((beam.log_p - largest)[:, None] + gains_MV).ravel(), len(beam.log_p))
    parents, ids = entries // vocabulary, entries % vocabulary
    carry, length, state = jax.tree.map(lambda leaf: leaf[parents], (beam.carry, beam.length + ~ended, beam.state))
    carry, logits_MV = decode_step(model, params, carry, ids)
    return Hypotheses(carry, logits_MV, largest + relative, length, transitions_AV[state, ids]), (parents, ids)


def backtrack(parents_NM: Array, ids_NM: Array, entries: Array) -> Array:
    """The symbols [N, M] of the texts with these entries [M] of the beam after the last step."""

    def step(entries: Array, before: tuple[Array, Array]) -> tuple[Array, Array]:
        parents, ids = before
        return parents[entries], ids[entries]

    return jax.lax.scan(step, entries, (parents_NM, ids_NM), reverse=True)[1]

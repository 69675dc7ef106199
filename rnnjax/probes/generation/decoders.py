"""What a decoder makes of one and the same network: sampling, truncated or not, and search by beams."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.keys import key_for
from rnnjax.networks.beam_search import COMPLETE, beam_search
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.networks.sampling import Truncation, generate_from, prefill
from rnnjax.probes.generation.errors_by_position import PROMPT, TrueTexts, true_texts
from rnnjax.probes.generation.free_running import LONGEST_PERIOD, LOOP_TAIL
from rnnjax.probes.numerics.repetition import trailing_period
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.automaton import REJECT, START, Language, build_language, text_surprisal, word_lengths
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.state import TrainState
from rnnjax.types import Params, Probe, Task

PROMPTS = 16
SEARCHED = 4  # prompts of the long searches, which cost most
LONGEST = 40  # characters of one sentence; the longest of the built-in grammar has 26
SEED = 8
WIDTHS = (1, 2, 5, 10, 20)
PENALTIES = {"": 0.0, "_penalty": 1.0}  # of length
SAMPLED = ("greedy", "sampled", "top_k", "top_p")


class Settings(NamedTuple):
    """Of the decoders in SAMPLED, as arrays."""

    temperature: Array
    truncation: Truncation


def settings_of(symbols: int) -> Settings:
    """Greedy, temperature 1, the 5 likeliest, and the likeliest that together have a probability of 0.9."""
    top_k = jnp.array([symbols, symbols, min(5, symbols), symbols])
    top_p = jnp.array([1, 1, 1, 0.9])
    return Settings(jnp.array([0.0, 1, 1, 1]), Truncation(top_k, top_p))


def decoders(spec: Spec, task: Task) -> Probe:
    """The same prompts under greedy decoding, temperature 1, top-k 5, top-p 0.9 and beams of 1, 2, 5, 10 and 20.

    loop_rate_d: share of 200 characters that repeat themselves with a period of at most 50, for each decoder d: greedy,
    sampled, top_k, top_p, beam_1 ... beam_20.

    Of a grammar also one sentence after each prompt, which ends with one. No symbol ends a sentence of the grammar:
    here one ends where the grammar completes it or, wrong, with the word at which it has become impossible, and a beam
    ranks right and wrong ones by the network's probability alone. For each decoder, and for beams with a length penalty
    of 1 (beam_5_penalty ...): valid_sentences_d; sentence_length_d in characters; distinct_sentences_d, over the number
    of prompts; grammar_logp_d, of the valid ones, nats per character under the exact grammar.

    Source: Wu et al. 2016, arXiv:1609.08144 (penalty); Holtzman et al. 2020, arXiv:1904.09751.
    """
    require_unidirectional(spec)
    if spec.task.name not in ("grammar", "text"):
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected a text for a probe of what a network writes")
    known = build_language(task.grammar) if task.grammar else None
    if known:
        texts = true_texts(task.grammar, PROMPTS, 2 * PROMPT, (spec.task.corpus_seed, SEED))
        prompts_TP = before_sentences(texts).T
    else:
        prompts_TP = spread_windows(task.make_sequence(task.validation_N), PROMPT, PROMPTS).inputs_WTB[0]

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        key = jax.random.fold_in(key_for(hp, "samples"), step)
        written = sampled(spec, hp, state.params, jnp.asarray(prompts_TP), key)
        return written | searched(spec, hp, state.params, jnp.asarray(prompts_TP), known)

    return Probe(measure, partial(summarised, known))


def before_sentences(texts: TrueTexts) -> np.ndarray:
    """The PROMPT characters before a sentence begins, in each text."""
    first_P = PROMPT + np.argmax(texts.starts_PN[:, PROMPT:], axis=1)
    return np.take_along_axis(texts.ids_PN, first_P[:, None] - PROMPT + np.arange(PROMPT), axis=1)


def endings(known: Language) -> np.ndarray:
    """Where a sentence goes with each symbol: to its end too with a space after which nothing is possible any more."""
    transitions_AV = known.sentences.transitions_AV.copy()
    lost = transitions_AV[:, known.space] == REJECT
    transitions_AV[lost, known.space] = COMPLETE
    return transitions_AV


def sampled(spec: Spec, hp: HParams, params: Params, prompts_TP: Array, key: Array) -> dict[str, Array]:
    """Long texts [P, LOOP_TAIL] of each decoder that draws, from the same random numbers."""
    model = build_network(spec, hp)
    start = prefill(model, hp, params, prompts_TP)
    uniforms_NP = jax.random.uniform(key, (LOOP_TAIL, PROMPTS))
    speak = partial(generate_from, model, params, start, uniforms_NP)
    texts_DNP = jax.vmap(speak)(*settings_of(spec.outputs))
    return {f"long_{name}": ids_NP.T for name, ids_NP in zip(SAMPLED, texts_DNP, strict=True)}


def searched(spec: Spec, hp: HParams, params: Params, prompts_TP: Array, known: Language | None) -> dict[str, Array]:
    """The best text of each beam: long ones without an end, and sentences [P, LONGEST] with and without a penalty."""
    found = {}
    for width in WIDTHS:
        search = partial(beam_search, spec, hp, params, width=width)
        endless = search(prompts_TP[:, :SEARCHED], LOOP_TAIL, length_penalty=jnp.float32(0), end=jnp.int32(-1))
        found[f"long_beam_{width}"] = endless.ids_MNP[0].T
        if known is None:
            continue
        one = partial(
            search, prompts_TP, LONGEST, end=jnp.int32(known.space), transitions_AV=jnp.asarray(endings(known))
        )
        best_DNP = jax.vmap(lambda penalty, one=one: one(length_penalty=penalty).ids_MNP[0])(
            jnp.array(list(PENALTIES.values()))
        )
        found |= {f"one_beam_{width}{name}": ids.T for name, ids in zip(PENALTIES, best_DNP, strict=True)}
    return found


def summarised(known: Language | None, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Loops in long texts, and what a first sentence is like."""
    summary: dict[str, np.ndarray] = {}
    for name, ids_RPN in values.items():
        form, _, decoder = name.partition("_")
        if form == "long":
            rates = [np.mean(trailing_period(ids_PN, LONGEST_PERIOD, LOOP_TAIL) > 0) for ids_PN in ids_RPN]
            summary[f"loop_rate_{decoder}"] = np.array(rates, np.float32)
        if known and (form == "one" or decoder in SAMPLED):
            runs = [sentence_measures(known, ids_PN[:, :LONGEST]) for ids_PN in ids_RPN]
            summary |= {f"{one}_{decoder}": np.array([run[one] for run in runs], np.float32) for one in runs[0]}
    return summary


def sentence_measures(known: Language, ids_PN: np.ndarray) -> dict[str, float]:
    """Of the sentence with which each of P texts begins."""
    length_P = first_ends(endings(known), ids_PN)
    starts_PN = np.zeros(ids_PN.shape, bool)
    starts_PN[:, 0] = word_lengths(known.sentences, ids_PN, np.arange(len(ids_PN)), np.zeros(len(ids_PN), int)) > 0
    surprisal = text_surprisal(known.sentences, ids_PN, starts_PN)
    said = {tuple(ids_N[:length]) for ids_N, length in zip(ids_PN, length_P, strict=True)}
    return {
        "valid_sentences": float(np.mean(starts_PN[:, 0])),
        "sentence_length": float(np.mean(length_P)),
        "distinct_sentences": len(said) / len(ids_PN),
        "grammar_logp": -float(np.nanmean(surprisal)) if starts_PN.any() else np.nan,
    }


def first_ends(transitions_AV: np.ndarray, ids_PN: np.ndarray) -> np.ndarray:
    """Symbols until each text comes to its first end; N where it never does."""
    places_P, length_P = np.full(len(ids_PN), START), np.full(len(ids_PN), ids_PN.shape[1])
    for n, ids_P in enumerate(ids_PN.T, 1):
        before_P, places_P = places_P, transitions_AV[places_P, ids_P]
        length_P = np.where((places_P == COMPLETE) & (before_P != COMPLETE), n, length_P)
    return length_P

"""Decoders compared on one network: sampling, with and without truncation, and beam search."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.networks.beam_search import COMPLETE, beam_search
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.networks.sampling import Truncation, generate_from, prefill
from rnnjax.probes.generation.errors_by_position import PROMPT, TrueTexts, true_texts
from rnnjax.probes.generation.free_running import LONGEST_PERIOD, LOOP_METRICS, LOOP_TAIL
from rnnjax.probes.numerics.repetition import trailing_period
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import SHARE, Metric, suffixed_metrics
from rnnjax.tasks.automaton import REJECT, START, Language, build_language, text_surprisal, word_lengths
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.state import TrainState
from rnnjax.types import Params, Probe, Task

PROMPTS = 16
BEAM_PROMPTS = 4  # prompts of the long searches, which cost most
LONGEST = 40  # characters of a sentence; the longest of the built-in grammar has 26
DECODER_SEED = 8
WIDTHS = (1, 2, 5, 10, 20)
PENALTIES = {"": 0.0, "_penalty": 1.0}  # of length
SAMPLERS = ("greedy", "sampled", "top_k", "top_p")

DECODER_NAMES = {
    "greedy": "greedy decoding",
    "sampled": "sampled at temperature 1",
    "top_k": "sampled from the 5 likeliest symbols",
    "top_p": "sampled from the likeliest symbols with a total probability of 0.9",
    **{f"beam_{width}": f"beam search of width {width}" for width in WIDTHS},
}
SENTENCE_METRICS = {
    "valid_sentences": Metric(
        "share of the generated sentences that the grammar completes", better="higher", range=SHARE
    ),
    "sentence_length": Metric(
        "mean length of a generated sentence, up to the end of the word that makes it complete or impossible",
        unit="characters",
    ),
    "distinct_sentences": Metric("number of distinct generated sentences over the number of prompts", range=SHARE),
    "grammar_logp": Metric(
        "log probability under the exact grammar of the valid generated sentences", unit="nats per character"
    ),
}


class DecoderSettings(NamedTuple):
    """Settings of the decoders in SAMPLERS, as arrays."""

    temperature: Array
    truncation: Truncation


def decoder_settings(symbols: int) -> DecoderSettings:
    """Greedy, temperature 1, the 5 likeliest, and the likeliest that together have a probability of 0.9."""
    top_k = jnp.array([symbols, symbols, min(5, symbols), symbols])
    top_p = jnp.array([1, 1, 1, 0.9])
    return DecoderSettings(jnp.array([0.0, 1, 1, 1]), Truncation(top_k, top_p))


def decoders(spec: Spec, task: Task) -> Probe:
    """The same prompts continued by greedy decoding, temperature 1, top-k 5, top-p 0.9 and beams of 1, 2, 5, 10 and 20.

    Values: loop_rate_d of texts of 200 characters for each decoder d of CONDITIONS. Of a grammar also SENTENCE_METRICS
    of a sentence after each prompt, whose end is that of a sentence; for beams with a length penalty of 1 too
    (beam_5_penalty ...). No symbol ends a sentence of the grammar: here it ends where the grammar completes it or,
    invalid, with the word at which it has become impossible, and a beam ranks valid and invalid sentences by the
    network's probability alone.

    Source: Wu et al. 2016, arXiv:1609.08144 (penalty); Holtzman et al. 2020, arXiv:1904.09751.
    """
    require_unidirectional(spec)
    if spec.task.name not in ("grammar", "text"):
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected a text for a probe of generated text")
    known = build_language(task.grammar) if task.grammar else None
    if known:
        texts = true_texts(task.grammar, PROMPTS, 2 * PROMPT, (spec.task.corpus_seed, DECODER_SEED))
        prompts_TP = sentence_prompts(texts).T
    else:
        prompts_TP = spread_windows(task.make_sequence(task.validation_N), PROMPT, PROMPTS).inputs_WTB[0]

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        key = jax.random.fold_in(key_for(hp, "samples"), step)
        texts = sampled_texts(spec, hp, state.params, jnp.asarray(prompts_TP), key)
        return texts | beam_texts(spec, hp, state.params, jnp.asarray(prompts_TP), known)

    return Probe(measure, partial(summarise_texts, known), decoder_metrics(with_sentences=known is not None))


def decoder_metrics(with_sentences: bool) -> dict[str, Metric]:
    """The metrics of every decoder, and of beams with a length penalty."""
    loop_rate = {"loop_rate": LOOP_METRICS["loop_rate"]}
    found: dict[str, Metric] = {}
    for decoder, condition in DECODER_NAMES.items():
        found |= suffixed_metrics(loop_rate, f"_{decoder}", condition)
        for suffix, penalty in (PENALTIES if decoder.startswith("beam_") else {"": 0.0}).items():
            whole = f"{condition}, length penalty {penalty:g}" if penalty else condition
            found |= suffixed_metrics(SENTENCE_METRICS, f"_{decoder}{suffix}", whole) if with_sentences else {}
    return found


def sentence_prompts(texts: TrueTexts) -> np.ndarray:
    """ids [P, PROMPT]: the PROMPT characters before a sentence begins, in each text."""
    first_P = PROMPT + np.argmax(texts.starts_PN[:, PROMPT:], axis=1)
    return np.take_along_axis(texts.ids_PN, first_P[:, None] - PROMPT + np.arange(PROMPT), axis=1)


def sentence_transitions(known: Language) -> np.ndarray:
    """Transitions of a sentence, which also ends with a space after which no continuation is possible."""
    transitions_AV = known.sentences.transitions_AV.copy()
    rejected = transitions_AV[:, known.space] == REJECT
    transitions_AV[rejected, known.space] = COMPLETE
    return transitions_AV


def sampled_texts(spec: Spec, hp: HParams, params: Params, prompts_TP: Array, key: Array) -> dict[str, Array]:
    """Long texts [P, LOOP_TAIL] of each decoder in SAMPLERS, from the same random numbers."""
    model = build_network(spec, hp)
    start = prefill(model, hp, params, prompts_TP)
    uniforms_NP = jax.random.uniform(key, (LOOP_TAIL, PROMPTS))
    generate = partial(generate_from, model, params, start, uniforms_NP)
    texts_DNP = jax.vmap(generate)(*decoder_settings(spec.outputs))
    return {f"long_{name}": ids_NP.T for name, ids_NP in zip(SAMPLERS, texts_DNP, strict=True)}


def beam_texts(spec: Spec, hp: HParams, params: Params, prompts_TP: Array, known: Language | None) -> dict[str, Array]:
    """The best text of each beam: long texts without an end, and sentences [P, LONGEST] for each length penalty."""
    found = {}
    for width in WIDTHS:
        search = partial(beam_search, spec, hp, params, width=width)
        without_end = search(prompts_TP[:, :BEAM_PROMPTS], LOOP_TAIL, length_penalty=jnp.float32(0), end=jnp.int32(-1))
        found[f"long_beam_{width}"] = without_end.ids_MNP[0].T
        if known is None:
            continue
        sentence_search = partial(
            search,
            prompts_TP,
            LONGEST,
            end=jnp.int32(known.space),
            transitions_AV=jnp.asarray(sentence_transitions(known)),
        )
        best_DNP = jax.vmap(lambda penalty, search=sentence_search: search(length_penalty=penalty).ids_MNP[0])(
            jnp.array(list(PENALTIES.values()))
        )
        found |= {f"sentence_beam_{width}{name}": ids.T for name, ids in zip(PENALTIES, best_DNP, strict=True)}
    return found


def summarise_texts(known: Language | None, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Loop rates of long texts, and SENTENCE_METRICS of their first sentence."""
    summary: dict[str, np.ndarray] = {}
    for name, ids_RPN in values.items():
        form, _, decoder = name.partition("_")
        if form == "long":
            rates = [np.mean(trailing_period(ids_PN, LONGEST_PERIOD, LOOP_TAIL) > 0) for ids_PN in ids_RPN]
            summary[f"loop_rate_{decoder}"] = np.array(rates, np.float32)
        if known and (form == "sentence" or decoder in SAMPLERS):
            runs = [sentence_measures(known, ids_PN[:, :LONGEST]) for ids_PN in ids_RPN]
            summary |= {f"{key}_{decoder}": np.array([run[key] for run in runs], np.float32) for key in runs[0]}
    return summary


def sentence_measures(known: Language, ids_PN: np.ndarray) -> dict[str, float]:
    """SENTENCE_METRICS of the first sentence of each of P texts."""
    length_P = first_sentence_lengths(sentence_transitions(known), ids_PN)
    starts_PN = np.zeros(ids_PN.shape, bool)
    starts_PN[:, 0] = word_lengths(known.sentences, ids_PN, np.arange(len(ids_PN)), np.zeros(len(ids_PN), int)) > 0
    surprisal = text_surprisal(known.sentences, ids_PN, starts_PN)
    sentences = {tuple(ids_N[:length]) for ids_N, length in zip(ids_PN, length_P, strict=True)}
    return {
        "valid_sentences": float(np.mean(starts_PN[:, 0])),
        "sentence_length": float(np.mean(length_P)),
        "distinct_sentences": len(sentences) / len(ids_PN),
        "grammar_logp": -float(np.nanmean(surprisal)) if starts_PN.any() else np.nan,
    }


def first_sentence_lengths(transitions_AV: np.ndarray, ids_PN: np.ndarray) -> np.ndarray:
    """Number of symbols [P] up to the first sentence end of each text, with it; N without an end."""
    states_P, length_P = np.full(len(ids_PN), START), np.full(len(ids_PN), ids_PN.shape[1])
    for n, ids_P in enumerate(ids_PN.T, 1):
        before_P, states_P = states_P, transitions_AV[states_P, ids_P]
        length_P = np.where((states_P == COMPLETE) & (before_P != COMPLETE), n, length_P)
    return length_P

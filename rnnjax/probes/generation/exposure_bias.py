"""What happens to a network that reads its own words: errors by position, recovery from one error, shift of states.

A network trained on true contexts is exposed to its own mistakes only when it runs free. The same prompts are read on
in the true text and continued by the network, so that the two differ in nothing but who writes.

Source: Bengio et al. 2015, arXiv:1506.03099; Ranzato et al. 2016, arXiv:1511.06732; the comparison of prefixes is that
of He et al. 2021, arXiv:1905.10617.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.keys import key_for
from rnnjax.networks.model import Model, build_network, require_unidirectional
from rnnjax.networks.sampling import decode_step, generate_from, prefill
from rnnjax.probes.generation.errors_by_position import (
    BIN,
    BINS,
    INJECTED_AT,
    LAGS,
    PROMPT,
    TrueTexts,
    errors_of,
    true_texts,
)
from rnnjax.probes.numerics.discriminant import separation
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.automaton import build_language
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.state import TrainState
from rnnjax.types import Carry, Params, Probe, Task

TEXTS = ("free", "forked", "injected")
PROMPTS = 48
MARGIN = 2 * BIN  # written beyond the last bin, so that its words are judged with what follows
AT_200 = slice(6, 10)  # bins from 150 to 250 characters
EVERY = 5  # states that are told apart
SEED = 7  # of the texts and of the injected errors


class Walk(NamedTuple):
    """A network reading P texts, bin by bin, K bins."""

    carries_KP: Carry  # before each bin
    logits_KPV: Array  # what it then says
    said_NPV: Array  # before each of N characters
    h_NPH: Array  # after each of them


def walked(model: Model, hp: HParams, params: Params, prompts_TP: Array, ids_NP: Array) -> Walk:
    """Read prompts, then what follows them."""
    start = prefill(model, hp, params, prompts_TP)

    def step(state: tuple[Carry, Array], ids_TP: Array) -> Any:
        carry, outputs_TPV, h_TPH = model.apply(params, state[0], ids_TP)
        before_TPV = jnp.concatenate([state[1][None], outputs_TPV[:-1]])
        return (carry, outputs_TPV[-1]), (*state, before_TPV, h_TPH)

    carries, logits, said, h = jax.lax.scan(step, start, ids_NP.reshape(-1, BIN, ids_NP.shape[1]))[1]
    return Walk(carries, logits, said.reshape(-1, *said.shape[2:]), h.reshape(-1, *h.shape[2:]))


def recovery(
    model: Model, params: Params, start: tuple[Carry, Array], ids_TC: Array, wrong_C: Array
) -> dict[str, Array]:
    """Read C true texts once as they are and once with a wrong first character.

    injected_kl [LAGS + 1]     mean KL(p || q) in nats of what is said of the character k steps after the wrong one
    state_distance [LAGS + 1]  mean distance of the last layer's states from which it is said, over that at k = 1
    half_life                  steps after k = 1 until injected_kl is half of what it is there; LAGS where it never is
    """
    both = partial(jax.tree.map, lambda leaf: jnp.concatenate([leaf, leaf]))
    texts = ids_TC.shape[1]
    inputs_TC = jnp.concatenate([ids_TC, ids_TC.at[0].set(wrong_C)], axis=1)[:LAGS]
    _, outputs_TCV, h_TCH = model.apply(params, both(start[0]), inputs_TC)
    log_p, log_q = (jax.nn.log_softmax(part) for part in (outputs_TCV[:, :texts], outputs_TCV[:, texts:]))
    kl_T = jnp.mean(jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1), axis=1)
    distance_T = jnp.mean(jnp.linalg.norm(h_TCH[:, texts:] - h_TCH[:, :texts], axis=-1), axis=1)
    halved_T = kl_T <= kl_T[0] / 2
    before = jnp.zeros(1)
    return {
        "injected_kl": jnp.concatenate([before, kl_T]),
        "state_distance": jnp.concatenate([before, distance_T / jnp.maximum(distance_T[0], 1e-12)]),
        "half_life": jnp.where(jnp.any(halved_T), jnp.argmax(halved_T), LAGS).astype(float),
    }


def exposure(spec: Spec, task: Task) -> Probe:
    """48 prompts of 50 characters, read on in the true text and continued at temperature 1 for 500 characters.

    Under true context: one_step_loss, one_step_accuracy. Under its own: state_auc (around 200 characters) and
    state_auc_by_bin, how well a linear classifier tells the states of the two apart. After a wrong character: see
    `recovery`; state_distance_10.

    Of a grammar also: context_loss_ratio and excess_loss (the loss over, and above, that of the exact grammar on the
    same text), best_accuracy (the exact grammar's own); `errors_by_position` of the free run; forced_invalid_words and
    forced_invalid_words_by_bin, of what is written within 25 characters of a true context as long; exposure_gap,
    invalid_words - forced_invalid_words; injected_excess and injected_excess_sentences [LAGS + 1], the probability that
    the character k steps after a wrong one stands in a wrong word, or in no sentence, above that without it, both
    running free; excess_30 and excess_30_sentences, its mean over k = 26 ... 35.
    """
    require_unidirectional(spec)
    if spec.task.name not in ("grammar", "text"):
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected a text for a probe of what a network reads")
    texts = None
    bins = BINS if task.grammar else BINS // 2
    if task.grammar:
        texts = true_texts(task.grammar, PROMPTS, PROMPT + bins * BIN + MARGIN, (spec.task.corpus_seed, SEED))
        ids_NP = texts.ids_PN.T
    else:
        ids_NP = spread_windows(task.make_sequence(task.train_N), PROMPT + bins * BIN, PROMPTS).inputs_WTB[0]
    measure = partial(measured, spec, ids_NP, bins, task.grammar is not None)
    return Probe(measure, partial(summarised, task, texts) if texts else partial(scalars_too, ()))


def injected_texts(ids_NP: np.ndarray) -> np.ndarray:
    """The true texts [LAGS + 1, C] from where errors are injected."""
    places = [PROMPT + bin_ * BIN for bin_ in INJECTED_AT]
    return np.concatenate([ids_NP[place : place + LAGS + 1] for place in places], axis=1)


def wrong_symbols(true_C: np.ndarray, symbols: int) -> np.ndarray:
    """Any other symbol, all equally likely."""
    return (true_C + np.random.default_rng(SEED).integers(1, symbols, len(true_C))) % symbols


def measured(
    spec: Spec, ids_NP: np.ndarray, bins: int, with_texts: bool, state: TrainState, hp: HParams, step: Array
) -> dict[str, Array]:
    """What is measured of one run: numbers, and the ids of the texts that the host will judge."""
    model, params = build_network(spec, hp), state.params
    free_key, forked_key, injected_key = jax.random.split(jax.random.fold_in(key_for(hp, "samples"), step), 3)
    prompts_TP, true_NP = jnp.asarray(ids_NP[:PROMPT]), jnp.asarray(ids_NP[PROMPT : PROMPT + bins * BIN])
    walk = walked(model, hp, params, prompts_TP, true_NP)
    speak = partial(generate_from, model, params, temperature=jnp.float32(1))

    begun = jax.tree.map(lambda leaf: leaf[0], (walk.carries_KP, walk.logits_KPV))
    length = len(true_NP) + (MARGIN if with_texts else 0)
    free_NP = speak(begun, jax.random.uniform(free_key, (length, PROMPTS)))
    h_NPH = model.apply(params, begun[0], free_NP[: len(true_NP)])[2]
    at_injected = jax.tree.map(
        lambda leaf: jnp.concatenate([leaf[bin_] for bin_ in INJECTED_AT]), (walk.carries_KP, walk.logits_KPV)
    )
    injected_TC = jnp.asarray(injected_texts(ids_NP))
    wrong_C = jnp.asarray(wrong_symbols(injected_texts(ids_NP)[0], spec.inputs), injected_TC.dtype)
    values = under_true_context(walk, true_NP) | shift(walk.h_NPH, h_NPH)
    values |= recovery(model, params, at_injected, injected_TC, wrong_C)
    if not with_texts:
        return values
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), (walk.carries_KP, walk.logits_KPV))
    forked_NS = speak(flat, jax.random.uniform(forked_key, (BIN, bins * PROMPTS)))
    both = jnp.concatenate([injected_TC[0], wrong_C])
    after = decode_step(model, params, jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), at_injected[0]), both)
    uniforms_NC = jax.random.uniform(injected_key, (LAGS + MARGIN, len(wrong_C)))  # the same for both
    injected_NC = speak(after, jnp.concatenate([uniforms_NC, uniforms_NC], axis=1))
    texts = {"free": free_NP, "forked": forked_NS, "injected": jnp.concatenate([both[None], injected_NC])}
    return values | {name: ids.T.astype(jnp.uint16) for name, ids in texts.items()}


def under_true_context(walk: Walk, ids_NP: Array) -> dict[str, Array]:
    """Loss in nats per character, and share of characters that were the best guess."""
    log_p_NPV = jax.nn.log_softmax(walk.said_NPV)
    return {
        "one_step_loss": -jnp.mean(jnp.take_along_axis(log_p_NPV, ids_NP[..., None], axis=-1)),
        "one_step_accuracy": jnp.mean(jnp.argmax(log_p_NPV, axis=-1) == ids_NP),
    }


def shift(true_NPH: Array, free_NPH: Array) -> dict[str, Array]:
    """How well states under true context and under the network's own are told apart, by bin and around 200 steps."""

    def bins_of(h_NPH: Array) -> Array:
        return h_NPH.reshape(-1, BIN, *h_NPH.shape[1:])[:, ::EVERY]

    true, free = bins_of(true_NPH), bins_of(free_NPH)
    late = [cloud[AT_200].reshape(-1, *cloud.shape[2:]) for cloud in (true, free)]
    return {
        "state_auc": separation(*late),
        "state_auc_by_bin": jax.lax.map(lambda pair: separation(*pair), (true, free)),
    }


def scalars_too(texts: tuple[()], values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One number out of a curve, for the rules that judge numbers."""
    del texts
    return values | {"state_distance_10": values["state_distance"][:, 10]}


def summarised(task: Task, texts: TrueTexts, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The texts judged by the exact grammar, run by run."""
    written = [dict(zip(TEXTS, ids, strict=True)) for ids in zip(*(values[name] for name in TEXTS), strict=True)]
    runs = [errors_of(build_language(task.grammar), texts, **ids) for ids in written]
    floor = float(np.mean(texts.surprisal_PN[:, PROMPT : PROMPT + BINS * BIN]))
    numbers = scalars_too((), {name: value for name, value in values.items() if name not in TEXTS})
    return numbers | {
        "context_loss_ratio": numbers["one_step_loss"] / floor,
        "excess_loss": numbers["one_step_loss"] - floor,
        "best_accuracy": np.full(len(runs), np.mean(texts.best_PN[:, PROMPT : PROMPT + BINS * BIN]), np.float32),
        **{name: np.array([run[name] for run in runs], np.float32) for name in runs[0]},
    }

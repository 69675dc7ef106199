"""Exposure bias of free-running generation: errors by position, recovery from an error, shift of states.

A network trained on true contexts meets its own errors only when it runs freely. The same prompts are continued by the
true text and by the network, so that the two differ in the source of the continuation only.

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
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model, build_network, require_unidirectional
from rnnjax.networks.sampling import decode_step, generate_from, prefill
from rnnjax.probes.generation.errors_by_position import (
    BIN,
    BINS,
    BY_BIN,
    ERROR_METRICS,
    INJECTION_BINS,
    LAGS,
    PROMPT,
    TrueTexts,
    exposure_errors,
    true_texts,
)
from rnnjax.probes.numerics.discriminant import separation
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import SHARE, Metric
from rnnjax.tasks.automaton import build_language
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.state import TrainState
from rnnjax.types import Carry, Params, Probe, Task

TEXTS = ("free", "branched", "injected")
PROMPTS = 48
MARGIN = 2 * BIN  # characters generated beyond the last bin, so that its words are judged with their continuation
BINS_NEAR_200 = slice(6, 10)  # bins from 150 to 250 characters
STATE_STRIDE = 5  # of the states that the classifier reads
ERROR_SEED = 7  # of the texts and of the injected errors

AUC = (
    "area under the ROC curve of a linear classifier of states under true context and states in the network's own text"
)
EXPOSURE_METRICS = {
    "one_step_loss": Metric("mean loss under true context", "{loss}", "lower"),
    "one_step_accuracy": Metric(
        "share of characters under true context that have the highest logit", better="higher", range=SHARE
    ),
    "state_auc": Metric(f"{AUC}, from 150 to 250 characters after the prompt", range=SHARE),
    "state_auc_by_bin": Metric(f"{AUC}, {BY_BIN}", kind="lag"),
    "injected_kl": Metric(
        "mean KL(p || q) of the predictions k steps after an injected error, by k: p without the error, q with it",
        unit="nats",
        kind="lag",
    ),
    "state_distance": Metric(
        "mean distance of the last layer's states k steps after an injected error from those without it, over that at "
        "k = 1, by k",
        kind="lag",
    ),
    "state_distance_10": Metric("state_distance at k = 10"),
    "half_life": Metric(
        f"steps after k = 1 until injected_kl is half of its value at k = 1; {LAGS} where it never is",
        unit="{symbols}",
    ),
}
GRAMMAR_METRICS = {
    "context_loss_ratio": Metric("one_step_loss over the loss of the exact grammar on the same text", better="lower"),
    "excess_loss": Metric("one_step_loss - loss of the exact grammar on the same text", "{loss}", "lower"),
    "best_accuracy": Metric(
        "share of characters of the same text that are a likeliest one under the exact grammar", range=SHARE
    ),
    **ERROR_METRICS,
}


class TeacherForcedRun(NamedTuple):
    """Teacher-forced reading of P texts in K bins."""

    carries_KP: Carry  # before each bin
    logits_KPV: Array  # predictions of the next character
    predictions_NPV: Array  # logits before each of N characters
    h_NPH: Array  # after each of them


def teacher_forced_run(model: Model, hp: HParams, params: Params, prompts_TP: Array, ids_NP: Array) -> TeacherForcedRun:
    """Read prompts, then their true continuation."""
    start = prefill(model, hp, params, prompts_TP)

    def step(state: tuple[Carry, Array], ids_TP: Array) -> Any:
        carry, outputs_TPV, h_TPH = model.apply(params, state[0], ids_TP)
        before_TPV = jnp.concatenate([state[1][None], outputs_TPV[:-1]])
        return (carry, outputs_TPV[-1]), (*state, before_TPV, h_TPH)

    carries, logits, predictions, h = jax.lax.scan(step, start, ids_NP.reshape(-1, BIN, ids_NP.shape[1]))[1]
    return TeacherForcedRun(
        carries, logits, predictions.reshape(-1, *predictions.shape[2:]), h.reshape(-1, *h.shape[2:])
    )


def recovery(
    model: Model, params: Params, start: tuple[Carry, Array], ids_TC: Array, wrong_C: Array
) -> dict[str, Array]:
    """Read C true texts unchanged and with a wrong first character.

    Returns: injected_kl [LAGS + 1], state_distance [LAGS + 1] and half_life of EXPOSURE_METRICS.
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
    """48 prompts of 50 characters, continued with the true text and at temperature 1, both for 500 characters.

    Values: EXPOSURE_METRICS; of a grammar also GRAMMAR_METRICS.

    Raises:
        NotApplicable: a task without a text. BadInput: the training part is too short.
    """
    require_unidirectional(spec)
    if spec.task.name not in ("grammar", "text"):
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected a text for a probe of exposure bias")
    texts = None
    bins = BINS if task.grammar else BINS // 2
    if task.grammar:
        texts = true_texts(task.grammar, PROMPTS, PROMPT + bins * BIN + MARGIN, (spec.task.corpus_seed, ERROR_SEED))
        ids_NP = texts.ids_PN.T
    else:
        ids_NP = spread_windows(task.make_sequence(task.train_N), PROMPT + bins * BIN, PROMPTS).inputs_WTB[0]
    measure = partial(measure_run, spec, ids_NP, bins, task.grammar is not None)
    if texts is None:
        return Probe(measure, partial(add_scalars, ()), EXPOSURE_METRICS)
    return Probe(measure, partial(summarise_texts, task, texts), EXPOSURE_METRICS | GRAMMAR_METRICS)


def injected_texts(ids_NP: np.ndarray) -> np.ndarray:
    """The true texts [LAGS + 1, C] from each injection on."""
    positions = [PROMPT + bin_ * BIN for bin_ in INJECTION_BINS]
    return np.concatenate([ids_NP[position : position + LAGS + 1] for position in positions], axis=1)


def wrong_symbols(true_C: np.ndarray, symbols: int) -> np.ndarray:
    """For each of C true ids another id [C], all others equally likely."""
    return (true_C + np.random.default_rng(ERROR_SEED).integers(1, symbols, len(true_C))) % symbols


def measure_run(
    spec: Spec, ids_NP: np.ndarray, bins: int, with_texts: bool, state: TrainState, hp: HParams, step: Array
) -> dict[str, Array]:
    """The values of one run, and the ids of the texts that the host judges."""
    model, params = build_network(spec, hp), state.params
    free_key, branched_key, injected_key = jax.random.split(jax.random.fold_in(key_for(hp, "samples"), step), 3)
    prompts_TP, true_NP = jnp.asarray(ids_NP[:PROMPT]), jnp.asarray(ids_NP[PROMPT : PROMPT + bins * BIN])
    walk = teacher_forced_run(model, hp, params, prompts_TP, true_NP)
    generate = partial(generate_from, model, params, temperature=jnp.float32(1))

    start_carry = jax.tree.map(lambda leaf: leaf[0], (walk.carries_KP, walk.logits_KPV))
    length = len(true_NP) + (MARGIN if with_texts else 0)
    free_NP = generate(start_carry, jax.random.uniform(free_key, (length, PROMPTS)))
    h_NPH = model.apply(params, start_carry[0], free_NP[: len(true_NP)])[2]
    injection_start = jax.tree.map(
        lambda leaf: jnp.concatenate([leaf[bin_] for bin_ in INJECTION_BINS]), (walk.carries_KP, walk.logits_KPV)
    )
    injected_TC = jnp.asarray(injected_texts(ids_NP))
    wrong_C = jnp.asarray(wrong_symbols(injected_texts(ids_NP)[0], spec.inputs), injected_TC.dtype)
    values = teacher_forced_metrics(walk, true_NP) | state_shift(walk.h_NPH, h_NPH)
    values |= recovery(model, params, injection_start, injected_TC, wrong_C)
    if not with_texts:
        return values
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), (walk.carries_KP, walk.logits_KPV))
    branched_NS = generate(flat, jax.random.uniform(branched_key, (BIN, bins * PROMPTS)))
    both = jnp.concatenate([injected_TC[0], wrong_C])
    after = decode_step(
        model, params, jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), injection_start[0]), both
    )
    uniforms_NC = jax.random.uniform(injected_key, (LAGS + MARGIN, len(wrong_C)))  # the same for both
    injected_NC = generate(after, jnp.concatenate([uniforms_NC, uniforms_NC], axis=1))
    texts = {"free": free_NP, "branched": branched_NS, "injected": jnp.concatenate([both[None], injected_NC])}
    return values | {name: ids.T.astype(jnp.uint16) for name, ids in texts.items()}


def teacher_forced_metrics(walk: TeacherForcedRun, ids_NP: Array) -> dict[str, Array]:
    """Loss in nats per character and accuracy under true context."""
    log_p_NPV = jax.nn.log_softmax(walk.predictions_NPV)
    return {
        "one_step_loss": -jnp.mean(jnp.take_along_axis(log_p_NPV, ids_NP[..., None], axis=-1)),
        "one_step_accuracy": jnp.mean(jnp.argmax(log_p_NPV, axis=-1) == ids_NP),
    }


def state_shift(true_NPH: Array, free_NPH: Array) -> dict[str, Array]:
    """Separability of states under true and under generated context, by bin and around 200 characters."""

    def split_bins(h_NPH: Array) -> Array:
        return h_NPH.reshape(-1, BIN, *h_NPH.shape[1:])[:, ::STATE_STRIDE]

    true, free = split_bins(true_NPH), split_bins(free_NPH)
    late = [cloud[BINS_NEAR_200].reshape(-1, *cloud.shape[2:]) for cloud in (true, free)]
    return {
        "state_auc": separation(*late),
        "state_auc_by_bin": jax.lax.map(lambda pair: separation(*pair), (true, free)),
    }


def add_scalars(texts: tuple[()], values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Add the scalar of a curve, for rules on scalars."""
    del texts
    return values | {"state_distance_10": values["state_distance"][:, 10]}


def summarise_texts(task: Task, texts: TrueTexts, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The values and ERROR_METRICS of the texts of each run."""
    texts_of_runs = [dict(zip(TEXTS, ids, strict=True)) for ids in zip(*(values[name] for name in TEXTS), strict=True)]
    runs = [exposure_errors(build_language(task.grammar), texts, **ids) for ids in texts_of_runs]
    floor = float(np.mean(texts.surprisal_PN[:, PROMPT : PROMPT + BINS * BIN]))
    numbers = add_scalars((), {name: value for name, value in values.items() if name not in TEXTS})
    return numbers | {
        "context_loss_ratio": numbers["one_step_loss"] / floor,
        "excess_loss": numbers["one_step_loss"] - floor,
        "best_accuracy": np.full(len(runs), np.mean(texts.best_PN[:, PROMPT : PROMPT + BINS * BIN]), np.float32),
        **{name: np.array([run[name] for run in runs], np.float32) for name in runs[0]},
    }

"""Loops of generated texts: rate by decoder, periodicity of the state, and origin of the cycle."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from rnnjax.errors import NotApplicable
from rnnjax.networks.beam_search import beam_search
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.networks.sampling import decode_step, prefill, sample
from rnnjax.probes.generation.free_running import LENGTH, LONGEST_PERIOD, LOOP_METRICS, LOOP_TAIL, PROMPTS
from rnnjax.probes.numerics.repetition import trailing_period
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import SHARE, Metric, suffixed_metrics
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.state import TrainState
from rnnjax.types import Carry, Params, Probe, Task

PROMPT = 50  # characters, of a prompt and of the end of the training text
BEAM_PROMPTS, WIDTH = 8, 5  # prompts and width of the beam
COOL = 0.5  # temperature
SAME = 1e-5  # states with at most this distance, relative to their norm, count as equal

CYCLE_METRICS = {
    **suffixed_metrics(LOOP_METRICS, "_cool", f"sampled at temperature {COOL:g}"),
    **suffixed_metrics(LOOP_METRICS, f"_beam_{WIDTH}", f"beam search of width {WIDTH}"),
    "state_cycle_share": Metric(
        f"share of the greedy texts in a loop of period p at whose end |c_t - c_(t-p)| < {SAME:g} |c_t|, c the carry",
        range=SHARE,
    ),
    "last_words_share": Metric(
        f"share of the greedy texts in a loop whose cycle, in any rotation, is part of the last {PROMPT} training "
        "characters or of the prompt",
        range=SHARE,
    ),
}


def cycles(spec: Spec, task: Task) -> Probe:
    """500 characters after each of 32 held-out prompts of 50, greedy and at temperature 0.5, and of 8 with a beam of 5.

    Values: see CYCLE_METRICS; NaN where no text ends in a loop. The probe `text` has the rates of greedy decoding and
    temperature 1.

    Raises:
        NotApplicable: no text. BadInput: the held-out part is shorter than a prompt.
    """
    require_unidirectional(spec)
    if not task.vocabulary:
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected a text for a probe of generated text")
    prompts_TP = spread_windows(task.make_sequence(task.validation_N), PROMPT, PROMPTS).inputs_WTB[0]
    ending = task.train_N[-PROMPT:]

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        params, prompts = state.params, jnp.asarray(prompts_TP)
        key = jax.random.fold_in(key_for(hp, "samples"), step)
        search = partial(beam_search, spec, hp, params, length_penalty=jnp.float32(0), end=jnp.int32(-1))
        ids_NP, gaps_PL = greedy_texts(spec, hp, params, prompts)
        return {
            "greedy": ids_NP.T,
            "gaps": gaps_PL,
            "cool": sample(spec, hp, params, prompts, LENGTH, jnp.float32(COOL), key).T,
            "beam_5": search(prompts[:, :BEAM_PROMPTS], LENGTH, WIDTH).ids_MNP[0].T,
        }

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        runs = [run_values({name: leaf[i] for name, leaf in values.items()}) for i in range(len(values["gaps"]))]
        return {name: np.array([run[name] for run in runs], np.float32) for name in runs[0]}

    def run_values(values: dict[str, np.ndarray]) -> dict[str, float]:
        found = {}
        for decoder in ("cool", "beam_5"):
            periods_P = trailing_period(values[decoder], LONGEST_PERIOD, LOOP_TAIL)
            found[f"loop_rate_{decoder}"] = float(np.mean(periods_P > 0))
            found[f"period_{decoder}"] = mean_or_nan(periods_P[periods_P > 0])
        periods_P = trailing_period(values["greedy"], LONGEST_PERIOD, LOOP_TAIL)
        loops = [(period, p) for p, period in enumerate(periods_P) if period]
        found["state_cycle_share"] = mean_or_nan([values["gaps"][p, period - 1] < SAME for period, p in loops])
        found["last_words_share"] = mean_or_nan(
            [contains_rotation(values["greedy"][p, -period:], [ending, prompts_TP[:, p]]) for period, p in loops]
        )
        return found

    return Probe(measure, summarise, CYCLE_METRICS)


def greedy_texts(spec: Spec, hp: HParams, params: Params, prompts_TP: Array) -> tuple[Array, Array]:
    """Greedy texts [500, P], and |c_t - c_{t-p}| / |c_t| at their end for each period p up to 50: [P, 50]."""
    model = build_network(spec, hp)

    def step(state: tuple[Carry, Array], _: None) -> tuple[tuple[Carry, Array], Array]:
        carry, logits_PV = state
        ids_P = jnp.argmax(logits_PV, axis=1)
        return decode_step(model, params, carry, ids_P), ids_P

    def step_with_carry(state: tuple[Carry, Array], _: None) -> tuple[tuple[Carry, Array], tuple[Array, Array]]:
        state, ids_P = step(state, None)
        return state, (ids_P, carry_rows(state[0]))

    start = prefill(model, hp, params, prompts_TP)
    state, first_NP = jax.lax.scan(step, start, length=LENGTH - LONGEST_PERIOD - 1)
    _, (last_NP, c_NPC) = jax.lax.scan(step_with_carry, state, length=LONGEST_PERIOD + 1)
    gaps_LP = jnp.linalg.norm(c_NPC[-2::-1] - c_NPC[-1][None], axis=2)
    return jnp.concatenate([first_NP, last_NP]), (gaps_LP / jnp.linalg.norm(c_NPC[-1], axis=1)[None]).T


def carry_rows(carry: Carry) -> Array:
    """The carries of P texts as rows [P, C]."""
    return jax.vmap(lambda leaf: ravel_pytree(leaf)[0])(carry)


def contains_rotation(cycle_N: np.ndarray, sequences: Sequence[np.ndarray]) -> bool:
    """Whether any rotation of a cycle is contained in one of the sequences of ids."""
    texts = ["".join(map(chr, ids_N)) for ids_N in sequences]
    twice = "".join(map(chr, [*cycle_N, *cycle_N]))
    rotations = [twice[first : first + len(cycle_N)] for first in range(len(cycle_N))]
    return any(rotation in text for rotation in rotations for text in texts)


def mean_or_nan(values: Sequence[float] | np.ndarray) -> float:
    """The mean; NaN without values."""
    return float(np.mean(values)) if len(values) else np.nan

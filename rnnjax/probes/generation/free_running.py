"""Free-running generation: loops, repetition and validity of the texts."""

from collections.abc import Iterable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import require_unidirectional
from rnnjax.networks.sampling import sample
from rnnjax.probes.numerics.repetition import compression_ratio, distinct, trailing_period
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import SHARE, Metric, suffixed_metrics
from rnnjax.settings.vocabulary import ids_to_text, known_tokens
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.state import TrainState
from rnnjax.types import Probe, Task

PROMPTS = 32
PROMPT_LENGTH = 25
LENGTH = 500
LONGEST_PERIOD, LOOP_TAIL = 50, 200  # a text loops if its last 200 characters have a period of at most 50
TEMPERATURES = {"greedy": 0.0, "sampled": 1.0}
TEMPERATURE_NAMES = {"greedy": "greedy decoding", "sampled": "sampled at temperature 1"}

LOOP = f"the last {LOOP_TAIL} characters have a period of at most {LONGEST_PERIOD}"
LOOP_METRICS = {
    "loop_rate": Metric(f"share of the generated texts that end in a loop: {LOOP}", better="lower", range=SHARE),
    "period": Metric(f"mean period of the generated texts that end in a loop ({LOOP}), NaN without", unit="characters"),
}
TEXT_METRICS = LOOP_METRICS | {
    "distinct_4": Metric(
        "share of distinct 4-grams of a generated text, mean over texts",
        source="Li et al. 2016, arXiv:1510.03055",
        range=SHARE,
    ),
    "zlib_ratio": Metric("zlib bytes over UTF-8 bytes of a generated text, mean over texts"),
    "text": Metric("ids of the text generated after the first prompt", kind="text"),
}
MEASURES = {
    "valid_words": "share of the words of a generated text that are in the training text or the grammar's lexicon",
    "valid_sentences": "share of the words of a generated text that belong to complete sentences of the grammar",
}


def text(spec: Spec, task: Task) -> Probe:
    """500 characters after each of 32 held-out prompts, greedy and at temperature 1.

    The token that stands for those which a vocabulary leaves out is not drawn.

    Values: see TEXT_METRICS, with a suffix for the decoder, and the task's `text_measures`.
    """
    require_unidirectional(spec)
    if not task.vocabulary:
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected a text for a probe of generated text")
    prompts_TP = spread_windows(task.make_sequence(task.validation_N), PROMPT_LENGTH, PROMPTS).inputs_WTB[0]
    measure_text, known_V = task.text_measures or no_measures, known_tokens(task.vocabulary)

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        key = jax.random.fold_in(key_for(hp, "samples"), step)
        draw = partial(sample, spec, hp, state.params, jnp.asarray(prompts_TP), LENGTH, key=key, allowed_V=known_V)
        return {name: draw(temperature=jnp.float32(t)).T for name, t in TEMPERATURES.items()}

    def run_values(ids_PN: np.ndarray) -> dict[str, float]:
        periods = trailing_period(ids_PN, LONGEST_PERIOD, LOOP_TAIL)
        texts = [ids_to_text(ids_N, task.vocabulary) for ids_N in ids_PN]
        measures = [measure_text(text) for text in texts]
        return {
            "loop_rate": float(np.mean(periods > 0)),
            "period": float(np.mean(periods[periods > 0])) if np.any(periods) else np.nan,
            "distinct_4": float(np.mean(distinct(ids_PN))),
            "zlib_ratio": float(np.mean(compression_ratio(texts))),
        } | {name: float(np.mean([m[name] for m in measures])) for name in measures[0]}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        summary: dict[str, np.ndarray] = {}
        for decoder, ids_RPN in values.items():
            runs = [run_values(ids_PN) for ids_PN in ids_RPN]
            summary |= {f"{name}_{decoder}": np.array([run[name] for run in runs], np.float32) for name in runs[0]}
            summary[f"text_{decoder}"] = ids_RPN[:, 0].astype(np.uint16)
        return summary

    return Probe(measure, summarise, text_metrics(measure_text(" " * LENGTH)))


def text_metrics(measures: Iterable[str]) -> dict[str, Metric]:
    """TEXT_METRICS and those of the task's measures, for each decoder."""
    described = {
        name: Metric(
            f"{MEASURES.get(name, f'{name} of a generated text')}, mean over texts",
            better="higher",
            range=SHARE if name in MEASURES else None,
        )
        for name in measures
    }
    return {
        name: metric
        for decoder, condition in TEMPERATURE_NAMES.items()
        for name, metric in suffixed_metrics(TEXT_METRICS | described, f"_{decoder}", condition).items()
    }


def no_measures(text: str) -> dict[str, float]:
    return {}

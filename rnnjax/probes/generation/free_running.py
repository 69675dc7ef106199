"""What a network writes when it runs free, and whether that is language or a loop."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.keys import key_for
from rnnjax.networks.model import require_unidirectional
from rnnjax.networks.sampling import sample
from rnnjax.probes.numerics.repetition import compression_ratio, distinct, trailing_period
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.text import ids_to_text
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.state import TrainState
from rnnjax.types import Probe, Task

PROMPTS = 32
PROMPT_LENGTH = 25
LENGTH = 500
LONGEST_PERIOD, LOOP_TAIL = 50, 200  # a text loops if its last 200 characters have a period of at most 50
TEMPERATURES = {"greedy": 0.0, "sampled": 1.0}


def text(spec: Spec, task: Task) -> Probe:
    """500 characters after each of 32 held-out prompts, greedy and at temperature 1.

    Values, for each decoder d: text_d [500] ids after the first prompt, loop_rate_d, period_d (mean over the texts that
    loop), distinct_4_d, zlib_ratio_d, and the task's own measures such as valid_words_d.
    """
    require_unidirectional(spec)
    if not task.vocabulary:
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected a text for a probe of what a network writes")
    prompts_TP = spread_windows(task.make_sequence(task.validation_N), PROMPT_LENGTH, PROMPTS).inputs_WTB[0]
    measures_of = task.text_measures or no_measures

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        key = jax.random.fold_in(key_for(hp, "samples"), step)
        return {
            name: sample(spec, hp, state.params, jnp.asarray(prompts_TP), LENGTH, jnp.float32(t), key).T
            for name, t in TEMPERATURES.items()
        }

    def of_run(ids_PN: np.ndarray) -> dict[str, float]:
        periods = trailing_period(ids_PN, LONGEST_PERIOD, LOOP_TAIL)
        texts = [ids_to_text(ids_N, task.vocabulary) for ids_N in ids_PN]
        measures = [measures_of(written) for written in texts]
        return {
            "loop_rate": float(np.mean(periods > 0)),
            "period": float(np.mean(periods[periods > 0])) if np.any(periods) else np.nan,
            "distinct_4": float(np.mean(distinct(ids_PN))),
            "zlib_ratio": float(np.mean(compression_ratio(texts))),
        } | {name: float(np.mean([m[name] for m in measures])) for name in measures[0]}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        summary: dict[str, np.ndarray] = {}
        for decoder, ids_RPN in values.items():
            runs = [of_run(ids_PN) for ids_PN in ids_RPN]
            summary |= {f"{name}_{decoder}": np.array([run[name] for run in runs], np.float32) for name in runs[0]}
            summary[f"text_{decoder}"] = ids_RPN[:, 0].astype(np.uint16)
        return summary

    return Probe(measure, summarise)


def no_measures(text: str) -> dict[str, float]:
    return {}

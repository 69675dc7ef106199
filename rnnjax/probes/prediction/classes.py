"""Held-out labels or tags: the share of right ones, and of each class, over training."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import ACCURACY, CLASS_RECALL, SHARE, Metric
from rnnjax.tasks.windows import held_out_window
from rnnjax.training.state import TrainState
from rnnjax.types import Facts, Probe, Task, WindowData, no_summary

MOST_CLASSES = 40  # with a curve each


def classes(spec: Spec, task: Task) -> Probe | Facts:
    """held_out_accuracy, and class_recall[c] = hits / held-out targets of class c, for each of at most 40 classes.

    A class without a held-out target has no recall (NaN). Sequences of which no class is predicted have no values.

    Raises:
        NotApplicable: a task of no sequences.
    """
    if task.sequences is None:
        raise NotApplicable(f"task.name: got '{spec.task.name}' with the probe 'classes'; expected 'sequences'")
    names = task.sequences.classes
    if not names:
        return Facts({})
    held_out = held_out_window(task, spec.window, spec.carry == "carried")
    shown = names if len(names) <= MOST_CLASSES else ()

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        hits_C, counts_C = count_hits(spec, hp, state.params, held_out)
        recalls_C = jnp.where(counts_C > 0, hits_C / jnp.maximum(counts_C, 1), jnp.nan)
        each = {f"{CLASS_RECALL}[{name}]": recalls_C[c] for c, name in enumerate(shown)}
        return {ACCURACY: jnp.sum(hits_C) / jnp.sum(counts_C)} | each

    accuracy = Metric("share of the held-out targets with the highest output", better="higher", range=SHARE)
    recall = Metric("share of the held-out targets of this class that are found", better="higher", range=SHARE)
    return Probe(measure, no_summary, {ACCURACY: accuracy} | {f"{CLASS_RECALL}[{name}]": recall for name in shown})


def count_hits(spec: Spec, hp: HParams, params: Any, held_out: WindowData) -> tuple[Array, Array]:
    """For each class the held-out targets [C] that have the highest output, and all of them."""
    model, key = build_network(spec, hp), key_for(hp, "evaluation")

    def read(window: WindowData) -> tuple[Array, Array]:
        carry = model.carry(params, key, window.inputs_WTB.shape[1])
        outputs_TBO = model.apply(params, carry, window.inputs_WTB, window.valid_WTB)[1]
        counted_TB = jnp.asarray(window.loss_mask_WTB) > 0
        right_TB = counted_TB & (jnp.argmax(outputs_TBO, axis=-1) == window.targets_WTB)
        targets = jnp.ravel(window.targets_WTB)
        zero_C = jnp.zeros(spec.outputs)
        hits_C, counts_C = (zero_C.at[targets].add(jnp.ravel(flags)) for flags in (right_TB, counted_TB))
        return hits_C, counts_C

    windows = jax.tree.map(jnp.asarray, held_out._replace(target_scale_O=None, class_weights_O=None))
    hits_WC, counts_WC = jax.lax.map(read, windows)
    return jnp.sum(hits_WC, axis=0), jnp.sum(counts_WC, axis=0)

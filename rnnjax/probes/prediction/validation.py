"""The held-out loss."""

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import Metric
from rnnjax.tasks.windows import held_out_window
from rnnjax.training.loss import evaluate_loss
from rnnjax.training.state import TrainState
from rnnjax.types import Probe, Task, no_summary

VALIDATION_METRICS = {
    "validation_loss": Metric(
        "mean loss on the held-out part, the state carried or reset as in training", unit="{loss}", better="lower"
    ),
}


def validation(spec: Spec, task: Task) -> Probe:
    """validation_loss: mean loss on the held-out part, with the state carried or reset as in training.

    Raises:
        BadInput: the held-out part is shorter than one window.
    """
    held_out = held_out_window(task, spec.window, spec.carry == "carried")

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        return {"validation_loss": evaluate_loss(spec, hp, state.params, jax.tree.map(jnp.asarray, held_out))}

    return Probe(measure, no_summary, VALIDATION_METRICS)

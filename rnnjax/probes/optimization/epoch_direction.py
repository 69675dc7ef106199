"""Direction of training: the parameter changes of two successive passes over the data."""

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.probes.optimization.clipping import cosine
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import CORRELATION, Metric
from rnnjax.tasks.windows import task_windows
from rnnjax.training.state import TrainState
from rnnjax.training.step import train_step
from rnnjax.types import Params, Probe, Task, no_summary

PASSES_METRICS = {
    "epoch_cosine": Metric(
        "<d_1, d_2> / (|d_1| |d_2|), d_1 and d_2 the parameter changes of the next two passes over the training data",
        range=CORRELATION,
    ),
}


def passes(spec: Spec, task: Task) -> Probe:
    """epoch_cosine: <d_1, d_2> / (|d_1| |d_2|), d_1 and d_2 the parameter changes of the next two passes over the data.

    Near 1 for training in a constant direction, near -1 for an oscillation. NaN where nothing changes.
    """
    data = task_windows(task, task.train_N, spec.batch, spec.window)
    windows = data.inputs_WTB.shape[0]

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step

        def run_pass(state: TrainState, _: None) -> tuple[TrainState, Params]:
            after = jax.lax.fori_loop(0, windows, lambda _, at: train_step(spec, hp, data, at)[0], state)
            return after, jax.tree.map(jnp.subtract, after.params, state.params)

        changes = jax.lax.scan(run_pass, state, None, 2)[1]
        first, second = (jax.tree.map(lambda leaf, i=i: leaf[i], changes) for i in (0, 1))
        return {"epoch_cosine": cosine(first, second)}

    return Probe(measure, no_summary, PASSES_METRICS)

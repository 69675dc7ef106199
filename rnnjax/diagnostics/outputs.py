"""What a network gives on data it was not trained on."""

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.errors import BadInput
from rnnjax.losses import cross_entropy
from rnnjax.model import network
from rnnjax.settings import HParams, Spec
from rnnjax.train import TrainState
from rnnjax.types import Probe, Task, as_measured


def validation(spec: Spec, task: Task) -> Probe:
    """validation_loss: nats per character of the held-out text, with the state carried or reset as in training.

    Raises:
        BadInput: the held-out text is shorter than one window.
    """
    length = len(task.validation_N) - 1
    if length < spec.window:
        raise BadInput(
            f"task.validation: its split leaves {length + 1} characters; need >= {spec.window + 1} "
            f"(window {spec.window} + 1)"
        )
    window = length if spec.carry == "carried" else spec.window
    windows = length // window
    inputs_TW = task.validation_N[: windows * window].reshape(windows, window).T
    targets_TW = task.validation_N[1 : windows * window + 1].reshape(windows, window).T

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        model = network(spec, hp)
        _, logits_TWV, _ = model.apply(state.params, model.carry(windows), jnp.asarray(inputs_TW))
        losses_TW = jax.vmap(jax.vmap(cross_entropy))(logits_TWV, jnp.asarray(targets_TW))
        return {"validation_loss": jnp.mean(losses_TW)}

    return Probe(measure, as_measured)

"""The loss at each place of the training windows, beside the least that any predictor could have there."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.keys import key_for
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.entropy import carried_floors, held_out_loss_bound, window_floors
from rnnjax.tasks.windows import task_windows
from rnnjax.training.losses import cross_entropy
from rnnjax.training.state import TrainState
from rnnjax.types import Params, Probe, Task, WindowData

WINDOWS = 1_024  # that are read at most, the first of each stream
CUTS = (1, 2, 3, 4, 6, 8, 12, 16)  # characters of context
EARLY = 3  # places of early_share, the first
LATE_LOSS, LATE_ACCURACY = 5, 4  # the places before those of late_loss and of late_accuracy


def by_position(spec: Spec, task: Task) -> Probe:
    """The loss of every place of the training windows, the state reset or carried as in training.

    position_loss [T], position_floor [T]   nats; the floor is exact for these windows, see `windows.window_floors`
    true_loss       mean over all places, whatever is optimised; window_loss = T true_loss, the sum over a window
    last_loss       of the last place alone; loss_ratio = window_loss / last_loss
    floor, window_floor   the mean of position_floor, and its sum over a window
    excess, floor_ratio   true_loss - floor; true_loss / floor, NaN where the floor is 0
    early_share     of the summed loss: the first three places
    late_loss       mean over the places after the first five; accuracy, late_accuracy: best guesses that are right, of
                    all places and of those after the first four
    cut_loss [8]    of a window's last place when only the last 1, 2, 3, 4, 6, 8, 12 or 16 characters are read, from the
                    start state; cut_loss_3 ..., as far as the window is that long
    context_gain    cut_loss_3 - cut_loss of the longest
    held_out_trigram   loss on the held-out part of three-gram counts of the training part
    steps_a_pass, characters_a_pass   time steps and characters that one pass over the text reads

    Raises:
        NotApplicable: a task that is not a text, or where not every place counts.
    """
    require_unidirectional(spec)
    if task.loss != "cross_entropy" or task.last_only:
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected a text to look at each place of")
    windows = task_windows(task, task.train_N, spec.batch, spec.window)
    data = windows._replace(
        inputs_WTB=windows.inputs_WTB[: max(WINDOWS // spec.batch, 1)],
        targets_WTB=windows.targets_WTB[: max(WINDOWS // spec.batch, 1)],
    )
    floors_T = (window_floors if spec.carry == "reset" else carried_floors)(data)
    floors = {"position_floor": floors_T, "floor": floors_T.mean(), "window_floor": floors_T.sum()}
    known = constants(spec, task, windows) | floors
    cuts = [cut for cut in CUTS if cut <= spec.window]

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        read = read_carried if spec.carry == "carried" else read_reset
        logits_TNV, targets_TN = read(spec, hp, state.params, data)
        losses_TN = jax.vmap(jax.vmap(cross_entropy))(logits_TNV, targets_TN)
        right_TN = (jnp.argmax(logits_TNV, axis=-1) == targets_TN).astype(float)
        cut_L = jnp.stack([cut_loss(spec, hp, state.params, data, cut) for cut in cuts])
        return of_places(jnp.mean(losses_TN, axis=1), jnp.mean(right_TN, axis=1)) | of_cuts(cuts, cut_L)

    return Probe(measure, partial(beside, known))


def constants(spec: Spec, task: Task, data: WindowData) -> dict[str, float]:
    """What does not depend on the network."""
    windows, steps, streams = data.inputs_WTB.shape
    trigram = (
        held_out_loss_bound(task.train_N, task.validation_N, 3, task.inputs) if len(task.validation_N) > 2 else np.nan
    )
    return {
        "held_out_trigram": trigram,
        "steps_a_pass": windows * steps,
        "characters_a_pass": windows * steps * streams,
    }


def read_reset(spec: Spec, hp: HParams, params: Params, data: WindowData) -> tuple[Array, Array]:
    """Logits and targets [T, W*B, ...], every window read from the start state."""
    inputs_TN, targets_TN = (beside_each_other(ids_WTB) for ids_WTB in data[:2])
    model = build_network(spec, hp)
    carry = model.carry(params, key_for(hp, "evaluation"), inputs_TN.shape[1])
    return model.apply(params, carry, inputs_TN)[1], targets_TN


def read_carried(spec: Spec, hp: HParams, params: Params, data: WindowData) -> tuple[Array, Array]:
    """The same with every stream read in one go."""
    windows, steps, streams = data.inputs_WTB.shape
    model = build_network(spec, hp)
    carry = model.carry(params, key_for(hp, "evaluation"), streams)
    inputs_NB = jnp.asarray(data.inputs_WTB).reshape(-1, streams)
    logits_NBV = model.apply(params, carry, inputs_NB)[1]
    logits_WTBV = logits_NBV.reshape(windows, steps, streams, -1)
    return jnp.moveaxis(logits_WTBV, 0, 1).reshape(steps, windows * streams, -1), beside_each_other(data.targets_WTB)


def beside_each_other(ids_WTB: np.ndarray) -> Array:
    """[W, T, B] -> [T, W*B]."""
    return jnp.moveaxis(jnp.asarray(ids_WTB), 0, 1).reshape(ids_WTB.shape[1], -1)


def cut_loss(spec: Spec, hp: HParams, params: Params, data: WindowData, cut: int) -> Array:
    """The mean loss of the windows' last places when only their last `cut` characters are read."""
    shorter = data._replace(inputs_WTB=data.inputs_WTB[:, -cut:], targets_WTB=data.targets_WTB[:, -cut:])
    logits_TNV, targets_TN = read_reset(spec, hp, params, shorter)
    return jnp.mean(jax.vmap(cross_entropy)(logits_TNV[-1], targets_TN[-1]))


def of_places(losses_T: Array, right_T: Array) -> dict[str, Array]:
    """The values that follow from the loss and the accuracy of each place."""
    return {
        "position_loss": losses_T,
        "true_loss": jnp.mean(losses_T),
        "window_loss": jnp.sum(losses_T),
        "last_loss": losses_T[-1],
        "loss_ratio": jnp.sum(losses_T) / losses_T[-1],
        "early_share": jnp.sum(losses_T[:EARLY]) / jnp.sum(losses_T),
        "late_loss": jnp.mean(losses_T[LATE_LOSS:]),
        "accuracy": jnp.mean(right_T),
        "late_accuracy": jnp.mean(right_T[LATE_ACCURACY:]),
    }


def of_cuts(cuts: list[int], cut_L: Array) -> dict[str, Array]:
    """By the length of the context."""
    named = {f"cut_loss_{cut}": cut_L[i] for i, cut in enumerate(cuts)}
    gain = {"context_gain": named["cut_loss_3"] - cut_L[-1]} if 3 in cuts else {}
    return {"cut_loss": cut_L} | named | gain


def beside(known: dict[str, Any], values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The values of R runs with what is known whatever they do, and with their distance from the floor."""
    runs, floor = len(values["true_loss"]), known["floor"]
    same = {name: np.stack([np.asarray(value, np.float32)] * runs) for name, value in known.items()}
    ratio = values["true_loss"] / floor if floor > 0 else np.full(runs, np.nan)
    return values | same | {"excess": values["true_loss"] - floor, "floor_ratio": ratio}

"""The loss at each position of the training windows, beside the smallest loss of any predictor there."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import SHARE, Metric
from rnnjax.tasks.entropy import carried_floors, held_out_loss_bound, window_floors
from rnnjax.tasks.windows import task_windows
from rnnjax.training.losses import cross_entropy
from rnnjax.training.state import TrainState
from rnnjax.types import Params, Probe, Task, WindowData

WINDOWS = 1_024  # read at most, the first of each stream
CUTS = (1, 2, 3, 4, 6, 8, 12, 16)  # characters of context
EARLY = 3  # first positions, of early_share
LATE_LOSS, LATE_ACCURACY = 5, 4  # first positions that late_loss and late_accuracy leave out

CUT = "mean loss of the last position of a window of which only the last k characters are read"
POSITION_METRICS = {
    "position_loss": Metric("mean loss by position in the window", "{loss}", "lower", "lag"),
    "position_floor": Metric(
        "the smallest loss of any predictor on these windows, by position in the window", "{loss}", kind="lag"
    ),
    "true_loss": Metric("mean of position_loss, independent of the optimised reduction", "{loss}", "lower"),
    "window_loss": Metric("sum of position_loss over the window", "{window_loss}", "lower"),
    "last_loss": Metric("mean loss of the last position of the window", "{loss}", "lower"),
    "loss_ratio": Metric("window_loss / last_loss"),
    "floor": Metric("mean of position_floor", "{loss}"),
    "window_floor": Metric("sum of position_floor over the window", "{window_loss}"),
    "excess": Metric("true_loss - floor", "{loss}", "lower"),
    "floor_ratio": Metric("true_loss / floor; NaN where the floor is 0", better="lower"),
    "early_share": Metric(f"share of window_loss at the first {EARLY} positions", range=SHARE),
    "late_loss": Metric(f"mean of position_loss after the first {LATE_LOSS} positions", "{loss}", "lower"),
    "accuracy": Metric("share of targets with the highest logit", better="higher", range=SHARE),
    "late_accuracy": Metric(
        f"share of targets with the highest logit after the first {LATE_ACCURACY} positions",
        better="higher",
        range=SHARE,
    ),
    "cut_loss": Metric(f"{CUT}, by k = {', '.join(map(str, CUTS))}", "{loss}", "lower", "lag"),
    "held_out_trigram": Metric("loss of trigram counts of the training part on the held-out part", "{loss}"),
    "steps_a_pass": Metric("time steps that one pass over the training part reads", "time steps"),
    "characters_a_pass": Metric("characters that one pass over the training part reads", "characters"),
}


def position_metrics(cuts: list[int]) -> dict[str, Metric]:
    """POSITION_METRICS and those of each context length."""
    by_cut = {f"cut_loss_{cut}": Metric(f"{CUT}, k = {cut}", "{loss}", "lower") for cut in cuts}
    gain = {"context_gain": Metric(f"cut_loss_3 - cut_loss_{cuts[-1]}", "{loss}", "higher")} if 3 in cuts else {}
    return POSITION_METRICS | by_cut | gain


def by_position(spec: Spec, task: Task) -> Probe:
    """The loss at every position of the training windows, the state reset or carried as in training.

    Values: see POSITION_METRICS; cut_loss_1 ... cut_loss_16, as far as the window is that long, read from the initial
    state. The floor is exact for these windows, see `windows.window_floors`.

    Raises:
        NotApplicable: a task that is not a text, or whose loss does not count every position.
    """
    require_unidirectional(spec)
    if task.loss != "cross_entropy" or task.last_only:
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected a text with a loss at each position")
    windows = task_windows(task, task.train_N, spec.batch, spec.window)
    data = windows._replace(
        inputs_WTB=windows.inputs_WTB[: max(WINDOWS // spec.batch, 1)],
        targets_WTB=windows.targets_WTB[: max(WINDOWS // spec.batch, 1)],
    )
    floors_T = (window_floors if spec.carry == "reset" else carried_floors)(data)
    floors = {"position_floor": floors_T, "floor": floors_T.mean(), "window_floor": floors_T.sum()}
    constant_values = constants(spec, task, windows) | floors
    cuts = [cut for cut in CUTS if cut <= spec.window]

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        read = read_carried if spec.carry == "carried" else read_reset
        logits_TNV, targets_TN = read(spec, hp, state.params, data)
        losses_TN = jax.vmap(jax.vmap(cross_entropy))(logits_TNV, targets_TN)
        hits_TN = (jnp.argmax(logits_TNV, axis=-1) == targets_TN).astype(float)
        cut_L = jnp.stack([cut_loss(spec, hp, state.params, data, cut) for cut in cuts])
        return position_values(jnp.mean(losses_TN, axis=1), jnp.mean(hits_TN, axis=1)) | cut_values(cuts, cut_L)

    return Probe(measure, partial(with_constants, constant_values), position_metrics(cuts))


def constants(spec: Spec, task: Task, data: WindowData) -> dict[str, float]:
    """The values that do not depend on the network."""
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
    """Logits and targets [T, W*B, ...], every window read from the initial state."""
    inputs_TN, targets_TN = (merge_streams(ids_WTB) for ids_WTB in data[:2])
    model = build_network(spec, hp)
    carry = model.carry(params, key_for(hp, "evaluation"), inputs_TN.shape[1])
    return model.apply(params, carry, inputs_TN)[1], targets_TN


def read_carried(spec: Spec, hp: HParams, params: Params, data: WindowData) -> tuple[Array, Array]:
    """As `read_reset`, with the state carried through every stream: logits and targets [T, W*B, ...]."""
    windows, steps, streams = data.inputs_WTB.shape
    model = build_network(spec, hp)
    carry = model.carry(params, key_for(hp, "evaluation"), streams)
    inputs_NB = jnp.asarray(data.inputs_WTB).reshape(-1, streams)
    logits_NBV = model.apply(params, carry, inputs_NB)[1]
    logits_WTBV = logits_NBV.reshape(windows, steps, streams, -1)
    return jnp.moveaxis(logits_WTBV, 0, 1).reshape(steps, windows * streams, -1), merge_streams(data.targets_WTB)


def merge_streams(ids_WTB: np.ndarray) -> Array:
    """[W, T, B] -> [T, W*B]."""
    return jnp.moveaxis(jnp.asarray(ids_WTB), 0, 1).reshape(ids_WTB.shape[1], -1)


def cut_loss(spec: Spec, hp: HParams, params: Params, data: WindowData, cut: int) -> Array:
    """The mean loss of the last position of the windows when only their last `cut` characters are read."""
    shorter = data._replace(inputs_WTB=data.inputs_WTB[:, -cut:], targets_WTB=data.targets_WTB[:, -cut:])
    logits_TNV, targets_TN = read_reset(spec, hp, params, shorter)
    return jnp.mean(jax.vmap(cross_entropy)(logits_TNV[-1], targets_TN[-1]))


def position_values(losses_T: Array, hits_T: Array) -> dict[str, Array]:
    """The values that follow from the loss and the accuracy of each position."""
    return {
        "position_loss": losses_T,
        "true_loss": jnp.mean(losses_T),
        "window_loss": jnp.sum(losses_T),
        "last_loss": losses_T[-1],
        "loss_ratio": jnp.sum(losses_T) / losses_T[-1],
        "early_share": jnp.sum(losses_T[:EARLY]) / jnp.sum(losses_T),
        "late_loss": jnp.mean(losses_T[LATE_LOSS:]),
        "accuracy": jnp.mean(hits_T),
        "late_accuracy": jnp.mean(hits_T[LATE_ACCURACY:]),
    }


def cut_values(cuts: list[int], cut_L: Array) -> dict[str, Array]:
    """The losses by the length of the context."""
    by_cut = {f"cut_loss_{cut}": cut_L[i] for i, cut in enumerate(cuts)}
    gain = {"context_gain": by_cut["cut_loss_3"] - cut_L[-1]} if 3 in cuts else {}
    return {"cut_loss": cut_L} | by_cut | gain


def with_constants(constant_values: dict[str, Any], values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The values of R runs, the constants, and the distance from the floor."""
    runs, floor = len(values["true_loss"]), constant_values["floor"]
    same = {name: np.stack([np.asarray(value, np.float32)] * runs) for name, value in constant_values.items()}
    ratio = values["true_loss"] / floor if floor > 0 else np.full(runs, np.nan)
    return values | same | {"excess": values["true_loss"] - floor, "floor_ratio": ratio}

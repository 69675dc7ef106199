"""Indicators of outputs, losses and hidden states."""

from typing import Any

import numpy as np

from rnnjax.doctor.batch import Batch, batch_chance_loss, boolean_mask, is_ids
from rnnjax.doctor.indicators.predictions import (
    copied_symbols,
    least_possible_loss,
    one_class,
    other_classes,
    unreachable_targets,
)
from rnnjax.doctor.indicators.types import Floor, Indicator, Indicators, per_network, per_stream
from rnnjax.tasks.entropy import window_floors
from rnnjax.types import WindowData

MAJORITY = 1.25  # times the mean share of the classes

IndicatorValues = dict[str, Any]  # of `observations.measure_network`, each [R, ...]


def output_indicators(
    values: IndicatorValues, batch: Batch, held_out: Batch | None, floor: Floor | None
) -> dict[str, Any]:
    """Losses, their ratios to the chance loss and to the floor, and the spread of the outputs.

    loss_over_chance  loss / chance loss; all ratios are NaN if the targets do not vary
    above_windows     (loss - `window_entropy`) / chance loss
    identical         standard deviation of the predictions / that of the targets
    stale             (loss from the given state - loss from the initial state) / chance loss
    """
    chance = batch_chance_loss(batch) or np.nan
    return {
        "loss": per_stream(values["loss"]),
        "loss_over_chance": per_network(values["loss"].mean(axis=1) / chance),
        "above_windows": per_network((values["loss"].mean(axis=1) - window_entropy(batch)) / chance),
        "identical": per_stream(values["spread"]),
        "stale": per_stream((values["loss"] - values["fresh_loss"]) / chance),
        **({} if held_out is None else held_out_indicators(values, chance, held_out)),
        **({} if floor is None or floor.loss <= 0 else {"above_floor": above_floor(values, floor)}),
    }


def window_entropy(batch: Batch) -> float:
    """Mean H(target_t | inputs_0 ... inputs_t) of the steps that count: the loss of one who knows all windows by heart.

    0 of numbers.
    """
    if not is_ids(batch.inputs) or not is_ids(batch.targets):
        return 0.0
    weights_T = boolean_mask(batch).sum(axis=1)
    floors_T = window_floors(WindowData(np.asarray(batch.inputs)[None], np.asarray(batch.targets)[None]))
    return float(np.sum(floors_T * weights_T) / weights_T.sum())


def prediction_indicators(values: IndicatorValues, batch: Batch) -> Indicators:
    """The range that the outputs can reach.

    distribution   of ids, see `predictions.least_possible_loss`: the largest of all networks
    out_of_range   of numbers, see `predictions.unreachable_targets`
    one_class      of ids: the share of the steps at which the most common prediction is made
    other_classes  of ids: the share of the targets that are not the most common one
    class_spread   as `identical`; 1 where the targets are labels with a majority, which a constant network predicts
    """
    if batch.kind == "squared_error":
        found = [unreachable_targets(outputs_TBO, batch) for outputs_TBO in values["outputs"]]
        remarks = [remark for _, remark in found if remark]
        share_R = np.array([share for share, _ in found])
        return Indicators({"out_of_range": per_network(share_R)}, {}, {"out_of_range": remarks[0]} if remarks else {})
    predicted = [one_class(outputs_TBV, batch) for outputs_TBV in values["outputs"]]
    least_R = [least_possible_loss(outputs_TBV, boolean_mask(batch)) for outputs_TBV in values["outputs"]]
    finite_R1 = np.where(np.asarray(values["finite"], bool), 1.0, np.nan)[:, None]
    named = {
        "distribution": per_network(np.array(least_R)),
        "one_class": per_stream(np.stack([share_B for share_B, _ in predicted]) * finite_R1),
        "other_classes": Indicator(np.array([other_classes(batch)]), "network"),
        "class_spread": per_stream(np.ones_like(values["spread"]) if has_majority(batch) else values["spread"]),
    }
    return Indicators(named | copying(values, batch), {}, {"one_class": predicted[0][1]})


def has_majority(batch: Batch) -> bool:
    """Whether the targets are labels, no next inputs, one of which is much more frequent than its share of all."""
    if batch.predicts_next_input:
        return False
    counts = np.unique(np.asarray(batch.targets)[boolean_mask(batch)], return_counts=True)[1]
    return bool(counts.max() / counts.sum() > MAJORITY / len(counts))


def copying(values: IndicatorValues, batch: Batch) -> dict[str, Indicator]:
    """copied, repeated: see `predictions.copied_symbols`; absent unless the targets are the next inputs."""
    if not batch.predicts_next_input:
        return {}
    shares = np.array([copied_symbols(outputs_TBV, batch) for outputs_TBV in values["outputs"]])
    shares = np.where(np.asarray(values["finite"], bool)[:, None], shares, np.nan)
    return {"copied": per_network(shares[:, 0]), "repeated": per_network(shares[:, 1])}


def held_out_indicators(values: IndicatorValues, chance: float, held_out: Batch) -> dict[str, Indicator]:
    """gap: (held-out loss - training loss) / the larger chance loss of both parts: the held-out one may vary more.

    Of labels of sequences each loss counts as twice that of chance at most: a few sure mistakes are no overfitting.

    held_out_over_chance: held-out loss / chance loss; held_out_ratio: held-out loss / training loss.
    """
    loss_R, held_out_R = (values[name].mean(axis=1) for name in ("loss", "held_out_loss"))
    larger = max(chance, batch_chance_loss(held_out))
    most = 2 * larger if held_out.kind == "cross_entropy" and has_one_label(held_out) else np.inf
    difference_RB = np.minimum(values["held_out_loss"], most) - values["loss"].mean(axis=1, keepdims=True)
    return {
        "gap": per_stream(difference_RB / larger),
        "held_out_loss": per_stream(values["held_out_loss"]),
        "held_out_over_chance": per_network(held_out_R / chance),
        "held_out_ratio": per_network(held_out_R / np.maximum(loss_R, 1e-30)),
    }


def has_one_label(batch: Batch) -> bool:
    """Whether one step of each stream counts, of sequences."""
    return batch.segments_TB is not None and int(boolean_mask(batch).sum(axis=0).max()) == 1


def above_floor(values: IndicatorValues, floor: Floor) -> Indicator:
    """Loss / floor - 1."""
    return per_stream(values["held_out_loss" if floor.held_out else "loss"] / floor.loss - 1)


def state_indicators(values: IndicatorValues) -> dict[str, Indicator]:
    """saturated, dead: shares of the hidden units; absent if the network could not be stepped."""
    if "saturated" not in values:
        return {}
    return {"saturated": per_stream(values["saturated"]), "dead": per_network(values["dead"])}

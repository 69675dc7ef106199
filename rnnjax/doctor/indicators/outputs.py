"""Indicators of outputs, losses and hidden states."""

from typing import Any

import numpy as np

from rnnjax.doctor.batch import Batch, batch_chance_loss
from rnnjax.doctor.indicators.types import Floor, Indicator, per_network, per_stream

IndicatorValues = dict[str, Any]  # of `observations.measure_network`, each [R, ...]


def output_indicators(
    values: IndicatorValues, batch: Batch, held_out: Batch | None, floor: Floor | None
) -> dict[str, Any]:
    """Losses, their ratios to the chance loss and to the floor, and the spread of the outputs.

    loss_over_chance  loss / chance loss; all ratios are NaN if the targets do not vary
    identical         standard deviation of the predictions / that of the targets
    distribution      share of outputs that are probabilities, for ids
    stale             (loss from the given state - loss from the initial state) / chance loss
    """
    chance = batch_chance_loss(batch) or np.nan
    return {
        "finite": per_network(1.0 - values["finite"]),
        "loss": per_stream(values["loss"]),
        "loss_over_chance": per_network(values["loss"].mean(axis=1) / chance),
        "identical": per_stream(values["spread"]),
        "stale": per_stream((values["loss"] - values["fresh_loss"]) / chance),
        **({"distribution": per_stream(values["distribution"])} if batch.kind == "cross_entropy" else {}),
        **({} if held_out is None else held_out_indicators(values, chance)),
        **({} if floor is None or floor.loss <= 0 else {"above_floor": above_floor(values, floor)}),
    }


def held_out_indicators(values: IndicatorValues, chance: float) -> dict[str, Indicator]:
    """gap: (held-out loss - training loss) / chance loss."""
    difference_RB = values["held_out_loss"] - values["loss"].mean(axis=1, keepdims=True)
    return {"gap": per_stream(difference_RB / chance), "held_out_loss": per_stream(values["held_out_loss"])}


def above_floor(values: IndicatorValues, floor: Floor) -> Indicator:
    """Loss / floor - 1."""
    return per_stream(values["held_out_loss" if floor.held_out else "loss"] / floor.loss - 1)


def state_indicators(values: IndicatorValues) -> dict[str, Indicator]:
    """saturated, dead: shares of the hidden units; absent if the network could not be stepped."""
    if "saturated" not in values:
        return {}
    return {"saturated": per_stream(values["saturated"]), "dead": per_network(values["dead"])}

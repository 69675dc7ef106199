"""The losses of a network beside those of simple predictors."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rnnjax.doctor.indicators.types import Indicators

LEVEL_NAMES = {
    "chance": "chance",
    "floor": "floor",
    "unigram": "unigrams",
    "bigram": "bigrams",
    "trigram": "trigrams",
    "persistence": "last value",
    "seasonal": "value one period before",
    "linear": "linear predictor",
}
LOSS_NAMES = {"loss": "this network, training batch", "held_out_loss": "this network, held-out batch"}


class LossLevel(NamedTuple):
    """A loss, of the network or of a simple predictor."""

    name: str
    loss: float
    of_network: bool


def loss_levels(indicators: Indicators) -> list[LossLevel]:
    """All known losses, the lowest first; empty without one of the network."""
    own = [LossLevel(LOSS_NAMES[name], loss, True) for name, loss in network_losses(indicators).items()]
    others = [LossLevel(name, loss, False) for name, loss in name_levels(indicators.levels).items()]
    return sorted(own + others, key=lambda level: level.loss) if own else []


def network_losses(indicators: Indicators) -> dict[str, float]:
    """The mean "loss" and "held_out_loss" of all networks, as far as they are finite."""
    found = {name: indicators.values[name].values_n for name in LOSS_NAMES if name in indicators.values}
    return {name: float(np.nanmean(values_n)) for name, values_n in found.items() if np.isfinite(values_n).any()}


def name_levels(levels: Mapping[str, float]) -> dict[str, float]:
    """Finite levels by their names for a reader, the lowest first."""
    by_loss = sorted(levels.items(), key=lambda item: item[1])
    return {LEVEL_NAMES.get(name, f"{name}s"): loss for name, loss in by_loss if np.isfinite(loss)}


def describe_levels(indicators: Indicators) -> str:
    """As "loss 0.31, held-out 0.35; linear predictor 0.3, last value 0.62"; empty without a loss."""
    losses = network_losses(indicators)
    names = {"loss": "loss", "held_out_loss": "held-out"}
    own = ", ".join(f"{names[name]} {loss:.3g}" for name, loss in losses.items())
    others = ", ".join(f"{name} {loss:.3g}" for name, loss in name_levels(indicators.levels).items())
    return "; ".join(filter(None, (own, others))) if own else ""

"""Load the predictions of held-out sequences from a run folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.analysis.predictions import Predictions
from rnnjax.storage.sealed import read_sealed_npz

PREDICTIONS = "metrics/predictions.npz"
FIELDS = ("names", "lengths_N", "sequence_R", "truth_R", "outputs_nRO", "classes", "prior_C", "columns", "scale_O")


def load_predictions(folder: Path, arms: Sequence[str]) -> dict[str, Predictions]:
    """The predictions of every arm that has some, by name. Args: arms: of the study, in order. Raises DamagedState."""
    path = folder / PREDICTIONS
    arrays = read_sealed_npz(path) if path.is_file() else {}
    found = {}
    for number in sorted({int(name.partition("/")[0]) for name in arrays}):
        own = {name.partition("/")[2]: value for name, value in arrays.items() if name.startswith(f"{number}/")}
        fields: dict[str, Any] = {name: own[name] for name in FIELDS}
        fields |= {name: tuple(own[name].tolist()) for name in ("names", "classes", "columns")}
        levels = {name.removeprefix("levels/"): value for name, value in own.items() if name.startswith("levels/")}
        found[arms[number]] = Predictions(predict=str(own["predict"]), levels=levels, **fields)
    return found


def drop_diverged(predictions: Predictions, diverged_n: np.ndarray) -> Predictions:
    """The predictions with NaN for the networks that diverged. Args: diverged_n: bool [n]."""
    outputs = predictions.outputs_nRO.astype(np.float64)
    outputs[diverged_n] = np.nan
    return predictions._replace(outputs_nRO=outputs)

"""Forecasts of the held-out part out of a run folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnnjax.analysis.forecasts import Forecasts
from rnnjax.storage.sealed import read_sealed_npz

FORECASTS = "metrics/forecasts.npz"


def load_forecasts(folder: Path, arms: Sequence[str]) -> dict[str, Forecasts]:
    """The forecasts of every arm that has some, by name. Args: arms: of the study, in order. Raises DamagedState."""
    path = folder / FORECASTS
    arrays = read_sealed_npz(path) if path.is_file() else {}
    numbers = sorted({int(name.partition("/")[0]) for name in arrays})
    return {arms[number]: from_arrays(arrays, f"{number}/") for number in numbers}


def from_arrays(arrays: dict[str, np.ndarray], start: str) -> Forecasts:
    """The arrays of one arm as `Forecasts`."""
    own = {name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)}
    return Forecasts(
        columns=tuple(own["columns"].tolist()),
        labels=tuple(own["labels"].tolist()),
        truth_RO=own["truth"],
        predictions_nLMO=own["predictions"].astype(np.float64),
        levels={name.removeprefix("levels/"): value for name, value in own.items() if name.startswith("levels/")},
        path_nPO=own["path"].astype(np.float64),
        scale_O=own["scale"],
        season=int(own["season"]),
        index_name=str(own["index_name"]),
    )


def without_diverged(forecasts: Forecasts, diverged_n: np.ndarray) -> Forecasts:
    """NaN in the place of what diverged runs say."""
    predictions, path = forecasts.predictions_nLMO.copy(), forecasts.path_nPO.copy()
    predictions[diverged_n], path[diverged_n] = np.nan, np.nan
    return forecasts._replace(predictions_nLMO=predictions, path_nPO=path)

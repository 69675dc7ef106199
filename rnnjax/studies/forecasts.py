"""Forecasts of the held-out part by every trained network of a series: metrics/forecasts.npz."""

from pathlib import Path

import numpy as np

from rnnjax.config.schema import Arm, Study
from rnnjax.settings import TaskSpec
from rnnjax.storage.run_folder import RunFolder
from rnnjax.studies.dry_run import requested_metrics
from rnnjax.studies.forecasting import can_forecast, forecast_ahead
from rnnjax.studies.load_forecasts import FORECASTS
from rnnjax.studies.load_networks import load_networks
from rnnjax.tasks.series_layout import rows_read
from rnnjax.tasks.series_levels import first_origin, seasonal_scale, simple_forecasts
from rnnjax.types import SeriesRows, Task

MOST_ROWS = 10_000  # held-out rows that are forecast
LONGEST_PATH = 500  # rows of the path from own predictions


def write_forecasts(run: RunFolder, study: Study, tasks: dict[TaskSpec, Task]) -> None:
    """Forecast the held-out part with the networks of every arm that has a series. Raises StorageFailed."""
    arrays: dict[str, np.ndarray] = {}
    for number, arm in enumerate(study.arms if wants_forecasts(study) else []):
        task = tasks[arm.spec.task]
        if can_forecast(arm.spec, task):
            arrays |= {f"{number}/{name}": value for name, value in arm_arrays(run.path, arm, task).items()}
    if arrays:
        run.write_npz(FORECASTS, arrays)


def wants_forecasts(study: Study) -> bool:
    """Whether a study is about forecasts: it judges no claim, or asks for a metric of a column, as rmse[level]."""
    return not study.file.claims or any("[" in metric for _, metric, _ in requested_metrics(study))


def arm_arrays(folder: Path, arm: Arm, task: Task) -> dict[str, np.ndarray]:
    """The arrays of `Forecasts` of one arm."""
    assert task.series is not None and task.layout is not None
    rows, layout = task.series, task.layout
    first = first_origin(rows, rows_read(layout))
    last = min(rows.stop - 1, first + MOST_ROWS)
    origins_M = np.arange(first, last - layout.horizon + 1)
    predictions, paths = [], []
    for network in load_networks(folder, arm.name):
        predictions.append(forecast_ahead(network, rows, layout, origins_M, layout.horizon))
        paths.append(forecast_ahead(network, rows, layout, origins_M[:1], min(last - first, LONGEST_PATH))[:, 0])
    return {
        "predictions": np.stack(predictions).astype(np.float32),
        "path": np.stack(paths).astype(np.float32),
        "truth": rows.values_NC[first + 1 : last + 1, : layout.targets],
        "labels": np.array(row_labels(rows, first + 1, last + 1)),
        "scale": seasonal_scale(rows, layout),
        "season": np.array(rows.season),
        "columns": np.array(rows.columns[: layout.targets]),
        "index_name": np.array(rows.index_name),
        **{f"levels/{name}": said for name, said in simple_forecasts(rows, layout, origins_M, layout.horizon).items()},
    }


def row_labels(rows: SeriesRows, start: int, stop: int) -> list[str]:
    """The labels of some rows: their numbers, from 1, where there is no index."""
    return list(rows.labels[start:stop]) if rows.labels else [str(row + 1) for row in range(start, stop)]

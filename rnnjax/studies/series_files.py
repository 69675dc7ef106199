"""The rows of a series in its run folder, so that a forecast needs no other file: series/<number>.npz and manifest."""

from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.config.schema import Study
from rnnjax.settings import TaskSpec
from rnnjax.storage.run_folder import RunFolder
from rnnjax.storage.sealed import read_sealed_npz
from rnnjax.types import RowIndex, SeriesLayout, SeriesRows, Task

ARRAYS = ("values_NC", "labels", "future_MK")  # fields that an .npz holds; the others stand in the manifest


def write_series(run: RunFolder, study: Study, tasks: dict[TaskSpec, Task]) -> None:
    """Write the rows and the layout of each series of a study. Raises StorageFailed."""
    entries: list[dict[str, Any]] = []
    for spec, task in tasks.items():
        if task.series is None or task.layout is None:
            continue
        rows = task.series
        run.write_npz(series_file(len(entries)), {name: array_of(getattr(rows, name)) for name in ARRAYS})
        described = {name: value for name, value in rows._asdict().items() if name not in ARRAYS}
        described |= {"end": rows.end._asdict() if rows.end else None}
        arms = [arm.name for arm in study.arms if arm.spec.task == spec]
        entries.append({"arms": arms, "rows": described, "layout": task.layout._asdict()})
    if entries:
        run.record(series=entries)


def series_file(number: int) -> str:
    return f"series/{number}.npz"


def array_of(value: Any) -> np.ndarray:
    """An array that can be stored; without rows for None."""
    return np.zeros((0, 0)) if value is None else np.array(value)


def read_series(folder: Path, manifest: dict[str, Any], arm: str) -> tuple[SeriesRows, SeriesLayout] | None:
    """The rows and the layout of an arm's series; None where it has none. Raises DamagedState."""
    entries = manifest.get("series", [])
    number = next((number for number, entry in enumerate(entries) if arm in entry["arms"]), None)
    if number is None:
        return None
    arrays = read_sealed_npz(folder / series_file(number))
    entry: dict[str, Any] = entries[number]
    described = entry["rows"] | {"columns": tuple(entry["rows"]["columns"])}
    described |= {"end": RowIndex(**described["end"]) if described["end"] else None}
    rows = SeriesRows(
        values_NC=arrays["values_NC"],
        labels=tuple(arrays["labels"].tolist()),
        future_MK=arrays["future_MK"] if arrays["future_MK"].size else None,
        **described,
    )
    lists: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in entry["layout"].items()
    }
    return rows, SeriesLayout(**lists)

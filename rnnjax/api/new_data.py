"""New data for a trained network: a string, an array, a table or a file, read as the data of its training were."""

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.api.arguments import python_names
from rnnjax.config.toml_file import nearest_files
from rnnjax.devices import available_memory
from rnnjax.errors import BadInput
from rnnjax.settings import Spec, TaskSpec
from rnnjax.settings.vocabulary import text_to_ids
from rnnjax.studies.datasets import read_source_text
from rnnjax.studies.load_networks import LoadedNetwork
from rnnjax.tasks.series_columns import prepared_rows, sequence_maker
from rnnjax.tasks.series_source import read_rows, scale_rows
from rnnjax.tasks.windows import next_step
from rnnjax.types import SeriesLayout, SeriesRows, Task, WindowData


def new_task(network: LoadedNetwork, data: Any) -> Task:
    """New data as the held-out part of a task. Raises: BadInput for data that the network cannot read."""
    with python_names():
        if network.rows is not None and network.layout is not None:
            return series_task(network, network.rows, network.layout, data)
        if network.spec.task.name not in ("text", "grammar"):
            raise BadInput(f"data: a network of the task '{network.spec.task.name}' reads no other data; expected none")
        return text_task(network, read_text(network, data))


def read_text(network: LoadedNetwork, data: Any) -> np.ndarray:
    """The ids [N] of a string with a line break, of a file, or of an array of ids."""
    if isinstance(data, str | PathLike):
        text = data if isinstance(data, str) and "\n" in data else read_file(network, data)
        return text_to_ids(text, network.vocabulary)
    return check_ids(data, network)


def read_file(network: LoadedNetwork, path: str | PathLike[str]) -> str:
    """The text of a file, in the encoding that the network was trained with."""
    if not Path(path).exists():
        hint = "; a text itself has a line break" if network.vocabulary else ""
        raise BadInput(f"data: no such file {str(path)[:200]!r}{nearest_files(Path(path))}{hint}")
    name = "text" if network.vocabulary else "series"
    source = read_source_text(replace(network.spec.task, name=name, path=str(path)), available_memory())
    assert source is not None
    return source.text


def check_ids(data: Any, network: LoadedNetwork) -> np.ndarray:
    """An array of ids [N], [T] or [T, B]. Raises: BadInput for other numbers."""
    ids, expected = np.asarray(data), f"expected a text, or ids, integers in 0..{network.spec.inputs - 1}"
    if not np.issubdtype(ids.dtype, np.integer):
        raise BadInput(f"data: got an array of {ids.dtype}; {expected}")
    if ids.size == 0 or ids.min() < 0 or ids.max() >= network.spec.inputs:
        found = f"ids {ids.min()}..{ids.max()}" if ids.size else "nothing"
        raise BadInput(f"data: got {found}; {expected}")
    return ids.astype(np.int32)


def batch_window(network: LoadedNetwork, data: Any) -> WindowData:
    """One window of (inputs, targets), optionally with a loss mask, time first, for a network of another library.

    Raises: BadInput for anything else, or shapes that do not fit.
    """
    if not isinstance(data, tuple) or len(data) not in (2, 3):
        what = "none" if data is None else type(data).__name__
        raise BadInput(f"data: got {what}; expected (inputs, targets) or (inputs, targets, loss mask), time first")
    inputs, has_streams = network_inputs(network, data[0])
    targets, *mask = (np.asarray(part) if has_streams else np.asarray(part)[:, None] for part in data[1:])
    is_id = network.spec.loss == "cross_entropy"
    expected = inputs.shape[:2] if is_id else (*inputs.shape[:2], network.spec.outputs)
    if targets.shape != expected or is_id != np.issubdtype(targets.dtype, np.integer):
        kind = "ids" if is_id else "numbers"
        raise BadInput(f"data: got targets {targets.dtype} {list(targets.shape)}; expected {kind} {list(expected)}")
    dtype = np.int32 if is_id else np.asarray(inputs).dtype
    loss_mask = np.asarray(mask[0], np.float32)[None] if mask else None
    return WindowData(np.asarray(inputs)[None], targets.astype(dtype)[None], loss_mask)


def text_task(network: LoadedNetwork, ids_N: np.ndarray) -> Task:
    """Ids, each to be followed by the next."""
    if ids_N.ndim != 1:
        raise BadInput(f"data: got ids of shape {ids_N.shape}; expected [N]")
    check_length(len(ids_N) - 1, network.spec.window)
    spec = network.spec
    return Task(ids_N, ids_N, next_step, spec.inputs, spec.outputs, spec.loss, {}, network.vocabulary)


def series_task(network: LoadedNetwork, trained: SeriesRows, layout: SeriesLayout, data: Any) -> Task:
    """Rows of new data, standardised as the data of the training were."""
    rows, spec = new_rows(network, trained, data), network.spec
    prepared_MF = prepared_rows(layout, rows.values_NC)
    check_length(len(prepared_MF), spec.window)
    return Task(
        prepared_MF,
        prepared_MF,
        sequence_maker(layout, spec.task.missing == "mask"),
        spec.inputs,
        spec.outputs,
        spec.loss,
        {},
        columns=network.columns,
        target_mean_O=network.target_mean_O,
        target_scale_O=network.target_scale_O,
        last_only=spec.task.loss_steps == "last",
        axes_swapped=spec.task.time_axis == "batch",
        series=rows,
        layout=layout,
    )


def check_length(steps: int, window: int) -> None:
    """Raises: BadInput for fewer steps than a window has."""
    if steps < window:
        raise BadInput(f"data: has {steps} steps with a target; expected at least {window} (window {window})")


def new_rows(network: LoadedNetwork, trained: SeriesRows, data: Any) -> SeriesRows:
    """All rows of new data with the columns of the training, in own units."""
    if isinstance(data, str | PathLike):
        return file_rows(network, trained, read_file(network, data))
    if isinstance(data, Mapping) or hasattr(data, "to_csv"):
        missing = [name for name in trained.columns if name not in data]
        if missing:
            raise BadInput(f"data: has no column {missing[0]!r}; expected {', '.join(trained.columns)}")
        data = np.column_stack([np.asarray(data[name], float) for name in trained.columns])
    try:
        values = np.asarray(data, float)
    except (TypeError, ValueError):
        raise BadInput(f"data: got {type(data).__name__}; expected an array, a table or a file") from None
    values_NC = values.reshape(len(values), -1) if values.ndim in (1, 2) else values
    if values_NC.ndim != 2 or values_NC.shape[1] != len(trained.columns):
        names = ", ".join(trained.columns)
        raise BadInput(f"data: got shape {values.shape}; expected rows of {len(trained.columns)} columns: {names}")
    check_numbers(values_NC, network.spec)
    task = network.spec.task
    return bare_rows(trained, task.scale * values_NC + task.offset)


def check_numbers(values_NC: np.ndarray, spec: Spec) -> None:
    """Raises: BadInput for a number that is missing or infinite, unless missing ones are masked."""
    bad = np.isinf(values_NC) if spec.task.missing == "mask" else ~np.isfinite(values_NC)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        place = f"row {row + 1}, column {column + 1}"
        raise BadInput(f"data: {place} is {values_NC[row, column]}; expected a finite number")


def file_rows(network: LoadedNetwork, trained: SeriesRows, text: str) -> SeriesRows:
    """The rows of the text of a table, with the columns and the notation of the training."""
    series = scale_rows(read_rows(table_settings(network), text), network.spec.task)
    if series.columns != trained.columns:
        raise BadInput(f"data: has the columns {', '.join(series.columns)}; expected {', '.join(trained.columns)}")
    parts = [series.train_ND, series.validation_ND, *([] if series.later_ND is None else [series.later_ND])]
    return bare_rows(trained, np.concatenate(parts))._replace(
        future_MK=series.future_MK, labels=series.labels, end=series.end, index_name=series.index_name
    )


def table_settings(network: LoadedNetwork) -> TaskSpec:
    """The settings of the table that the network was trained on, without its path."""
    return replace(network.spec.task, fold=0)


def bare_rows(trained: SeriesRows, values_NC: np.ndarray) -> SeriesRows:
    """Rows without labels, none of which was trained on."""
    return SeriesRows(trained.columns, values_NC, 0, 0, len(values_NC), trained.season)


def network_inputs(network: LoadedNetwork, x: Any) -> tuple[Array, bool]:
    """Inputs [T, B] or [T, B, D] of a network, and whether there was an axis of streams.

    Raises: BadInput for inputs that the network cannot read.
    """
    if network.vocabulary:
        ids = text_to_ids(x, network.vocabulary) if isinstance(x, str) else check_ids(x, network)
        if ids.ndim not in (1, 2):
            raise BadInput(f"x: got ids of shape {ids.shape}; expected [T] or [T, B]")
        return jnp.asarray(ids if ids.ndim == 2 else ids[:, None]), ids.ndim == 2
    if isinstance(x, str):
        raise BadInput("x: got a text for a network without a vocabulary; expected numbers or ids")
    if network.spec.embedding:
        ids = check_ids(x, network)
        return jnp.asarray(ids if ids.ndim == 2 else ids[:, None]), ids.ndim == 2
    values = np.asarray(x, jax.dtypes.canonicalize_dtype(np.float64))  # float32, unless a user has turned float64 on
    width = network.spec.inputs
    values = values[:, None] if values.ndim == 1 and width == 1 else values
    if values.ndim not in (2, 3) or values.shape[-1] != width or not len(values):
        raise BadInput(f"x: got numbers of shape {np.shape(x)}; expected [T, {width}] or [T, B, {width}]")
    return jnp.asarray(values if values.ndim == 3 else values[:, None]), values.ndim == 3

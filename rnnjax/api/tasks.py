"""Tasks from files, strings, arrays and tables."""

import csv
import io
from collections.abc import Mapping
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.api.arguments import plain, python_names
from rnnjax.config.fields import unknown_field
from rnnjax.config.toml_file import nearest_files
from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.studies.datasets import load_tasks
from rnnjax.tasks import TASKS
from rnnjax.types import Task

ROW = "row"  # name of the index of an array
OF_ARRAYS = {"index": ROW, "delimiter": "comma", "decimal": "point", "header": "yes"}  # settings of a table in memory


def text_task(source: str | PathLike[str] | None = None, **settings: Any) -> Task:
    """A text as a task: every character, byte or word is predicted from those before it.

    Args:
        source: a file, or the text itself: a string with a line break is a text, any other names a file. None: the
            included Markdown text.
        settings: fields of `TaskSpec`, such as `tokens="words"` or `validation=0.2`.

    Raises:
        BadInput: no such file, not a text, too short, or a setting that breaks its rule.

    Example:
        >>> text = rj.text_task("to be, or not to be\\n" * 30)
        >>> text.vocabulary
        '\\n ,benort'
        >>> round(text.reference_losses["chance"], 3)  # nats per character: log 9
        2.197
    """
    if isinstance(source, str) and "\n" in source:
        spec = task_spec("text", settings)
        with python_names():
            return make_task(spec, source)
    return load_task(with_path("text", source, settings))


def series_task(data: Any = None, **settings: Any) -> Task:
    """A series of numbers as a task: the next row is predicted from the rows before it.

    Args:
        data: an array [N] or [N, C], a mapping from names to columns, a DataFrame (its index labels the rows, unless it
            only counts them), or a CSV file. None: a generated series, see `series`.
        settings: fields of `TaskSpec`, such as `targets="level"`, `lags="7"`, `horizon=14`; `columns` names the columns
            of an array, else they are x0, x1 ...

    Raises:
        BadInput: no table of numbers, missing numbers (see `missing`), too few rows, or a setting that breaks its rule.

    Example:
        >>> import numpy as np
        >>> wave = np.sin(0.3 * np.arange(200))
        >>> series = rj.series_task({"level": wave, "rain": wave[::-1]}, targets="level", inputs="rain")
        >>> series.columns, series.inputs
        (('level',), 2)
    """
    if data is None or isinstance(data, str | PathLike):
        return load_task(with_path("series", data, settings))
    names = settings.pop("columns", "") if not hasattr(data, "to_csv") and not isinstance(data, Mapping) else ""
    text, of_table = table_text(data, names)
    spec = task_spec("series", of_table | settings)
    with python_names():
        return make_task(spec, text)


def grammar_task(**settings: Any) -> Task:
    """Text of a small grammar, whose exact entropy rate is known (`reference_losses["floor"]`).

    Args: settings: fields of `TaskSpec`, such as `characters=5000`, `corpus_seed=1`.

    Raises: BadInput for a setting that breaks its rule.

    Example:
        >>> grammar = rj.grammar_task(characters=2000)
        >>> grammar.reference_losses["floor"] < grammar.reference_losses["unigram"]
        True
    """
    return load_task(task_spec("grammar", settings))


def recall_task(recall: str = "copy", **settings: Any) -> Task:
    """A memory task with exact reference losses.

    Args:
        recall: "copy" (the symbol of `copy_delay` steps before), "delayed_copy" (some symbols, repeated after a
            pause) or "adding" (the sum of two marked numbers of a sequence). settings: fields of `TaskSpec`.

    Raises: BadInput for a setting that breaks its rule.

    Example:
        >>> copying = rj.recall_task("copy", copy_delay=5, symbols=4, characters=1000)
        >>> copying.vocabulary
        'abcd'
    """
    return load_task(task_spec("recall", {"recall": recall, **settings}))


def task_spec(name: str, settings: Mapping[str, Any]) -> TaskSpec:
    """The settings of a task. Raises: BadInput for an unknown one, with the nearest name."""
    known = [field.name for field in fields(TaskSpec) if field.name != "name"]
    for setting in settings:
        if setting not in known:
            raise BadInput(f"{name}_task: {unknown_field(setting, known)}")
    return TaskSpec(name=name, **plain(settings))


def with_path(name: str, source: str | PathLike[str] | None, settings: Mapping[str, Any]) -> TaskSpec:
    """The settings of a task that reads a file. Raises: BadInput where there is no such file."""
    if source is None:
        return task_spec(name, settings)
    path = Path(source)
    if not path.exists():
        other = "; a text itself has a line break" if name == "text" else ""
        raise BadInput(f"{name}_task: no such file {str(source)[:200]!r}{nearest_files(path)}{other}")
    return task_spec(name, {**settings, "path": str(path)})


def load_task(spec: TaskSpec) -> Task:
    """The task of some settings, with its file read."""
    with python_names():
        return load_tasks([spec])[0][spec]._replace(settings=spec)


def make_task(spec: TaskSpec, source: str) -> Task:
    """A task of data that are no file."""
    return TASKS[spec.name](spec, source)._replace(settings=spec)


def table_text(data: Any, names: str = "") -> tuple[str, dict[str, str]]:
    """Data in memory as CSV, and the settings with which it is read exactly. Raises: BadInput for another shape."""
    if hasattr(data, "to_csv"):
        counts = type(data.index).__name__ == "RangeIndex"
        frame = data.reset_index(drop=True) if counts else data
        label = ROW if counts else str(data.index.name or ROW)
        return frame.to_csv(index_label=label), OF_ARRAYS | {"index": label}
    columns = dict(data) if isinstance(data, Mapping) else named_columns(data, names)
    lengths = {len(np.atleast_1d(column)) for column in columns.values()}
    if len(lengths) != 1:
        raise BadInput(f"series_task: got columns of {sorted(lengths)} rows; expected the same number in each")
    rows_NC = np.column_stack([np.asarray(column, float) for column in columns.values()])
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow([ROW, *columns])
    writer.writerows([n, *("" if np.isnan(x) else repr(float(x)) for x in row)] for n, row in enumerate(rows_NC, 1))
    return lines.getvalue(), OF_ARRAYS


def named_columns(data: Any, names: str) -> dict[str, np.ndarray]:
    """The columns of an array [N] or [N, C] by name. Raises: BadInput."""
    try:
        values = np.asarray(data, float)
    except (TypeError, ValueError):
        raise BadInput(f"series_task: got {type(data).__name__}; expected an array of numbers [N] or [N, C]") from None
    if values.ndim not in (1, 2) or values.size == 0:
        raise BadInput(f"series_task: got an array of shape {values.shape}; expected [N] or [N, C]")
    values_NC = values.reshape(len(values), -1)
    chosen = [name.strip() for name in names.split(",")] if names else [f"x{c}" for c in range(values_NC.shape[1])]
    if len(chosen) != values_NC.shape[1]:
        raise BadInput(f"columns: got {len(chosen)} names; expected {values_NC.shape[1]}, one for each column")
    return dict(zip(chosen, values_NC.T, strict=True))

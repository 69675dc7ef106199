"""Descriptions of the values that a group records, and the arrays in which it records them."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from rnnjax.settings.metrics import Metric, resolve_unit
from rnnjax.studies.metrics import describe_values
from rnnjax.training.state import StepMetrics
from rnnjax.types import Facts, Probe, Task

PROMPT = 200  # tokens of the held-out text that a sample continues

Outlines = Mapping[str, Mapping[str, np.ndarray]]  # probe -> its values, with meaningless numbers


def value_metrics(task: Task, probes: Mapping[str, Probe | Facts], outlines: Outlines) -> dict[str, Metric]:
    """The description of each value of the probes, with its unit for this task."""
    described = [describe_values(probes[name], values) for name, values in outlines.items()]
    return {
        name: resolve_unit(metric, task.loss, task.token) for metrics in described for name, metric in metrics.items()
    }


def finite_mean(values: np.ndarray) -> float:
    """The mean of what is finite; NaN for nothing."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else math.nan


def probe_labels(probes: Iterable[Probe | Facts]) -> dict[str, Any]:
    """The labels of the points of maps, by probe value."""
    return {name: labels for probe in probes if isinstance(probe, Probe) for name, labels in probe.labels.items()}


def describe_losses(loss_R: np.ndarray, held_out_RQ: np.ndarray | None) -> str:
    """The mean loss over the runs that are finite, that of the last held-out loss, and how many runs have diverged."""
    columns = [] if held_out_RQ is None else [finite_mean(values_R) for values_R in held_out_RQ.T]
    last = next((value for value in reversed(columns) if math.isfinite(value)), math.nan)
    means = {"loss": finite_mean(loss_R), "held-out loss": last}
    words = [f"{name} {mean:.4g}" for name, mean in means.items() if math.isfinite(mean)]
    lost = int(np.isnan(loss_R).sum())
    return ", ".join([*words, *([f"{lost:,} diverged"] if lost else [])])


def empty_record(runs: int, rows: int) -> StepMetrics:
    """A record [R, S] of NaN."""
    return StepMetrics._make(np.full((runs, rows), np.nan, np.float32) for _ in StepMetrics._fields)


def empty_array(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """NaN where the type has it, 0 elsewhere."""
    return np.full(shape, np.nan, dtype) if np.issubdtype(dtype, np.floating) else np.zeros(shape, dtype)


def task_metadata(task: Task) -> dict[str, Any]:
    """The facts of a task that a later reader needs: to decode a text, to write a report."""
    known = ("vocabulary", "columns", "inputs", "outputs", "loss", "reference_losses", "token", "ngram_losses")
    scales = {"target_mean": task.target_mean_O, "target_scale": task.target_scale_O}
    lengths: dict[str, float] = {"train_length": len(task.train_N), "validation_length": len(task.validation_N)}
    lengths["tokens_per_character"] = task.tokens_per_character
    of_file: dict[str, Any] = {"notices": [str(notice) for notice in task.notices]} if task.notices else {}
    of_file |= {"prompt": task.validation_N[:PROMPT].tolist()} if task.vocabulary else {}
    return {name: getattr(task, name) for name in known} | scales | lengths | of_file

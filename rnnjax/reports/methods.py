"""Data and settings of a study for the methods section of its report."""

import json
from dataclasses import asdict
from typing import Any

from rnnjax.analysis.results import DataSummary
from rnnjax.config.fields import flatten
from rnnjax.config.schema import Study
from rnnjax.reports import document as pages
from rnnjax.reports.formatting import format_value
from rnnjax.settings import TaskSpec


def data_line(study: Study, tasks: dict[TaskSpec, DataSummary]) -> str:
    """Size of the data and its reference losses, in a sentence; several data sets have a table (`data_table`)."""
    [(first, task), *others] = zip(own_names(tasks), tasks.values(), strict=True)
    what, kind = (f"{task.token}s", f", {len(task.vocabulary):,} distinct") if task.vocabulary else ("steps", "")
    what = "sequences" if next(iter(tasks)).name == "sequences" else what
    losses = ", ".join(f"{name} {value:.4g}" for name, value in task.reference_losses.items())
    data = (
        f"{1 + len(others)} sets of data: the last table lists them with their reference losses."
        if others
        else f"Task {first}: {task.train_length:,} {what} to train on, {task.validation_length:,} held out{kind}. "
        f"Reference losses in {task.loss_unit}: {losses}."
    )
    notices = "".join(f" Of the file: {notice}." for one in tasks.values() for notice in one.notices)
    fewest = min(len(arm.seeds(study.seeds)) for arm in study.arms)
    fewer = "" if fewest == len(study.seeds) else f"; some arms only the first {fewest}"
    seeds = f"{len(study.seeds)} seeds per arm ({study.seeds[0]} to {study.seeds[-1]})"
    return f"{data}{notices} {seeds}, the same in every arm{fewer}."


def own_names(tasks: dict[TaskSpec, DataSummary]) -> list[str]:
    """A label for each task: its name, and for variants the fields that differ from the first of that name."""
    names: list[str] = []
    first: dict[str, dict[str, Any]] = {}  # by name
    for spec in tasks:
        fields = asdict(spec)
        usual = first.setdefault(spec.name, fields)
        own = ", ".join(f"{name} {format_value(value)}" for name, value in fields.items() if value != usual[name])
        names.append(f"{spec.name} with {own}" if own else spec.name)
    return names


def data_table(tasks: dict[TaskSpec, DataSummary]) -> list[pages.ReportTable]:
    """A row per data set with its sizes and reference losses; empty where all arms share one."""
    if len(tasks) < 2:
        return []
    names = list(dict.fromkeys(name for task in tasks.values() for name in task.reference_losses))
    rows: list[list[pages.TableCell]] = [
        [
            name,
            task.train_length,
            task.validation_length,
            len(task.vocabulary) or None,
            *(task.reference_losses.get(name) for name in names),
            task.loss_unit,
        ]
        for name, task in zip(own_names(tasks), tasks.values(), strict=True)
    ]
    columns = ["data", "to train on", "held out", "distinct symbols", *names, "losses in"]
    return [pages.ReportTable("data", "Data sets and reference losses", columns, rows)]


def settings(study: Study) -> pages.ReportSettings:
    """Fields in which arms differ, the number of steps read included, and common fields.

    Of the task only fields that were set: most belong to other tasks.
    """
    full = {arm.name: flatten(study.config["arms"][arm.name]) | derived(arm.spec) for arm in study.arms}
    fields = list(next(iter(full.values())))
    differing = [name for name in fields if len({repr(values[name]) for values in full.values()}) > 1]
    usual = {f"task.{name}": value for name, value in asdict(TaskSpec()).items() if name != "name"}
    common = {
        name: value
        for name, value in next(iter(full.values())).items()
        if name not in differing and (name not in usual or value != usual[name])
    }
    return pages.ReportSettings(
        {arm: {name: values[name] for name in differing} for arm, values in full.items()}, common
    )


def derived(spec: Any) -> dict[str, Any]:
    """Quantities that follow from the settings and may differ with them."""
    return {"steps read": spec.steps * spec.window * spec.batch}


def describe_machine(manifest: dict[str, Any]) -> str:
    """The devices and the version of JAX."""
    fingerprint = manifest["machine"]
    devices = fingerprint["devices"]
    return f"{devices['count']} x {', '.join(devices['kinds'])}; jax {fingerprint['versions']['jax']}{unlike(manifest)}"


def unlike(manifest: dict[str, Any]) -> str:
    """Which groups were computed on machines that are not alike: their runs differ in more than their settings."""
    machines: dict[str, list[str]] = {}
    for group, parts in manifest.get("computed", {}).items():
        for part in parts:
            known = machines.setdefault(json.dumps(part["machine"], sort_keys=True), [])
            known += [f"{group} on {part['host']}"] if f"{group} on {part['host']}" not in known else []
    return (
        f"; computed on unlike machines: {' / '.join(map(', '.join, machines.values()))}" if len(machines) > 1 else ""
    )

"""The results of a study from its run folder, which is all that is needed: study.json, manifest.json, metrics/*.npz.

Of a study in a small form (`compact`), curves.npz has the place of metrics/*.npz.

The arrays of a metrics file: `arm` and `seed` [R], `row_steps` [S], `probe_steps` [Q], `diverged_at` [R], `rows/<name>`
[R, S], `probes/<name>` [R, Q, ...] and `measured_at/<name>` [Q], whether the probe was taken at that step.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnjax.analysis.forecasts import Forecasts, forecast_metric_info, forecast_metrics
from rnnjax.analysis.predictions import Predictions, prediction_metric_info, prediction_metrics
from rnnjax.analysis.results import ArmResult, DataSummary, Results
from rnnjax.config.fields import flatten
from rnnjax.config.schema import Study
from rnnjax.config.study_json import STUDY_FILE, study_from_json
from rnnjax.errors import BadInput, DamagedState
from rnnjax.settings.metrics import Metric, resolve_unit
from rnnjax.settings.vocabulary import parse_vocabulary
from rnnjax.storage.manifest import read_manifest, to_config_json
from rnnjax.storage.run_folder import CURVES
from rnnjax.storage.sealed import read_sealed_json, read_sealed_npz
from rnnjax.studies.load_forecasts import load_forecasts, without_diverged
from rnnjax.studies.load_predictions import drop_diverged, load_predictions
from rnnjax.studies.metrics import with_metrics

INITIAL_STATISTICS = "metrics/initial_statistics.npz"  # arm -> the spectral radius of fresh initialisations
DERIVED_SETTINGS = ("inputs", "outputs", "loss", "block")  # found from the data when a study is run


class Recorded(NamedTuple):
    """The arrays of some runs: of a group [R, ...], or of one arm [n, ...]."""

    row_steps: np.ndarray  # [S]
    rows: dict[str, np.ndarray]  # [R, S]
    probe_steps: np.ndarray  # [Q]
    probes: dict[str, np.ndarray]  # [R, Q, ...]
    measured_at: dict[str, np.ndarray]  # [Q] bool
    diverged_at: np.ndarray  # [R]
    seeds: np.ndarray  # [R]
    arms: np.ndarray  # [R] index into the study's arms
    numbers: Mapping[str, np.ma.MaskedArray] = {}  # of the small form: name -> [R], masked where there is none

    def members(self, chosen_R: np.ndarray) -> "Recorded":
        """Those runs alone."""
        return self._replace(
            rows={name: values[chosen_R] for name, values in self.rows.items()},
            probes={name: values[chosen_R] for name, values in self.probes.items()},
            diverged_at=self.diverged_at[chosen_R],
            seeds=self.seeds[chosen_R],
            arms=self.arms[chosen_R],
            numbers={name: values[chosen_R] for name, values in self.numbers.items()},
        )


def load_results(folder: Path) -> Results:
    """A study with every arm, in its order. Raises BadInput where no finished study is, DamagedState."""
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None or not (folder / STUDY_FILE).is_file():
        raise BadInput(f"{folder}: expected the run folder of a finished study")
    study = study_from_json(read_sealed_json(folder / STUDY_FILE), manifest["config"])
    found = dict(load_arms(folder, study, manifest))
    missing = sorted(arm.name for arm in study.arms if arm.name not in found)
    if missing and manifest["state"] != "done":
        raise BadInput(f"{folder}: expected the run folder of a finished study")
    if missing:
        raise DamagedState(f"{folder / 'metrics'}: has no curves of {', '.join(missing)}")
    groups = {name: group for group in manifest["groups"].values() for name in group["arms"]}
    data = {arm.spec.task: parse_data(groups[arm.name]) for arm in study.arms}
    known = load_forecasts(folder, [arm.name for arm in study.arms])
    forecasts = {name: without_diverged(one, found[name].diverged_at >= 0) for name, one in known.items()}
    read = load_predictions(folder, [arm.name for arm in study.arms])
    predictions = {name: drop_diverged(one, found[name].diverged_at >= 0) for name, one in read.items()}
    arms = [with_forecasts(found[arm.name], forecasts.get(arm.name)) for arm in study.arms]
    arms = [with_predictions(arm, predictions.get(arm.name)) for arm in arms]
    return Results(study, arms, data, manifest, forecasts, predictions)


def with_forecasts(arm: ArmResult, forecasts: Forecasts | None) -> ArmResult:
    """The arm with the metrics of its forecasts."""
    if forecasts is None:
        return arm
    info = forecast_metric_info(forecasts.columns, forecasts.leads)
    return arm._replace(metrics=arm.metrics | forecast_metrics(forecasts), info=dict(arm.info) | info)


def with_predictions(arm: ArmResult, predictions: Predictions | None) -> ArmResult:
    """The arm with the metrics of its predictions."""
    if predictions is None:
        return arm
    info = prediction_metric_info(predictions.predict, predictions.classes, predictions.columns)
    info = {name: resolve_unit(metric, arm.loss, arm.token) for name, metric in info.items()}
    return arm._replace(metrics=arm.metrics | prediction_metrics(predictions), info=dict(arm.info) | info)


def load_arms(folder: Path, study: Study, manifest: dict[str, Any]) -> Iterator[tuple[str, ArmResult]]:
    """Every arm whose group has been trained, by name."""
    path = folder / INITIAL_STATISTICS
    initial = read_sealed_npz(path) if path.is_file() else {}
    for name, recorded in read_arms(folder, [arm.name for arm in study.arms]):
        group = next(one for one in manifest["groups"].values() if name in one["arms"])
        axes = next(arm.axes for arm in study.arms if arm.name == name)
        result = with_stored_numbers(arm_result(name, axes, recorded, group), recorded)
        drawn = {"drawn_radius": initial[name]} if name in initial else {}
        yield name, result._replace(metrics=result.metrics | drawn)


def read_arms(folder: Path, names: list[str]) -> Iterator[tuple[str, Recorded]]:
    """The recorded arrays of each arm, by name. Args: names: of all arms, in the study's order. Raises DamagedState."""
    for recorded in read_groups(folder):
        for arm in np.unique(recorded.arms):
            yield names[arm], recorded.members(recorded.arms == arm)


def read_groups(folder: Path) -> Iterator[Recorded]:
    """The recorded arrays of each group, of a run folder or of a study in a small form. Raises DamagedState."""
    path = folder / CURVES
    if not path.is_file():
        yield from (
            from_arrays(read_sealed_npz(path), path) for path in sorted((folder / "metrics").glob("group-*.npz"))
        )
        return
    arrays = read_sealed_npz(path)
    for group in sorted({name.partition("/")[0] for name in arrays}):
        start = f"{group}/"
        own = {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}
        yield from_arrays(own, path)


def to_arrays(recorded: Recorded) -> dict[str, np.ndarray]:
    """The arrays of a metrics file."""
    arrays = {"arm": recorded.arms, "seed": recorded.seeds, "diverged_at": recorded.diverged_at}
    arrays |= {"row_steps": recorded.row_steps, "probe_steps": recorded.probe_steps}
    for part in ("rows", "probes", "measured_at"):
        arrays |= {f"{part}/{name}": values for name, values in getattr(recorded, part).items()}
    return {name: np.asarray(values) for name, values in arrays.items()}


def from_arrays(arrays: dict[str, np.ndarray], path: Path) -> Recorded:
    """`to_arrays` undone. Raises DamagedState."""
    parts: dict[str, dict[str, np.ndarray]] = {"rows": {}, "probes": {}, "measured_at": {}}
    for name, values in arrays.items():
        part, slash, rest = name.partition("/")
        if slash and part in parts:
            parts[part][rest] = values
    stored = [arrays.get(f"metric_{part}", ()) for part in ("names", "values", "known", "single")]
    try:
        return Recorded(
            row_steps=arrays["row_steps"],
            rows=parts["rows"],
            probe_steps=arrays["probe_steps"],
            probes=parts["probes"],
            measured_at=parts["measured_at"],
            diverged_at=arrays["diverged_at"],
            seeds=arrays["seed"],
            arms=arrays["arm"],
            numbers={
                str(name): np.ma.MaskedArray(values.astype(np.float32) if single else values, ~known)
                for name, values, known, single in zip(*stored, strict=True)
            },
        )
    except KeyError as error:
        raise DamagedState(f"{path}: has no array {error}") from error


def arm_result(name: str, axes: dict[str, Any], recorded: Recorded, group: dict[str, Any]) -> ArmResult:
    """One arm over its seeds. Args: group: its entry in the manifest."""
    result = ArmResult(
        name=name,
        axes=axes,
        seeds=recorded.seeds,
        row_steps=recorded.row_steps,
        rows=recorded.rows,
        probe_steps=recorded.probe_steps,
        probes=recorded.probes,
        diverged_at=recorded.diverged_at,
        metrics={},
        loss=group["loss"],
        token=group.get("token", "character"),
        measured_at=recorded.measured_at,
        info={metric: Metric(**known) for metric, known in group["metrics"].items()},
        labels={probe: [(one, other) for one, other in pairs] for probe, pairs in group["labels"].items()},
    )
    return with_metrics(result, group["reference_losses"], group["sizes"])


def with_stored_numbers(arm: ArmResult, recorded: Recorded) -> ArmResult:
    """The arm with the numbers that a study in a small form has kept, for its curves are too short to give them."""
    stored = {name: values.data for name, values in recorded.numbers.items() if not values.mask.all()}
    metrics = {name: values for name, values in stored.items() if "@" not in name}
    return arm._replace(metrics=arm.metrics | metrics, at_steps={k: v for k, v in stored.items() if "@" in k})


def parse_data(group: dict[str, Any]) -> DataSummary:
    """The data of a group, from its entry in the manifest."""
    known: dict[str, Any] = {name: group[name] for name in DataSummary._fields if name in group}  # older runs lack some
    known |= {name: tuple(known[name]) for name in ("notices", "ngram_losses") if name in known}
    known["vocabulary"] = parse_vocabulary(group["vocabulary"])
    return DataSummary(**known)


def check_same_study(folder: Path, config: dict[str, Any], study: Study) -> None:
    """Raises BadInput where the runs of a folder are not those of the study."""
    requested = to_config_json(study.config)
    if config["seeds"] != requested["seeds"] or config["arms"].keys() != requested["arms"].keys():
        raise BadInput(f"{folder}: its arms and seeds are not those of the study {study.name}")
    for name, stored in config["arms"].items():
        was, now = flatten(stored), flatten(requested["arms"][name])
        derived = (*DERIVED_SETTINGS, *(["window"] if was.get("task.name") == "sequences" else []))
        changed = [field for field in was | now if field not in derived and now.get(field) != was.get(field)]
        if changed:
            raise BadInput(f"{folder}: arm {name} was run with other settings than in the study: {', '.join(changed)}")

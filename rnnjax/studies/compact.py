"""A finished study in a small form, to be kept or published: curves.npz in the place of metrics/*.npz.

What the study asks of its runs (metrics, `probe@step`, `row@a-b`) is in it exactly, one number per seed. Its curves are
for figures: averages over some 50 stretches of training, rounded to one part in 4,096 (not the loss: whether it still
falls is judged); of generated texts, maps and values by lag, the last probe alone. Reports and judging need no more.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rnnjax.analysis.results import ArmResult, Results, per_seed
from rnnjax.config.schema import Study
from rnnjax.config.study_json import STUDY_FILE
from rnnjax.errors import BadInput
from rnnjax.storage.files import storage_errors
from rnnjax.storage.run_folder import CURVES
from rnnjax.storage.sealed import write_sealed_npz
from rnnjax.studies.dry_run import requested_metrics
from rnnjax.studies.load_forecasts import FORECASTS
from rnnjax.studies.load_results import INITIAL_STATISTICS, Recorded, load_results, read_groups, to_arrays

STRETCHES = 40  # equally long, so that the last tenth of training is four of them; a logarithmic axis has more
EARLY = 16  # stretches more, at the beginning
COPIED = ("manifest.json", STUDY_FILE, "summary.json", "page.json", "report.md", FORECASTS, INITIAL_STATISTICS)
LOW_BITS = np.uint32(0xFFF)  # of the 23 of a float32's fraction: without them it compresses to half


def write_compact(folder: Path, into: Path) -> None:
    """A small copy of a finished study.

    Args: into: a folder that is new or empty, or an older copy.

    Raises: BadInput where no run folder of a finished study is, or where `into` holds something else; DamagedState,
        StorageFailed.
    """
    results = load_results(folder)
    if not has_runs(folder):
        raise BadInput(f"{folder}: expected a run folder with metrics/*.npz; got a copy without them")
    if has_runs(into) or (into.is_dir() and any(into.iterdir()) and not (into / "page.json").is_file()):
        raise BadInput(f"{into}: expected a new folder, or an older copy of a study")
    arrays = compact_arrays(folder, results)
    write_sealed_npz(into / CURVES, arrays)
    with storage_errors(into):
        for path in [folder / name for name in COPIED if (folder / name).is_file()]:
            (into / path.relative_to(folder)).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, into / path.relative_to(folder))
        shutil.rmtree(into / "tables", ignore_errors=True)
        shutil.copytree(folder / "tables", into / "tables")


def has_runs(folder: Path) -> bool:
    """Whether a study was run in this folder, to its end or not."""
    return any((folder / "metrics").glob("group-*.npz"))


def compact_arrays(folder: Path, results: Results) -> dict[str, np.ndarray]:
    """The arrays of curves.npz: `<group>/<name>` as in a metrics file, and the metrics as `metric_arrays`."""
    arms = {number: results.select([arm.name])[0] for number, arm in enumerate(results.study.arms)}
    arrays: dict[str, np.ndarray] = {}
    for group, recorded in enumerate(read_groups(folder)):
        metrics = metric_arrays(recorded, {number: arms[number] for number in set(recorded.arms)}, results.study)
        arrays |= {f"{group}/{name}": values for name, values in (to_arrays(shorten(recorded)) | metrics).items()}
    return arrays


def metric_arrays(recorded: Recorded, arms: Mapping[int, ArmResult], study: Study) -> dict[str, np.ndarray]:
    """The numbers that each run of a group has.

    Returns: their names [M], values [M, R], which a run has at all [M, R], and which are of single precision [M].
    """
    values = {number: numbers_per_seed(arm) | numbers_at_steps(arm, study) for number, arm in arms.items()}
    names = sorted({name for known in values.values() for name in known})
    table_MR = np.full((len(names), len(recorded.arms)), np.nan)
    known_MR = np.zeros(table_MR.shape, bool)
    for m, name in enumerate(names):
        for number in [number for number, known in values.items() if name in known]:
            table_MR[m, recorded.arms == number] = values[number][name]
            known_MR[m, recorded.arms == number] = True
    single = [any(known[name].dtype == np.float32 for known in values.values() if name in known) for name in names]
    arrays = {"names": np.array(names), "values": table_MR, "known": known_MR, "single": np.array(single)}
    return {f"metric_{name}": array for name, array in arrays.items()}


def numbers_per_seed(arm: ArmResult) -> dict[str, np.ndarray]:
    """The metrics of an arm that are of its runs; those of fresh initialisations have a file of their own."""
    return {name: values for name, values in arm.metrics.items() if len(values) == len(arm.seeds)}


def numbers_at_steps(arm: ArmResult, study: Study) -> dict[str, np.ndarray]:
    """The values that a study requests at or over some steps, of an arm that measured it: `name@step` -> [n]."""
    asked = {metric for _, metric, _ in requested_metrics(study) if "@" in metric and ":" not in metric}
    return {
        metric: per_seed(arm, metric)
        for metric in sorted(asked)
        if metric.partition("@")[0] in (arm.rows if "-" in metric.partition("@")[2] else arm.probes)
    }


def shorten(recorded: Recorded) -> Recorded:
    """The curves of a group as this module keeps them."""
    starts = stretch_starts(len(recorded.row_steps))
    ends = np.append(starts[1:], len(recorded.row_steps)) - 1
    steps_S = np.diff(recorded.row_steps, prepend=0)
    rows = {name: stretch_means(values, steps_S, starts) for name, values in recorded.rows.items()}
    large = [name for name, values in recorded.probes.items() if values.ndim > 2]
    last = {name: last_taken(recorded.measured_at[name]) for name in large}
    probes = dict(recorded.probes)
    for name in large:
        probes[name] = np.where(np.expand_dims(last[name], tuple(range(1, probes[name].ndim - 1))), probes[name], 0)
    return recorded._replace(
        row_steps=recorded.row_steps[ends],
        rows={name: values if name == "loss" else rounded(values) for name, values in rows.items()},
        probes={name: rounded(values) for name, values in probes.items()},
        measured_at=recorded.measured_at | last,
    )


def stretch_starts(rows: int) -> np.ndarray:
    """The first rows of the stretches."""
    evenly = np.linspace(0, rows, min(STRETCHES, rows), endpoint=False)
    early = np.geomspace(1, rows, EARLY, endpoint=False) - 1
    return np.unique(np.concatenate([evenly.round(), early]).astype(int))


def stretch_means(values_RS: np.ndarray, steps_S: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Means over the optimizer steps of each stretch; NaN in one where a run diverged. Args: steps_S: of each row."""
    sums = np.add.reduceat(values_RS.astype(float) * steps_S, starts, axis=1)
    return (sums / np.add.reduceat(steps_S, starts)).astype(values_RS.dtype)


def last_taken(taken_Q: np.ndarray) -> np.ndarray:
    """True at the last point at which a probe was taken."""
    return taken_Q & (np.arange(len(taken_Q)) == np.flatnonzero(taken_Q)[-1:])


def rounded(values: np.ndarray) -> np.ndarray:
    """Of a float32 the nearest with a short fraction; other values as they are."""
    if values.dtype != np.float32:
        return values
    normal = np.isfinite(values) & (np.abs(values) >= np.finfo(np.float32).tiny)
    bits = np.ascontiguousarray(values).view(np.uint32)
    short = ((bits + LOW_BITS // 2) & ~LOW_BITS).view(np.float32)
    return np.where(normal & np.isfinite(short), short, values)

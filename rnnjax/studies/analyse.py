"""From a run folder to its verdicts, report and samples. Judging again is the same code as judging the first time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rnnjax.analysis.results import ArmResult, Results
from rnnjax.analysis.verdicts import judge_claim
from rnnjax.config.schema import Study
from rnnjax.config.study_json import STUDY_FILE, study_to_json
from rnnjax.errors import BadInput
from rnnjax.reports.build import build_report
from rnnjax.reports.document import Statement
from rnnjax.reports.document_json import write_report_json
from rnnjax.reports.render import write_report
from rnnjax.reports.summary import summary
from rnnjax.settings.vocabulary import ids_to_text
from rnnjax.storage.files import write_text
from rnnjax.storage.manifest import to_results_json
from rnnjax.storage.sealed import write_sealed_json
from rnnjax.studies.criteria import check_attainable
from rnnjax.studies.dry_run import check_recorded
from rnnjax.studies.load_results import check_same_study, load_results
from rnnjax.studies.validation import check_names


def analyse(folder: Path) -> tuple[Results, Sequence[Statement]]:
    """Judge the statements of a trained study and write summary.json, the report, its tables and the samples.

    Returns: the results, and the statements with their verdicts.

    Raises: BadInput where no study was trained to its end; DamagedState, StorageFailed.
    """
    results = load_results(folder)
    return results, write_outputs(folder, results)


def rejudge(study: Study, folder: Path) -> None:
    """Judge a finished study by the statements of `study`, and write its report anew; nothing is trained.

    Raises:
        BadInput: the folder holds other runs than the study's, or lacks a metric that is now asked for. DamagedState.
    """
    check_names(study)
    stored = load_results(folder)
    if stored.manifest["state"] != "done":
        raise BadInput(f"{folder}: expected the run folder of a finished study")
    check_same_study(folder, stored.manifest["config"], study)
    arms = {arm.name: arm for arm in stored.study.arms}
    results = {arm.name: arm for arm in stored.arms}
    order = [arm.name for arm in study.arms]
    study = study._replace(arms=[arms[name] for name in order], config=stored.study.config)
    rejudged = replace(stored, study=study, arms=[results[name] for name in order])
    check_recorded(study, rejudged.arms)
    check_attainable(study, {arm.name: recorded_ranges(arm) for arm in rejudged.arms})
    write_study(folder, study)
    write_outputs(folder, rejudged)


def recorded_ranges(arm: ArmResult) -> dict[str, tuple[float, float]]:
    """The ranges of the metrics of an arm; those of older run folders have none."""
    return {name: metric.range for name, metric in arm.info.items() if metric.range is not None}


def write_study(folder: Path, study: Study) -> None:
    """Write study.json, the description of a study that its results are read with. Raises StorageFailed."""
    write_sealed_json(folder / STUDY_FILE, study_to_json(study))


def write_outputs(folder: Path, results: Results) -> Sequence[Statement]:
    """summary.json, page.json, the report, its tables and samples/<arm>.txt. Raises StorageFailed."""
    judgements = [judge_claim(claim, results.arms) for claim in results.study.file.claims]
    write_sealed_json(folder / "summary.json", to_results_json(summary(results, judgements)))
    report = build_report(results, judgements)
    write_report_json(folder, report)
    write_report(folder, report)
    for arm in results.study.arms:
        if texts := list(sample_texts(results, arm.name)):
            write_text(folder / "samples" / f"{arm.name}.txt", "\n".join(texts))
    return report.statements


def sample_texts(results: Results, name: str) -> Iterator[str]:
    """The text of each seed of an arm at each probe step, decoder by decoder."""
    [arm], vocabulary = results.select([name]), results.data_by_arm[name].vocabulary
    for probe in arm.values_of_kind("text"):
        for q in arm.was_measured(probe).nonzero()[0]:
            for seed, ids_N in zip(arm.seeds, arm.probes[probe][:, q], strict=True):
                heading = f"--- {probe.removeprefix('text_')}, step {arm.probe_steps[q]:,}, seed {seed}"
                yield f"{heading}\n{ids_to_text(ids_N, vocabulary)}\n"

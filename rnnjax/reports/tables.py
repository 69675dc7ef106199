"""The tables of a report: those that its study asks for, the baseline against the others, and every metric."""

from collections.abc import Mapping, Sequence

import numpy as np

from rnnjax.analysis import statistics as stats
from rnnjax.analysis.conventions import compare_conventions
from rnnjax.analysis.measurement import paired_finite
from rnnjax.analysis.results import ArmResult, per_seed, select_arms, shared_unit
from rnnjax.analysis.rules.associations import variance_shares
from rnnjax.analysis.statistics import estimate_mean
from rnnjax.config.schema import Study, TableSpec, requested_metrics
from rnnjax.reports.document import ReportTable, TableCell

FEWEST = 10  # seeds for a test of equality with the baseline
EQUIVALENT = 0.05  # of the baseline's mean
SHOWN = 5  # metrics that the page shows first


def against_baseline(study: Study, arms: Sequence[ArmResult]) -> ReportTable:
    """Each arm's final loss minus the baseline's, seed by seed: interval, p-value and equivalence within 5%.

    Interval and p-value are one method: Student's t on the paired differences, corrected for the number of rows after
    Bonferroni, so that p < 0.05 exactly where the interval excludes 0. Only of arms with the baseline's data. With one
    common seed a row is that seed's difference; equivalence is tested from `FEWEST` seeds on.
    """
    baseline = baseline_arm(study, arms)
    tasks = {arm.name: arm.spec.task for arm in study.arms}
    elsewhere = [name for name, task in tasks.items() if task != tasks[baseline.name]]
    pairs = {
        arm.name: paired_finite(arm.metrics["final_loss"], baseline.metrics["final_loss"])
        for arm in arms
        if arm is not baseline and arm.name not in elsewhere
    }
    several = {name: pair for name, pair in pairs.items() if len(pair[0]) >= 2}
    compared = dict(zip(several, stats.paired_t_comparisons(list(several.values())), strict=True))
    tested = [name for name, pair in several.items() if len(pair[0]) >= FEWEST]
    columns = ["arm", f"difference ({baseline.loss_unit})", "p (paired t)", *(["equal within 5%"] if tested else [])]
    rows: list[list[TableCell]] = []
    for name, pair in pairs.items():
        difference, p_value = compared.get(name, (estimate_mean(pair[0] - pair[1]), None))
        equal = ("yes" if equivalent(*pair) else "not shown") if name in tested else None
        rows.append([name, difference, p_value, equal][: len(columns)])
    note = baseline_note(pairs, tested, len(elsewhere))
    return ReportTable("baseline", f"Final loss against the baseline, {baseline.name}", columns, rows, note)


def baseline_arm(study: Study, arms: Sequence[ArmResult]) -> ArmResult:
    """The arm that the others are compared with: the first where the study names none."""
    return select_arms(arms, [study.file.baseline])[0] if study.file.baseline else arms[0]


def baseline_note(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], tested: Sequence[str], elsewhere: int) -> str:
    """The methods of the table, and what it does not show and why."""
    counts = [len(first) for first, _ in pairs.values()]
    method = (
        "Differences of the same seeds, arm minus baseline; intervals and p-values are Student's t on the pairs, "
        "corrected for all rows together (Bonferroni)."
    )
    few = f"{FEWEST} or more seeds in common with the baseline"
    notes = [method] if max(counts, default=0) >= 2 else ["Differences of the same seed, arm minus baseline."]
    if tested:
        notes.append("Equal within 5%: two one-sided paired t-tests at 0.05 each.")
    if any(count < FEWEST for count in counts):
        most = max(count for count in counts if count < FEWEST)
        whom = f"for the arms with at most {most}" if tested else f"here are at most {most}"
        notes.append(
            f"Equality within 5% is tested with {few}, not {whom}."
            if tested
            else f"Equality within 5% is not shown: it needs {few}, {whom}."
        )
    if any(count < 2 for count in counts):
        notes.append("An interval needs two common seeds without divergence.")
    if elsewhere:
        notes.append(f"Arms with another task or other data, left out: {elsewhere}.")
    return " ".join(notes)


def equivalent(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arms are shown to differ by less than 5% of the second's mean."""
    return stats.equivalence_p_value(first, second, EQUIVALENT * float(second.mean())) < 0.05


def every_metric(arms: Sequence[ArmResult], study: Study) -> ReportTable:
    """Every metric of every arm; the page shows those first that the study asks for."""
    all_metrics = dict.fromkeys(name for arm in arms for name in arm.metrics)
    nothing = np.array([])  # a metric that an arm does not have: its cell has other gates
    metrics = [name for name in all_metrics if any(np.isfinite(arm.metrics.get(name, nothing)).any() for arm in arms)]
    rows = [
        [arm.name, int(np.sum(arm.diverged_at >= 0)), *(estimate_mean(arm.metrics.get(m, nothing)) for m in metrics)]
        for arm in arms
    ]
    units = {name: shared_unit(arms, name) for name in metrics}
    titles = {name: f"{name} ({words})" if words else name for name, words in units.items()}
    shown = [titles[name] for name in shown_metrics(study, arms) if name in titles]
    columns = ["arm", "diverged", *titles.values()]
    return ReportTable("metrics", "Every metric at the end of training", columns, rows, shown=shown)


def shown_metrics(study: Study, arms: Sequence[ArmResult]) -> list[str]:
    """At most `SHOWN` metrics that the study asks for and that differ between runs, the most important first."""
    wanted = [*requested_metrics(study.file), "final_loss", "validation_loss"]
    return [name for name in dict.fromkeys(wanted) if differs(name, arms)][:SHOWN]


def differs(metric: str, arms: Sequence[ArmResult]) -> bool:
    """Whether a metric has more than one finite value over arms and seeds."""
    values = np.concatenate([arm.metrics.get(metric, np.array([])) for arm in arms])
    return np.unique(values[np.isfinite(values)]).size > 1


def report_tables(study: Study, arms: Sequence[ArmResult]) -> list[ReportTable]:
    """The tables of the study file, then those of every study."""
    asked = [*nearest_table(study, arms), *requested_tables(study, arms)]
    compared = [against_baseline(study, arms)] if len(arms) > 1 else []
    return [*asked, *compared, every_metric(arms, study)]


def nearest_table(study: Study, arms: Sequence[ArmResult]) -> list[ReportTable]:
    """Every convention with what it came to beside the documents' numbers, the nearest first."""
    if study.file.conventions is None:
        return []
    numbers = study.file.conventions.numbers
    columns = [f"{number.metric}, stated {number.value:g}" for number in numbers]
    rows: list[list[TableCell]] = [
        [one.name, one.distance, "yes" if one.may_be_nearest else "no", *map(estimate_mean, one.values)]
        for one in compare_conventions(study.file.conventions, arms)
    ]
    return [
        ReportTable(
            "nearest",
            study.file.conventions.text,
            ["convention", "distance", "may be the nearest", *columns],
            rows,
            "Distance: mean over the stated numbers of |value - stated| / stated; a run that diverged is 1 away. May "
            "be the nearest: the interval of the paired difference from the nearest, 95% for all rows together, has 0.",
        )
    ]


def requested_tables(study: Study, arms: Sequence[ArmResult]) -> list[ReportTable]:
    """The tables that the study asks for."""
    found = []
    for number, table in enumerate(study.file.tables, 1):
        columns, rows = variance_table(table, arms) if table.shares_of else arms_table(table, arms)
        found.append(ReportTable(f"table-{number}", table.title, columns, rows, table.note))
    return found


def arms_table(table: TableSpec, arms: Sequence[ArmResult]) -> tuple[list[str], list[list[TableCell]]]:
    """Columns and rows: the metrics of each arm."""
    chosen = select_arms(arms, table.arms)
    units = [shared_unit(chosen, metric) for metric in table.metrics]
    columns = [f"{m} ({words})" if words else m for m, words in zip(table.metrics, units, strict=True)]
    rows: list[list[TableCell]] = [
        [arm.name, *(estimate_mean(per_seed(arm, metric)) for metric in table.metrics)] for arm in chosen
    ]
    return ["arm", *columns], rows


def variance_table(table: TableSpec, arms: Sequence[ArmResult]) -> tuple[list[str], list[list[TableCell]]]:
    """Columns and rows: `associations.shares` of all metrics together; no rows where that cannot be said."""
    words = {
        "columns": f"which metric: {', '.join(table.metrics)}",
        "arms": "which arm",
        "interaction": "metric and arm together, beyond both",
        "seeds": "the seed",
    }
    try:
        parts = variance_shares(select_arms(arms, table.arms), table.metrics, table.shares_of)
    except stats.TooFew:
        parts = {}
    order = [name for name in ("columns", "arms", *table.shares_of, "interaction", "seeds") if name in parts]
    return ["part", "share of the variance"], [[words.get(name, f"of that: {name}"), parts[name]] for name in order]

"""Build the report of a study from its results; every number in it comes from the data."""

from collections.abc import Sequence

import numpy as np

from rnnjax.analysis import statistics as stats
from rnnjax.analysis.conventions import compare_conventions
from rnnjax.analysis.intervals import not_told_apart
from rnnjax.analysis.measurement import common_seeds, paired_finite
from rnnjax.analysis.results import (
    ArmResult,
    Results,
    at_probe_steps,
    decode_ids,
    direction,
    per_seed,
    rank_arms,
    select_arms,
    shared_unit,
)
from rnnjax.analysis.rules.associations import variance_shares
from rnnjax.analysis.statistics import estimate_mean
from rnnjax.analysis.verdicts import Judgement
from rnnjax.config.schema import AdviceSpec, ContradictionSpec, FigureSpec, QuestionSpec, Study, TableSpec
from rnnjax.reports import document as pages
from rnnjax.reports.answer import Leader, answer_sentences
from rnnjax.reports.figures.curves import lag_figure, line_figure, probe_figure
from rnnjax.reports.figures.intervals import interval_figure
from rnnjax.reports.figures.maps import map_figure
from rnnjax.reports.figures.traces import CaptionedFigure
from rnnjax.reports.forecasts import forecast_figures, forecast_sentences, forecast_tables, with_forecasts
from rnnjax.reports.formatting import format_value
from rnnjax.reports.grid_explorer import explorer
from rnnjax.reports.methods import data_line, data_table, describe_machine, settings
from rnnjax.reports.summary import decisive, reasons
from rnnjax.settings import LOSS_UNITS

FEWEST = 10  # seeds of a row against the baseline
FEWEST_FOR_TIES = 2  # seeds: for an interval
EQUIVALENT = 0.05  # of the baseline's mean


def build_report(results: Results, judgements: Sequence[Judgement]) -> pages.Report:
    """The report of a study."""
    study, arms = results.study, results.arms
    statements = [statement(judgement) for judgement in judgements]
    drawn = [build_figure(figure, results) for figure in requested_figures(study)]
    best = leader(study.file.questions[0], arms) if study.file.questions else None
    return pages.Report(
        title=study.file.title or study.name,
        question=study.file.question,
        statements=statements,
        hypothesis=study.file.hypothesis,
        protocol=[*study.file.protocol, data_line(study, results.data)],
        settings=settings(study),
        figures=with_forecasts(study, forecast_figures(results), drawn),
        tables=[*forecast_tables(results), *tables(study, arms), *data_table(results.data)],
        samples=samples(results),
        questions=[pages.Question(question.text, rank_sentence(question, arms)) for question in study.file.questions],
        advice=[fill_advice(advice, arms) for advice in study.file.advice],
        cost=pages.Cost(results.manifest["seconds"], describe_machine(results.manifest)),
        contradictions=[
            pages.Contradiction(each.text, each.between, rank_sentence(each, arms))
            for each in study.file.contradictions
        ],
        explorer=explorer(study.file.explorer, arms) if study.file.explorer else None,
        overrides=study.overrides,
        answer=with_forecasts(study, forecast_sentences(results), answer_sentences(statements, best)),
    )


def statement(judgement: Judgement) -> pages.Statement:
    claim, headline = judgement.claim, decisive(judgement)
    return pages.Statement(
        id=claim.id,
        text=claim.text,
        source=claim.source,
        stated=claim.stated,
        verdict=judgement.verdict,
        estimate=headline.interval if headline else None,
        expected=claim.expected,
        why=reasons(judgement),
    )


def requested_figures(study: Study) -> list[FigureSpec]:
    """The study's figures; for a study that names none, its loss."""
    return study.file.figures or [FigureSpec("curve", "loss", "Training loss", "nats per character")]


def build_figure(figure: FigureSpec, results: Results) -> CaptionedFigure:
    """A figure of the study; reference losses stand under a loss where all arms in it have the same."""
    chosen, metric = results.select(figure.arms), figure.metric
    words = (figure.title, figure.unit or shared_unit(chosen, metric), shared_reference_losses(results, figure))
    if figure.form == "curve":
        return line_figure(chosen, metric, *words, log_x=figure.log)
    if figure.form == "map":
        return map_figure(chosen[0], metric, chosen[0].labels[metric], *words[:2])
    if figure.form == "interval":
        values = [arm._replace(metrics={metric: per_seed(arm, metric)}) for arm in chosen]
        return interval_figure(values, metric, *words, log_x=figure.log)
    measured = [at_probe_steps(arm, metric) for arm in chosen]
    if figure.form == "probe":
        return probe_figure(measured, metric, *words, log_y=figure.log)
    return lag_figure(measured, metric, *words, log_y=figure.log, along=figure.along)


def shared_reference_losses(results: Results, figure: FigureSpec) -> dict[str, float] | None:
    """The reference losses that all arms of a figure of a loss have in common; None for another metric."""
    chosen = results.select(figure.arms)
    known = [results.data_by_arm[arm.name].reference_losses for arm in chosen]
    same = all(losses == known[0] for losses in known)
    is_loss = {shared_unit(chosen, figure.metric)} <= set(LOSS_UNITS.values())
    return known[0] if same and is_loss else None


def against_baseline(study: Study, arms: Sequence[ArmResult]) -> pages.ReportTable:
    """Each arm's final loss minus the baseline's, seed by seed: interval, p-value and equivalence within 5%.

    Interval and p-value are one method: Student's t on the paired differences, corrected for the number of rows after
    Bonferroni, so that p < 0.05 exactly where the interval excludes 0. Only of arms with the baseline's data.
    """
    baseline = select_arms(arms, [study.file.baseline])[0] if study.file.baseline else arms[0]
    tasks = {arm.name: arm.spec.task for arm in study.arms}
    elsewhere = [name for name, task in tasks.items() if task != tasks[baseline.name]]
    pairs = {
        arm.name: paired_finite(arm.metrics["final_loss"], baseline.metrics["final_loss"])
        for arm in arms
        if arm is not baseline and arm.name not in elsewhere
    }
    enough = {name: pair for name, pair in pairs.items() if len(pair[0]) >= FEWEST}
    compared = stats.paired_t_comparisons(list(enough.values()))
    rows: list[list[pages.TableCell]] = [
        [name, interval, p_value, "yes" if equivalent(*pair) else "not shown"]
        for (name, pair), (interval, p_value) in zip(enough.items(), compared, strict=True)
    ]
    left_out = "".join(f" {name}: fewer than {FEWEST} seeds." for name in pairs if name not in enough)
    if elsewhere:
        left_out += f" Arms with another task or other data, left out: {len(elsewhere)}."
    return pages.ReportTable(
        name="baseline",
        title=f"Final loss against the baseline, {baseline.name}",
        columns=["arm", f"difference ({baseline.loss_unit})", "p (paired t)", "equal within 5%"],
        rows=rows,
        note="Differences of the same seeds, arm minus baseline; intervals and p-values are Student's t on the pairs, "
        "corrected for all rows together (Bonferroni). Equal within "
        f"5%: two one-sided paired t-tests at 0.05 each.{left_out}",
    )


def equivalent(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arms are shown to differ by less than 5% of the second's mean."""
    return stats.equivalence_p_value(first, second, EQUIVALENT * float(second.mean())) < 0.05


def every_metric(arms: Sequence[ArmResult]) -> pages.ReportTable:
    """Every metric of every arm."""
    all_metrics = dict.fromkeys(name for arm in arms for name in arm.metrics)
    nothing = np.array([])  # a metric that an arm does not have: its cell has other gates
    metrics = [name for name in all_metrics if any(np.isfinite(arm.metrics.get(name, nothing)).any() for arm in arms)]
    rows = [
        [arm.name, int(np.sum(arm.diverged_at >= 0)), *(estimate_mean(arm.metrics.get(m, nothing)) for m in metrics)]
        for arm in arms
    ]
    units = {name: shared_unit(arms, name) for name in metrics}
    columns = ["arm", "diverged", *(f"{name} ({words})" if words else name for name, words in units.items())]
    return pages.ReportTable("metrics", "Every metric at the end of training", columns, rows)


def tables(study: Study, arms: Sequence[ArmResult]) -> list[pages.ReportTable]:
    """The tables of the study file, then those of every study."""
    asked = [*nearest_table(study, arms), *requested_tables(study, arms)]
    compared = [against_baseline(study, arms)] if len(arms) > 1 else []
    return [*asked, *compared, every_metric(arms)]


def nearest_table(study: Study, arms: Sequence[ArmResult]) -> list[pages.ReportTable]:
    """Every convention with what it came to beside the documents' numbers, the nearest first."""
    if study.file.conventions is None:
        return []
    numbers = study.file.conventions.numbers
    columns = [f"{number.metric}, stated {number.value:g}" for number in numbers]
    rows: list[list[pages.TableCell]] = [
        [one.name, one.distance, "yes" if one.may_be_nearest else "no", *map(estimate_mean, one.values)]
        for one in compare_conventions(study.file.conventions, arms)
    ]
    return [
        pages.ReportTable(
            "nearest",
            study.file.conventions.text,
            ["convention", "distance", "may be the nearest", *columns],
            rows,
            "Distance: mean over the stated numbers of |value - stated| / stated; a run that diverged is 1 away. May "
            "be the nearest: the interval of the paired difference from the nearest, 95% for all rows together, has 0.",
        )
    ]


def requested_tables(study: Study, arms: Sequence[ArmResult]) -> list[pages.ReportTable]:
    """The tables that the study asks for."""
    found = []
    for number, table in enumerate(study.file.tables, 1):
        columns, rows = variance_table(table, arms) if table.shares_of else arms_table(table, arms)
        found.append(pages.ReportTable(f"table-{number}", table.title, columns, rows, table.note))
    return found


def arms_table(table: TableSpec, arms: Sequence[ArmResult]) -> tuple[list[str], list[list[pages.TableCell]]]:
    """Columns and rows: the metrics of each arm."""
    chosen = select_arms(arms, table.arms)
    units = [shared_unit(chosen, metric) for metric in table.metrics]
    columns = [f"{m} ({words})" if words else m for m, words in zip(table.metrics, units, strict=True)]
    rows: list[list[pages.TableCell]] = [
        [arm.name, *(estimate_mean(per_seed(arm, metric)) for metric in table.metrics)] for arm in chosen
    ]
    return ["arm", *columns], rows


def variance_table(table: TableSpec, arms: Sequence[ArmResult]) -> tuple[list[str], list[list[pages.TableCell]]]:
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


def samples(results: Results) -> list[pages.Sample]:
    """The text that the first seed of each arm generates after training."""
    return [
        pages.Sample(arm.name, probe.removeprefix("text_"), int(arm.probe_steps[-1]), decode_ids(ids_N, vocabulary))
        for arm in results.arms
        for vocabulary in [results.data_by_arm[arm.name].vocabulary]
        for probe in arm.values_of_kind("text")
        for ids_N in [arm.probes[probe][0, -1]]
        if arm.was_measured(probe)[-1]
    ]


def rank_sentence(question: QuestionSpec | ContradictionSpec, arms: Sequence[ArmResult]) -> str:
    """The arms in order of a measured number, as a sentence."""
    chosen = select_arms(arms, question.arms)
    known = rank_arms(chosen, question.metric, question.best)
    if not known:
        return f"No run has a finite {question.metric}."
    words = question.unit or shared_unit(chosen, question.metric)
    listed = "; ".join(f"{arm.name} {format_value(value)}" for arm, value in known)
    by = f"{question.metric} in {words}" if words else question.metric
    return f"By {by}, {question.best} first: {listed} (mean, 95% interval)."


def leader(question: QuestionSpec, arms: Sequence[ArmResult]) -> Leader | None:
    """The best arm by the question's metric among those with a finite value for every seed; None where none has."""
    sign = direction(question.best)
    chosen = select_arms(arms, question.arms)
    values = {arm.name: per_seed(arm, question.metric) for arm in chosen}
    known = {name: of_arm for name, of_arm in values.items() if np.isfinite(of_arm).all()}
    ranked = sorted(known, key=lambda name: sign * known[name].mean())
    if not ranked or (value := estimate_mean(known[ranked[0]])) is None:
        return None
    near = near_ties(known, ranked, sign)
    tied = len(near) if min(map(len, known.values())) >= FEWEST_FOR_TIES else None
    unit = question.unit or shared_unit(chosen, question.metric)
    excluded = len(chosen) - len(ranked)
    return Leader(question.metric, unit, question.best, ranked[0], value, len(ranked) - 1, tied, excluded)


def fill_advice(advice: AdviceSpec, arms: Sequence[ArmResult]) -> str:
    """The advice with the names and numbers that were measured."""
    sign = direction(advice.best)
    values = {arm.name: per_seed(arm, advice.metric) for arm in select_arms(arms, advice.arms)}
    known = {name: of_arm for name, of_arm in values.items() if np.isfinite(of_arm).all()}
    ranked = sorted(known, key=lambda name: sign * known[name].mean())
    if not ranked:
        return f"No arm has a finite {advice.metric} for every seed."
    return advice.text.format(
        best=ranked[0],
        value=format_value(estimate_mean(known[ranked[0]])),
        ties=", ".join(near_ties(known, ranked, sign)) or "none",
        worst=ranked[-1],
    )


def near_ties(values: dict[str, np.ndarray], ranked: Sequence[str], sign: int) -> list[str]:
    """The arms besides the first that are not told apart from it: intervals of paired differences, together 95%."""
    table = sign * common_seeds([values[name] for name in ranked])
    if table.shape[1] < FEWEST_FOR_TIES:
        return [f"too few seeds to tell ({table.shape[1]})"]
    tied = not_told_apart(table, 0)
    return [name for name, close in zip(ranked[1:], tied[1:], strict=True) if close]

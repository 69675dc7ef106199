"""Build the report of a study from its results; every number in it comes from the data."""

from collections.abc import Sequence

from rnnjax.analysis.results import (
    Results,
    at_probe_steps,
    per_seed,
    shared_unit,
)
from rnnjax.analysis.verdicts import Judgement
from rnnjax.config.schema import FigureSpec, QuestionSpec, Study
from rnnjax.reports import document as pages
from rnnjax.reports.answer import answer_sentences
from rnnjax.reports.figures.by_setting import setting_figure
from rnnjax.reports.figures.curves import lag_figure, line_figure, probe_figure
from rnnjax.reports.figures.intervals import interval_figure
from rnnjax.reports.figures.maps import map_figure
from rnnjax.reports.figures.portraits import portrait_figure, scatter_figure
from rnnjax.reports.figures.traces import CaptionedFigure
from rnnjax.reports.forecasts import forecast_figures, forecast_sentences, forecast_tables, with_forecasts
from rnnjax.reports.grid_explorer import explorer
from rnnjax.reports.interval_plots import judged_criteria
from rnnjax.reports.methods import data_line, data_table, describe_machine, settings
from rnnjax.reports.rankings import fill_advice, leader, ranking
from rnnjax.reports.samples import samples
from rnnjax.reports.sequences import sequence_figures, sequence_sentences, sequence_tables
from rnnjax.reports.summary import decisive, reasons, remarks, study_title
from rnnjax.reports.tables import report_tables
from rnnjax.reports.text_losses import text_sentences, text_tables


def build_report(results: Results, judgements: Sequence[Judgement]) -> pages.Report:
    """The report of a study."""
    study, arms = results.study, results.arms
    statements = [statement(judgement) for judgement in judgements]
    question = first_question(study)
    drawn = [build_figure(figure, results) for figure in requested_figures(study)]
    best = leader(question, arms) if question else None
    return pages.Report(
        title=study_title(study),
        question=study.file.question,
        statements=statements,
        hypothesis=study.file.hypothesis,
        protocol=[*study.file.protocol, data_line(study, results.data)],
        settings=settings(study),
        figures=with_forecasts(study, [*forecast_figures(results), *sequence_figures(results)], drawn),
        tables=[
            *forecast_tables(results),
            *sequence_tables(results),
            *text_tables(results),
            *report_tables(study, arms),
            *data_table(results.data),
        ],
        samples=samples(results),
        questions=[pages.Question(each.text, *ranking(each, arms)) for each in study.file.questions],
        advice=[fill_advice(advice, arms) for advice in study.file.advice],
        cost=pages.Cost(results.manifest["seconds"], describe_machine(results.manifest)),
        contradictions=[
            pages.Contradiction(each.text, each.between, *ranking(each, arms)) for each in study.file.contradictions
        ],
        explorer=explorer(study.file.explorer, arms) if study.file.explorer else None,
        overrides=study.overrides,
        answer=with_forecasts(
            study,
            [*forecast_sentences(results), *sequence_sentences(results), *text_sentences(results)],
            answer_sentences(statements, best),
        ),
    )


def first_question(study: Study) -> QuestionSpec | None:
    """The question whose best arm the answer names: the study's first, else the lowest loss, of one task."""
    if study.file.questions:
        return study.file.questions[0]
    comparable = len(study.arms) > 1 and len({arm.spec.task for arm in study.arms}) == 1
    return QuestionSpec("Which arm ends lowest?", "final_loss") if comparable else None


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
        judged=judged_criteria(judgement),
        remarks=remarks(judgement),
    )


def requested_figures(study: Study) -> list[FigureSpec]:
    """The study's figures; for a study that names none, its loss."""
    return study.file.figures or [FigureSpec("curve", "loss", "Training loss", "nats per character")]


def build_figure(figure: FigureSpec, results: Results) -> CaptionedFigure:
    """A figure of the study; reference losses stand under a loss where all arms in it have the same."""
    chosen, metric = results.select(figure.arms), figure.metric
    words = (figure.title, figure.unit or shared_unit(chosen, metric), shared_reference_losses(results, figure))
    if figure.form == "curve":
        return line_figure(chosen, metric, *words, log_x=figure.log, among=results.arms)
    if figure.form == "map":
        return map_figure(chosen[0], metric, chosen[0].labels[metric], *words[:2])
    if figure.form == "portrait":
        return portrait_figure(chosen[0], metric, chosen[0].labels[metric], figure.title)
    if figure.form == "scatter":
        units = words[1], shared_unit(chosen, figure.along)
        return scatter_figure(chosen, metric, figure.along, figure.title, units, among=results.arms)
    if figure.form == "interval":
        values = [arm._replace(metrics={metric: per_seed(arm, metric)}) for arm in chosen]
        return interval_figure(values, metric, *words, log_x=figure.log, among=results.arms)
    if figure.form == "setting":
        along, lines, below = figure.along, figure.lines, figure.below
        return setting_figure(chosen, metric, along, lines, *words[:2], below, log_y=figure.log)
    measured = [at_probe_steps(arm, metric) for arm in chosen]
    if figure.form == "probe":
        return probe_figure(measured, metric, *words, log_y=figure.log, among=results.arms)
    return lag_figure(measured, metric, *words, log_y=figure.log, along=figure.along, among=results.arms)


def shared_reference_losses(results: Results, figure: FigureSpec) -> dict[str, float] | None:
    """The reference losses that all arms of a figure of a loss have in common; None for another metric."""
    chosen = results.select(figure.arms)
    known = [results.data_by_arm[arm.name].reference_losses for arm in chosen]
    same = all(losses == known[0] for losses in known)
    is_loss = {shared_unit(chosen, figure.metric)} <= {arm.loss_unit for arm in chosen}
    return known[0] if same and is_loss else None

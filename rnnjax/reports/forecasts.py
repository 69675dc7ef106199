"""The forecasts of a series in a report: errors of each column beside simple predictors, and sentences about them."""

import math
from collections.abc import Sequence
from typing import TypeVar

from rnnjax.analysis.forecast_comparison import Comparison, compare_with_level
from rnnjax.analysis.forecasts import (
    ERRORS,
    NOMINAL,
    Forecasts,
    column_errors,
    interval_bounds,
    level_errors,
    measured_coverage,
    shown_leads,
)
from rnnjax.analysis.results import Results
from rnnjax.analysis.statistics import estimate_mean
from rnnjax.config.schema import Arm, Study
from rnnjax.reports.document import ReportTable, TableCell
from rnnjax.reports.figures.forecasts import forecast_figure, mean_of_known
from rnnjax.reports.figures.traces import CaptionedFigure
from rnnjax.reports.formatting import format_value

STEERED = (
    " The loss on these rows steered training (patience or plateau), so the errors of the network are a little too low."
)
MOST_FIGURES = 6  # columns that are drawn
LEVEL_NAMES = {
    "mean": "the mean",
    "last": "the last value",
    "seasonal": "the value one season before",
    "linear": "the linear predictor",
}


Part = TypeVar("Part")


def with_forecasts(study: Study, forecasts: Sequence[Part], others: Sequence[Part]) -> list[Part]:
    """Parts of a report: those about forecasts first where no claim is judged, else last."""
    return [*others, *forecasts] if study.file.claims else [*forecasts, *others]


def forecast_tables(results: Results) -> list[ReportTable]:
    """Errors of every arm and simple predictor, and the intervals; none for a study without a series."""
    if not results.forecasts:
        return []
    steered = any(steers_training(arm) for arm in results.study.arms if arm.name in results.forecasts)
    return [errors_table(results.forecasts, STEERED if steered else ""), intervals_table(results.forecasts)]


def steers_training(arm: Arm) -> bool:
    """Whether the loss on the held-out rows stops training or lowers its rate."""
    return bool(arm.spec.validate_every) and (math.isfinite(arm.hp.patience) or arm.spec.schedule == "plateau")


def forecast_figures(results: Results) -> list[CaptionedFigure]:
    """The held-out part of each column, as the baseline arm forecasts it."""
    drawn = baseline_forecasts(results)
    return (
        [] if drawn is None else [forecast_figure(drawn, place) for place in range(len(drawn.columns))][:MOST_FIGURES]
    )


def baseline_forecasts(results: Results) -> Forecasts | None:
    """Those of the baseline arm, or of the first arm that has some."""
    return results.forecasts.get(results.study.file.baseline) or next(iter(results.forecasts.values()), None)


def forecast_sentences(results: Results) -> list[str]:
    """For each reported lead one sentence: which simple predictors are beaten, column by column."""
    every = list(results.forecasts.values())
    leads = sorted({lead for forecasts in every for lead in shown_leads(forecasts)})
    return [lead_sentence([one for one in every if lead in shown_leads(one)], lead) for lead in leads]


def lead_sentence(every: Sequence[Forecasts], lead: int) -> str:
    """As "Next row, on 146 held-out rows: x (RMSE 2.6) is forecast better than by the mean; y ..."."""
    first = every[0]
    when = "Next row" if lead == 1 else f"{lead} rows ahead"
    rows = " or ".join(dict.fromkeys(f"{len(one.truth_RO):,}" for one in every))
    arms = f" in each of {len(every)} arms" if len(every) > 1 else ""
    phrases = []
    for place, column in enumerate(first.columns):
        outcomes = {
            level: [compare_with_level(one, level, lead)[place] for one in every if level in one.levels]
            for level in first.levels
        }
        phrase = one_arm_phrase(outcomes) if len(every) == 1 else arms_phrase(outcomes)
        phrases.append(f"{column}{own_error(every, place, lead)} is forecast {phrase}")
    return f"{when}, on {rows} held-out rows{arms}: {'; '.join(phrases)}."


def own_error(every: Sequence[Forecasts], place: int, lead: int) -> str:
    """The RMSE of a single arm, in brackets."""
    if len(every) > 1:
        return ""
    values_n = column_errors(every[0].residuals(), every[0].scale_O)["rmse"][:, lead - 1, place]
    return f" (RMSE {format_value(estimate_mean(values_n))})"


def one_arm_phrase(outcomes: dict[str, list[Comparison]]) -> str:
    """As "better than by the mean and the last value, not told apart from the linear predictor"."""
    words = {"better": "better than by", "worse": "worse than by", "not told apart": "not told apart from"}
    parts = []
    for outcome, start in words.items():
        names = [LEVEL_NAMES[level] for level, [found] in outcomes.items() if found == outcome]
        parts += [f"{start} {join_words(names)}"] if names else []
    return ", ".join(parts)


def arms_phrase(outcomes: dict[str, list[Comparison]]) -> str:
    """As "better than by the last value in 4 of 4 arms, than by the linear predictor in 1 (worse in 2)"."""
    parts = []
    for level, found in outcomes.items():
        worse = found.count("worse")
        extra = f" (worse in {worse})" if worse else ""
        parts.append(f"by {LEVEL_NAMES[level]} in {found.count('better')}{extra}")
    return f"better than {', '.join(parts)}"


def join_words(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


def errors_table(forecasts: dict[str, Forecasts], remark: str = "") -> ReportTable:
    """Column by column the errors of the arms, then those of the simple predictors."""
    rows: list[list[TableCell]] = []
    arms = list(forecasts.items())
    first = arms[0][1]
    for lead in shown_leads(first):
        for place, column in enumerate(first.columns):
            for name, one in arms:
                errors = column_errors(one.residuals(), one.scale_O)
                rows.append([column, lead, name, *(estimate_mean(errors[e][:, lead - 1, place]) for e in ERRORS), ""])
            rows += level_rows(forecasts, column, place, lead)
    seasons = ", ".join(dict.fromkeys(str(one.season or "none") for _, one in arms))
    note = (
        "RMSE and MAE in the unit of the column; MASE: MAE over the mean absolute change over one season in the "
        f"training part (season: {seasons} rows; without one, over one row). Better or worse: the 95% intervals of the "
        "difference of squared errors over seeds and over rows (Diebold-Mariano) both exclude 0. The linear predictor "
        f"reads the last 8 rows, fewer of a short series.{remark}"
    )
    columns = ["column", "rows ahead", "forecast by", "RMSE", "MAE", "MASE", "the network is"]
    return ReportTable("forecasts", "Errors on the held-out rows", columns, rows, note)


def level_rows(forecasts: dict[str, Forecasts], column: str, place: int, lead: int) -> list[list[TableCell]]:
    """The simple predictors of one column, once for each different held-out part."""
    rows: list[list[TableCell]] = []
    parts: dict[bytes, list[Forecasts]] = {}
    for one in forecasts.values():
        parts.setdefault(one.truth_RO.tobytes(), []).append(one)
    for same in parts.values():
        errors = level_errors(same[0])
        held_out = f", {same[0].labels[0]} to {same[0].labels[-1]}" if len(parts) > 1 else ""
        for level, values in errors.items():
            found = [compare_with_level(one, level, lead)[place] for one in same]
            verdict = found[0] if len(found) == 1 else f"better in {found.count('better')} of {len(found)} arms"
            numbers = (float(values[error][lead - 1, place]) for error in ERRORS)
            rows.append([column, lead, f"{LEVEL_NAMES[level]}{held_out}", *numbers, verdict])
    return rows


def intervals_table(forecasts: dict[str, Forecasts]) -> ReportTable:
    """The coverage and the width of the conformal intervals."""
    rows: list[list[TableCell]] = []
    for name, one in forecasts.items():
        for lead in shown_leads(one):
            coverage_nO, bounds = measured_coverage(one, lead), interval_bounds(one, lead)
            width_nMO = bounds[..., 1] - bounds[..., 0]
            for place, column in enumerate(one.columns):
                width_n = mean_of_known(width_nMO[..., place].T)
                rows.append([column, lead, name, estimate_mean(coverage_nO[:, place]), estimate_mean(width_n)])
    note = (
        f"Adaptive conformal intervals of nominally {NOMINAL:.0%}: calibrated on the first half of the held-out rows, "
        "judged row by row on the second half, each with the errors known by then."
    )
    columns = ["column", "rows ahead", "forecast by", "share of the rows inside", "mean width"]
    return ReportTable("forecast_intervals", f"{NOMINAL:.0%} intervals on the held-out rows", columns, rows, note)

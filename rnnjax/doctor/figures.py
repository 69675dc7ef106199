"""The pictures of a diagnosis: that of each finding, and those of the network."""

import numpy as np

from rnnjax.analysis.results import ArmResult
from rnnjax.doctor.curve_view import CurveView
from rnnjax.doctor.diagnosis import Check, Diagnosis, Finding
from rnnjax.doctor.indicators.types import Curve, Indicator, Indicators
from rnnjax.doctor.loss_levels import name_levels, network_losses
from rnnjax.doctor.text_view import TextView
from rnnjax.doctor.view_figures import class_figure, curve_figure, series_figure
from rnnjax.doctor.views import ClassView, SeriesView, Views
from rnnjax.reports.figures.curves import lag_figure, line_figure
from rnnjax.reports.figures.intervals import interval_figure
from rnnjax.reports.figures.traces import CaptionedFigure
from rnnjax.reports.plot_axes import axis

ARM_NAME = "network"
BY_STEP = "optimizer steps"  # the x axis of a training curve
STOPPED = "stopped"  # the mark of rows without updates
Picture = CaptionedFigure | TextView
VIEWS = {  # condition -> the views that show it, the best first, and the indicator whose rows are marked
    "diverged": (("curve",), "diverged"),
    "optimizer_frozen": (("curve",), "optimizer_frozen"),
    "standstill": (("curve",), "standstill"),
    "leap": (("curve",), "leap"),
    "rate_too_high": (("curve",), "rise"),
    "jumps": (("curve",), ""),
    "lost_in_rounding": (("curve",), ""),
    "record_mismatch": (("curve",), ""),
    "floor": (("curve",), ""),
    "learned": (("curve", "series", "classes"), ""),
    "unfinished": (("curve",), "fall_at_end"),
    "missing_rows": (("curve",), "missing_rows"),
    "shifted": (("held_out_series", "held_out_classes"), ""),
    "unseen_symbols": (("held_out_classes",), ""),
    "gap": (("curve", "held_out_series"), ""),
    "no_better_than_last": (("held_out_series", "series"), ""),
    "worse_than_linear": (("held_out_series", "series"), ""),
    "unforeseeable": (("held_out_series", "series", "curve", "classes"), ""),
    "identical": (("series", "classes"), ""),
    "out_of_range": (("series",), ""),
    "unscaled": (("series",), ""),
    "target_leak": (("series",), ""),
    "classes_as_numbers": (("series",), ""),
    "runaway": (("series",), ""),
    "one_class": (("classes",), ""),
    "loops_of_model": (("text",), ""),
    "loops_of_decoder": (("text",), ""),
    "exposure": (("text",), ""),
}

TITLES = {  # of the pictures that are shown without a finding
    "curve": "The loss over training",
    "series": "Predictions and forecast",
    "held_out_series": "Held-out predictions",
    "text": "Generated text",
    "classes": "Predicted classes",
}


def finding_figures(diagnosis: Diagnosis) -> list[Picture]:
    """A picture for every finding, in their order."""
    checks = {check.name: check for check in diagnosis.checks}
    return [finding_figure(finding, diagnosis, checks[finding.name]) for finding in diagnosis.findings]


def finding_figure(finding: Finding, diagnosis: Diagnosis, check: Check) -> Picture:
    """A view of the symptom; without one the curve of its indicator, or the values of each run or stream."""
    picture = symptom_picture(finding, diagnosis)
    if picture is not None:
        return picture
    curve = diagnosis.indicators.curves.get(check.indicator)
    if curve is None:
        return indicator_figure(finding, diagnosis.indicators.values[check.indicator], check)
    return indicator_curve_figure(finding, curve)


def symptom_picture(finding: Finding, diagnosis: Diagnosis) -> Picture | None:
    """The first of the condition's views that exists."""
    name, views = chosen_view(finding.name, diagnosis.views), diagnosis.views
    if name is None or views is None:
        return None
    if name == "curve" and views.curve is not None:
        return marked_curve(views.curve, finding, diagnosis.indicators)
    return draw(getattr(views, name), finding.symptom, finding.name == "runaway")


def chosen_view(condition: str, views: Views | None) -> str | None:
    """The view that shows a condition; None without one."""
    names, _ = VIEWS.get(condition, ((), ""))
    return next((name for name in names if getattr(views, name, None) is not None), None)


def draw(view: SeriesView | ClassView | TextView, title: str, whole_forecast: bool = False) -> Picture:
    """The figure of a view; a text is its own."""
    if isinstance(view, SeriesView):
        return series_figure(view, title, whole_forecast)
    return class_figure(view, title) if isinstance(view, ClassView) else view


def marked_curve(view: CurveView, finding: Finding, indicators: Indicators) -> CaptionedFigure:
    """The training curve with the rows of a finding."""
    marked = VIEWS[finding.name][1]
    marks = view.marks.get(marked, ())
    stopped = view.marks.get(STOPPED, ()) if marked != "standstill" else ()
    levels = curve_levels(view, indicators)
    if finding.name == "record_mismatch" and view.batch_objective is not None:
        levels = levels | {"this batch": view.batch_objective}
    named = " Red: the rows of the finding." if marks else ""
    return curve_figure(view, finding.symptom, levels, [*marks, *stopped], named)


def curve_levels(view: CurveView, indicators: Indicators) -> dict[str, float]:
    """The levels in the unit of the recorded loss, with the held-out loss."""
    if not view.in_loss_unit:
        return {}
    held_out = network_losses(indicators).get("held_out_loss")
    own = {} if held_out is None else {"held-out loss": held_out}
    return name_levels(indicators.levels) | own


def network_pictures(diagnosis: Diagnosis) -> dict[str, Picture]:
    """Titled pictures of the network that no finding has: its curve, and its predictions or texts."""
    views = diagnosis.views or Views()
    shown = {chosen_view(finding.name, views) for finding in diagnosis.findings}
    names = [name for name in TITLES if name not in shown and getattr(views, name) is not None]
    if views.text is not None:
        names = [name for name in names if name != "classes"]
    return {TITLES[name]: network_picture(name, diagnosis.indicators, views) for name in names}


def network_picture(name: str, indicators: Indicators, views: Views) -> Picture:
    """The picture of one view."""
    if name == "curve" and views.curve is not None:
        marks = views.curve.marks.get(STOPPED, ())
        return curve_figure(views.curve, TITLES[name], curve_levels(views.curve, indicators), marks)
    return draw(getattr(views, name), TITLES[name])


def indicator_curve_figure(finding: Finding, curve: Curve) -> CaptionedFigure:
    """The mean curve with its interval."""
    values_nm = np.asarray(curve.values_nm, float)
    arm = as_arm_result(len(values_nm))
    if curve.x_title == BY_STEP:
        arm = arm._replace(row_steps=np.asarray(curve.x_m), rows={"y": values_nm})
        figure = line_figure([arm], "y", unit=curve.y_title).figure
    else:
        arm = arm._replace(probes={"y": values_nm[:, None]})
        figure = lag_figure([arm], "y", unit=curve.y_title, first_lag=int(curve.x_m[0]), log_y=False).figure
        figure.update_layout(xaxis=axis(curve.x_title))
    mean = f"Line: mean over {len(values_nm)} {curve.over}; band: its interval, 95%."
    return CaptionedFigure(finding.symptom, mean if len(values_nm) > 1 else "Line: one network.", figure)


def indicator_figure(finding: Finding, indicator: Indicator, check: Check) -> CaptionedFigure:
    """The values of an indicator with its limit."""
    values_n = np.asarray(indicator.values_n, float)
    arm = as_arm_result(len(values_n))._replace(metrics={"y": values_n})
    each = "run" if indicator.over == "runs" else "stream"
    levels = {"limit": check.limit.bound}
    figure = interval_figure([arm], "y", unit=finding.quantity, levels=levels, each=each).figure
    over = indicator.over if len(values_n) > 1 else "one value of one network"
    caption = f"Points: {over}; bar: mean with its interval, 95%. Dashed: the limit of the condition."
    return CaptionedFigure(finding.symptom, caption, figure)


def as_arm_result(n: int) -> ArmResult:
    """An empty arm of n runs, as `reports.figures` requires it."""
    none = np.zeros(1, int)
    return ArmResult(ARM_NAME, {}, np.arange(1, n + 1), none, {}, none, {}, np.full(n, -1), {})

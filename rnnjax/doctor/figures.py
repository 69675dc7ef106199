"""The figure of each finding: the curve or the values behind its evidence."""

import numpy as np

from rnnjax.analysis.results import ArmResult
from rnnjax.doctor.diagnosis import Check, Diagnosis, Finding
from rnnjax.doctor.indicators.types import Curve, Indicator
from rnnjax.reports.figures.curves import lag_figure, line_figure
from rnnjax.reports.figures.intervals import interval_figure
from rnnjax.reports.figures.traces import CaptionedFigure

ARM_NAME = "network"
BY_STEP = "optimizer steps"  # the x axis of a training curve


def finding_figures(diagnosis: Diagnosis) -> list[CaptionedFigure]:
    """A figure for every finding, in their order."""
    checks = {check.name: check for check in diagnosis.checks}
    return [finding_figure(finding, diagnosis, checks[finding.name]) for finding in diagnosis.findings]


def finding_figure(finding: Finding, diagnosis: Diagnosis, check: Check) -> CaptionedFigure:
    """The curve behind the finding's indicator, or, without one, its values for each run or stream."""
    curve = diagnosis.indicators.curves.get(check.indicator)
    if curve is None:
        return indicator_figure(finding, diagnosis.indicators.values[check.indicator], check)
    return curve_figure(finding, curve)


def curve_figure(finding: Finding, curve: Curve) -> CaptionedFigure:
    """The mean curve with its interval."""
    values_nm = np.asarray(curve.values_nm, float)
    arm = as_arm_result(len(values_nm))
    if curve.x_title == BY_STEP:
        arm = arm._replace(row_steps=np.asarray(curve.x_m), rows={"y": values_nm})
        figure = line_figure([arm], "y", unit=curve.y_title).figure
    else:
        arm = arm._replace(probes={"y": values_nm[:, None]})
        figure = lag_figure([arm], "y", unit=curve.y_title, first_lag=int(curve.x_m[0]), log_y=False).figure
        figure.update_layout(xaxis_title_text=curve.x_title)
    mean = f"Line: mean over {len(values_nm)} {curve.over}; band: its t interval, 95%."
    return CaptionedFigure(finding.symptom, mean if len(values_nm) > 1 else "Line: one network.", figure)


def indicator_figure(finding: Finding, indicator: Indicator, check: Check) -> CaptionedFigure:
    """The values of an indicator with its limit."""
    values_n = np.asarray(indicator.values_n, float)
    arm = as_arm_result(len(values_n))._replace(metrics={"y": values_n})
    each = "run" if indicator.over == "runs" else "stream"
    levels = {"limit": check.limit.bound}
    figure = interval_figure([arm], "y", unit=finding.quantity, levels=levels, each=each).figure
    over = indicator.over if len(values_n) > 1 else "one value of one network"
    caption = f"Points: {over}; bar: mean with its t interval, 95%. Dashed: the limit of the condition."
    return CaptionedFigure(finding.symptom, caption, figure)


def as_arm_result(n: int) -> ArmResult:
    """An empty arm of n runs, as `reports.figures` requires it."""
    none = np.zeros(1, int)
    return ArmResult(ARM_NAME, {}, np.arange(1, n + 1), none, {}, none, {}, np.full(n, -1), {})

"""The figure of a finding: what its number was read from."""

import numpy as np

from rnnjax.analysis.results import ArmResult
from rnnjax.doctor.diagnosis import Check, Examination, Finding
from rnnjax.doctor.indicators import Curve, Sign
from rnnjax.reports.figures.curves import lag_figure, line_figure
from rnnjax.reports.figures.intervals import interval_figure
from rnnjax.reports.figures.traces import CaptionedFigure

NAME = "examined"
BY_STEP = "optimizer steps"  # the axis of a curve of training


def drawings(examination: Examination) -> list[CaptionedFigure]:
    """A figure for every finding, in their order."""
    limits = {check.name: check for check in examination.checked}
    return [drawing(finding, examination, limits[finding.name]) for finding in examination.findings]


def drawing(finding: Finding, examination: Examination, check: Check) -> CaptionedFigure:
    """The curve that the finding's sign was read from, where there is one, else the sign of every run or stream."""
    found = examination.signs.curves.get(check.sign)
    if found is None:
        return of_sign(finding, examination.signs.values[check.sign], check)
    return of_curve(finding, found)


def of_curve(finding: Finding, curve: Curve) -> CaptionedFigure:
    values_nm = np.asarray(curve.values_nm, float)
    arm = made_up(len(values_nm))
    if curve.x_title == BY_STEP:
        arm = arm._replace(row_steps=np.asarray(curve.x_m), rows={"y": values_nm})
        figure = line_figure([arm], "y", unit=curve.y_title).figure
    else:
        arm = arm._replace(probes={"y": values_nm[:, None]})
        figure = lag_figure([arm], "y", unit=curve.y_title, first_lag=int(curve.x_m[0]), log_y=False).figure
        figure.update_layout(xaxis_title_text=curve.x_title)
    many = f"Line: mean over {len(values_nm)} {curve.over}; band: its t interval, 95%."
    caption = many if len(values_nm) > 1 else "Line: the one network."
    return CaptionedFigure(finding.symptom, caption, figure)


def of_sign(finding: Finding, sign: Sign, check: Check) -> CaptionedFigure:
    arm = made_up(len(sign.values_n))._replace(metrics={"y": np.asarray(sign.values_n, float)})
    what = "run" if sign.over == "runs" else "stream"
    levels = {"limit": check.limit.bound}
    figure = interval_figure([arm], "y", unit=finding.number, levels=levels, each=what).figure
    over = sign.over if len(sign.values_n) > 1 else "one number of one network"
    caption = f"Points: {over}; bar: their mean with its t interval, 95%. Dashed: from where on it is a finding."
    return CaptionedFigure(finding.symptom, caption, figure)


def made_up(n: int) -> ArmResult:
    """An arm for `figures`, with nothing in it yet."""
    none = np.zeros(1, int)
    return ArmResult(NAME, {}, np.arange(1, n + 1), none, {}, none, {}, np.full(n, -1), {})

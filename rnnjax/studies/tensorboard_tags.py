"""The curves of a study in TensorBoard: few of them, the loss first, in charts of arms that belong together.

TensorBoard sorts cards by the names of their groups, the part of a tag before its first slash, and opens the first two
groups. So the tags are, in this order: `loss` with its band `loss/lo` and `loss/hi`; `loss_by_family/...`, the same
means with the arms of one family in each card; `more/...`; `results/...`, the metrics of the HParams page.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.config.schema import Study, judged_metrics, requested_metrics
from rnnjax.reports.arm_styles import families, family
from rnnjax.settings.metrics import ACCURACY, CLASS_RECALL
from rnnjax.storage.event_files import ALIVE, Chart, CurveTag
from rnnjax.training.state import StepMetrics

MOST_CARDS = 40  # different tags of a study, unless it asks for all
MOST_RESULTS = 6  # metrics of the HParams page
MOST_FAMILIES = 12  # with a chart each
PALETTE = 7  # colours that TensorBoard gives to runs before it repeats them
MOST_POINTS = 999  # of a curve: from 1,000 on TensorBoard leaves out points, among them often the first
MOST_PROBES = 150  # of these points, where there are more
HELD_OUT = "validation_loss"
SINGLES = "single_arms"  # the arms that are alone in their family


class BoardPlan(NamedTuple):
    """The tags logged for every arm of a study."""

    families: dict[str, str]  # arm -> name of its chart; empty where one chart shows all arms well
    asked: list[str]  # metrics that the study asks for, the most important first
    held_out: bool  # whether the held-out loss is probed
    everything: bool  # no limits

    def curve_tags(self, arm: str, values: Sequence[str]) -> list[CurveTag]:
        """The curves of an arm of which these values of probes are recorded."""
        tags = [CurveTag("loss", statistic, tag) for statistic, tag in LOSS_TAGS.items()]
        if arm in self.families:
            tags.append(CurveTag("loss", "mean", f"loss_by_family/{self.families[arm]}"))
        others = [*(name for name in StepMetrics._fields if name != "loss"), *self.shown_probes(values)]
        tags += [CurveTag(name, "mean", f"more/{name}") for name in others]
        if self.everything:
            bands = [(name, statistic) for name in others for statistic in ("lo", "hi", "median")]
            tags += [CurveTag(name, statistic, f"more/{name}/{statistic}") for name, statistic in bands]
        return [*tags, CurveTag(ALIVE, "diverged", "more/diverged_runs")]

    def shown_probes(self, values: Sequence[str]) -> list[str]:
        """Those of the probe values that the study asks for, as many as there is room for, and else the first."""
        if self.everything:
            return list(values)
        fixed = len(LOSS_TAGS) + len(set(self.families.values())) + len(StepMetrics._fields) + MOST_RESULTS
        of_classes = [name for name in values if name == ACCURACY or name.startswith(f"{CLASS_RECALL}[")]
        asked = [name for name in dict.fromkeys([*self.asked, HELD_OUT, *of_classes]) if name in values]
        return (asked or list(values))[: MOST_CARDS - fixed]

    def results_among(self, metrics: Iterable[str]) -> list[str]:
        """The metrics of the HParams page, of those that an arm has."""
        known = set(metrics)
        return sorted(known) if self.everything else [name for name in self.asked if name in known][:MOST_RESULTS]

    def charts(self) -> dict[str, list[Chart]]:
        """The custom scalars page: categories of charts, both in the order of importance."""
        parts = list(dict.fromkeys(self.families.values()))
        loss = [Chart("loss, mean over seeds, all arms", ["^loss$"])]
        loss += [Chart("held-out loss", [f"^more/{HELD_OUT}$"])] if self.held_out else []
        loss += [Chart(f"loss, {part.replace('_', ' ')}", [f"^loss_by_family/{re.escape(part)}$"]) for part in parts]
        if not parts:  # of many arms it would be a tangle
            loss.append(Chart("loss, mean and ends of its 95% interval", ["^loss(/(lo|hi))?$"]))
        norms = [Chart(name, [f"^more/{name}$"]) for name in StepMetrics._fields if name != "loss"]
        return {"Loss": loss, "Training": norms}


LOSS_TAGS = {"mean": "loss", "lo": "loss/lo", "hi": "loss/hi"}


def plan_board(study: Study) -> BoardPlan:
    """The plan of a study, which depends on nothing but its file and its arms."""
    everything = study.file.tensorboard == "all"
    asked = list(dict.fromkeys(["final_loss", *judged_metrics(study.file), *requested_metrics(study.file)]))
    names = [arm.name for arm in study.arms]
    return BoardPlan(chart_families(names), asked, "validation" in study.file.probes, everything)


def chart_families(arms: Sequence[str]) -> dict[str, str]:
    """arm -> the chart that it is in, where the arms are too many for one chart; the single ones share one."""
    known = families(arms)
    charts = {arm: family(arm) if len(known[family(arm)]) > 1 else SINGLES for arm in arms}
    count = len(set(charts.values()))
    return charts if len(arms) > PALETTE and 1 < count <= MOST_FAMILIES else {}


def logged_steps(row_steps: np.ndarray, probe_steps: Sequence[int]) -> np.ndarray:
    """The steps that curves have points at: all, or `MOST_POINTS` evenly spread ones with the first and the last."""
    steps = np.union1d(row_steps, probe_steps)
    if len(steps) <= MOST_POINTS:
        return steps
    probes = spread(np.asarray(probe_steps), MOST_PROBES)
    return np.union1d(spread(row_steps, MOST_POINTS - len(probes)), probes)


def spread(steps: np.ndarray, most: int) -> np.ndarray:
    """At most that many of the steps, evenly spread, the first and the last among them."""
    if len(steps) <= most:
        return steps
    return steps[np.linspace(0, len(steps) - 1, most).round().astype(int)]

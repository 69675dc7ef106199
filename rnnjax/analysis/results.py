"""Results of a finished study: for every arm its curves, its probe values and one number per metric and seed.

Loads no JAX. `studies.load_results` makes these values from a run folder; rules, tables and figures start from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np

from rnnjax.analysis.forecasts import Forecasts
from rnnjax.analysis.predictions import Predictions
from rnnjax.analysis.statistics import Interval, estimate_mean
from rnnjax.config.schema import Arm, Study
from rnnjax.settings import TaskSpec, loss_unit
from rnnjax.settings.metrics import Metric, metric_name
from rnnjax.settings.vocabulary import Vocabulary


class ArmResult(NamedTuple):
    """One arm over its n seeds. Arrays start with the seed axis (n); diverged runs are in all of them."""

    name: str
    axes: dict[str, Any]  # the fields in which the arms of the study differ, with this arm's values
    seeds: np.ndarray  # [n] int
    row_steps: np.ndarray  # [S] optimizer steps done at the end of each row of the record
    rows: dict[str, np.ndarray]  # name -> [n, S]: "loss", "gradient_norm", "clip_share", ...
    probe_steps: np.ndarray  # [Q] optimizer steps done at each probe
    probes: dict[str, np.ndarray]  # name -> [n, Q] or [n, Q, L], L = lag: "spectral_radius", "gradient_decay", ...
    diverged_at: np.ndarray  # [n] int, the step at which a run left the finite numbers; -1 = never
    metrics: dict[str, np.ndarray]  # name -> [n] float, NaN where the run diverged or never got there
    loss: str = "cross_entropy"  # one of `settings.LOSS_UNITS`
    token: str = "character"  # of a text: what is predicted at one step
    measured_at: Mapping[str, np.ndarray] = {}  # probe value -> [Q] bool: was it taken there; absent = everywhere
    info: Mapping[str, Metric] = {}  # of rows, probes and metrics, with their units for this arm's task
    labels: Mapping[str, Sequence[tuple[str, str]]] = {}  # of a map: (name, group) of each point
    at_steps: Mapping[str, np.ndarray] = {}  # `name@step` -> [n], where the curves are too short to give it

    @property
    def loss_unit(self) -> str:
        """The unit of this arm's loss."""
        return loss_unit(self.loss, self.token)

    def was_measured(self, probe: str) -> np.ndarray:
        """At which of the probe steps [Q] a probe's value was taken, whatever it came to."""
        return np.asarray(self.measured_at.get(probe, np.ones(len(self.probe_steps), bool)), bool)

    def values_of_kind(self, kind: str) -> list[str]:
        """The names of the probe values of a kind: scalar, lag, text, map."""
        return [name for name in self.probes if name in self.info and self.info[name].kind == kind]


class DataSummary(NamedTuple):
    """Size, loss and reference losses of the data of a task."""

    train_length: int  # N of the training part
    validation_length: int
    vocabulary: Vocabulary  # of a text, else empty
    loss: str
    reference_losses: dict[str, float]
    notices: tuple[str, ...] = ()  # of a file: what its owner may not know
    token: str = "character"  # as in `types.Task`, and so are the others
    tokens_per_character: float = 1.0
    ngram_losses: tuple[float, ...] = ()

    @property
    def loss_unit(self) -> str:
        return loss_unit(self.loss, self.token)


@dataclass(frozen=True)
class Results:
    """A finished study: its description, its arms in order, its data and what its manifest says."""

    study: Study
    arms: list[ArmResult]
    data: dict[TaskSpec, DataSummary]
    manifest: dict[str, Any]
    forecasts: dict[str, Forecasts] = field(default_factory=dict)  # of the arms that have a series, by name
    predictions: dict[str, Predictions] = field(default_factory=dict)  # of the arms that read sequences, by name

    @cached_property
    def data_by_arm(self) -> dict[str, DataSummary]:
        """The data of each arm, by the arm's name."""
        return {arm.name: self.data[arm.spec.task] for arm in self.study.arms}

    def select(self, patterns: Sequence[str]) -> list[ArmResult]:
        """The arms that a list of patterns names. Raises: KeyError for a pattern that names none."""
        return select_arms(self.arms, patterns)

    def unit(self, metric: str, patterns: Sequence[str] = ("*",)) -> str:
        """The unit that a metric has in all arms of these patterns, "" where they differ."""
        return shared_unit(self.select(patterns), metric)


def shared_unit(arms: Sequence[ArmResult], metric: str) -> str:
    """The unit that a metric has in all of these arms; "" where they differ, or where nobody described it."""
    name = metric_name(metric)
    units = {arm.info[name].unit if name in arm.info else "" for arm in arms}
    return units.pop() if len(units) == 1 else ""


def direction(best: str) -> int:
    """1 where the lowest value is best, -1 where the highest is: a factor that makes lower better."""
    return -1 if best == "highest" else 1


def rank_arms(arms: Sequence[ArmResult], metric: str, best: str) -> list[tuple[ArmResult, Interval]]:
    """The arms that have a finite value of a metric, best first, with the mean over seeds and its interval."""
    estimates = [(arm, estimate_mean(per_seed(arm, metric))) for arm in arms]
    known = [(arm, interval) for arm, interval in estimates if interval is not None]
    return sorted(known, key=lambda pair: direction(best) * pair[1].estimate)


def per_seed(arm: ArmResult, metric: str) -> np.ndarray:
    """One number per seed [n]: a metric, a probe's last value, `probe@step` at the probe nearest to that step, or
    `row@a-b`, the mean of a row of the record over the steps in (a, b].

    Which steps a probe was taken at is known from the plan, not from its values: a seed's number does not depend on
    what the other seeds came to.

    Raises: KeyError where the arm has none of these.
    """
    if metric in arm.at_steps:
        return arm.at_steps[metric]
    name, _, step = metric.partition("@")
    if not step and name in arm.metrics:
        return arm.metrics[name]
    if "-" in step:
        return mean_over_steps(arm, name, *map(float, step.split("-")))
    values_nQ = arm.probes[name]
    distance_Q = np.abs(arm.probe_steps - float(step or arm.probe_steps[-1]))
    return np.asarray(values_nQ[:, np.argmin(np.where(arm.was_measured(name), distance_Q, np.inf))])


def mean_over_steps(arm: ArmResult, row: str, after: float, until: float) -> np.ndarray:
    """The mean [n] of a row of the record over the steps in (after, until]; of a shorter training, its last row."""
    weights_S = np.diff(arm.row_steps, prepend=0) * ((arm.row_steps > after) & (arm.row_steps <= until))
    if not weights_S.any():
        return arm.rows[row][:, -1]
    return np.average(arm.rows[row][:, weights_S > 0], axis=1, weights=weights_S[weights_S > 0])


def at_probe_steps(arm: ArmResult, probe: str) -> ArmResult:
    """The arm with one probe value, at the steps at which it was taken."""
    taken_Q = arm.was_measured(probe)
    values = arm.probes[probe][:, taken_Q]
    return arm._replace(probe_steps=arm.probe_steps[taken_Q], probes={probe: values}, measured_at={})


Named = TypeVar("Named", "ArmResult", "Arm")


def select_arms(arms: Sequence[Named], patterns: Sequence[str]) -> list[Named]:
    """The arms that a list of patterns names, in the study's order. Raises: KeyError for a pattern that names none."""
    for pattern in patterns:
        if not any(fnmatchcase(arm.name, pattern) for arm in arms):
            raise KeyError(f"no arm is named {pattern!r}")
    return [arm for arm in arms if any(fnmatchcase(arm.name, pattern) for pattern in patterns)]

"""What a finished study knows: for every arm its curves, its probes and one number per metric and seed."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.stats

from rnnjax.analysis.loss_spikes import first_jump, jump_rate, jump_recovery
from rnnjax.networks.model import build_network
from rnnjax.probes.dynamics.units import recovered
from rnnjax.probes.memory.symbol_recall import horizon_over_untrained
from rnnjax.settings import HParams, Spec


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
    loss_unit: str = "nats per character"
    labels: Mapping[str, Sequence[tuple[str, str]]] = {}  # map value -> (name, group) of its points


def arm_result(levels: Mapping[str, float], sizes: Mapping[str, float], **known: Any) -> ArmResult:
    """An arm's result from all but its metrics, which follow from its curves, its probes and what is given here.

    Args: levels: of the task's loss, by name. sizes: numbers that all seeds of the arm have in common.
    """
    result = ArmResult(**known, metrics={})
    result = result._replace(rows=result.rows | rise_indicators(result.rows.get("objective", result.rows["loss"])))
    limits = loss_thresholds(result.loss_unit)
    curves = curve_metrics(result.rows["loss"], result.rows["clip_share"], result.row_steps, limits)
    curves |= norm_metrics(result.rows["gradient_norm"])
    outcome = outcome_metrics(curves["final_loss"], levels)
    same = {name: np.full(len(result.seeds), float(value)) for name, value in sizes.items()}
    last = {name: per_seed(result, name) for name, values in result.probes.items() if values.ndim == 2}
    return result._replace(metrics=curves | outcome | same | last | derived_metrics(result.probes))


SHARP = 0.05  # of the loss before
RISES = ("rise", "sharp_rise")  # rows that follow from what is optimised


def rise_indicators(loss_nS: np.ndarray) -> dict[str, np.ndarray]:
    """Whether the loss of a row is above that of the row before, and whether by more than a twentieth: 1, 0 or NaN.

    With log_every an epoch long, `rise@a-b` is the share of epochs in which training goes the wrong way.
    """
    before_nS = np.concatenate([loss_nS[:, :1], loss_nS[:, :-1]], axis=1)
    known_nS = np.isfinite(loss_nS)
    limits = dict(zip(RISES, (before_nS, (1 + SHARP) * before_nS), strict=True))
    return {name: np.where(known_nS, loss_nS > limit_nS, np.nan) for name, limit_nS in limits.items()}


DERIVED_METRICS: dict[str, tuple[tuple[str, ...], Callable[..., np.ndarray]]] = {
    "unit_recovery": (("unit_dead",), recovered),
    "horizon_over_untrained": (("memory_accuracy", "ngram_accuracy", "majority"), horizon_over_untrained),
}
"""Metric -> (the values of probes from which it follows, the function of these at all points of training)."""


def derived_metrics(probes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The metrics that need a probe's values at several points of training."""
    return {
        metric: function(*(probes[name] for name in needed))
        for metric, (needed, function) in DERIVED_METRICS.items()
        if probes.keys() >= set(needed)
    }


def network_sizes(spec: Spec) -> dict[str, int]:
    """The parameters of a network, those of its kernels alone, and the steps of text or series that training reads."""
    leaves = jax.tree.leaves(jax.eval_shape(build_network(spec, HParams()).init, jax.random.key(0)))
    parameters = sum(leaf.size for leaf in leaves)
    weights = sum(leaf.size for leaf in leaves if leaf.ndim > 1)
    return dict(zip(SIZES, (parameters, weights, spec.steps * spec.window * spec.batch), strict=True))


def outcome_metrics(final_loss_n: np.ndarray, levels: Mapping[str, float]) -> dict[str, np.ndarray]:
    """What became of each seed, by the exact levels of its task.

    failed         1 where a run diverged or ended above the unigram level, else 0
    below_chance   chance level - final loss, where the task has one: what was learned
    """
    failed = ~(final_loss_n <= levels.get("unigram", np.inf))
    learned = {"below_chance": levels["chance"] - final_loss_n} if "chance" in levels else {}
    return {"failed": failed.astype(float)} | learned


THRESHOLDS = (1.5, 1.2, 1.0)  # nats per character
FINAL_STEPS = 1_000
SMOOTHING = 0.999
SIZES = ("parameters", "weights", "characters_read")  # of an arm, the same for all its seeds
TREND_STRETCHES = 30


def loss_thresholds(loss_unit: str) -> tuple[float, ...]:
    """The losses whose first reaching is counted; none where a series has units of its own."""
    return THRESHOLDS if loss_unit == ArmResult._field_defaults["loss_unit"] else ()


def curve_metrics(
    loss_nS: np.ndarray, clip_share_nS: np.ndarray, steps_S: np.ndarray, limits: tuple[float, ...] = THRESHOLDS
) -> dict[str, np.ndarray]:
    """One number per seed from the record.

    final_loss     mean loss of the last 1,000 steps
    smooth_loss    the loss smoothed by s' = 0.999 s + 0.001 loss from its first row on, at the end
    loss_area      mean loss over all of training
    steps_to_x     steps until the loss of a row first is <= x nats; the length of training where it never is
    clip_share     share of steps on which the clip fired
    clip_trend     Spearman's correlation of that share with time, over 30 stretches of training
    jumps          sudden rises of the loss per 10,000 steps, see `jumps`; first_jump, jump_recovery (steps)
    """
    weights_S = np.diff(steps_S, prepend=0)
    last = steps_S > steps_S[-1] - FINAL_STEPS
    reached = {
        f"steps_to_{x:g}": np.where((loss_nS <= x).any(1), steps_S[np.argmax(loss_nS <= x, axis=1)], steps_S[-1])
        for x in limits
    }
    return {
        "final_loss": np.average(loss_nS[:, last], axis=1, weights=weights_S[last]),
        "smooth_loss": exponential_smoothing(loss_nS, weights_S),
        "loss_area": np.average(loss_nS, axis=1, weights=weights_S),
        **{name: np.where(np.isnan(loss_nS[:, -1]), np.nan, steps) for name, steps in reached.items()},
        "clip_share": np.average(clip_share_nS, axis=1, weights=weights_S),
        "clip_trend": trend_over_time(clip_share_nS),
        "jumps": jump_rate(loss_nS, steps_S),
        "first_jump": first_jump(loss_nS, steps_S),
        "jump_recovery": jump_recovery(loss_nS, steps_S),
    }


def norm_metrics(gradient_norm_nS: np.ndarray) -> dict[str, np.ndarray]:
    """largest_norm: the largest mean norm of the gradient, before the clips, of a row of the record."""
    return {"largest_norm": gradient_norm_nS.max(axis=1)}


def trend_over_time(values_nS: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of the means of 30 stretches with their order; 0 where they are all equal."""
    stretches = np.array_split(values_nS, min(TREND_STRETCHES, values_nS.shape[1]), axis=1)
    means_nM = np.stack([stretch.mean(axis=1) for stretch in stretches], axis=1)
    ranks_nM = scipy.stats.rankdata(means_nM, axis=1, nan_policy="propagate")
    ranks_nM -= ranks_nM.mean(axis=1, keepdims=True)
    order_M = np.arange(means_nM.shape[1]) - (means_nM.shape[1] - 1) / 2
    size_n = np.sqrt(np.sum(ranks_nM**2, axis=1) * np.sum(order_M**2))
    return np.where(size_n == 0, 0.0, ranks_nM @ order_M / np.where(size_n == 0, 1, size_n))


def exponential_smoothing(loss_nS: np.ndarray, weights_S: np.ndarray) -> np.ndarray:
    """The exponentially smoothed loss at the end; a row of k steps counts as k steps at its mean."""
    value_n = loss_nS[:, 0]
    for loss_n, steps in zip(loss_nS.T, weights_S, strict=True):
        kept = SMOOTHING**steps
        value_n = kept * value_n + (1 - kept) * loss_n
    return value_n


def per_seed(arm: ArmResult, metric: str) -> np.ndarray:
    """One number per seed [n]: a metric, a probe's last value, `probe@step` at the probe nearest to that step, or
    `row@a-b`, the mean of a row of the record over the steps in (a, b].

    Raises: KeyError where the arm has none of these.
    """
    name, _, step = metric.partition("@")
    if not step and name in arm.metrics:
        return arm.metrics[name]
    if "-" in step:
        return mean_over_steps(arm, name, *map(float, step.split("-")))
    values_nQ = arm.probes[name]
    measured_Q = ~np.isnan(values_nQ).all(axis=0)
    steps = np.where(measured_Q, np.abs(arm.probe_steps - float(step or arm.probe_steps[-1])), np.inf)
    return values_nQ[:, np.argmin(steps)]


def mean_over_steps(arm: ArmResult, row: str, after: float, until: float) -> np.ndarray:
    """The mean [n] of a row of the record over the steps in (after, until]; of a shorter training, its last row."""
    weights_S = np.diff(arm.row_steps, prepend=0) * ((arm.row_steps > after) & (arm.row_steps <= until))
    if not weights_S.any():
        return arm.rows[row][:, -1]
    return np.average(arm.rows[row][:, weights_S > 0], axis=1, weights=weights_S[weights_S > 0])


def is_text(probe: str) -> bool:
    """Whether a probe holds the ids of a text after one prompt, [n, Q, N], one decoder to a probe."""
    return probe.startswith("text_")


def at_probe_steps(arm: ArmResult, probe: str) -> ArmResult:
    """The arm with one probe, at the steps at which it was taken."""
    values = arm.probes[probe]
    taken_Q = ~np.isnan(values).reshape(*values.shape[:2], -1).all(axis=(0, 2))
    return arm._replace(probe_steps=arm.probe_steps[taken_Q], probes={probe: values[:, taken_Q]})


def select_arms(arms: Sequence[ArmResult], patterns: Sequence[str]) -> list[ArmResult]:
    """The arms that a list of patterns names, in the study's order. Raises: KeyError for a pattern that names none."""
    for pattern in patterns:
        if not any(fnmatchcase(arm.name, pattern) for arm in arms):
            raise KeyError(f"no arm is named {pattern!r}")
    return [arm for arm in arms if any(fnmatchcase(arm.name, pattern) for pattern in patterns)]

"""What a finished study knows: for every arm its curves, its probes and one number per metric and seed."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np


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


def arm_result(**known: Any) -> ArmResult:
    """An arm's result from all but its metrics, which follow: those of the curves and the last value of each probe."""
    result = ArmResult(**known, metrics={})
    limits = thresholds(result.loss_unit)
    curves = curve_metrics(result.rows["loss"], result.rows["clip_share"], result.row_steps, limits)
    last = {name: seed_values(result, name) for name, values in result.probes.items() if values.ndim == 2}
    return result._replace(metrics=curves | last)


THRESHOLDS = (1.5, 1.2, 1.0)  # nats per character
FINAL_STEPS = 1_000
SMOOTHING = 0.999


def thresholds(loss_unit: str) -> tuple[float, ...]:
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
    """
    weights_S = np.diff(steps_S, prepend=0)
    last = steps_S > steps_S[-1] - FINAL_STEPS
    reached = {
        f"steps_to_{x:g}": np.where((loss_nS <= x).any(1), steps_S[np.argmax(loss_nS <= x, axis=1)], steps_S[-1])
        for x in limits
    }
    return {
        "final_loss": np.average(loss_nS[:, last], axis=1, weights=weights_S[last]),
        "smooth_loss": smoothed(loss_nS, weights_S),
        "loss_area": np.average(loss_nS, axis=1, weights=weights_S),
        **{name: np.where(np.isnan(loss_nS[:, -1]), np.nan, steps) for name, steps in reached.items()},
        "clip_share": np.average(clip_share_nS, axis=1, weights=weights_S),
    }


def smoothed(loss_nS: np.ndarray, weights_S: np.ndarray) -> np.ndarray:
    """The exponentially smoothed loss at the end; a row of k steps counts as k steps at its mean."""
    value_n = loss_nS[:, 0]
    for loss_n, steps in zip(loss_nS.T, weights_S, strict=True):
        kept = SMOOTHING**steps
        value_n = kept * value_n + (1 - kept) * loss_n
    return value_n


def seed_values(arm: ArmResult, metric: str) -> np.ndarray:
    """One number per seed [n]: a metric, a probe's last value, or `probe@step` at the probe nearest to that step.

    Raises: KeyError where the arm has neither.
    """
    name, _, step = metric.partition("@")
    if not step and name in arm.metrics:
        return arm.metrics[name]
    values_nQ = arm.probes[name]
    measured_Q = ~np.isnan(values_nQ).all(axis=0)
    steps = np.where(measured_Q, np.abs(arm.probe_steps - float(step or arm.probe_steps[-1])), np.inf)
    return values_nQ[:, np.argmin(steps)]


def is_text(probe: str) -> bool:
    """Whether a probe holds the ids of a text after one prompt, [n, Q, N], one decoder to a probe."""
    return probe.startswith("text_")


def measured_only(arm: ArmResult, probe: str) -> ArmResult:
    """The arm with one probe, at the steps at which it was taken."""
    values = arm.probes[probe]
    taken_Q = ~np.isnan(values).reshape(*values.shape[:2], -1).all(axis=(0, 2))
    return arm._replace(probe_steps=arm.probe_steps[taken_Q], probes={probe: values[:, taken_Q]})


def named(arms: Sequence[ArmResult], patterns: Sequence[str]) -> list[ArmResult]:
    """The arms that a list of patterns names, in the study's order. Raises: KeyError for a pattern that names none."""
    for pattern in patterns:
        if not any(fnmatchcase(arm.name, pattern) for arm in arms):
            raise KeyError(f"no arm is named {pattern!r}")
    return [arm for arm in arms if any(fnmatchcase(arm.name, pattern) for pattern in patterns)]

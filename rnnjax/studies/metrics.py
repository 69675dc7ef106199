"""One number per metric and seed, from the curves and probes of an arm; what each metric is."""

from collections.abc import Callable, Mapping

import jax
import numpy as np

from rnnjax.analysis.loss_spikes import first_jump, jump_rate, jump_recovery
from rnnjax.analysis.results import ArmResult, per_seed
from rnnjax.analysis.statistics import average_ranks
from rnnjax.networks.model import build_network
from rnnjax.probes.dynamics.units import unit_recovery
from rnnjax.probes.memory.symbol_recall import horizon_over_untrained
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import CORRELATION, SHARE, Metric, resolve_unit
from rnnjax.types import Facts, Probe

RECORD_METRICS = {  # rows of the record, one value for each `log_every` steps
    "loss": Metric("mean loss of the training windows, over what counts in them", "{loss}", "lower"),
    "gradient_norm": Metric("Euclidean norm of the whole gradient, before any clipping"),
    "clip_share": Metric("share of optimizer steps on which the gradient's norm exceeded clip_norm", range=SHARE),
    "update_norm": Metric("Euclidean norm of the change of all parameters in one optimizer step"),
    "objective": Metric("the optimised loss: `loss` after the study's reduction over the window", better="lower"),
    "rise": Metric(
        "1 where the objective of a row is above that of the row before, else 0", better="lower", range=SHARE
    ),
    "sharp_rise": Metric("1 where it is above by more than a twentieth, else 0", better="lower", range=SHARE),
}
OUTCOME_METRICS = {  # one value per seed, from the record, the reference losses and the settings
    "final_loss": Metric(
        "mean training loss of the last 1,000 optimizer steps, or of the last tenth of a training of less than 10,000",
        "{loss}",
        "lower",
    ),
    "final_loss_rows": Metric("rows of the training log behind `final_loss`, the same for all seeds"),
    "smooth_loss": Metric("s' = 0.999 s + 0.001 loss from the first row on, at the end of training", "{loss}", "lower"),
    "loss_area": Metric("mean training loss over all of training", "{loss}", "lower"),
    "clip_share": RECORD_METRICS["clip_share"],
    "clip_trend": Metric(
        "Spearman's correlation of the clip share with time, over 30 stretches of training", range=CORRELATION
    ),
    "jumps": Metric(
        "rows whose loss is more than 1 above the median of the 40 rows before, the first of each burst",
        "per 10,000 optimizer steps",
        "lower",
    ),
    "first_jump": Metric("end of the row of the first jump; missing where there is none", "optimizer steps", "higher"),
    "jump_recovery": Metric(
        "steps after a jump until the loss is back at the median before it; mean over jumps",
        "optimizer steps",
        "lower",
    ),
    "largest_norm": Metric("largest mean gradient norm of a row of the record, before any clipping"),
    "failed": Metric("1 where a run diverged or ended above the unigram loss, else 0", better="lower", range=SHARE),
    "below_chance": Metric("chance loss minus final_loss", "{loss}", "higher"),
    "parameters": Metric("number of trained parameters, the same for all seeds"),
    "weights": Metric("number of parameters in kernels (rank 2), without biases"),
    "characters_read": Metric("steps x window x batch: symbols or rows that training reads", "{symbols}"),
    "unit_recovery": Metric(
        "share of the units that were dead at an earlier probe and fire again at the last one",
        better="higher",
        range=SHARE,
    ),
    "horizon_over_untrained": Metric(
        "`horizon` at the end of training, where the accuracy must also exceed the untrained network's",
        "{symbols}",
        "higher",
    ),
    "drawn_radius": Metric("spectral radius of the recurrent kernel of fresh initialisations, not trained"),
}


def describe_values(probe: Probe | Facts, values: Mapping[str, np.ndarray]) -> dict[str, Metric]:
    """A description of each value of a probe; one that the probe does not describe is known by its rank alone."""
    return {
        name: probe.metrics.get(name, Metric("", kind="scalar" if value.ndim == 1 else "lag"))
        for name, value in values.items()
    }


THRESHOLD_METRIC = Metric(
    "optimizer steps until the mean loss of a row is first at most this; the length of training where it never is",
    "optimizer steps",
    "lower",
)


def training_metrics() -> dict[str, Metric]:
    """Every metric that does not come from a probe, by name."""
    return RECORD_METRICS | OUTCOME_METRICS | {threshold_name(x): THRESHOLD_METRIC for x in THRESHOLDS}


def with_metrics(arm: ArmResult, reference_losses: Mapping[str, float], sizes: Mapping[str, float]) -> ArmResult:
    """The arm with one number per metric and seed, from its curves and probes and what is given here.

    Args: reference_losses: of the arm's task. sizes: numbers that all seeds of the arm have in common.
    """
    arm = arm._replace(rows=arm.rows | rise_indicators(arm.rows.get("objective", arm.rows["loss"])))
    curves = curve_metrics(arm.rows["loss"], arm.rows["clip_share"], arm.row_steps, loss_thresholds(arm.loss))
    curves |= norm_metrics(arm.rows["gradient_norm"])
    outcome = outcome_metrics(curves["final_loss"], reference_losses)
    same = {name: np.full(len(arm.seeds), float(value)) for name, value in sizes.items()}
    last = {name: per_seed(arm, name) for name, values in arm.probes.items() if values.ndim == 2}
    own = {name: resolve_unit(metric, arm.loss, arm.token) for name, metric in training_metrics().items()}
    metrics = curves | outcome | same | last | derived_metrics(arm)
    return arm._replace(metrics=metrics, info=own | dict(arm.info))


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
    "unit_recovery": (("unit_dead",), unit_recovery),
    "horizon_over_untrained": (("memory_accuracy", "ngram_accuracy", "majority"), horizon_over_untrained),
}
"""Metric -> (the values of probes from which it follows, the function of these at all points of training)."""


def derived_metrics(arm: ArmResult) -> dict[str, np.ndarray]:
    """The metrics that need a probe's values at several points of training."""
    return {
        metric: function(*(from_untrained(arm, name) for name in needed))
        for metric, (needed, function) in DERIVED_METRICS.items()
        if arm.probes.keys() >= set(needed)
    }


def from_untrained(arm: ArmResult, probe: str) -> np.ndarray:
    """A probe's values at the steps at which it was taken; the first is of the untrained network, NaN if not taken."""
    taken_Q = arm.was_measured(probe)
    values = arm.probes[probe][:, taken_Q]
    if arm.probe_steps[taken_Q][:1].tolist() == [0]:
        return values
    return np.concatenate([np.full_like(values[:, :1], np.nan), values], axis=1)


def network_sizes(spec: Spec) -> dict[str, int]:
    """The parameters of a network, those of its kernels alone, and the steps of text or series that training reads."""
    leaves = jax.tree.leaves(jax.eval_shape(build_network(spec, HParams()).init, jax.random.key(0)))
    parameters = sum(leaf.size for leaf in leaves)
    weights = sum(leaf.size for leaf in leaves if leaf.ndim > 1)
    return dict(zip(SIZES, (parameters, weights, spec.steps * spec.window * spec.batch), strict=True))


def outcome_metrics(final_loss_n: np.ndarray, reference_losses: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The outcome of each seed, by the exact reference losses of its task.

    failed         1 where a run diverged or ended above the unigram level, else 0
    below_chance   chance level - final loss, where the task has one: what was learned
    """
    failed = ~(final_loss_n <= reference_losses.get("unigram", np.inf))
    learned = {"below_chance": reference_losses["chance"] - final_loss_n} if "chance" in reference_losses else {}
    return {"failed": failed.astype(float)} | learned


THRESHOLDS = (1.5, 1.2, 1.0)  # nats per character
FINAL_STEPS = 1_000
SMOOTHING = 0.999
SIZES = ("parameters", "weights", "characters_read")  # of an arm, the same for all its seeds
TREND_STRETCHES = 30


def loss_thresholds(loss: str) -> tuple[float, ...]:
    """The losses whose first crossing is timed; none for a series, which has units of its own."""
    return THRESHOLDS if loss == "cross_entropy" else ()


def threshold_name(loss: float) -> str:
    """The metric of the steps until a loss is reached."""
    return f"steps_to_{loss:g}"


def curve_metrics(
    loss_nS: np.ndarray, clip_share_nS: np.ndarray, steps_S: np.ndarray, limits: tuple[float, ...] = THRESHOLDS
) -> dict[str, np.ndarray]:
    """One number per seed from the record.

    final_loss     mean loss of the last 1,000 steps, or of the last tenth where that is shorter
    final_loss_rows  rows behind it
    smooth_loss    the loss smoothed by s' = 0.999 s + 0.001 loss from its first row on, at the end
    loss_area      mean loss over all of training
    steps_to_x     steps until the loss of a row first is <= x nats; the length of training where it never is
    clip_share     share of steps on which the clip fired
    clip_trend     Spearman's correlation of that share with time, over 30 stretches of training
    jumps          sudden rises of the loss per 10,000 steps, see `jumps`; first_jump, jump_recovery (steps)
    """
    weights_S = np.diff(steps_S, prepend=0)
    last = steps_S > steps_S[-1] - min(FINAL_STEPS, steps_S[-1] / 10)
    reached = {
        threshold_name(x): np.where((loss_nS <= x).any(1), steps_S[np.argmax(loss_nS <= x, axis=1)], steps_S[-1])
        for x in limits
    }
    return {
        "final_loss": np.average(loss_nS[:, last], axis=1, weights=weights_S[last]),
        "final_loss_rows": np.where(np.isnan(loss_nS[:, -1]), np.nan, float(last.sum())),
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
    ranks_nM = average_ranks(means_nM)
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

"""Indicators of gradients: which steps and streams have one, how it decays in time, which parameters have none."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.doctor.batch import Batch, last_counted
from rnnjax.doctor.indicators.layout import counted_padding, divided_by_padding, uncounted_targets
from rnnjax.doctor.indicators.types import Curve, Indicator, build_curve, per_network, per_stream
from rnnjax.doctor.segments import valid_steps
from rnnjax.types import Params

LAG = 4  # steps back in time over which decay and growth are measured
SMALLEST = 1e-38  # float32 ends there
SILENT = 1e-6  # of the largest stream's gradient: below this a stream has none


def coverage_indicators(values: dict[str, Any], batch: Batch) -> dict[str, Indicator]:
    """last_step: share of the objective's gradient at the last step; silent_streams: share of streams without one.

    last_step is absent if the loss counts at one step of each stream only, or of each sequence, or if it is padding.
    Streams without a step are not silent. padding_counted and uncounted: see `layout.counted_padding` and
    `layout.uncounted_targets`; the second is absent without a given loss mask.
    """
    if "coverage" not in values:
        return {}
    size_RTB = values["coverage"]
    streams_RB = size_RTB.sum(axis=1)
    has_steps_B = valid_steps(batch.segments_TB, size_RTB.shape[1:]).any(axis=0)
    silent_R = (streams_RB < SILENT * streams_RB.max(axis=1, keepdims=True))[:, has_steps_B].mean(axis=1)
    found = {"silent_streams": per_network(np.where(np.isnan(streams_RB).any(axis=1), np.nan, silent_R))}
    mask_TB = batch.loss_mask_TB
    masked = mask_TB is not None and bool(batch.mask_given)
    padding_R = counted_padding(size_RTB, batch, masked, values.get("outputs"))
    if batch.segments_TB is not None:
        padding_R = np.fmax(padding_R, divided_by_padding(values, batch))
    found["padding_counted"] = per_network(padding_R)
    of_padding = batch.segments_TB is not None and bool(np.nanmax(padding_R, initial=0) > 0)
    if (size_RTB.shape[1] if mask_TB is None else np.asarray(mask_TB).sum(axis=0).max()) > 1 and not of_padding:
        found["last_step"] = per_network(size_RTB[:, -1].sum(axis=1) / np.maximum(streams_RB.sum(axis=1), 1e-30))
    return found | ({"uncounted": per_network(uncounted_targets(size_RTB, batch))} if masked else {})


def decay_indicators(values: dict[str, Any], batch: Batch, memory_lag: int | None) -> dict[str, Indicator]:
    """Gradients back in time, from the last step of each stream that counts.

    gradient_decay = gradient_growth   log10 of the gradient 4 steps back over that of the last step
    window_growth                      the largest over all lags
    decay_at_answer                    at the lag on which the target depends most; absent without a long one
    window_decay                       over half of the window
    """
    if "state_gradients" not in values:
        return {}
    decay_RLB = log_decay(values["state_gradients"], batch)
    lags = longest_lag(decay_RLB)
    if lags == 0:
        return {}
    lag, half = min(LAG, lags), max(1, lags // 2)
    found = dict.fromkeys(("gradient_decay", "gradient_growth"), per_stream(decay_RLB[:, lag] / lag * LAG))
    found["window_growth"] = per_stream(decay_RLB[:, : lags + 1].max(axis=1))
    found["window_decay"] = per_stream(decay_RLB[:, half])
    if memory_lag is not None and memory_lag <= lags:
        found["decay_at_answer"] = per_stream(decay_RLB[:, memory_lag])
    return found


def longest_lag(decay_RLB: np.ndarray) -> int:
    """The largest lag that every stream has."""
    return int(np.isfinite(decay_RLB).all(axis=(0, 2)).sum()) - 1 if np.isfinite(decay_RLB).any() else 0


def gradient_remarks(values: dict[str, Any], batch: Batch, memory_lag: int | None) -> dict[str, str]:
    """A remark where a gradient 4 steps back is below float32; the lags of the others."""
    if "state_gradients" not in values:
        return {}
    decay_RLB = log_decay(values["state_gradients"], batch)
    lags = longest_lag(decay_RLB)
    gradients_RTB = aligned_gradients(values["state_gradients"], batch)
    lost = (gradients_RTB[:, ::-1][:, : LAG + 1] == 0).any()
    remarks = {"gradient_decay": f"at most: a gradient below {SMALLEST:g} counts as {SMALLEST:g}"} if lost else {}
    if lags > 0:
        highest = int(np.argmax(np.nan_to_num(decay_RLB[:, : lags + 1].mean(axis=(0, 2)), nan=-np.inf)))
        remarks["window_growth"] = f"{highest} steps back"
        remarks["window_decay"] = f"{max(1, lags // 2)} steps back"
    if memory_lag is not None:
        remarks["decay_at_answer"] = f"the target depends most on the input {memory_lag} steps before"
    return remarks


def log_decay(gradients_RTB: np.ndarray, batch: Batch) -> np.ndarray:
    """log10 of |d l_T / d c_{T-1-k}| over that at k = 0, by lag k: [R, L, B]; 0 counts as the smallest float32.

    T is the last step of the stream that counts; NaN for lags before its start.
    """
    logs = np.log10(np.maximum(aligned_gradients(gradients_RTB, batch)[:, ::-1], SMALLEST))
    return np.asarray(logs - logs[:, :1])


def aligned_gradients(gradients_RTB: np.ndarray, batch: Batch) -> np.ndarray:
    """Gradients moved so that the last step that counts is the last of all; NaN in front."""
    gradients_RTB = np.asarray(gradients_RTB, float)
    if batch.loss_mask_TB is None:
        return gradients_RTB
    last_B = last_counted(batch)
    aligned = np.full_like(gradients_RTB, np.nan)
    for stream, last in enumerate(last_B):
        aligned[:, len(aligned[0]) - 1 - last :, stream] = gradients_RTB[:, : last + 1, stream]
    return aligned


def gradient_curves(values: dict[str, Any], batch: Batch) -> dict[str, Curve]:
    """The gradient by step of the window, and by lag."""
    curves = {}
    if "coverage" in values:
        size_RTB = values["coverage"]
        share_RTB = size_RTB / np.maximum(size_RTB.sum(axis=1, keepdims=True), 1e-30)
        curves["last_step"] = build_curve(share_RTB, "step of the window", "share of the gradient by the outputs")
    if "state_gradients" in values:
        decay_RLB = log_decay(values["state_gradients"], batch)
        decay_RLB = decay_RLB[:, : max(1, longest_lag(decay_RLB) + 1)]
        lags = np.arange(decay_RLB.shape[1])
        decay = build_curve(decay_RLB, "lag, steps back in time", "log10 of the gradient", lags)
        names = ("gradient_decay", "gradient_growth", "window_growth", "window_decay", "decay_at_answer")
        curves |= dict.fromkeys(names, decay)
    return curves


def untrained_parameters(
    gradients: Any, params: Params, before: Params | None, exempt: tuple[str, ...]
) -> tuple[np.ndarray, list[str]]:
    """Share [R] of parameter arrays without a gradient or without a change since `before`; names of those in all runs.

    Args: exempt: top-level names of parameters that a window from a given state gives no gradient.
    """
    still = {
        path_name(path): np.asarray(size_R) == 0 for path, size_R in jax.tree_util.tree_leaves_with_path(gradients)
    }
    if before is not None:
        equal = jax.tree.map(is_unchanged, params, before)
        for path, equal_R in jax.tree_util.tree_leaves_with_path(equal):
            if path_name(path) in still:  # arrays of integers have no gradient
                still[path_name(path)] = still[path_name(path)] | equal_R
    still = {name: values_R for name, values_R in still.items() if name.split("/")[0] not in exempt}
    table = np.array(list(still.values()))
    return table.mean(axis=0), [name for name, row in zip(still, table, strict=True) if row.all()]


def is_unchanged(now: Array, before: Array) -> np.ndarray:
    return np.asarray(jnp.all(now == before, axis=tuple(range(1, now.ndim))))


def path_name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")

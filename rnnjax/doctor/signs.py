"""From looks to signs: one number for each run, or for each stream where there is one run, and curves to draw."""

from typing import Any, NamedTuple

import numpy as np

from rnnjax.doctor.batch import Batch, chance, counts

LAG = 4  # steps back at which fading and growing gradients are judged
SAME = 1e-3  # a change of the outputs below this share of the largest one is none


class Sign(NamedTuple):
    """A measured number with the axis over which its interval goes."""

    values_n: np.ndarray
    over: str  # runs, streams, or network: one number of one network


class Curve(NamedTuple):
    """What a sign was read from, to be drawn."""

    x_m: np.ndarray
    values_nm: np.ndarray
    over: str
    x_title: str
    y_title: str


class Levels(NamedTuple):
    """What is known of a loss."""

    floor: float  # the least that can be expected; 0 where everything could be foreseen: then nobody is ever at it
    held_out: bool = False  # it is of the held-out batch


class Signs(NamedTuple):
    values: dict[str, Sign]
    curves: dict[str, Curve]
    remarks: dict[str, str]  # by sign: what else is to be said, such as the names of frozen parameters


def of_streams(values_RB: np.ndarray) -> Sign:
    """The means of each run, where there are several, else every stream's."""
    values_RB = np.asarray(values_RB, float)
    return Sign(values_RB.mean(axis=1), "runs") if len(values_RB) > 1 else Sign(values_RB[0], "streams")


def of_networks(values_R: np.ndarray) -> Sign:
    return Sign(np.asarray(values_R, float), "runs" if len(values_R) > 1 else "network")


def curve(values_RTB: np.ndarray, x_title: str, y_title: str, x_m: np.ndarray | None = None) -> Curve:
    """Along the middle axis, over runs or streams."""
    many = len(values_RTB) > 1
    values_nm = values_RTB.mean(axis=2) if many else values_RTB[0].T
    x_m = np.arange(1, values_nm.shape[1] + 1) if x_m is None else x_m
    return Curve(x_m, values_nm, "runs" if many else "streams", x_title, y_title)


def read_signs(found: dict[str, Any], batch: Batch, held_out: Batch | None, levels: Levels | None) -> Signs:
    """The signs in what `looks` has seen of R networks; NaN where there is nothing to see."""
    usual, found = chance(batch) or np.nan, finite_only(found)  # of targets that do not vary nothing is a share
    values = {
        "finite": of_networks(1.0 - found["finite"]),
        "loss": of_streams(found["loss"]),
        "of_chance": of_networks(found["loss"].mean(axis=1) / usual),
        "identical": of_streams(found["spread"]),
        "distribution": of_streams(found["distribution"]) if batch.kind == "cross_entropy" else None,
        "stale": of_streams((found["loss"] - found["fresh_loss"]) / usual),
        **dependence_signs(found),
        **data_signs(batch),
        **coverage_signs(found, batch),
    }
    curves: dict[str, Curve] = {}
    if "coverage" in found:
        size_RTB = found["coverage"]
        share = size_RTB / np.maximum(size_RTB.sum(axis=1, keepdims=True), 1e-30)
        curves["last_step"] = curve(share, "step of the window", "share of the gradient by the outputs")
    if "fading" in found:
        by_lag = faded(found["fading"])
        lags = np.arange(by_lag.shape[1])
        curves["fading"] = curves["growing"] = curve(by_lag, "lag, steps back in time", "log10 of the gradient", lags)
        at = min(LAG, by_lag.shape[1] - 1)
        if at > 0:
            values["fading"] = values["growing"] = of_streams(by_lag[:, at] / at * LAG)
        values["saturated"], values["dead"] = of_streams(found["saturated"]), of_networks(found["dead"])
    if held_out is not None:
        ahead = found["held_out_loss"] - found["loss"].mean(axis=1, keepdims=True)
        values["gap"] = of_streams(ahead / usual)
        values["held_out_loss"] = of_streams(found["held_out_loss"])
    if levels is not None and levels.floor > 0:
        loss = found["held_out_loss" if levels.held_out else "loss"]
        values["above_floor"] = of_streams(loss / levels.floor - 1)
    rows = by_row(found)
    curves["row_leak"] = Curve(np.arange(1, rows.shape[1] + 1), rows, "runs", "stream", "change of its outputs")
    return Signs({name: sign for name, sign in values.items() if sign is not None}, curves, {})


def finite_only(found: dict[str, Any]) -> dict[str, Any]:
    """What was seen [R, ...]; NaN for what is not finite, and for all of a network that has left the finite numbers."""
    whole_R = np.asarray(found["finite"], bool)

    def kept(values_R: Any) -> np.ndarray:
        values_R = np.asarray(values_R, float)
        whole = whole_R.reshape(-1, *[1] * (values_R.ndim - 1)) & np.isfinite(values_R)
        return np.where(whole, values_R, np.nan)

    return {name: values if name in ("finite", "gradients") else kept(values) for name, values in found.items()}


def by_row(found: dict[str, Any]) -> np.ndarray:
    """How much the outputs of each stream [R, B] change with the middle one's inputs, as a share of the largest."""
    change_RB = found["changed_by_row"].max(axis=1)
    return np.asarray(change_RB / np.maximum(change_RB.max(axis=1, keepdims=True), 1e-30))


def dependence_signs(found: dict[str, Any]) -> dict[str, Sign]:
    """row_leak, memory, future: changes elsewhere over the largest change; deaf: 1 where no input changes anything."""
    rows_RB = by_row(found)
    middle = rows_RB.shape[1] // 2
    times_RT = found["changed_by_time"].max(axis=2)
    at = times_RT.shape[1] // 2
    any_R = np.maximum(times_RT.max(axis=1), found["changed_by_row"].max(axis=(1, 2)))
    largest_R = np.maximum(times_RT.max(axis=1), 1e-30)
    heard_R = any_R > 1e-5
    ratios = {
        "row_leak": np.delete(rows_RB, middle, axis=1).max(axis=1, initial=0),
        "memory": times_RT[:, at + 1 :].max(axis=1, initial=0) / largest_R,
        "future": times_RT[:, :at].max(axis=1, initial=0) / largest_R,
    }
    if at + 1 == times_RT.shape[1]:
        del ratios["memory"]  # no later step to see it at
    hidden = {name: of_networks(np.where(heard_R, ratio, np.nan)) for name, ratio in ratios.items()}
    return hidden | {"deaf": of_networks(np.where(np.isnan(any_R), np.nan, ~heard_R))}


def data_signs(batch: Batch) -> dict[str, Sign | None]:
    """target_leak: share of targets that stand in the input; size: |log10| of the largest column's root mean square."""
    inputs, targets = np.asarray(batch.inputs), np.asarray(batch.targets)
    if inputs.ndim == 2:
        same = targets.ndim == 2
        return {"target_leak": Sign((inputs == targets).mean(axis=0), "streams") if same else None}
    large = [np.sqrt(np.mean(inputs.astype(float) ** 2, axis=0)).max(axis=-1)]
    if targets.ndim == 3:
        large.append(np.sqrt(np.mean(targets.astype(float) ** 2, axis=0)).max(axis=-1))
    codes = np.isin(inputs, (0, 1)).all() and targets.ndim == 2
    sizes_B = np.max([np.abs(np.log10(np.maximum(one, 1e-12))) for one in large], axis=0)
    found: dict[str, Sign | None] = {"size": None if codes else Sign(sizes_B, "streams")}
    if targets.ndim == 3 and float(np.ptp(targets)) > 0:
        close = np.abs(inputs[..., :, None] - targets[..., None, :]) <= 1e-6 * np.abs(targets[..., None, :]) + 1e-12
        counted = counts(batch)
        share = (close & counted[..., None, None]).sum(axis=0) / np.maximum(counted.sum(axis=0), 1)[:, None, None]
        found["target_leak"] = Sign(share.max(axis=(1, 2)), "streams")
    return found


def coverage_signs(found: dict[str, Any], batch: Batch) -> dict[str, Sign | None]:
    """last_step: share of the objective's gradient at the last step; silent_streams: 1 where a stream has none."""
    if "coverage" not in found:
        return {}
    size_RTB = found["coverage"]
    of_stream_RB = size_RTB.sum(axis=1)
    none_R = (of_stream_RB < 1e-6 * of_stream_RB.max(axis=1, keepdims=True)).mean(axis=1)
    silent = of_networks(np.where(np.isnan(of_stream_RB).any(axis=1), np.nan, none_R))
    steps = size_RTB.shape[1]
    counted = steps if batch.counted_TB is None else np.asarray(batch.counted_TB).sum(axis=0).max()
    last = size_RTB[:, -1].sum(axis=1) / np.maximum(of_stream_RB.sum(axis=1), 1e-30)
    return {"last_step": of_networks(last) if counted > 1 else None, "silent_streams": silent}


def faded(fading_RTB: np.ndarray) -> np.ndarray:
    """log10 of |d l_T / d c_{T-1-k}| over that at k = 0, by lag k: [R, L, B]."""
    logs = np.log10(np.maximum(fading_RTB[:, ::-1], 1e-38))
    return np.asarray(logs - logs[:, :1])

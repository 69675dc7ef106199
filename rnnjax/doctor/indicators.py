"""From looks to signs: one number for each run, or for each stream where there is one run, and curves to draw."""

from typing import Any, NamedTuple

import numpy as np

from rnnjax.doctor.batch import Batch, chance, counts, is_ids

LAG = 4  # steps back at which fading and growing gradients are judged
SAME = 1e-3  # a change of the outputs below this share of the largest one is none
FEWEST_CHANGES = 10  # of a target; that an input has foretold fewer may be chance


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


class Floor(NamedTuple):
    """The least loss that can be expected."""

    loss: float  # 0 where everything could be foreseen: then nobody is ever at it
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


def read_signs(found: dict[str, Any], batch: Batch, held_out: Batch | None, floor: Floor | None) -> Signs:
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
    if floor is not None and floor.loss > 0:
        loss = found["held_out_loss" if floor.held_out else "loss"]
        values["above_floor"] = of_streams(loss / floor.loss - 1)
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
    """target_leak: as `held`; size: |log10| of the root mean square of the largest column.

    Of the inputs all steps are read, of the targets those that count. What is 0 or 1 everywhere is a code and has no
    size; no target leaks where one is an id and the other a number.
    """
    inputs, targets, loss_mask_TB = np.asarray(batch.inputs), np.asarray(batch.targets), counts(batch)
    rows = [each.astype(float) for each in (inputs, targets[loss_mask_TB]) if not is_ids(each) and not is_code(each)]
    sizes = [np.sqrt(np.mean(each**2, axis=tuple(range(each.ndim - 1)))).max() for each in rows]
    found = {"size": np.abs(np.log10(np.maximum(sizes, 1e-12))).max()} if sizes else {}
    if is_ids(inputs) == is_ids(targets):
        found["target_leak"] = held(inputs, targets, loss_mask_TB)
    return {name: Sign(np.array([value]), "network") for name, value in found.items()}


def is_code(values: np.ndarray) -> bool:
    return bool(np.isin(values, (0, 1)).all())


def held(inputs: np.ndarray, targets: np.ndarray, loss_mask_TB: np.ndarray) -> float:
    """How much of its best held target column the inputs already hold: the largest share over pairs of columns.

    The share of the steps at which an input equals the target, and also, where it is less, that of the steps at which
    the target is another than at the step before: a column that hardly changes equals itself one step earlier.

    Args: ids [T, B], or numbers [T, B, D] and [T, B, O]. Returns: NaN where no column changes at 10 steps that count.
    """
    if is_ids(inputs):
        inputs, targets = inputs[..., None], targets[..., None]
    best = np.nan
    changes_TBO = np.diff(targets, axis=0, prepend=targets[:1]) != 0
    for o in range(targets.shape[-1]):
        target_TB1, changed_TB = targets[..., o, None], changes_TBO[..., o] & loss_mask_TB
        if changed_TB.sum() >= FEWEST_CHANGES:
            same_TBD = np.abs(inputs - target_TB1) <= 1e-6 * np.abs(target_TB1) + 1e-12
            shares_D = np.minimum(same_TBD[loss_mask_TB].mean(axis=0), same_TBD[changed_TB].mean(axis=0))
            best = np.fmax(best, shares_D.max())
    return float(best)


def coverage_signs(found: dict[str, Any], batch: Batch) -> dict[str, Sign | None]:
    """last_step: share of the objective's gradient at the last step; silent_streams: 1 where a stream has none."""
    if "coverage" not in found:
        return {}
    size_RTB = found["coverage"]
    of_stream_RB = size_RTB.sum(axis=1)
    none_R = (of_stream_RB < 1e-6 * of_stream_RB.max(axis=1, keepdims=True)).mean(axis=1)
    silent = of_networks(np.where(np.isnan(of_stream_RB).any(axis=1), np.nan, none_R))
    steps = size_RTB.shape[1]
    counted = steps if batch.loss_mask_TB is None else np.asarray(batch.loss_mask_TB).sum(axis=0).max()
    last = size_RTB[:, -1].sum(axis=1) / np.maximum(of_stream_RB.sum(axis=1), 1e-30)
    return {"last_step": of_networks(last) if counted > 1 else None, "silent_streams": silent}


def faded(fading_RTB: np.ndarray) -> np.ndarray:
    """log10 of |d l_T / d c_{T-1-k}| over that at k = 0, by lag k: [R, L, B]."""
    logs = np.log10(np.maximum(fading_RTB[:, ::-1], 1e-38))
    return np.asarray(logs - logs[:, :1])

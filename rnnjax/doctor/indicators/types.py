"""An indicator, the curve behind it, and how values of R networks become one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

COMPARISONS = (  # of outputs and targets
    "loss", "held_out_loss", "loss_over_chance", "above_windows", "identical", "stale", "gap", "held_out_over_chance",
    "held_out_ratio", "above_floor", "over_persistence", "over_linear", "linear_gain", "foreseeable", "out_of_range",
    "range",
)  # fmt: skip


class Indicator(NamedTuple):
    """A measured number with the axis over which its interval is taken."""

    values_n: np.ndarray
    over: str  # runs, streams, or network: one number of one network


class Curve(NamedTuple):
    """The curve behind an indicator, for the figure of a finding."""

    x_m: np.ndarray
    values_nm: np.ndarray
    over: str
    x_title: str
    y_title: str


class Floor(NamedTuple):
    """A lower bound of the loss."""

    loss: float  # 0: the targets are fully predictable, and no network counts as being at the floor
    held_out: bool = False  # the bound of the held-out batch, not of the training batch


class Reason(NamedTuple):
    """Why an indicator has no value."""

    text: str
    applies: bool = True  # False: the condition cannot occur in a network of this kind


class Indicators(NamedTuple):
    """All indicators of R networks, by name."""

    values: dict[str, Indicator]
    curves: Mapping[str, Curve] = MappingProxyType({})
    remarks: Mapping[str, str] = MappingProxyType({})  # details, such as the names of frozen parameters
    levels: Mapping[str, float] = MappingProxyType({})  # losses of simple predictors
    reasons: Mapping[str, Reason] = MappingProxyType({})  # of indicators without a value


def per_stream(values_RB: np.ndarray) -> Indicator:
    """The mean of each run if there are several, else the value of every stream."""
    values_RB = np.asarray(values_RB, float)
    return Indicator(values_RB.mean(axis=1), "runs") if len(values_RB) > 1 else Indicator(values_RB[0], "streams")


def per_network(values_R: np.ndarray) -> Indicator:
    """One value per network."""
    return Indicator(np.asarray(values_R, float), "runs" if len(values_R) > 1 else "network")


def build_curve(values_RTB: np.ndarray, x_title: str, y_title: str, x_m: np.ndarray | None = None) -> Curve:
    """The curve along the middle axis, one line per run, or per stream of a single run."""
    several = len(values_RTB) > 1
    values_nm = values_RTB.mean(axis=2) if several else values_RTB[0].T
    x_m = np.arange(1, values_nm.shape[1] + 1) if x_m is None else x_m
    return Curve(x_m, values_nm, "runs" if several else "streams", x_title, y_title)

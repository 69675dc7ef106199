"""Closed-loop forecasts of series: whether they converge to a constant, become periodic or escape."""

from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.networks.model import require_unidirectional
from rnnjax.networks.sampling import forecast
from rnnjax.probes.generation.free_running import LENGTH, LONGEST_PERIOD, LOOP_TAIL
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import SHARE, Metric
from rnnjax.tasks.series_layout import is_plain
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.state import TrainState
from rnnjax.types import Probe, Task

PROMPTS = 16
STANDSTILL = 0.05  # of the target's deviation
SAME = 1e-3  # of it: values with at most this difference count as equal
ESCAPE = 10.0  # of it: a larger distance from the target's mean is an escape

CLOSED_LOOP_METRICS = {
    "standstill_rate": Metric(
        f"share of prompts after which the standard deviation of every column falls below {STANDSTILL:g} of the "
        "target's",
        better="lower",
        range=SHARE,
    ),
    "return_rate": Metric(
        f"share of prompts after which the forecast has, without standing still, a period p <= {LONGEST_PERIOD}: "
        f"|y_n - y_(n-p)| <= {SAME:g} standard deviations of the target",
        range=SHARE,
    ),
    "closed_loop_failure": Metric(
        "share of prompts after which the forecast stands still or has an exact period; NaN where the target does",
        better="lower",
        range=SHARE,
    ),
    "closed_loop_period": Metric("mean exact period of the forecasts that have one", unit="time steps"),
    "closed_loop_spread": Metric("mean standard deviation of the forecasts over that of the target"),
    "escape_rate": Metric(
        f"share of prompts after which the forecast leaves the target's mean by more than {ESCAPE:g} of its standard "
        "deviations, or is not finite",
        better="lower",
        range=SHARE,
    ),
}


def closed_loop(spec: Spec, task: Task) -> Probe:
    """Closed-loop forecasts of 500 steps after each of 16 held-out windows, judged by their last 200 steps.

    Values: see CLOSED_LOOP_METRICS. All columns of a series must stand still, or be periodic, together.

    Raises:
        NotApplicable: no series, or swapped axes. BadInput: the held-out part is shorter than a window.
    """
    require_unidirectional(spec)
    if not task.columns or task.axes_swapped or (task.layout is not None and not is_plain(task.layout)):
        raise NotApplicable(
            f"task.name: got '{spec.task.name}'; expected 'series', one row read and predicted at a time, for "
            "a probe of closed-loop forecasts"
        )
    prompts_TPD = spread_windows(task.make_sequence(task.validation_N), spec.window, PROMPTS).inputs_WTB[0]
    target_NO = task.make_sequence(task.train_N).targets_N
    target_mean_O, target_scale_O = target_NO.mean(axis=0), target_NO.std(axis=0)
    input_mean_1O, input_scale_1O = (
        np.array(values, np.float32)[None] for values in (task.target_mean_O, task.target_scale_O)
    )
    feedback_transform = (
        partial(to_input_units, input_mean_1O, input_scale_1O) if spec.task.standardise == "targets" else None
    )
    target_loops = (
        loop_statistics((target_NO[-LOOP_TAIL:, None] - target_mean_O) / target_scale_O)
        if len(target_NO) >= LOOP_TAIL
        else None
    )

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        forecast_NPO = forecast(spec, hp, state.params, jnp.asarray(prompts_TPD), LENGTH, feedback_transform)
        return {"forecast": (forecast_NPO[-LOOP_TAIL:] - target_mean_O[None, None]) / target_scale_O[None, None]}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        runs = [closed_loop_values(forecast_NPO) for forecast_NPO in values["forecast"]]
        found = {name: np.array([run[name] for run in runs], np.float32) for name in runs[0]}
        if target_loops is not None and target_loops["failed"].any():
            found["closed_loop_failure"] = np.full_like(found["closed_loop_failure"], np.nan)
        return found

    return Probe(measure, summarise, CLOSED_LOOP_METRICS)


def to_input_units(target_mean_1O: np.ndarray, target_scale_1O: np.ndarray, outputs_PO: Array) -> Array:
    """Standardised outputs in the raw units of the inputs."""
    return outputs_PO * target_scale_1O + target_mean_1O


def closed_loop_values(forecast_NPO: np.ndarray) -> dict[str, float]:
    """CLOSED_LOOP_METRICS of P forecasts [N, P, O], centred and scaled by the target's mean and deviation."""
    loops = loop_statistics(forecast_NPO)
    returns_P = loops["period"] > 0
    with np.errstate(over="ignore", invalid="ignore"):
        away_P = ~(np.abs(forecast_NPO).max(axis=(0, 2)) <= ESCAPE)
        spread = float(np.mean(forecast_NPO.std(axis=0)))
    return {
        "standstill_rate": float(np.mean(loops["still"])),
        "return_rate": float(np.mean(returns_P)),
        "closed_loop_failure": float(np.mean(loops["failed"])),
        "closed_loop_period": float(np.mean(loops["period"][returns_P])) if returns_P.any() else np.nan,
        "closed_loop_spread": spread,
        "escape_rate": float(np.mean(away_P)),
    }


def loop_statistics(forecast_NPO: np.ndarray) -> dict[str, np.ndarray]:
    """Of P series: `still`, the exact `period` (0 = none, or still) and `failed` = either of the two; [P] each."""
    with np.errstate(over="ignore", invalid="ignore"):
        still_P = (forecast_NPO.std(axis=0) < STANDSTILL).all(axis=1)
        period_P = np.where(still_P, 0, exact_period(forecast_NPO))
    return {"still": still_P, "period": period_P, "failed": still_P | (period_P > 0)}


def exact_period(forecast_NPO: np.ndarray) -> np.ndarray:
    """The smallest p in 1..50 with |y_n - y_{n-p}| <= 1e-3 throughout, for each of P; 0 = none. [N, P, O] -> [P]."""
    period_P = np.zeros(forecast_NPO.shape[1], int)
    for period in range(LONGEST_PERIOD, 0, -1):  # downwards: the smallest period is written last
        with np.errstate(invalid="ignore"):
            gaps_P = np.abs(forecast_NPO[period:] - forecast_NPO[:-period]).max(axis=(0, 2))
        period_P[gaps_P <= SAME] = period
    return period_P

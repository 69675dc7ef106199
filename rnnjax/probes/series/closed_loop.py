"""A network of a series that goes on from its own output: whether that stands still or goes round."""

from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.networks.model import require_unidirectional
from rnnjax.networks.sampling import forecast
from rnnjax.probes.generation.free_running import LENGTH, LONGEST_PERIOD, LOOP_TAIL
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.state import TrainState
from rnnjax.types import Probe, Task

PROMPTS = 16
STANDSTILL = 0.05  # of the target's deviation
SAME = 1e-3  # of it: values no further apart count as equal
ESCAPE = 10.0  # of it: further than that from the target's mean is no longer the series


def closed_loop(spec: Spec, task: Task) -> Probe:
    """500 steps on its own output after each of 16 held-out windows; what is judged is their last 200.

    standstill_rate      share of prompts after which the deviation of a column falls below 5% of the target's
    return_rate          share after which the rest has an exact period of at most 50: no value differs by more than
                         1e-3 deviations of the target from the one a period before. What stands still has none.
    closed_loop_failure  share with one of the two; NaN where the target's own last 200 values have one of them
    closed_loop_period   the mean period of those that have one, NaN without
    closed_loop_spread   mean deviation, in those of the target
    escape_rate          share that comes further than 10 deviations from the target's mean, or is not finite
    All columns of a series must stand still or return together.

    Raises:
        NotApplicable: no series, or swapped axes. BadInput: the held-out part is shorter than a window.
    """
    require_unidirectional(spec)
    if not task.columns or task.axes_swapped:
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected 'series' for a probe of its own forecasts")
    prompts_TPD = spread_windows(task.make_sequence(task.validation_N), spec.window, PROMPTS).inputs_WTB[0]
    target_NO = task.make_sequence(task.train_N).targets_N
    target_mean_O, target_scale_O = target_NO.mean(axis=0), target_NO.std(axis=0)
    own_mean_1O, own_unit_1O = (
        np.array(values, np.float32)[None] for values in (task.target_mean_O, task.target_scale_O)
    )
    feedback_transform = partial(in_own_units, own_mean_1O, own_unit_1O) if spec.task.standardise == "targets" else None
    itself = (
        fates((target_NO[-LOOP_TAIL:, None] - target_mean_O) / target_scale_O) if len(target_NO) >= LOOP_TAIL else None
    )

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        said_NPO = forecast(spec, hp, state.params, jnp.asarray(prompts_TPD), LENGTH, feedback_transform)
        return {"said": (said_NPO[-LOOP_TAIL:] - target_mean_O[None, None]) / target_scale_O[None, None]}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        runs = [shares(said_NPO) for said_NPO in values["said"]]
        found = {name: np.array([run[name] for run in runs], np.float32) for name in runs[0]}
        if itself is not None and itself["failed"].any():
            found["closed_loop_failure"] = np.full_like(found["closed_loop_failure"], np.nan)
        return found

    return Probe(measure, summarise)


def in_own_units(target_mean_1O: np.ndarray, target_scale_1O: np.ndarray, said_PO: Array) -> Array:
    """What was said, as a network reads it that sees raw numbers."""
    return said_PO * target_scale_1O + target_mean_1O


def shares(said_NPO: np.ndarray) -> dict[str, float]:
    """The values of the probe, from P ends of series in deviations from the target's mean."""
    fate = fates(said_NPO)
    returns_P = fate["period"] > 0
    with np.errstate(over="ignore", invalid="ignore"):
        away_P = ~(np.abs(said_NPO).max(axis=(0, 2)) <= ESCAPE)
        spread = float(np.mean(said_NPO.std(axis=0)))
    return {
        "standstill_rate": float(np.mean(fate["still"])),
        "return_rate": float(np.mean(returns_P)),
        "closed_loop_failure": float(np.mean(fate["failed"])),
        "closed_loop_period": float(np.mean(fate["period"][returns_P])) if returns_P.any() else np.nan,
        "closed_loop_spread": spread,
        "escape_rate": float(np.mean(away_P)),
    }


def fates(said_NPO: np.ndarray) -> dict[str, np.ndarray]:
    """Of P ends of series: `still`, the exact `period` (0 = none, or still) and `failed`, one of the two; [P] each."""
    with np.errstate(over="ignore", invalid="ignore"):
        still_P = (said_NPO.std(axis=0) < STANDSTILL).all(axis=1)
        period_P = np.where(still_P, 0, exact_period(said_NPO))
    return {"still": still_P, "period": period_P, "failed": still_P | (period_P > 0)}


def exact_period(said_NPO: np.ndarray) -> np.ndarray:
    """The smallest p in 1..50 with |y_n - y_{n-p}| <= 1e-3 throughout, for each of P; 0 = none. [N, P, O] -> [P]."""
    period_P = np.zeros(said_NPO.shape[1], int)
    for period in range(LONGEST_PERIOD, 0, -1):  # downwards: the smallest one is written last
        with np.errstate(invalid="ignore"):
            gaps_P = np.abs(said_NPO[period:] - said_NPO[:-period]).max(axis=(0, 2))
        period_P[gaps_P <= SAME] = period
    return period_P

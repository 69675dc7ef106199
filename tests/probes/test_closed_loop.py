"""Series that stand still, return or wander, and networks that do so by construction."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probe_values import H, spec_of, values_of

from rnnjax.errors import NotApplicable
from rnnjax.probes.series.closed_loop import closed_loop, closed_loop_values, exact_period, loop_statistics
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.tasks import TASKS
from rnnjax.training.state import init_state
from rnnjax.types import Params, Task

STEPS = np.arange(200)
RISING = np.linspace(-1, 1, 200)


def planted(*rows: np.ndarray) -> np.ndarray:
    """Ends of series of one column: [200, P, 1]."""
    return np.stack(rows, axis=1)[:, :, None].astype(np.float32)


def wave(period: float, size: float = 1.0) -> np.ndarray:
    return size * np.sin(2 * np.pi * STEPS / period)


@pytest.mark.parametrize("period", [2, 7, 50])
def test_a_planted_period_is_found(period: int) -> None:
    cycle = np.random.default_rng(period).normal(size=period)
    assert exact_period(planted(np.resize(cycle, 200))).tolist() == [period]
    longer = np.resize(np.random.default_rng(1).normal(size=51), 200)
    assert exact_period(planted(longer, longer * np.nan)).tolist() == [0, 0]


def test_a_period_is_exact_to_a_thousandth_and_holds_for_all_columns() -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, 200)
    near = planted(wave(20) + 4e-4 * noise, wave(20) + 4e-3 * noise, wave(np.sqrt(410)))
    assert exact_period(near).tolist() == [20, 0, 0]
    both = np.concatenate([planted(wave(4)), planted(wave(10))], axis=2)
    assert exact_period(both).tolist() == [20]


def test_loop_statistics_and_values_by_hand() -> None:
    ends = planted(wave(20), wave(20, 0.06), wave(20, 1e-4), 3 + 0 * RISING, RISING, 11 * RISING)
    found = loop_statistics(ends)
    assert found["still"].tolist() == [False, True, True, True, False, False]  # 0.06 / sqrt(2) is below 0.05
    assert found["period"].tolist() == [20, 0, 0, 0, 0, 0]
    assert found["failed"].tolist() == [True, True, True, True, False, False]
    values = closed_loop_values(ends)
    assert values["closed_loop_failure"] == pytest.approx(4 / 6)
    assert (values["standstill_rate"], values["return_rate"]) == pytest.approx((3 / 6, 1 / 6))
    assert (values["closed_loop_period"], values["escape_rate"]) == pytest.approx((20, 1 / 6))
    assert values["closed_loop_spread"] == pytest.approx(np.mean(ends.std(axis=0)), rel=1e-5)
    assert closed_loop_values(ends * np.nan)["escape_rate"] == 1


def memoryless(spec: Spec, factor: float, shift: float = 0.0) -> Params:
    """y = factor * x + shift."""
    params = jax.tree.map(jnp.zeros_like, init_state(spec, HParams()).params)
    params["layer_0"]["kernel"] = jnp.ones((1, H))
    return params | {"readout": {"kernel": jnp.full((H, 1), factor / H), "bias": jnp.full(1, shift)}}


def task_of(**fields: Any) -> Task:
    return TASKS["series"](TaskSpec(name="series", series="walk", length=600, validation=0.5, **fields), None)


@pytest.mark.parametrize(
    ("factor", "rates"),
    [(0.9, (1, 0, 0)), (1.0, (1, 0, 0)), (-1.0, (0, 1, 0)), (1.1, (0, 0, 1))],  # still, returns, escapes
)
def test_a_network_that_reads_itself(factor: float, rates: tuple[int, ...]) -> None:
    """y = f x: it dies out, stands, turns over and over, or runs away."""
    task = task_of()
    spec = spec_of(task)
    values = values_of(closed_loop(spec, task), spec, memoryless(spec, factor))
    assert (values["standstill_rate"], values["return_rate"], values["escape_rate"]) == pytest.approx(rates, abs=0.2)
    assert values["closed_loop_failure"] == pytest.approx(rates[0] + rates[1], abs=0.13)
    if factor == -1:
        assert values["closed_loop_period"] == 2


def test_a_network_that_reads_raw_numbers_reads_itself_in_them() -> None:
    """y = (x - mean) / unit says again what it read, in the target's unit: it stands still, wherever it is."""
    task = task_of(standardise="targets", offset=1_000.0)
    spec = spec_of(task, task=TaskSpec(name="series", standardise="targets"))
    (mean,), (unit,) = task.target_mean_O, task.target_scale_O
    values = values_of(closed_loop(spec, task), spec, memoryless(spec, 1 / unit, -mean / unit))
    assert (values["standstill_rate"], values["escape_rate"]) == (1, 0)
    forgetful = spec_of(task)  # takes the task for one whose inputs are standardised
    assert (
        values_of(closed_loop(forgetful, task), forgetful, memoryless(spec, 1 / unit, -mean / unit))["escape_rate"] > 0
    )


def test_where_the_target_itself_returns_no_failure_is_counted() -> None:
    rows = "\n".join(map(str, np.tile([1.0, 2.0, 0.0, 5.0], 150)))
    task = TASKS["series"](TaskSpec(name="series", validation=0.4), rows)
    spec = spec_of(task)
    values = values_of(closed_loop(spec, task), spec, memoryless(spec, -1))
    assert np.isnan(values["closed_loop_failure"])
    assert values["return_rate"] > 0.5


def test_swapped_axes_have_no_next_value() -> None:
    task = task_of(time_axis="batch")
    with pytest.raises(NotApplicable):
        closed_loop(spec_of(task), task)

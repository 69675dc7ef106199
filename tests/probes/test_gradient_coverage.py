"""The share of each step in a gradient, against back-propagation written out in NumPy and what is known of it."""

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.errors import NotApplicable
from rnnjax.probes.optimization.gradient_coverage import coverage, last_loop_item
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import next_step, task_windows
from rnnjax.training.state import init_state
from rnnjax.types import Params, Task

V, H, T, B = 4, 6, 5, 3
SPEC = Spec(inputs=V, outputs=V, hidden=H, window=T, batch=B, carry="reset", activation="sigmoid")
HP = HParams(learning_rate=0.05, clip_norm=np.inf)
FAST = {"xla_backend_optimization_level": 0}


@cache
def task() -> Task:
    ids = np.random.default_rng(0).integers(V, size=400, dtype=np.int32)
    return Task(ids[:300], ids[300:], next_step, inputs=V, outputs=V, loss="cross_entropy", reference_losses={})


@cache
def measured(reduction: Any, **fields: Any) -> dict[str, np.ndarray]:
    spec = replace(SPEC, reduction=reduction, **fields)

    def of_run(hp: HParams) -> dict[str, jax.Array]:
        return coverage(spec, task()).measure(init_state(spec, hp), hp, jnp.int32(0))

    batched = jax.tree.map(lambda value: jnp.asarray(value)[None], HP)
    values = jax.jit(jax.vmap(of_run), compiler_options=FAST)(batched)
    return {name: np.asarray(value[0]) for name, value in values.items()}


def by_hand(weights: np.ndarray) -> dict[str, np.ndarray]:
    """|dL/dW_hh(t)|, |dL/dW_xh(t)|, |dL/dh_t| and |dL/dx_t| [T] of L = sum_t weights_t * mean over B of the losses."""
    params: Params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), init_state(SPEC, HP).params)
    cell, readout = params["layer_0"], params["readout"]
    data = task_windows(task(), task().train_N, B, T)
    x_TB, target_TB = data.inputs_WTB[0], data.targets_WTB[0]
    h_TBH = [np.zeros((B, H))]
    for x_B in x_TB:
        drive = cell["kernel"][x_B] + h_TBH[-1] @ cell["recurrent_kernel"] + cell["bias"]
        h_TBH.append(1 / (1 + np.exp(-drive)))
    norms: dict[str, np.ndarray] = {name: np.zeros(T) for name in ("recurrent", "input", "state", "x")}
    later_BH = np.zeros((B, H))
    for t in reversed(range(T)):
        logits_BV = h_TBH[t + 1] @ readout["kernel"] + readout["bias"]
        chances_BV = np.exp(logits_BV) / np.exp(logits_BV).sum(axis=1, keepdims=True)
        error_BV = weights[t] * (chances_BV - np.eye(V)[target_TB[t]]) / B
        state_BH = error_BV @ readout["kernel"].T + later_BH
        inner_BH = state_BH * h_TBH[t + 1] * (1 - h_TBH[t + 1])
        later_BH = inner_BH @ cell["recurrent_kernel"].T
        norms["recurrent"][t] = np.linalg.norm(h_TBH[t].T @ inner_BH)
        norms["input"][t] = np.linalg.norm(np.eye(V)[x_TB[t]].T @ inner_BH)
        norms["state"][t] = np.linalg.norm(state_BH)
        norms["x"][t] = np.linalg.norm(inner_BH @ cell["kernel"].T)
    return norms


WEIGHTS = {"sum": np.ones(T), "mean": np.full(T, 1 / T), "last": np.eye(T)[-1]}


@pytest.mark.slow
@pytest.mark.parametrize("reduction", WEIGHTS)
def test_every_step_has_the_share_that_back_propagation_gives_it(reduction: str) -> None:
    found, norms = measured(reduction), by_hand(WEIGHTS[reduction])
    back = {name: norm_T[::-1] for name, norm_T in norms.items()}
    np.testing.assert_allclose(found["kernel_share"], back["recurrent"] / back["recurrent"].sum(), atol=1e-5)
    np.testing.assert_allclose(found["input_share"], back["input"] / back["input"].sum(), rtol=1e-4)
    np.testing.assert_allclose(found["state_gradient"], np.log10(back["state"] / back["state"][0]), atol=1e-4)
    assert found["least_state_gradient"] == pytest.approx(back["state"][1:].min(), rel=1e-4)
    assert found["least_input_gradient"] == pytest.approx(back["x"][1:].min(), rel=1e-4)
    assert found["earlier_share"] == pytest.approx(back["recurrent"][1:].sum() / back["recurrent"].sum(), rel=1e-4)
    assert found["earlier_input_share"] == pytest.approx(back["input"][1:].sum() / back["input"].sum(), rel=1e-4)
    assert found["least_share"] == pytest.approx(found["kernel_share"][:-1].min())


@pytest.mark.slow
def test_the_last_step_alone_is_another_gradient_than_the_sum_and_still_goes_back() -> None:
    last, total = measured("last"), measured("sum")
    assert last["last_difference"] < 1e-5 and total["last_difference"] > 0.1
    assert last["sum_cosine"] < 0.99 and total["sum_cosine"] == pytest.approx(1)
    assert measured("mean")["sum_cosine"] == pytest.approx(1)
    assert 0.01 < last["earlier_share"] < total["earlier_share"]


@pytest.mark.slow
def test_a_sum_is_a_mean_with_a_longer_rate() -> None:
    for reduction in WEIGHTS:
        assert measured(reduction)["sum_mean_difference"] < 1e-5
        assert measured(reduction)["accumulated_difference"] < 1e-5


def test_a_loop_with_an_empty_body_keeps_the_last_item() -> None:
    """The same for every run; nothing is compiled for it."""
    values = coverage(SPEC, task()).summarise({"sum_cosine": np.ones(3, np.float32)})
    assert values["loop_keeps_last"].tolist() == [1, 1, 1]
    assert last_loop_item([5, 7]) == 7


@pytest.mark.slow
def test_a_cell_that_cannot_be_taken_apart_is_looked_at_too() -> None:
    found = measured("last", cell="flax_gru", activation="tanh")
    assert "kernel_share" not in found
    assert found["last_difference"] < 1e-5 and found["least_state_gradient"] > 0


@pytest.mark.parametrize("window", [1, 65])
def test_windows_without_steps_to_compare_or_with_too_many_are_left_out(window: int) -> None:
    with pytest.raises(NotApplicable, match=str(window)):
        coverage(replace(SPEC, window=window), task())

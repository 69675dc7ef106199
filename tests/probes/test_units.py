"""Unit statistics and recovery on arrays counted by hand, and the probe on networks whose states are known."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.probes.dynamics.units import (
    first_states,
    held_out_states,
    identities,
    unit_recovery,
    unit_statistics,
    units,
)
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import held_out_window, next_step
from rnnjax.training.state import init_state
from rnnjax.types import Params, Task, WindowData

STATES = np.array(  # N = 4 states of H = 5 units
    [
        [0.0, 0.96, -0.97, 0.5, 6.0],
        [0.0, 0.99, 0.00, 0.02, 0.0],
        [0.0, 0.951, 0.97, -0.5, 5.0],
        [0.0, 1.0, -0.945, 0.945, 5.1],
    ],
    np.float32,
)
COUNTED = {  # kind -> of the 20 values, those in saturation; of the 5 units, those that never leave it
    "tanh": (6 + 3, 1),
    "softsign": (6 + 3, 1),
    "sigmoid": (4 + 4 + 4 + 2 + 4, 4),
    "relu": (0, 0),
    "identity": (0, 0),
}


@pytest.mark.parametrize("kind", COUNTED)
def test_statistics_of_a_built_array(kind: str) -> None:
    found = {name: np.asarray(value) for name, value in unit_statistics(jnp.asarray(STATES), kind).items()}
    saturated, stuck = COUNTED[kind]
    assert found["saturated_share"] == pytest.approx(saturated / 20)
    assert found["stuck_share"] == pytest.approx(stuck / 5)
    assert found["zero_share"] == pytest.approx(6 / 20)
    assert found["large_share"] == pytest.approx(2 / 20)
    assert found["dead_share"] == pytest.approx(1 / 5)
    assert found["unit_dead"].tolist() == [1, 0, 0, 0, 0]
    assert found["hidden_mean"] == pytest.approx(STATES.sum() / 20)
    assert found["hidden_std"] == pytest.approx(np.sqrt((STATES**2).sum() / 20 - (STATES.sum() / 20) ** 2))
    assert (found["hidden_low"], found["hidden_high"]) == pytest.approx((-0.97, 6))
    assert found["state_norm"] == pytest.approx(np.mean([(row**2).sum() ** 0.5 for row in STATES]))


def test_a_network_that_is_not_finite_has_no_statistics() -> None:
    """Not even a share of dead units, none of which would be 0."""
    found = unit_statistics(jnp.asarray(STATES).at[2, 3].set(jnp.inf), "relu")
    assert all(bool(jnp.isnan(value).all()) for value in found.values())


def test_recovery_of_a_built_array() -> None:
    nan = [np.nan] * 4
    looks = [
        [[1, 1, 0, 0], nan, [1, 0, 1, 0], [1, 0, 0, 0]],  # three were dead, the second and the third fire again
        [[0, 0, 0, 0], nan, [0, 0, 0, 0], [0, 1, 0, 0]],  # dying at the end is no recovery and no chance of one
        [[1, 1, 0, 0], nan, [1, 1, 0, 0], [1, 1, 0, 1]],
        [[1, 0, 0, 1], nan, [0, 0, 0, 0], [0, 0, 0, 0]],
        [[1, 0, 0, 1], nan, [0, 0, 0, 0], nan],  # diverged before the last look
    ]
    np.testing.assert_allclose(unit_recovery(np.array(looks, float)), [2 / 3, np.nan, 0, 1, np.nan])
    np.testing.assert_allclose(unit_recovery(np.ones((2, 1, 3))), [np.nan, np.nan])


def task_of(validation: np.ndarray) -> Task:
    return Task(np.zeros(90, np.int32), validation, next_step, 3, 3, loss="cross_entropy", reference_losses={})


def spec_of(**fields: Any) -> Spec:
    return Spec(**{"inputs": 3, "outputs": 3, "hidden": 3, "window": 10} | fields)


def counting(leak: float) -> Params:
    """h' = relu(leak h + x): unit i adds up how often id i was read."""
    shapes = jax.eval_shape(partial(init_state, spec_of()), HParams()).params
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    params["layer_0"]["kernel"], params["layer_0"]["recurrent_kernel"] = jnp.eye(3), leak * jnp.eye(3)
    return params


@pytest.mark.slow
@pytest.mark.parametrize(("carry", "highest"), [("carried", 30), ("reset", 10)])
def test_the_probe_carries_its_state_as_training_does(carry: str, highest: int) -> None:
    """30 times the id 1: unit 1 counts to 30, or three times to 10; the two others are dead."""
    spec = spec_of(activation="relu", carry=carry)
    state = init_state(spec, HParams()).replace(params=counting(1.0))
    probe = units(spec, task_of(np.ones(31, np.int32)))
    found = probe.measure(state, HParams(), jnp.int32(0))
    assert found["hidden_high"] == highest
    assert found["unit_dead"].tolist() == [1, 0, 1]
    assert found["hidden_mean"] == pytest.approx((highest + 1) / 2 / 3)
    assert found["saturated_share"] == 0


def test_another_cell_saturates_like_tanh() -> None:
    """The field `activation` is not that of a GRU."""
    spec = spec_of(cell="gru", activation="sigmoid")
    probe = units(spec, task_of(np.ones(31, np.int32)))
    found = probe.measure(init_state(spec, HParams()), HParams(), jnp.int32(0))
    assert found["saturated_share"] == 0, "its h is small at the start: with the bounds of a sigmoid it would be"
    assert abs(found["hidden_low"]) < 0.95


def test_masked_steps_are_not_counted() -> None:
    spec = spec_of(activation="relu")
    valid_WTB = np.array([[[True, True], [True, False]]])
    data = WindowData(np.ones((1, 2, 2), np.int32), np.ones((1, 2, 2), np.int32), valid_WTB=valid_WTB)
    h_NH = held_out_states(spec, HParams(), counting(1.0), data)
    assert h_NH[:, 1].tolist() == [1, 1, 2]


@pytest.mark.parametrize(("carried", "shape"), [(True, (1, 25, 1)), (False, (1, 10, 2))])
def test_no_more_states_than_are_wanted(carried: bool, shape: tuple[int, ...]) -> None:
    held_out = held_out_window(task_of(np.ones(61, np.int32)), 10, carried)
    assert first_states(held_out, 25).targets_WTB.shape == shape
    assert first_states(held_out, 1).inputs_WTB.shape == (1, 1 if carried else 10, 1)


def test_identities_hold_in_float64() -> None:
    found = identities(spec_of(), task_of(np.ones(31, np.int32))).values
    assert found["steepest_sigmoid"] == pytest.approx(1 / 4, abs=1e-9)
    assert found["steepest_tanh"] == pytest.approx(1, abs=1e-9)
    assert found["quarter_power_16"] == 2.0**-32
    assert 0 < found["tanh_identity"] < 1e-12
    assert found["slope_ratio"] == pytest.approx(4, abs=1e-9)

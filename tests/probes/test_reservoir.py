"""Linear systems whose capacity, echo and growth are known in closed form."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probe_values
import pytest

from rnnjax.probes.dynamics.reservoir import (
    ECHO_STEPS,
    capacity,
    carry_distance,
    echo,
    growth,
    held_out_correlation,
    slope_of_logarithm,
)
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.windows import next_step
from rnnjax.training.state import init_state
from rnnjax.types import Params, Probe, Task

H, V = 12, 3


def spec_of(**fields: Any) -> Spec:
    return Spec(**{"inputs": V, "outputs": V, "hidden": H, "activation": "identity"} | fields)


def task() -> Task:
    ids = np.random.default_rng(0).integers(V, size=900, dtype=np.int32)
    return Task(ids[:600], ids[600:], next_step, V, V, loss="cross_entropy", reference_losses={})


def values_of(probe: Probe, spec: Spec, hp: HParams, params: Params | None = None) -> dict[str, np.ndarray]:
    return probe_values.values_of(probe, spec, params, hp)


def delay_line(spec: Spec) -> Params:
    """The input enters unit 0, each step hands every value on, and the last is lost: h_t = (s_t, ... s_{t-11})."""
    shapes = jax.eval_shape(partial(init_state, spec), HParams()).params
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    params["layer_0"]["kernel"], params["layer_0"]["recurrent_kernel"] = jnp.eye(1, H), jnp.eye(H, k=1)
    return params


def test_capacity_of_a_delay_line_is_its_length() -> None:
    """12 units hold the present input and 11 before it."""
    spec = spec_of(inputs=1)
    found = values_of(capacity(spec, task()), spec, HParams(), delay_line(spec))
    assert found["capacity_by_lag"].shape == (2 * H + 1,)
    np.testing.assert_allclose(found["capacity_by_lag"][:H], 1, atol=1e-3)
    np.testing.assert_allclose(found["capacity_by_lag"][H:], 0, atol=0.01)
    assert found["memory_capacity"] == pytest.approx(H - 1, abs=0.05)
    assert found["memory_capacity"] == pytest.approx(found["capacity_by_lag"][1:].sum(), rel=1e-5)


def test_a_linear_reservoir_holds_more_than_a_saturated_one() -> None:
    linear, bent = (
        values_of(capacity(spec, task()), spec, HParams(recurrent_gain=0.9, kernel_gain=3.0))["memory_capacity"]
        for spec in (spec_of(), spec_of(activation="tanh"))
    )
    assert bent < 0.8 * linear < linear < H


def test_no_recurrence_no_capacity() -> None:
    spec = spec_of(recurrent_initializer="zeros")
    found = values_of(capacity(spec, task()), spec, HParams())
    assert found["capacity_by_lag"][0] == pytest.approx(1, abs=1e-3)
    assert found["memory_capacity"] < 0.05


def test_held_out_correlation_by_hand() -> None:
    """Two states that are the targets: the first on both halves, the second with its sign turned on the other half."""
    half = np.eye(2)
    crossed = np.stack([half, np.diag([0.5, -1.0])])[None]
    found = held_out_correlation(np.stack([half, half])[None], crossed, np.ones((1, 2, 2)))
    np.testing.assert_allclose(found, [[0.25, 0]], atol=1e-9)


@pytest.mark.parametrize("start", ["orthogonal", "cyclic"])
def test_echo_of_a_linear_orthogonal_network(start: str) -> None:
    """c_t - c'_t = (c_0 - c'_0) (gQ)^t whatever the input: its length shrinks by g at every step."""
    spec = spec_of(recurrent_initializer=start)
    with jax.enable_x64(True):
        found = values_of(echo(spec, task()), spec, HParams(recurrent_gain=0.9))
    assert found["echo_distance"] == pytest.approx(0.9**ECHO_STEPS, rel=1e-3 if start == "orthogonal" else 1e-6)


def test_echo_of_a_network_that_never_forgets() -> None:
    found = values_of(
        echo(spec_of(recurrent_initializer="cyclic"), task()), spec_of(recurrent_initializer="cyclic"), HParams()
    )
    assert found["echo_distance"] == pytest.approx(1, rel=1e-4)


def test_echo_looks_at_the_whole_carry() -> None:
    one, other = (jnp.zeros((2, 2)), jnp.zeros((2, 1))), (jnp.array([[2.0, 0], [0, 0]]), jnp.array([[1.0], [3.0]]))
    np.testing.assert_allclose(carry_distance(one, other), [5**0.5, 3], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("gain", [1.05, 0.9, 2.0, 1.0])
def test_growth_of_a_linear_orthogonal_network(gain: float) -> None:
    """|h_t| = g^t |h_0|; 2^500 and 0.9^500 would leave single precision or come near its end."""
    found = values_of(growth(spec_of(), task()), spec_of(), HParams(recurrent_gain=gain))
    assert found["growth_rate"] == pytest.approx(np.log(gain), abs=1e-5)


def test_growth_stops_where_the_units_are_bounded() -> None:
    spec = spec_of(activation="tanh")
    assert abs(values_of(growth(spec, task()), spec, HParams(recurrent_gain=3.0))["growth_rate"]) < 0.005


def test_slope_of_logarithm_by_hand() -> None:
    sizes = jnp.exp(jnp.array([1.0, 3.0, 2.0]))
    assert slope_of_logarithm(sizes) == pytest.approx(0.5)
    assert slope_of_logarithm(jnp.append(sizes, jnp.array([0.0, jnp.inf, jnp.nan]))) == pytest.approx(0.5)
    assert jnp.isnan(slope_of_logarithm(jnp.array([1.0, 0.0, 0.0])))

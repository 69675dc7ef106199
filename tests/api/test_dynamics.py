"""Lyapunov exponents, fixed points and probes of trained networks from Python; bad input."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as rj
from rnnjax.api.dynamics_results import FixedPoints, LyapunovExponents
from rnnjax.api.train_result import TrainResult


@pytest.fixture(scope="module")
def trained() -> TrainResult:
    """Two linear networks of a text."""
    text = rj.text_task("to be, or not to be\n" * 30)
    spec = rj.Spec(activation="identity", hidden=4, window=10, steps=25)
    hp = rj.HParams(recurrent_gain=0.5, learning_rate=0.001)
    return rj.train(spec, hp, text, seeds=2, progress="none")


@pytest.fixture(scope="module")
def exponents(trained: TrainResult) -> LyapunovExponents:
    found: LyapunovExponents = rj.lyapunov_exponents(trained, 4, starts=3, steps=200, transient=50)
    return found


def moduli(trained: TrainResult) -> np.ndarray:
    """Of the eigenvalues of both recurrent kernels, [2, 4], the largest first."""
    eigenvalues = np.linalg.eigvals(np.asarray(trained.params["layer_0"]["recurrent_kernel"]))
    return np.sort(np.abs(eigenvalues), axis=1)[:, ::-1]


def test_exponents_of_all_networks_of_a_training(trained: TrainResult, exponents: LyapunovExponents) -> None:
    assert exponents.exponents.shape == (2, 3, 4)
    np.testing.assert_allclose(exponents.exponents.mean(axis=1), np.log(moduli(trained)), atol=0.03)
    largest = exponents.intervals[0]
    assert largest is not None and largest.n == 2
    assert "2 networks x 3 starts" in repr(exponents)


def test_exponents_with_an_input_held_or_of_the_network_alone(trained: TrainResult) -> None:
    network = trained.network()
    held = rj.lyapunov_exponents(network, 1, drive="held", held="b", starts=3, steps=100, transient=50)
    own = rj.lyapunov_exponents(network, 1, drive="own", starts=3, steps=100, transient=50)
    for found, words in ((held, "with 'b' held"), (own, "reading its own outputs")):
        assert found.drive == words
        np.testing.assert_allclose(found.exponents, np.log(moduli(trained)[0, 0]), atol=0.05)
        assert found.intervals[0].n == 3


def test_a_start_that_is_not_finite_is_counted_and_left_out() -> None:
    def step(carry: Any, x: Any) -> Any:
        return jnp.where(x > 0, jnp.sqrt(carry - carry), 0.5 * carry)

    inputs = jnp.zeros((60, 3)).at[50, 1].set(1.0)
    found = rj.lyapunov_exponents(step, 1, carry=jnp.ones((3, 2)), inputs=inputs, transient=10)
    np.testing.assert_allclose(found.exponents[0, [0, 2], 0], np.log(0.5), rtol=1e-4)
    assert np.isnan(found.exponents[0, 1]).all()
    assert found.nonfinite.tolist() == [[0, 10, 0]]
    assert found.intervals[0].n == 2
    assert "1 starts left out" in repr(found)


def test_fixed_points_of_a_network_and_of_all(trained: TrainResult) -> None:
    both = rj.fixed_points(trained, "b", starts=16)
    layer, place = trained.params["layer_0"], trained.task.vocabulary.index("b")
    for run, found in enumerate(both):
        assert isinstance(found, FixedPoints)
        kernel, bias = layer["recurrent_kernel"][run], layer["bias"][run] + layer["kernel"][run][place]
        (point,) = found.points
        np.testing.assert_allclose(point.state, np.linalg.solve(np.eye(4) - kernel.T, bias), rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(point.units, point.state)
        np.testing.assert_allclose(np.abs(point.eigenvalues), moduli(trained)[run], rtol=1e-4)
        assert (point.kind, point.starts, found.nonfinite) == ("stable fixed point", 16, 0)
        assert repr(found).startswith("FixedPoints(1 with 'b' held)\n  stable fixed point: largest |eigenvalue| ")


@pytest.mark.slow
def test_the_input_is_the_mean_of_a_series_unless_it_is_given() -> None:
    series = rj.series_task(np.sin(0.3 * np.arange(200)))
    spec = rj.Spec(hidden=3, window=10, steps=25)
    network = rj.train(spec, task=series, seeds=1, progress="none").network()
    assert rj.fixed_points(network, starts=8).held == "the mean of the training inputs"
    with pytest.raises(rj.BadInput, match="held: got .* expected 'mean' or 1 finite numbers, one for each input"):
        rj.fixed_points(network, [1.0, 2.0])


def test_every_probe_of_a_network(trained: TrainResult) -> None:
    found = rj.measure_probe(trained, "spectrum")
    np.testing.assert_allclose(found["spectral_radius"], moduli(trained)[:, 0], rtol=1e-5)
    assert rj.measure_probe(trained.network(), "identities")["quarter_power_16"].shape == (1,)


def henon(carry: Any, x: Any) -> Any:
    return carry


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: rj.lyapunov_exponents(run, 5), "count: got 5; expected at most 4, the numbers of the state"),
        (lambda run: rj.lyapunov_exponents(run, 0), "count: got 0"),
        (lambda run: rj.lyapunov_exponents(run, drive="dat"), "drive: got 'dat'; expected one of 3, nearest: data"),
        (lambda run: rj.lyapunov_exponents(run, 2, drive="held"), "held: got none for a network whose inputs have no"),
        (lambda run: rj.lyapunov_exponents(henon), "network: got function; expected a Network, a TrainResult, or"),
        (
            lambda run: rj.lyapunov_exponents(henon, 1, carry=jnp.ones((2, 3)), inputs=jnp.ones((9, 2))),
            "inputs: got 9 steps; expected more than 200",
        ),
        (
            lambda run: rj.lyapunov_exponents(henon, 1, carry=(), inputs=jnp.ones((300, 2))),
            "carry: got a state without numbers",
        ),
        (
            lambda run: rj.fixed_points(run),
            "held: got none for .* no neutral one; expected a symbol",
        ),
        (lambda run: rj.fixed_points(run, "x"), "held: got 'x'; expected a symbol, or an id from 0 to 8"),
        (lambda run: rj.fixed_points(run, 9), "held: got 9; expected a symbol, or an id from 0 to 8"),
        (lambda run: rj.fixed_points(run, "b", starts=0), "starts: got 0"),
        (lambda run: rj.fixed_points(henon, "b"), "network: got function; expected a Network or a TrainResult"),
        (lambda run: rj.measure_probe(run, "lyapunow"), "probe: got 'lyapunow'; expected one of .* nearest: lyapunov"),
    ],
)
def test_bad_input_is_one_line(trained: TrainResult, call: Any, message: str) -> None:
    with pytest.raises(rj.BadInput, match=message) as error:
        call(trained)
    assert "\n" not in str(error.value)

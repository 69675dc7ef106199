"""Lyapunov exponents against closed forms and a NumPy loop with full Jacobians; the probe on cells of every kind."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probe_values import FAST, values_of, values_with_run_axis
from probe_values import spec_of as series_spec
from probe_values import task_of as series_task

from rnnjax.errors import BadInput
from rnnjax.networks.cells import CELLS
from rnnjax.probes import PROBES, build_probe
from rnnjax.probes.dynamics import lyapunov as module
from rnnjax.probes.dynamics.exponents import lyapunov_exponents
from rnnjax.probes.dynamics.lyapunov import Lengths, drive_streams, summarise_starts
from rnnjax.probes.dynamics.trajectories import default_input, state_size, training_inputs
from rnnjax.probes.numerics.orthonormal import orthonormalise, state_vector
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.studies.datasets import load_tasks
from rnnjax.tasks import TASKS
from rnnjax.types import OpaqueCell, Task

H = 5


def exponents(step: Callable[..., Any], carry: Any, inputs: Any, count: int, transient: int = 50) -> np.ndarray:
    counted = jnp.arange(len(inputs)) >= transient
    of_carry = jax.jit(lambda carry: lyapunov_exponents(step, carry, inputs, count, counted), compiler_options=FAST)
    found = of_carry(carry)
    assert int(found.nonfinite) == 0
    return np.asarray(found.exponents_K)


def tanh_network(seed: int = 0, gain: float = 1.6, steps: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """A kernel [H, H] and a drive [T, H]."""
    rng = np.random.default_rng(seed)
    return gain * rng.normal(size=(H, H)) / H**0.5, 0.3 * rng.normal(size=(steps, H))


def numpy_exponents(kernel: np.ndarray, drive: np.ndarray, transient: int) -> tuple[np.ndarray, float]:
    """Oracle in float64: all exponents by QR of full Jacobians, and the mean of log |det J|."""
    h, frame, sums, log_det = np.zeros(H), np.eye(H), np.zeros(H), 0.0
    for t, u in enumerate(drive):
        h = np.tanh(u + h @ kernel)
        jacobian = (1 - h**2)[:, None] * kernel.T
        frame, upper = np.linalg.qr(jacobian @ frame)
        if t >= transient:
            sums += np.log(np.abs(np.diag(upper)))
            log_det += np.log(abs(np.linalg.det(jacobian)))
    return sums / (len(drive) - transient), log_det / (len(drive) - transient)


def test_exponents_of_a_linear_network_are_those_of_its_eigenvalues() -> None:
    rng, moduli = np.random.default_rng(1), np.array([1.1, 0.9, 0.6, 0.3, 0.05])
    basis = rng.normal(size=(H, H))
    kernel = jnp.asarray(basis @ np.diag(moduli) @ np.linalg.inv(basis), jnp.float32)
    found = exponents(lambda h, u: u + h @ kernel, jnp.zeros(H), jnp.zeros((300, H)), H)
    np.testing.assert_allclose(found, np.log(moduli), atol=2e-3)


def test_exponents_of_the_henon_map() -> None:
    """Source of 0.4192 and -1.6232: Sprott 2003, Chaos and Time-Series Analysis; their sum is log 0.3 exactly."""

    def henon(carry: Any, unused: Any) -> Any:
        x, y = carry
        return 1 - 1.4 * x**2 + y, 0.3 * x

    found = exponents(henon, (jnp.float32(0.1), jnp.float32(0.1)), jnp.zeros(20_000), 2, 100)
    np.testing.assert_allclose(found, [0.4192, -1.6232], atol=0.006)
    assert found.sum() == pytest.approx(np.log(0.3), abs=1e-4)


def test_exponents_of_a_tanh_network_are_those_of_a_numpy_loop() -> None:
    kernel, drive = tanh_network()
    expected, log_det = numpy_exponents(kernel, drive, 100)
    step = lambda h, u: jnp.tanh(u + h @ jnp.asarray(kernel, jnp.float32))  # noqa: E731
    inputs = jnp.asarray(drive, jnp.float32)
    found = exponents(step, jnp.zeros(H), inputs, H, 100)
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert found.sum() == pytest.approx(log_det, abs=1e-3)
    np.testing.assert_allclose(exponents(step, jnp.zeros(H), inputs, 2, 100), expected[:2], atol=5e-3)


def test_a_kernel_of_low_rank_has_exponents_of_minus_infinity() -> None:
    kernel = jnp.zeros((H, H)).at[0, 0].set(0.5).at[1, 1].set(0.25)
    found = exponents(lambda h, u: u + h @ kernel, jnp.zeros(H), jnp.zeros((120, H)), 4)
    np.testing.assert_allclose(found[:2], np.log([0.5, 0.25]), rtol=1e-3)
    assert (found[2:] == -np.inf).all()


def test_a_jacobian_that_is_not_finite_is_counted_from_its_step_on() -> None:
    def step(h: Any, u: Any) -> Any:
        return jnp.where(u > 0, jnp.sqrt(h - h), 0.5 * h)  # the slope of the root at 0 is infinite

    found = lyapunov_exponents(step, jnp.ones(2), jnp.zeros(60).at[40].set(1.0), 2, jnp.arange(60) >= 10)
    assert int(found.nonfinite) == 20
    assert np.isnan(found.exponents_K).all()


def test_starts_with_such_a_jacobian_are_left_out_of_the_means_and_counted() -> None:
    values = np.array([[[0.5, -1.0], [0.1, -2.0], [np.nan, np.nan], [-0.3, -3.0]], np.full((4, 2), np.nan)])
    found = summarise_starts(values)
    np.testing.assert_allclose(found["lyapunov_largest"], [0.1, np.nan], atol=1e-12)
    np.testing.assert_allclose(summarise_starts(-values)["lyapunov_distance"][0], np.mean([1, 2, 3]))
    np.testing.assert_allclose(found["lyapunov_error"][0], np.std([0.5, 0.1, -0.3], ddof=1) / 3**0.5)
    np.testing.assert_allclose(found["lyapunov_positive"], [2 / 3, np.nan])
    np.testing.assert_allclose(found["lyapunov_nonfinite"], [0.25, 1.0])
    np.testing.assert_allclose(found["lyapunov_spectrum"][0], [0.1, -2.0], atol=1e-12)


def test_orthonormal_rows_and_lengths_are_those_of_qr_at_any_scale() -> None:
    vectors = np.random.default_rng(2).normal(size=(4, 7))
    upper = np.abs(np.diag(np.linalg.qr(vectors.T)[1]))
    for scale in (1e-30, 1.0, 1e30):
        rows, logs = orthonormalise(jnp.asarray(scale * vectors, jnp.float32))
        np.testing.assert_allclose(rows @ rows.T, np.eye(4), atol=1e-6)
        np.testing.assert_allclose(logs, np.log(upper) + np.log(scale), rtol=1e-4, atol=1e-5)


def test_a_state_vector_has_every_number_of_the_carry_and_leads_back() -> None:
    carry = {"a": jnp.arange(3.0), "b": (jnp.ones((2, 2)), jnp.array([1 + 2j, 3 - 1j], jnp.complex64))}
    vector, unflatten = state_vector(carry)
    np.testing.assert_array_equal(vector, [0, 1, 2, 1, 1, 1, 1, 1, 3, 2, -1])
    for before, after in zip(jax.tree.leaves(carry), jax.tree.leaves(unflatten(vector)), strict=True):
        np.testing.assert_array_equal(before, after)
        assert before.dtype == after.dtype


# The probe


@pytest.fixture(autouse=True)
def shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer steps than in a study, so that the tests take little time."""
    for name, value in {"TRANSIENT": 60, "STEPS": 60, "STARTS": 3, "EXPONENTS": 3}.items():
        monkeypatch.setattr(module, name, value)


def digits() -> Task:
    settings = TaskSpec(name="sequences")
    return load_tasks([settings])[0][settings]


def grammar() -> tuple[Spec, Task]:
    task = TASKS["grammar"](TaskSpec(characters=600), None)
    return Spec(inputs=task.inputs, outputs=task.outputs, hidden=H, window=8), task


@pytest.mark.parametrize(
    "cell", ["elman", "user", *(pytest.param(name, marks=pytest.mark.slow) for name in ("lstm", "flax_gru"))]
)
def test_the_probe_measures_every_kind_of_cell(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell of ours, a carry of two parts, one of Flax, and one of a user; the values of a run have no neighbours."""

    def decaying(spec: Spec, hp: HParams) -> OpaqueCell:
        def init(key: Any) -> Any:
            return {"kernel": jnp.ones((spec.inputs, spec.hidden))}

        def step(params: Any, h: Any, x: Any) -> Any:
            return 0.5 * h + params["kernel"][x]

        return OpaqueCell(init, lambda: jnp.zeros(spec.hidden), step, lambda h: h)

    monkeypatch.setitem(CELLS, "user", decaying)
    spec, task = grammar()
    spec = Spec(**vars(spec) | {"cell": cell})
    found = values_of(build_probe("lyapunov", spec, task), spec)
    for drive in ("", "_held", "_own"):
        assert found[f"lyapunov_nonfinite{drive}"] == 0
        assert found[f"lyapunov_largest{drive}"] < 0.5
    if cell == "user":
        np.testing.assert_allclose(found["lyapunov_spectrum"], np.log(0.5), rtol=1e-4)
        np.testing.assert_allclose(found["lyapunov_error_own"], 0, atol=1e-5)


def test_the_probe_reads_series_and_feeds_rows_back() -> None:
    """A linear network: the exponents of the driven one are those of W, of the closed loop those of W + V_out V_in."""
    task = series_task()
    spec = series_spec(task)
    rng = np.random.default_rng(4)
    kernel, inward, outward = rng.normal(size=(4, 4)) / 4, rng.normal(size=(1, 4)), rng.normal(size=(4, 1)) / 4
    layer = {"kernel": inward, "recurrent_kernel": kernel, "bias": np.zeros(4), "gate": {}}
    params = {"layer_0": layer, "readout": {"kernel": outward, "bias": np.zeros(1)}}
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), params)
    found = values_of(build_probe("lyapunov", spec, task), spec, params)

    def largest(matrix: np.ndarray) -> float:
        return float(np.log(np.abs(np.linalg.eigvals(matrix)).max()))

    assert found["lyapunov_largest"] == pytest.approx(largest(kernel), abs=0.05)
    assert found["lyapunov_largest_held"] == pytest.approx(largest(kernel), abs=0.05)
    assert found["lyapunov_largest_own"] == pytest.approx(largest(kernel + outward @ inward), abs=0.05)


def test_a_set_of_sequences_is_read_from_its_longest_ones() -> None:
    task = digits()
    inputs = training_inputs(task, 100, 3)
    assert task.sequences is not None
    assert inputs.shape == (8, 3, 8)
    np.testing.assert_array_equal(inputs[:, 0], task.sequences.train.inputs_R[:8])
    spec = Spec(task=TaskSpec(name="sequences"), inputs=8, outputs=task.outputs, hidden=H, window=8)
    found = values_with_run_axis(build_probe("lyapunov", spec, task), spec)
    assert np.isfinite(found["lyapunov_largest"]).all()
    assert "lyapunov_largest_own" not in found


def test_data_that_are_short_count_as_far_as_they_go() -> None:
    task = TASKS["series"](TaskSpec(name="series", length=100, series="ar"), None)
    streams = drive_streams(task, ["", "_held", "_own"], default_input(task).x, Lengths(3, 60, 60))
    data = task.make_sequence(task.train_N).inputs_N
    transient = len(data) // 4
    assert streams.inputs_TX.shape[:2] == (transient + 120, 9)
    np.testing.assert_array_equal(streams.inputs_TX[: len(data), 0], data)
    np.testing.assert_array_equal(np.flatnonzero(streams.counted_TX[:, 0]), np.arange(transient, len(data)))
    np.testing.assert_allclose(streams.inputs_TX[transient:, 3], np.full((120, 1), data.mean()), rtol=1e-5)
    np.testing.assert_array_equal(np.flatnonzero(streams.counted_TX[:, 3]), np.arange(transient + 60, transient + 120))
    np.testing.assert_array_equal(np.flatnonzero(streams.own_TX[:, 6]), np.arange(transient, transient + 120))
    assert not streams.own_TX[:, :6].any()


def test_the_held_input_is_the_most_frequent_symbol_or_the_mean() -> None:
    _, task = grammar()
    held = default_input(task)
    assert held.words == "the most frequent symbol, ' '"
    assert task.vocabulary[int(held.x)] == " "
    series = series_task()
    np.testing.assert_allclose(default_input(series).x, series.make_sequence(series.train_N).inputs_N.mean(axis=0))


def test_networks_without_exponents_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, task = grammar()
    with pytest.raises(BadInput, match="bidirectional: got true; expected false"):
        PROBES["lyapunov"](Spec(**vars(spec) | {"bidirectional": True}), task)
    stateless = OpaqueCell(lambda key: {}, lambda: (), lambda params, carry, x: carry, lambda carry: jnp.zeros(H))
    monkeypatch.setitem(CELLS, "stateless", lambda spec, hp: stateless)
    with pytest.raises(BadInput, match="cell: got 'stateless', which has no state; expected a recurrent cell"):
        PROBES["lyapunov"](Spec(**vars(spec) | {"cell": "stateless"}), task)
    assert state_size(Spec(**vars(spec) | {"cell": "lstm", "layers": 2})) == 4 * H

"""Predictions of networks whose derivatives are known: constant, linear, deaf, without memory, swapped axes."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probe_values import FAST, H, T, hp_of_seeds, spec_of, start_states, task_of, values_of

from rnnjax.errors import NotApplicable
from rnnjax.probes import PROBES
from rnnjax.probes.series.batch_mixing import batches
from rnnjax.probes.series.sensitivity import WINDOWS, responses
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.tasks import TASKS
from rnnjax.tasks.windows import spread_windows
from rnnjax.training.state import TrainState, init_state
from rnnjax.types import Params


def random_params(spec: Spec, scale: float = 0.4) -> Params:
    rng = np.random.default_rng(5)
    shapes = jax.eval_shape(partial(init_state, spec), HParams()).params
    return jax.tree.map(lambda leaf: jnp.asarray(scale * rng.normal(size=leaf.shape), jnp.float32), shapes)


def linear(params: Params) -> tuple[np.ndarray, ...]:
    """K [D, H], R [H, H], b [H], V [H, O], c [O] in float64."""
    cell, readout = params["layer_0"], params["readout"]
    leaves = (cell["kernel"], cell["recurrent_kernel"], cell["bias"], readout["kernel"], readout["bias"])
    return tuple(np.asarray(leaf, float) for leaf in leaves)


def said(params: Params, windows_TWD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Oracle: y [W, O] and h [W, H] after the last step of a linear network."""
    kernel, recurrent, bias, out, shift = linear(params)
    h_WH = np.zeros((windows_TWD.shape[1], H))
    for x_WD in windows_TWD:
        h_WH = x_WD @ kernel + h_WH @ recurrent + bias
    return h_WH @ out + shift, h_WH


def test_a_linear_network_s_numbers_are_its_algebra() -> None:
    """dy/dc_0 = R^T v, dy/dx_t = K R^(T-t) v and dy/dc_T = v, the same for every window."""
    task = task_of()
    spec = spec_of(task)
    params = random_params(spec)
    values = values_of(responses(spec, task), spec, params)
    kernel, recurrent, _, out, _ = linear(params)
    powers = [np.linalg.matrix_power(recurrent, k) for k in range(T + 1)]
    to_start = np.linalg.norm(powers[T] @ out)
    to_inputs = np.linalg.norm([kernel @ powers[T - 1 - t] @ out for t in range(T)])
    assert values["sensitivity_start"] == pytest.approx(to_start, rel=1e-4)
    assert values["sensitivity_inputs"] == pytest.approx(to_inputs, rel=1e-4)
    assert values["start_over_inputs"] == pytest.approx(to_start / to_inputs, rel=1e-4)
    assert values["window_decay"] == pytest.approx(np.log10(to_start / np.linalg.norm(out)), abs=1e-4)

    for part, name in ((task.validation_N, "r2"), (task.train_N, "train_error")):
        windows = spread_windows(task.make_sequence(part), T, WINDOWS)
        y, h_WH = said(params, windows.inputs_WTB[0])
        z = windows.targets_WTB[0, -1]
        error = np.mean((y - z) ** 2) / np.var(z)
        assert values[name] == pytest.approx(1 - error if name == "r2" else error, rel=1e-3)
        if name == "r2":
            pairs = [(v, w) for v in range(WINDOWS) for w in range(WINDOWS) if v != w]
            assert values["output_spread"] == pytest.approx(y.std() / z.std(), rel=1e-4)
            distance = np.mean([abs(y[v, 0] - y[w, 0]) for v, w in pairs]) / z.std()
            assert values["pairwise_distance"] == pytest.approx(distance, rel=1e-4)
            apart = np.mean([np.linalg.norm(h_WH[v] - h_WH[w]) for v, w in pairs]) / np.sqrt(2 * H / 3)
            assert values["input_state_distance"] == pytest.approx(apart, rel=1e-4)


def test_a_constant_network_gives_identical_predictions() -> None:
    task = task_of()
    spec = spec_of(task, activation="tanh")
    params = jax.tree.map(jnp.zeros_like, random_params(spec))
    values = values_of(responses(spec, task), spec, params)
    assert (values["identical"], values["collapsed"], values["output_spread"], values["pairwise_distance"]) == (
        1,
        1,
        0,
        0,
    )
    assert values["train_error"] == pytest.approx(1, abs=0.1)
    assert values["r2"] == values["r2_without_recurrence"] < 0.01
    assert (values["sensitivity_inputs"], values["input_state_distance"], values["start_state_distance"]) == (0, 0, 0)


@pytest.mark.parametrize(("scale", "identical", "collapsed"), [(0.005, 1, 1), (0.03, 0, 1), (0.2, 0, 0)])
def test_what_is_called_identical_and_collapsed(scale: float, identical: int, collapsed: int) -> None:
    """A network that repeats what it reads, scaled."""
    task = task_of()
    spec = spec_of(task)
    params = jax.tree.map(jnp.zeros_like, random_params(spec))
    params["layer_0"]["kernel"] = jnp.ones((1, H))
    params["readout"]["kernel"] = jnp.full((H, 1), scale / H)
    values = values_of(responses(spec, task), spec, params)
    assert values["output_spread"] == pytest.approx(scale, rel=0.2)
    assert (values["identical"], values["collapsed"]) == (identical, collapsed)
    expected = values["train_error"] if collapsed else np.nan
    np.testing.assert_equal(values["collapsed_train_error"], expected)


def test_a_deaf_network_answers_to_its_start_alone() -> None:
    """h' = 0.9 h: no input counts, and two starts keep 0.9^T of their distance."""
    task = task_of()
    spec = spec_of(task)
    params = random_params(spec)
    params["layer_0"] |= {"kernel": jnp.zeros((1, H)), "recurrent_kernel": 0.9 * jnp.eye(H)}
    values = values_of(responses(spec, task), spec, params)
    assert (values["sensitivity_inputs"], values["start_over_inputs"]) == (0, np.inf)
    assert values["identical"] == 1
    assert values["window_decay"] == pytest.approx(T * np.log10(0.9), abs=1e-5)
    assert values["start_state_distance"] == pytest.approx(0.9**T, rel=1e-5)


@pytest.mark.slow
def test_without_recurrence_only_the_last_input_counts() -> None:
    task = task_of()
    spec = spec_of(task)
    params = random_params(spec)
    values = values_of(responses(spec, task), spec, params)
    params["layer_0"]["recurrent_kernel"] = jnp.zeros((H, H))
    cut = values_of(responses(spec, task), spec, params)
    assert values["r2_without_recurrence"] == pytest.approx(cut["r2"], rel=1e-4)
    assert values["r2"] != pytest.approx(cut["r2"], rel=1e-2)
    assert cut["r2_without_recurrence"] == pytest.approx(cut["r2"])
    flax = spec_of(task, cell="flax_gru")
    assert np.isnan(values_of(responses(flax, task), flax)["r2_without_recurrence"])


@pytest.mark.slow
def test_without_recurrence_the_axes_make_no_difference() -> None:
    """A window of 64 steps and 64 series: each prediction is then that of its own series' last row."""
    right, swapped = (task_of(time_axis=axes) for axes in ("time", "batch"))
    spec = spec_of(right, window=WINDOWS, batch=WINDOWS)
    params = random_params(spec)
    params["layer_0"]["recurrent_kernel"] = jnp.zeros((H, H))
    found = [values_of(responses(spec, task), spec, params)["r2"] for task in (right, swapped)]
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    params["layer_0"]["recurrent_kernel"] = 0.5 * jnp.eye(H)
    found = [values_of(responses(spec, task), spec, params)["r2"] for task in (right, swapped)]
    assert found[0] != pytest.approx(found[1], rel=1e-2)


@pytest.mark.parametrize("axis", ["time", "batch"])
def test_only_swapped_axes_mix_series(axis: str) -> None:
    """There d y_last / d x_s = K R^(T-1-s) v for the series s that were read before it."""
    task = task_of(time_axis=axis)
    spec = spec_of(task)
    params = random_params(spec)
    values = values_of(batches(spec, task), spec, params)
    kernel, recurrent, _, out, _ = linear(params)
    slopes = [(kernel @ np.linalg.matrix_power(recurrent, k) @ out).item() for k in range(1, T)]
    assert values["mixing"] == (pytest.approx(np.abs(slopes).max(), rel=1e-4) if axis == "batch" else 0)


@pytest.mark.slow
def test_small_batches_are_told_apart() -> None:
    task = task_of()
    spec = spec_of(task)
    params = random_params(spec)
    values = values_of(batches(spec, task), spec, params)
    assert values["unstarted_gap"] == 0
    assert 1e-4 < values["unstarted_distance"] < 1
    kernel, _, _, out, _ = linear(params)
    drawn = np.asarray(jax.random.normal(jax.random.key(0), (10,)))  # another draw, but the scale is this
    assert values["single_step_distance"] < abs((kernel @ out).item()) * np.diff(np.sort(drawn)).max()
    assert values["single_step_distance"] > 0
    params["layer_0"]["kernel"] = jnp.zeros((1, H))
    assert values_of(batches(spec, task), spec, params)["single_step_distance"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("network", [{"cell": "gru"}, {"cell": "lstm", "layers": 2, "initial_state": "learned"}])
@pytest.mark.parametrize("name", ["responses", "batches", "closed_loop"])
def test_contract_of_a_probe_of_a_series(name: str, network: dict[str, Any]) -> None:
    """Numbers with a run axis; that of a run does not come from its neighbours."""
    task = task_of(standardise="targets")
    spec = spec_of(task, task=TaskSpec(name="series", standardise="targets"), activation="tanh", **network)
    probe = PROBES[name](spec, task)

    def of_run(state: TrainState, hp: HParams) -> dict[str, jax.Array]:
        return probe.measure(state, hp, jnp.int32(3))

    measure = jax.jit(jax.vmap(of_run), compiler_options=FAST)
    runs = (hp_of_seeds([0, 1]), hp_of_seeds([1, 0]))
    measured = [jax.tree.map(np.asarray, measure(start_states(spec)(hp_R), hp_R)) for hp_R in runs]
    both, swapped = map(probe.summarise, measured)
    for key, values in both.items():
        assert values.shape == (2,)
        assert key in ("closed_loop_period", "collapsed_train_error") or np.isfinite(values).all(), key
        np.testing.assert_allclose(values[::-1], swapped[key], rtol=1e-5, atol=1e-7, err_msg=key)


def test_a_text_has_no_predictions_to_spread() -> None:
    settings = TaskSpec()
    for name in ("responses", "batches", "closed_loop"):
        with pytest.raises(NotApplicable, match="task.name: got 'grammar'; expected 'series'"):
            PROBES[name](Spec(task=settings, inputs=3, outputs=3), TASKS["grammar"](settings, None))

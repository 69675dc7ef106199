"""Fixed points against planted ones and closed forms; dimension against known covariances; the picture."""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probe_values import FAST, values_of
from probe_values import spec_of as series_spec
from probe_values import task_of as series_task

from rnnjax.probes import build_probe
from rnnjax.probes.dynamics.dimension import covariance_values, principal_plane, project
from rnnjax.probes.dynamics.fixed_point_search import (
    FIXED_SPEED,
    SLOW_SPEED,
    Minima,
    Points,
    find_minima,
    kinds_of_points,
    merge_duplicates,
)
from rnnjax.probes.dynamics.fixed_points import (
    LENGTH,
    MOST,
    SEARCHES,
    STREAMS,
    fixed_points,
    portrait,
    run_values,
)
from rnnjax.probes.dynamics.trajectories import trajectory_labels
from rnnjax.probes.numerics.least_squares import minimise_residual
from rnnjax.settings import Spec, TaskSpec
from rnnjax.settings.metrics import POINT_KINDS, SLOW_POINT, STABLE, UNSTABLE
from rnnjax.tasks import TASKS
from rnnjax.types import Params, Task

H = 16


@partial(jax.jit, static_argnums=0, compiler_options=FAST)
def find(make: Any, argument: jax.Array, states: jax.Array) -> tuple[Minima, Points]:
    """The minima and the different points of F = make(argument)."""
    minima = find_minima(make(argument), states)
    return minima, merge_duplicates(make(argument), minima, 12)


def tanh_map(kernel: jax.Array) -> Any:
    return lambda h: jnp.tanh(h @ kernel)


def linear_map(kernel: jax.Array) -> Any:
    return lambda h: h @ kernel + 1.0


def test_planted_patterns_are_all_found_and_stable() -> None:
    """A Hopfield network of orthogonal patterns x: h = m x with m = tanh(gain m), and -m x, are its attractors."""
    gain, patterns = 1.6, hadamard()[1:4]
    states = 0.3 * np.random.default_rng(0).normal(size=(64, H)) + np.tile(
        np.vstack([patterns, -patterns, 0 * patterns[:2]]), (8, 1)
    )
    found, kinds, radius = classified(
        find(tanh_map, jnp.asarray(gain * patterns.T @ patterns / H, jnp.float32), jnp.asarray(states))
    )
    m = 1.0
    for _ in range(200):
        m = np.tanh(gain * m)
    stable = found.points_MC[[kind == STABLE for kind in kinds]]
    for planted in m * np.vstack([patterns, -patterns]):
        distances = np.abs(stable - planted).max(axis=1)
        assert (distances < 1e-4).sum() == 1
    origin = np.abs(found.points_MC).max(axis=1) < 1e-4
    assert [kinds[i] for i in np.flatnonzero(origin)] == [UNSTABLE]
    np.testing.assert_allclose(radius[origin], gain, rtol=1e-4)
    np.testing.assert_allclose(radius[[kind == STABLE for kind in kinds]], gain * (1 - m**2), rtol=1e-3)


def hadamard() -> np.ndarray:
    """16 orthogonal patterns of -1 and 1."""
    matrix = np.ones((1, 1))
    for _ in range(4):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def classified(result: tuple[Minima, Points]) -> tuple[Points, list[str], np.ndarray]:
    """The points that there are, with their kinds and moduli."""
    points = jax.tree.map(np.asarray, result[1])
    kinds, radius, _ = kinds_of_points(points.speed_M, points.jacobian_MCC)
    here = [i for i, kind in enumerate(kinds) if kind]
    return Points(*(leaf[here] for leaf in points)), [kinds[i] for i in here], radius[here]


def test_a_linear_network_has_exactly_one() -> None:
    """c = (I - W^T)^-1 1, stable or not by the eigenvalues of W."""
    rng = np.random.default_rng(1)
    for scale, expected in ((0.5, STABLE), (1.7, UNSTABLE)):
        kernel = scale * rng.normal(size=(H, H)) / H**0.5
        states = jnp.asarray(rng.normal(size=(64, H)), jnp.float32)
        found, kinds, radius = classified(find(linear_map, jnp.asarray(kernel, jnp.float32), states))
        assert kinds == [expected]
        np.testing.assert_allclose(
            found.points_MC[0], np.linalg.solve(np.eye(H) - kernel.T, np.ones(H)), rtol=1e-2, atol=1e-3
        )
        np.testing.assert_allclose(radius, np.abs(np.linalg.eigvals(kernel)).max(), rtol=1e-4)
        assert found.starts_M == [64]


def test_slow_points_are_told_from_fixed_ones_and_from_none() -> None:
    """h' = h + a + h^2 has no fixed point for a > 0: its slowest point is 0, where it moves by a."""

    def ghost(speed: jax.Array) -> Any:
        return lambda h: h + speed + h**2

    states = jnp.asarray(np.random.default_rng(2).normal(size=(64, H)) * 0.3, jnp.float32)
    spread = float(np.sqrt(np.var(states, axis=0).mean()))
    for factor, expected in ((3 * FIXED_SPEED, [SLOW_POINT]), (0.3 * SLOW_SPEED, [SLOW_POINT]), (3 * SLOW_SPEED, [])):
        found, kinds, _ = classified(find(ghost, jnp.full(H, factor * spread), states))
        assert kinds == expected
        np.testing.assert_allclose(found.speed_M, [factor] * len(expected), rtol=0.02)


def test_least_squares_reach_the_minimum_of_a_linear_problem() -> None:
    rng = np.random.default_rng(3)
    matrix, right = rng.normal(size=(9, 4)), rng.normal(size=9)
    residual = lambda c: jnp.asarray(matrix, jnp.float32) @ c - jnp.asarray(right, jnp.float32)  # noqa: E731
    found, rest = jax.jit(partial(minimise_residual, residual, iterations=20))(jnp.zeros(4))
    np.testing.assert_allclose(found, np.linalg.lstsq(matrix, right)[0], atol=1e-4)
    np.testing.assert_allclose(rest, matrix @ found - right, atol=1e-5)


def test_ends_that_are_not_finite_are_counted_and_are_no_points() -> None:
    values = {"points_MC": np.zeros((2, 3)), "speed_M": np.array([1e-6, np.nan]), "starts_M": np.array([48, 0])}
    values |= {"jacobian_MCC": np.full((2, 3, 3), np.nan), "nonfinite_share": np.array(0.25)}
    values |= {"trajectory_TSH": np.random.default_rng(0).normal(size=(2, 8, 3)), "units_MH": np.zeros((2, 3))}
    found = run_values(values)
    assert (found["fixed_points"], found["stable_fixed_points"]) == (1, 0)
    assert np.isnan(found["fixed_point_radius"])
    assert found["fixed_point_nonfinite"] == 1.0
    assert found["fixed_point_share"] == 48 / SEARCHES
    broken = find_minima(lambda h: jnp.where(h > 0, jnp.nan, h), jnp.array([[1.0], [-1.0], [-2.0]]))
    np.testing.assert_array_equal(np.isinf(broken.speed_S), [True, False, False])


def test_unstable_directions_are_counted() -> None:
    speeds = np.array([0, 0, 10 * FIXED_SPEED, np.nan])
    found = kinds_of_points(speeds, np.stack([np.diag(values) for values in ([2, 0.5], [0.5, 0], [3, 3], [9, 9])]))
    assert found.kinds == [UNSTABLE, STABLE, SLOW_POINT, ""]
    np.testing.assert_array_equal(found.unstable_M[:3], [1, 0, 2])
    np.testing.assert_array_equal(found.radius_M[:3], [2, 0.5, 3])


# The probes


@cache
def linear_network() -> tuple[Spec, Task, Params]:
    task = series_task()
    rng = np.random.default_rng(4)
    layer = {"kernel": rng.normal(size=(1, 4)), "recurrent_kernel": rng.normal(size=(4, 4)) / 5}
    params = {
        "layer_0": layer | {"bias": np.ones(4), "gate": {}},
        "readout": {"kernel": np.zeros((4, 1)), "bias": np.zeros(1)},
    }
    return series_spec(task), task, jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), params)


def test_the_probe_finds_the_point_of_a_linear_network_and_draws_it() -> None:
    spec, task, params = linear_network()
    probe = fixed_points(spec, task)
    found = values_of(probe, spec, params)
    kernel, mean = params["layer_0"]["recurrent_kernel"], task.make_sequence(task.train_N).inputs_N.mean(axis=0)
    assert (found["fixed_points"], found["stable_fixed_points"], found["slow_points"]) == (1, 1, 0)
    assert (found["fixed_point_share"], found["fixed_point_nonfinite"]) == (1, 0)
    np.testing.assert_allclose(found["fixed_point_radius"], np.abs(np.linalg.eigvals(kernel)).max(), rtol=1e-4)
    states = states_of(params, task.make_sequence(task.train_N).inputs_N)
    paths, points = np.split(found["state_portrait"], [STREAMS * (LENGTH + 1)])
    variances = np.linalg.eigvalsh(np.cov(states.T))[::-1][:2]
    np.testing.assert_allclose(np.nanvar(paths, axis=0), variances, rtol=0.4)
    labels = probe.labels["state_portrait"]
    assert len(labels) == len(paths) + len(points) == STREAMS * (LENGTH + 1) + 3 * MOST
    assert [labels[i] for i in (0, LENGTH, LENGTH + 1)] == [("stream 1",) * 2, ("", ""), ("stream 2",) * 2]
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(paths[:, 0])), LENGTH + (LENGTH + 1) * np.arange(STREAMS))
    (drawn,) = np.flatnonzero(np.isfinite(points[:, 0]))
    assert labels[len(paths) + drawn] == ("", STABLE)
    point = np.linalg.solve(np.eye(4) - kernel.T, mean @ params["layer_0"]["kernel"] + 1)
    assert np.abs(point - states.mean(axis=0)).max() < 0.2
    assert np.abs(points[drawn]).max() < 1


def states_of(params: Params, inputs: np.ndarray) -> np.ndarray:
    """Oracle: the states of the linear network."""
    layer, h, states = params["layer_0"], np.zeros(4), []
    for x in inputs:
        h = x @ layer["kernel"] + h @ layer["recurrent_kernel"] + layer["bias"]
        states.append(h)
    return np.array(states[100:])


def test_the_dimension_of_the_states_is_that_of_their_covariance() -> None:
    spec, task, params = linear_network()
    found = values_of(build_probe("dimension", spec, task), spec, params)
    variance = np.linalg.eigvalsh(np.cov(states_of(params, task.make_sequence(task.train_N).inputs_N).T))[::-1]
    np.testing.assert_allclose(found["participation_ratio"], variance.sum() ** 2 / (variance**2).sum(), rtol=0.1)
    np.testing.assert_allclose(found["component_variance"], variance / variance.sum(), atol=0.05)


def test_dimensions_of_known_covariances() -> None:
    assert covariance_values(np.eye(5))["participation_ratio"] == pytest.approx(5)
    line = covariance_values(np.outer([1.0, 2.0], [1.0, 2.0]))
    assert (line["participation_ratio"], line["components_90"]) == (pytest.approx(1), 1)
    assert covariance_values(np.diag([0.5, 0.4, 0.1]))["components_90"] == 2
    assert np.isnan(covariance_values(np.full((2, 2), np.nan))["participation_ratio"])
    assert np.isnan(covariance_values(np.zeros((2, 2)))["participation_ratio"])


def test_the_plane_is_that_of_most_variance() -> None:
    rng = np.random.default_rng(5)
    states = rng.normal(size=(200, 3)) * [0.1, 3.0, 1.0] + 7
    plane = principal_plane(states)
    np.testing.assert_allclose(plane.axes_2H, [[0, 1, 0], [0, 0, 1]], atol=0.1)
    np.testing.assert_allclose(
        project(plane, states).var(axis=0), np.linalg.eigvalsh(np.cov(states.T, bias=True))[:0:-1]
    )
    assert project(principal_plane(rng.normal(size=(9, 1))), np.zeros((2, 1))).shape == (2, 2)


def test_a_picture_of_a_text_is_coloured_by_its_symbols() -> None:
    task = TASKS["grammar"](TaskSpec(characters=600), None)
    probe = fixed_points(Spec(inputs=task.inputs, outputs=task.outputs, hidden=4, window=8), task)
    groups = [group for _, group in probe.labels["state_portrait"][: STREAMS * (LENGTH + 1)]]
    assert len(set(groups) - {""}) == 7
    assert "' '" in groups
    assert "others" in groups


def test_a_set_of_fewer_sequences_than_streams_has_its_own_picture() -> None:
    """Five trajectories, each of the states of one sequence, in the order of the labels."""
    few, steps = 5, 12
    task = TASKS["series"](TaskSpec(name="series", length=600, validation=0.5, series="ar"), None)
    labels = trajectory_labels(task, np.zeros((2 * steps, few, 1)), steps)
    states_TSH = np.random.default_rng(5).normal(size=(steps, few, 3))
    drawn = portrait(states_TSH, np.zeros((2, 3)), ["", STABLE])
    assert len(drawn) == len(labels) + len(POINT_KINDS) * 2
    centred = states_TSH - states_TSH.reshape(-1, 3).mean(axis=0)
    _, _, axes = np.linalg.svd(centred.reshape(-1, 3), full_matrices=False)
    for stream in range(few):
        path = drawn[stream * (steps + 1) :][:steps]
        np.testing.assert_allclose(np.abs(path), np.abs(centred[:, stream] @ axes[:2].T), atol=1e-5)

"""Oracles: NumPy's own solvers and SciPy's minimiser, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special

from rnnjax.probes.numerics.linear_fits import feature_scale, inverse, logistic, logits, ridge

N, F, L, V = 60, 4, 2, 3
PENALTY = 0.01


def features(seed: int = 0) -> np.ndarray:
    """Correlated, of different sizes, the last one constant."""
    rng = np.random.default_rng(seed)
    x_NF = rng.normal(size=(N, F)) @ rng.normal(size=(F, F)) * [1, 3, 0.3, 1]
    x_NF[:, -1] = 1
    return x_NF


def targets(seed: int = 0) -> np.ndarray:
    """Some that can be told from the features, some that cannot; class 2 of the second never occurs."""
    rng = np.random.default_rng(seed + 100)
    return np.stack([np.argmax(features(seed)[:, :V] + rng.normal(size=(N, V)), axis=1), rng.integers(2, size=N)], 1)


def minimum(x_NF: np.ndarray, targets_N: np.ndarray) -> np.ndarray:
    """The weights [F, V] that SciPy finds."""

    def loss(weights: np.ndarray) -> float:
        logs_NV = scipy.special.log_softmax(x_NF @ weights.reshape(F, V), axis=1)
        return float(PENALTY / 2 * np.sum(weights**2) - np.mean(logs_NV[np.arange(N), targets_N]))

    return scipy.optimize.minimize(loss, np.zeros(F * V), tol=1e-10).x.reshape(F, V)


def test_logistic_finds_the_minimum() -> None:
    with jax.enable_x64(True):
        found = np.asarray(logistic(jnp.asarray(features()), jnp.asarray(targets()), V, PENALTY, 2_000))
    for target in range(L):
        np.testing.assert_allclose(found[:, target], minimum(features(), targets()[:, target]), atol=1e-4)


def test_runs_are_fitted_each_on_its_own() -> None:
    x_RNF, targets_RNL = (np.stack([of(0), of(1)]) for of in (features, targets))
    fit = jax.jit(jax.vmap(lambda x, y: logistic(x, y, V, PENALTY, 20)))
    found = np.asarray(fit(x_RNF.astype(np.float32), targets_RNL))
    for run in (0, 1):
        alone = logistic(jnp.float32(x_RNF[run]), jnp.asarray(targets_RNL[run]), V, PENALTY, 20)
        np.testing.assert_allclose(found[run], alone, rtol=1e-4, atol=1e-5)


def test_logits_are_products() -> None:
    weights = np.random.default_rng(2).normal(size=(F, L, V))
    said = logits(jnp.float32(features()), jnp.float32(weights))
    for target in range(L):
        np.testing.assert_allclose(said[:, target], features() @ weights[:, target], rtol=1e-4, atol=1e-4)


def test_ridge_is_least_squares_with_the_penalty_as_more_rows() -> None:
    y_NO = np.random.default_rng(3).normal(size=(N, 2))
    rows = np.concatenate([features(), np.sqrt(PENALTY * N) * np.eye(F)])
    expected = np.linalg.lstsq(rows, np.concatenate([y_NO, np.zeros((F, 2))]), rcond=None)[0]
    found = ridge(jnp.float32(features()), jnp.float32(y_NO), PENALTY)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", [1, 2, 65])
def test_inverse_of_a_positive_definite_matrix(size: int) -> None:
    root = np.random.default_rng(size).normal(size=(size, 2 * size))
    matrix = root @ root.T / size + 0.1 * np.eye(size)
    np.testing.assert_allclose(inverse(jnp.float32(matrix)), np.linalg.inv(matrix), atol=1e-4)


def test_features_are_standardised_where_they_are_fitted() -> None:
    fitted = np.array([[1.0, 7.0], [3.0, 7.0]], np.float32)
    scale = feature_scale(jnp.asarray(fitted))
    np.testing.assert_allclose(scale.features(jnp.asarray(fitted)), [[-1, 0, 1], [1, 0, 1]])
    np.testing.assert_allclose(scale.features(jnp.array([[4.0, 7.0]])), [[2, 0, 1]])

"""Linear fits on the states of a network: many logistic regressions at once, and ridge regression.

All is matrix products and one elimination, written out because XLA's batched calls of LAPACK can hang on several CPU
devices. Letters beside those of `types`: N states, F features (a constant among them).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

SMALLEST_DEVIATION = 1e-6  # of a feature: a constant unit becomes zeros


class Scale(NamedTuple):
    """Standardisation of features by the mean and the standard deviation of the fitted data."""

    mean_F: Array
    deviation_F: Array

    def features(self, x_NF: Array) -> Array:
        """(x - mean) / deviation, and a last column of ones."""
        standard_NF = (x_NF - self.mean_F[None]) / self.deviation_F[None]
        return jnp.concatenate([standard_NF, jnp.ones((len(x_NF), 1), x_NF.dtype)], axis=1)


def feature_scale(x_NF: Array) -> Scale:
    """The mean and the standard deviation of each column."""
    return Scale(jnp.mean(x_NF, axis=0), jnp.maximum(jnp.std(x_NF, axis=0), SMALLEST_DEVIATION))


def inverse(matrix_FF: Array) -> Array:
    """The inverse of a positive definite matrix, by Gauss-Jordan elimination; such a matrix needs no pivots."""

    def eliminate(matrix_FF: Array, k: Array) -> tuple[Array, None]:
        row_F = matrix_FF[k].at[k].set(1) / matrix_FF[k, k]
        column_F = matrix_FF[:, k].at[k].set(0)
        kept_FF = matrix_FF.at[:, k].set(0).at[k].set(row_F)
        return kept_FF - column_F[:, None] * row_F[None], None

    return jax.lax.scan(eliminate, matrix_FF, jnp.arange(len(matrix_FF)))[0]


def ridge(x_NF: Array, targets_NO: Array, penalty: float) -> Array:
    """argmin over W of |X W - Y|^2 / N + penalty |W|^2: weights [F, O].

    Source: Hoerl & Kennard 1970, Technometrics 12:55.
    """
    moments_FF = x_NF.T @ x_NF / len(x_NF) + penalty * jnp.eye(x_NF.shape[1])
    return inverse(moments_FF) @ (x_NF.T @ targets_NO / len(x_NF))


def logistic(x_NF: Array, targets_NL: Array, classes: int, penalty: float, iterations: int) -> Array:
    """Multinomial logistic regressions of L targets on the same features: weights [F, L, V].

    Each minimises -mean over N of log softmax(x W)[target] + penalty / 2 |W|^2. Its Hessian lies below that of
    B = X'X / (2 N) + penalty for each class, whatever W is; so W - B^-1 gradient never overshoots, and no step size has
    to be chosen. Nesterov's momentum reduces the number of steps. Runs are fitted sequentially under `vmap`: the
    probabilities of a single run fill the cache of a core.

    Source: Boehning 1992, Ann. Inst. Statist. Math. 44:197; Nesterov 1983, Soviet Math. Dokl. 27:372.
    """
    fit = jax.custom_batching.sequential_vmap(partial(descend, classes=classes, penalty=penalty, iterations=iterations))
    return fit(x_NF, targets_NL).reshape(x_NF.shape[1], -1, classes)


def descend(x_NF: Array, targets_NL: Array, classes: int, penalty: float, iterations: int) -> Array:
    """The weights of `logistic` side by side, [F, K] with K = L * V."""
    count, features = x_NF.shape
    precondition_FF = inverse(x_NF.T @ x_NF / (2 * count) + penalty * jnp.eye(features))
    hits_LVN = jax.nn.one_hot(targets_NL.T, classes, dtype=x_NF.dtype, axis=1)
    hits_KF = hits_LVN.reshape(-1, count) @ x_NF / count

    def step(weights: tuple[Array, Array], k: Array) -> tuple[tuple[Array, Array], None]:
        now_KF, before_KF = weights
        ahead_KF = now_KF + k / (k + 3) * (now_KF - before_KF)
        # states on the last axis: the softmax then sums along long rows, which vectorises
        probabilities_LVN = jax.nn.softmax((ahead_KF @ x_NF.T).reshape(-1, classes, count), axis=1)
        slope_KF = probabilities_LVN.reshape(-1, count) @ x_NF / count - hits_KF + penalty * ahead_KF
        return (ahead_KF - slope_KF @ precondition_FF, now_KF), None

    zeros_KF = jnp.zeros_like(hits_KF)
    return jax.lax.scan(step, (zeros_KF, zeros_KF), jnp.arange(iterations, dtype=x_NF.dtype))[0][0].T


def logits(x_NF: Array, weights_FLV: Array) -> Array:
    """x W for fitted weights: [N, L, V]."""
    return jnp.einsum("nf,flv->nlv", x_NF, weights_FLV)

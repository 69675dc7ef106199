"""Linear separability of two sets of states: Fisher's discriminant without LAPACK."""

import jax
import jax.numpy as jnp
from jax import Array

RIDGE = 0.01  # of the mean variance: a direction without variance must not dominate
ITERATIONS = 50


def discriminant(first_NH: Array, second_NH: Array) -> Array:
    """w [H] with (S + ridge) w = mean of second - mean of first, S the covariance within the classes.

    Source: Fisher 1936, Annals of Eugenics 7:179.
    """
    means = jnp.mean(first_NH, axis=0), jnp.mean(second_NH, axis=0)
    within_NH = jnp.concatenate([first_NH - means[0][None], second_NH - means[1][None]])
    covariance_HH = within_NH.T @ within_NH / len(within_NH)
    ridge = RIDGE * jnp.trace(covariance_HH) / len(covariance_HH) + jnp.finfo(first_NH.dtype).tiny
    return conjugate_gradients(covariance_HH + ridge * jnp.eye(len(covariance_HH)), means[1] - means[0])


def conjugate_gradients(matrix_HH: Array, b: Array) -> Array:
    """x with A x = b for a positive definite A, by matrix products alone. Source: Hestenes and Stiefel 1952."""
    tiny = jnp.finfo(b.dtype).tiny

    def step(_: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, residual, direction = state
        ahead = matrix_HH @ direction
        rate = residual @ residual / jnp.maximum(direction @ ahead, tiny)
        after = residual - rate * ahead
        turn = after @ after / jnp.maximum(residual @ residual, tiny)
        return x + rate * direction, after, after + turn * direction

    return jax.lax.fori_loop(0, ITERATIONS, step, (jnp.zeros_like(b), b, b))[0]


def area(first_N: Array, second_N: Array) -> Array:
    """P(first < second) + P(first = second) / 2 over all pairs: the area under the ROC curve."""
    ahead_NN = second_N[None, :] - first_N[:, None]
    return jnp.mean((ahead_NN > 0) + 0.5 * (ahead_NN == 0))


def separation(first_NPH: Array, second_NPH: Array) -> Array:
    """The area under the ROC curve of a linear classifier, tested on prompts that it was not fitted on.

    Args:
        first_NPH, second_NPH: states at N steps after each of P prompts. The first half of the prompts is fitted, the
            second half tested: states of one text are correlated and must not be in both halves.

    Returns:
        0.5 for sets that cannot be separated, 1 for a perfect separation.
    """
    half = first_NPH.shape[1] // 2
    fit, test = (
        [cloud[:, part].reshape(-1, cloud.shape[-1]) for cloud in (first_NPH, second_NPH)]
        for part in (slice(None, half), slice(half, None))
    )
    w = discriminant(*fit)
    return area(test[0] @ w, test[1] @ w)

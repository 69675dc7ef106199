"""Nonlinear least squares without LAPACK, for compiled code: Levenberg-Marquardt with conjugate gradients inside."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

CONJUGATE_STEPS = 24
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 0.1, 1e-7, 1e6
SMALL = 1e-30


def minimise_residual(residual: Callable[[Array], Array], start_C: Array, iterations: int) -> tuple[Array, Array]:
    """A local minimum of |r(c)|^2 / 2 near a start, and r there.

    Each iteration solves (A^T A + damping I) d = -A^T r, A = dr/dc, by conjugate gradients from products with A and A^T
    alone; c + d is taken where it lowers |r|, and the damping falls by 0.3, else it rises by 4. A step to where r is
    not finite is not taken.

    Source: More 1978, Lecture Notes in Mathematics 630:105.
    """

    def improve(state: tuple[Array, Array], unused: None) -> tuple[tuple[Array, Array], None]:
        point_C, damping = state
        residual_C, push = jax.linearize(residual, point_C)
        pull = jax.linear_transpose(push, point_C)

        def normal(vector_C: Array) -> Array:
            return pull(push(vector_C))[0] + damping * vector_C

        trial_C = point_C - conjugate_gradients(normal, pull(residual_C)[0])
        lower = jnp.sum(residual(trial_C) ** 2) < jnp.sum(residual_C**2)
        damping = jnp.clip(jnp.where(lower, 0.3, 4.0) * damping, LEAST_DAMPING, MOST_DAMPING)
        return (jnp.where(lower, trial_C, point_C), damping), None

    (point_C, _), _ = jax.lax.scan(improve, (start_C, jnp.float32(FIRST_DAMPING)), length=iterations)
    return point_C, residual(point_C)


def conjugate_gradients(product: Callable[[Array], Array], right_C: Array) -> Array:
    """About the solution x of A x = b, A positive definite, by 24 steps from 0: each lowers the error in A's norm.

    Source: Hestenes and Stiefel 1952, J. Res. NBS 49:409.
    """

    def improve(
        state: tuple[Array, Array, Array, Array], unused: None
    ) -> tuple[tuple[Array, Array, Array, Array], None]:
        x_C, rest_C, direction_C, square = state
        image_C = product(direction_C)
        step = square / jnp.maximum(jnp.sum(direction_C * image_C), SMALL)
        x_C, rest_C = x_C + step * direction_C, rest_C - step * image_C
        after = jnp.sum(rest_C**2)
        return (x_C, rest_C, rest_C + after / jnp.maximum(square, SMALL) * direction_C, after), None

    start = jnp.zeros_like(right_C), right_C, right_C, jnp.sum(right_C**2)
    return jax.lax.scan(improve, start, length=CONJUGATE_STEPS)[0][0]

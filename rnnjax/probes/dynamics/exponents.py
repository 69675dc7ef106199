"""Lyapunov exponents of a step function along one trajectory."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.probes.numerics.orthonormal import orthonormalise, state_vector
from rnnjax.types import Carry

Step = Callable[[Carry, Any], Carry]  # carry, x of ONE stream -> carry


class Exponents(NamedTuple):
    """The exponents of one trajectory, or arrays of them."""

    exponents_K: Array  # nats per time step, in descending order up to their error; NaN after a non-finite Jacobian
    nonfinite: Array  # time steps from the first non-finite Jacobian on; 0 where there is none


def lyapunov_exponents(step: Step, carry: Carry, inputs_T: Any, count: int, counted_T: Array) -> Exponents:
    """lambda_i = mean over t of log |R_ii(t)|, Q(t) R(t) = J_t Q(t-1), J_t = d c_t / d c_{t-1}, for i = 1 ... count.

    The Jacobians are applied to `count` tangent vectors by forward differentiation and never built. An exponent is
    -inf where the product of the Jacobians has a lower rank than its number.

    Args:
        step: one step of one stream. carry: the state before the first step. inputs_T: leaves [T, ...].
        count: K, at most the number of real numbers in the carry.
        counted_T: bool, true at the steps of the mean. The first steps should be left out: during them the state
            approaches its attractor and the tangent vectors their directions.

    Returns:
        Exponents [K], in nats per time step.

    Source: Benettin et al. 1980, Meccanica 15:9; for recurrent networks Engelken et al. 2023, arXiv:2006.02427.
    """
    start_C, unflatten = state_vector(carry)

    def advance(state_C: Array, x: Any) -> Array:
        return state_vector(step(unflatten(state_C), x))[0]

    def advance_frame(state: tuple[Array, Array, Array, Array], counted: tuple[Array, Any]) -> tuple[Any, None]:
        state_C, frame_KC, sum_K, nonfinite = state
        counts, x = counted
        state_C, tangent = jax.linearize(lambda state_C: advance(state_C, x), state_C)
        frame_KC, logs_K = orthonormalise(jax.vmap(tangent)(frame_KC))
        invalid = jnp.any(jnp.isnan(logs_K)) | (nonfinite > 0)
        logs_K = jnp.where(invalid, jnp.nan, logs_K)
        return (state_C, frame_KC, sum_K + jnp.where(counts, logs_K, 0.0), nonfinite + invalid), None

    first = start_C, initial_frame(count, start_C.size), jnp.zeros(count), jnp.int32(0)
    (_, _, sum_K, nonfinite), _ = jax.lax.scan(advance_frame, first, (counted_T, inputs_T))
    return Exponents(jnp.where(nonfinite > 0, jnp.nan, sum_K / jnp.sum(counted_T)), nonfinite)


def initial_frame(count: int, size: int) -> Array:
    """K orthonormal tangent vectors [K, C] in random directions, the same for every network of one state size."""
    return orthonormalise(jax.random.normal(jax.random.key(0), (count, size)))[0]

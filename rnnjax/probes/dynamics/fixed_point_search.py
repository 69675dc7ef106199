"""Fixed and slow points of a step function with its input held: a search from many states, without duplicates."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.probes.numerics.least_squares import minimise_residual
from rnnjax.probes.numerics.orthonormal import state_vector
from rnnjax.settings.metrics import SLOW_POINT, STABLE, UNSTABLE
from rnnjax.types import Carry

ITERATIONS = 100
FIXED_SPEED = (
    1e-4  # root-mean-square change of a state in one step, over the spread of the states: below it a point is fixed
)
SLOW_SPEED = 1e-2  # below it a point is slow, above it the search has found neither
SAME_DISTANCE = 1e-2  # root-mean-square distance of two points over the spread: below it they are one


class Minima(NamedTuple):
    """Where S searches end: local minima of |F(c) - c|^2 / 2."""

    points_SC: Array
    speed_S: Array  # root-mean-square change in one step / spread of the states; inf where a number is not finite
    spread: Array  # root-mean-square deviation of the states from which the searches start


class Points(NamedTuple):
    """At most M different fixed or slow points, the slowest first."""

    points_MC: Array
    speed_M: Array  # as in `Minima`; NaN where there is no further point
    starts_M: Array  # number of searches that end at it
    jacobian_MCC: Array  # dF/dc there


def find_minima(advance: Callable[[Array], Array], states_SC: Array) -> Minima:
    """Minima of |F(c) - c|^2 / 2 from S states. Args: advance: F, the state [C] after one step with the input held.

    Source: Sussillo and Barak 2013, Neural Computation 25:626.
    """

    def search(state_C: Array) -> tuple[Array, Array]:
        return minimise_residual(lambda state_C: advance(state_C) - state_C, state_C, ITERATIONS)

    spread = jnp.sqrt(jnp.mean(jnp.var(states_SC, axis=0)))
    points_SC, residual_SC = jax.vmap(search)(states_SC)
    speed_S = jnp.sqrt(jnp.mean(residual_SC**2, axis=1)) / jnp.maximum(spread, 1e-6)
    finite_S = jnp.isfinite(speed_S) & jnp.all(jnp.isfinite(points_SC), axis=1)
    return Minima(points_SC, jnp.where(finite_S, speed_S, jnp.inf), spread)


def merge_duplicates(advance: Callable[[Array], Array], minima: Minima, most: int) -> Points:
    """At most `most` different points among the minima that are fixed or slow, the slowest first.

    Each point stands for those within SAME_DISTANCE of it, which are left out.
    """

    def take_slowest(free_S: Array, unused: None) -> tuple[Array, tuple[Array, Array, Array]]:
        first = jnp.argmin(jnp.where(free_S, minima.speed_S, jnp.inf))
        point_C = minima.points_SC[first]
        distance_S = jnp.sqrt(jnp.mean((minima.points_SC - point_C[None]) ** 2, axis=1))
        own_S = free_S & (distance_S <= SAME_DISTANCE * jnp.maximum(minima.spread, 1e-6))
        speed = jnp.where(free_S[first], minima.speed_S[first], jnp.nan)
        return free_S & ~own_S, (point_C, speed, jnp.sum(own_S))

    _, (points_MC, speed_M, starts_M) = jax.lax.scan(take_slowest, minima.speed_S < SLOW_SPEED, length=most)
    return Points(points_MC, speed_M, starts_M, jax.vmap(jax.jacfwd(advance))(points_MC))


def held_step(step: Callable[[Carry, Array], Carry], x: Array, like: Carry) -> Callable[[Array], Array]:
    """F of `find_minima`: one step with the input x of a network whose carry is like this one, on vectors [C]."""
    _, unflatten = state_vector(like)
    return lambda state_C: state_vector(step(unflatten(state_C), x))[0]


class PointKinds(NamedTuple):
    """The kind and the stability of M points."""

    kinds: list[str]  # of settings.metrics.POINT_KINDS; "" where there is no point
    radius_M: np.ndarray  # modulus of the largest eigenvalue of dF/dc
    unstable_M: np.ndarray  # eigenvalues outside the unit circle


def kinds_of_points(speed_M: np.ndarray, jacobian_MCC: np.ndarray) -> PointKinds:
    """Stable, unstable or slow.

    A fixed point is stable where all eigenvalues are inside the unit circle. Where the Jacobian is not finite there are
    no eigenvalues: radius and unstable directions are NaN, and the point counts as unstable.
    """
    moduli_MC = np.stack([np.abs(eigenvalues(jacobian_CC)) for jacobian_CC in jacobian_MCC])
    radius_M = moduli_MC.max(axis=1)
    unstable_M = np.where(np.isnan(radius_M), np.nan, (moduli_MC > 1).sum(axis=1))

    def kind(speed: float, radius: float) -> str:
        if not speed < SLOW_SPEED:
            return ""
        return SLOW_POINT if speed >= FIXED_SPEED else STABLE if radius < 1 else UNSTABLE

    return PointKinds([kind(*each) for each in zip(speed_M, radius_M, strict=True)], radius_M, unstable_M)


def eigenvalues(matrix_CC: np.ndarray) -> np.ndarray:
    """The eigenvalues [C], the largest modulus first; NaN where a number of the matrix is not finite."""
    if not np.isfinite(matrix_CC).all():
        return np.full(len(matrix_CC), np.nan)
    found_C = np.linalg.eigvals(np.asarray(matrix_CC, np.float64))
    return np.asarray(found_C[np.argsort(-np.abs(found_C))])

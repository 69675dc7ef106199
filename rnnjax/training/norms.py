"""The Euclidean norm of a gradient or an update, right for all finite numbers.

The square of 1e20 is infinite in float32 and that of 1e-20 is 0. So where the sum of squares is near an end of float32,
it is computed again from elements multiplied by a power of two, which is exact.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

SMALL_UNIT, LARGE_UNIT = 2.0**-80, 2.0**64  # squares of 1e38 * SMALL_UNIT and of 1e-37 * LARGE_UNIT are in range
LOWEST_SUM, HIGHEST_SUM = 1e-20, 1e30  # a sum of squares in between has lost nothing that counts


class ScaledNorm(NamedTuple):
    """The norm of a tree as length / unit, because the norm of finite elements may itself exceed float32."""

    length: Array  # |x| * unit; not finite exactly where an element of x is not finite
    unit: Array  # a power of two

    @property
    def value(self) -> Array:
        """|x|."""
        return self.length / self.unit


def scaled_norm(tree: Any) -> ScaledNorm:
    """The norm over all elements of all leaves."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree)]

    def sum_of_squares(unit: Array | float) -> Array:
        squares = [jnp.sum(jnp.square(leaf * unit)) for leaf in leaves]
        return sum(squares[1:], squares[0])

    def lacks_range(state: tuple[Array, Array]) -> Array:
        return ~((state[0] > LOWEST_SUM) & (state[0] < HIGHEST_SUM)) & (state[1] == 1)

    def sum_again(state: tuple[Array, Array]) -> tuple[Array, Array]:
        # The unit is found here, from the loop's state: XLA would move out of the loop what does not depend on it.
        unit = jnp.where(state[0] < HIGHEST_SUM, jnp.asarray(LARGE_UNIT, state[0].dtype), SMALL_UNIT)
        return sum_of_squares(unit), unit

    # A loop of at most one turn, because a batched one ends at once where no run of the batch needs a turn.
    plain = sum_of_squares(1.0)
    squares, unit = jax.lax.while_loop(lacks_range, sum_again, (plain, jnp.ones_like(plain)))
    return ScaledNorm(jnp.sqrt(squares), unit)


def row_norms(rows: Any) -> Array:
    """The norms [L] of the rows of an array [L, ...] or a tree of arrays."""
    return jax.vmap(lambda row: scaled_norm(row).value)(rows)

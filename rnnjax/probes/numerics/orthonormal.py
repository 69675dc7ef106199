"""Orthonormal vectors without LAPACK, for compiled code; the state of a network as one vector of real numbers."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.types import Carry

RANK_TOLERANCE = 2e-6  # of a vector's length: a remainder below it is rounding error in single precision
UNROLLED = 16  # vectors: of more, the loop is compiled as a loop


def orthonormalise(vectors_KC: Array) -> tuple[Array, Array]:
    """Modified Gram-Schmidt of K vectors.

    Returns:
        The orthonormal rows [K, C], and for each row the log of the length that its vector has outside the span of the
        rows before it. A vector within that span has the row 0 and the log -inf; one that is not finite the log NaN.

    Source: Bjorck 1967, BIT 7:1 (the lengths are as exact as those of Householder's method).
    """
    count = len(vectors_KC)
    size_K = jnp.max(jnp.abs(vectors_KC), axis=1)  # squares of the elements may leave the range of single precision
    scaled_KC = vectors_KC / jnp.where(size_K > 0, size_K, 1)[:, None]
    least_K = RANK_TOLERANCE**2 * jnp.sum(scaled_KC**2, axis=1)

    def subtract(row: Any, state: tuple[Array, Array]) -> tuple[Array, Array]:
        rest_KC, square_K = state
        products_K = jnp.dot(rest_KC, rest_KC[row], precision="highest")  # faster than sums of products on a CPU
        square = products_K[row]
        independent = square > least_K[row]
        later_K = (jnp.arange(count) > row) & independent
        share_K = jnp.where(later_K, products_K / jnp.where(independent, square, 1), 0)
        return rest_KC - share_K[:, None] * rest_KC[row][None], square_K.at[row].set(jnp.where(independent, square, 0))

    start = scaled_KC, jnp.zeros(count, vectors_KC.dtype)
    rest_KC, square_K = jax.lax.fori_loop(0, count, subtract, start, unroll=count <= UNROLLED)
    inverse_K = jnp.where(square_K > 0, 1 / jnp.sqrt(jnp.where(square_K > 0, square_K, 1)), 0)
    log_K = jnp.log(square_K) / 2 + jnp.log(size_K)
    return rest_KC * inverse_K[:, None], jnp.where(jnp.isfinite(size_K), log_K, jnp.nan)


def state_vector(carry: Carry) -> tuple[Array, Callable[[Array], Carry]]:
    """All numbers of the carry of one stream as a vector [C], a complex number as two, and the function back."""
    leaves, tree = jax.tree.flatten(carry)
    sizes = [leaf.size * (2 if jnp.iscomplexobj(leaf) else 1) for leaf in leaves]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]

    def unflatten(vector_C: Array) -> Carry:
        parts = [vector_C[start : start + size] for start, size in zip(starts, sizes, strict=True)]
        return jax.tree.unflatten(tree, [from_real(part, leaf) for part, leaf in zip(parts, leaves, strict=True)])

    return jnp.concatenate([to_real(leaf) for leaf in leaves]) if leaves else jnp.zeros(0), unflatten


def to_real(leaf: Array) -> Array:
    """The numbers of an array, of a complex one the real parts and then the imaginary parts."""
    flat = leaf.ravel()
    return jnp.concatenate([flat.real, flat.imag]) if jnp.iscomplexobj(leaf) else flat


def from_real(numbers_C: Array, like: Array) -> Array:
    """The inverse of `to_real`, with the shape and dtype of an array."""
    if jnp.iscomplexobj(like):
        real, imaginary = jnp.split(numbers_C, 2)
        numbers_C = real + 1j * imaginary
    return numbers_C.reshape(like.shape).astype(like.dtype)

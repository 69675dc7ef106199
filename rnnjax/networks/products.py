"""Products of matrices in the dtype of the program: float32, or operands of bfloat16 that are added up in float32.

With bfloat16 every product, and every product of its gradient, reads operands that are rounded to 8 significant bits.
States, gates, parameters, gradients and the optimizer stay in float32. The rounding is written out, because the XLA of
CPUs accepts `DotAlgorithmPreset.BF16_BF16_F32` and computes in float32; on a GPU the preset selects the tensor cores.
Source: Kalamkar et al. 2019, arXiv:1905.12322; Micikevicius et al. 2018, arXiv:1710.03740 for the master weights.
"""

import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

EXPONENT_BITS, MANTISSA_BITS = 8, 7  # of bfloat16


def to_bfloat16(x: Array) -> Array:
    """The nearest numbers of bfloat16, in the dtype of x. Linear for JAX: tangents and cotangents are rounded too."""
    return jax.lax.reduce_precision(x, EXPONENT_BITS, MANTISSA_BITS)


@jax.custom_jvp
def round_operand(x: Array) -> Array:
    """x rounded to bfloat16, with the derivative of x itself."""
    return to_bfloat16(x)


@jax.custom_jvp
def round_tangent(y: Array) -> Array:
    """y, whose tangents and cotangents are rounded to bfloat16: they are operands of the products of a gradient."""
    return y


round_operand.defjvp(lambda primals, tangents: (round_operand(*primals), tangents[0]))
round_tangent.defjvp(lambda primals, tangents: (primals[0], to_bfloat16(tangents[0])))


def bfloat16_product(x: Array, kernel: Array) -> Array:
    """x [..., H] times a kernel [H, G], both rounded to bfloat16, added up in float32."""
    precision = jax.lax.DotAlgorithmPreset.BF16_BF16_F32
    if x.dtype == jnp.float64:  # of tests: the preset is of float32
        return round_tangent(round_operand(x) @ round_operand(kernel))
    return round_tangent(jnp.matmul(round_operand(x), round_operand(kernel), precision=precision))


def select_row(kernel_DG: Array, index: Array, dtype: str) -> Array:
    """The row of a kernel with a number, as the product of a one-hot vector with the kernel."""
    row_G = kernel_DG.at[index].get(mode="promise_in_bounds")
    return row_G if dtype == "float32" else round_tangent(round_operand(row_G))


PRODUCTS: dict[str, Callable[[Array, Array], Array]] = {"float32": operator.matmul, "bfloat16": bfloat16_product}

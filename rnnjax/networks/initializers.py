"""Kernel initializers: functions of (key, shape, gain) to a matrix [fan_in, fan_out].

`gain` multiplies the named distribution, so its neutral value is 1; for `scaled_normal` it is the standard deviation,
for `scaled_uniform` the half-width and for `normal_with_radius` the spectral radius itself.
"""

import jax
import jax.numpy as jnp
from jax import Array

Shape = tuple[int, int]
POWER_SQUARINGS = 21


def orthogonal(key: Array, shape: Shape, gain: Array) -> Array:
    """gain * Q with Q Haar-distributed: every singular value is `gain`; a rectangle is cut from a larger Q.

    Q is a product of Householder reflections of Gaussian vectors, which is what a QR factorisation of a Gaussian matrix
    gives. It is written out because XLA's batched calls of LAPACK can hang on several CPU devices, and TPUs have none.
    Source: Stewart 1980, SIAM J. Numer. Anal. 17:403; Saxe et al. 2014, arXiv:1312.6120.
    """
    size = max(shape)
    rows_HH = jnp.triu(jax.random.normal(key, (size, size)))

    def reflect(q_HH: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
        index, x = inputs
        sign = jnp.where(x[index] < 0, -1.0, 1.0)
        v = x.at[index].add(sign * jnp.sqrt(x @ x))
        return q_HH - jnp.outer(q_HH @ v, v * (2 / (v @ v))), -sign

    q_HH, signs_H = jax.lax.scan(reflect, jnp.eye(size), (jnp.arange(size), rows_HH))
    return gain * (q_HH * signs_H[None, :])[: shape[0], : shape[1]]


def xavier_normal(key: Array, shape: Shape, gain: Array) -> Array:
    """N(0, gain^2 * 2 / (fan_in + fan_out)). Source: Glorot and Bengio 2010."""
    return gain * (2 / sum(shape)) ** 0.5 * jax.random.normal(key, shape)


def xavier_uniform(key: Array, shape: Shape, gain: Array) -> Array:
    """U(-a, a) with a = gain * sqrt(6 / (fan_in + fan_out)). Source: Glorot and Bengio 2010."""
    return gain * (6 / sum(shape)) ** 0.5 * jax.random.uniform(key, shape, minval=-1.0)


def he_normal(key: Array, shape: Shape, gain: Array) -> Array:
    """N(0, gain^2 * 2 / fan_in). Source: He et al. 2015, arXiv:1502.01852."""
    return gain * (2 / shape[0]) ** 0.5 * jax.random.normal(key, shape)


def scaled_normal(key: Array, shape: Shape, gain: Array) -> Array:
    """N(0, gain^2), whatever the size."""
    return gain * jax.random.normal(key, shape)


def scaled_uniform(key: Array, shape: Shape, gain: Array) -> Array:
    """U(-gain, gain), whatever the size."""
    return gain * jax.random.uniform(key, shape, minval=-1.0)


def identity_kernel(key: Array, shape: Shape, gain: Array) -> Array:
    """gain * I, the start of an IRNN. Source: Le et al. 2015, arXiv:1504.00941."""
    del key
    return gain * jnp.eye(*shape)


def cyclic_shift(key: Array, shape: Shape, gain: Array) -> Array:
    """gain * the permutation matrix that sends unit i to unit i + 1, and the last unit to the first.

    A deterministic orthogonal kernel: the ring of a simple cycle reservoir. A rectangle is cut from a larger ring.
    Source: Rodan & Tino 2011, IEEE Trans. Neural Netw. 22:131.
    """
    del key
    return gain * jnp.roll(jnp.eye(max(shape)), 1, axis=1)[: shape[0], : shape[1]]


def zero_kernel(key: Array, shape: Shape, gain: Array) -> Array:
    """0, whatever the gain: no recurrence."""
    del key
    return 0 * gain * jnp.ones(shape)


def normal_with_radius(key: Array, shape: Shape, gain: Array) -> Array:
    """A Gaussian matrix rescaled so that its spectral radius is `gain`; square kernels only."""
    matrix = jax.random.normal(key, shape)
    return gain * matrix / spectral_radius(matrix)


def spectral_radius(matrix_HH: Array) -> Array:
    """The largest |eigenvalue|, by Gelfand's formula: the limit of |A^k|^(1/k), here with k = 2^20 by squaring.

    Off by a factor of about c^(1/k), c the condition of the eigenvectors; without LAPACK, see `orthogonal`.
    """

    def square(i: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        power, log_radius = state
        norm = jnp.sqrt(jnp.sum(power**2))
        return (power / norm) @ (power / norm), log_radius + jnp.log(norm) / 2.0**i

    return jnp.exp(jax.lax.fori_loop(0, POWER_SQUARINGS, square, (matrix_HH, jnp.float32(0)))[1])


def torch_uniform(key: Array, shape: Shape, gain: Array) -> Array:
    """U(-a, a) with a = gain / sqrt(H), H the columns of a block: the start of every weight of torch's cells."""
    return gain / shape[1] ** 0.5 * jax.random.uniform(key, shape, minval=-1.0)


def torch_linear(key: Array, shape: Shape, gain: Array) -> Array:
    """U(-a, a) with a = gain / sqrt(fan_in): the start of torch's linear layers."""
    return gain / shape[0] ** 0.5 * jax.random.uniform(key, shape, minval=-1.0)


def keras_uniform(key: Array, shape: Shape, gain: Array) -> Array:
    """Keras' starts: xavier_uniform of input kernels, orthogonal of recurrent ones, each of all gates at once."""
    return xavier_uniform(key, shape, gain)


def lecun_normal(key: Array, shape: Shape, gain: Array) -> Array:
    """Flax's starts: N(0, gain^2 / fan_in), cut at two deviations, of input kernels, orthogonal of recurrent ones.

    Source: LeCun et al. 1998, Efficient BackProp. The cut takes 12% of the deviation, which is made up for.
    """
    return gain * jax.random.truncated_normal(key, -2.0, 2.0, shape) / (0.8796256610342398 * shape[0] ** 0.5)


INITIALIZERS = {
    "orthogonal": orthogonal,
    "xavier_normal": xavier_normal,
    "xavier_uniform": xavier_uniform,
    "he_normal": he_normal,
    "normal": scaled_normal,
    "uniform": scaled_uniform,
    "identity": identity_kernel,
    "cyclic": cyclic_shift,
    "zeros": zero_kernel,
    "radius": normal_with_radius,
    "torch": torch_uniform,
    "keras": keras_uniform,
    "flax": lecun_normal,
}
RECURRENT_INITIALIZERS = {"keras": orthogonal, "flax": orthogonal}  # where a library starts recurrent kernels otherwise
READOUT_INITIALIZERS = {"torch": torch_linear}  # as well as readouts
ALL_GATES = ("keras",)  # drawn at once for the whole kernel [., G*H], of which no block is then orthogonal
SQUARE_ONLY = ("radius",)
# whose elements are computed one by one, without a sum over others
ELEMENTWISE = {
    "xavier_normal",
    "xavier_uniform",
    "he_normal",
    "normal",
    "uniform",
    "identity",
    "cyclic",
    "zeros",
    "torch",
}


def distribution(name: str, shape: Shape, gain: float) -> tuple[str, float]:
    """The distribution of an initializer as (family, scale), so that equal distributions compare equal.

    An initializer that rescales another one is known by the other's name and scale; all others by their own.
    """
    scales = {
        "normal": ("normal", 1.0),
        "xavier_normal": ("normal", (2 / sum(shape)) ** 0.5),
        "he_normal": ("normal", (2 / shape[0]) ** 0.5),
        "uniform": ("uniform", 1.0),
        "xavier_uniform": ("uniform", (6 / sum(shape)) ** 0.5),
    }
    family, scale = scales.get(name, (name, 1.0))
    return family, float(f"{gain * scale:.7g}")

"""How a kernel starts: each initializer maps (key, shape, gain) to a matrix [fan_in, fan_out].

`gain` multiplies the named distribution, so "off" is 1; for `normal` it is the standard deviation, for `uniform` the
half-width and for `radius` the spectral radius itself.
"""

import jax
import jax.numpy as jnp
from jax import Array

Shape = tuple[int, int]


def spectral_radius(matrix: Array) -> Array:
    """The largest |eigenvalue| of a square matrix [H, H]; a scalar. CPU and GPU only: XLA has no eigensolver for TPU."""
    return jnp.max(jnp.abs(jnp.linalg.eigvals(matrix)))


def orthogonal(key: Array, shape: Shape, gain: Array) -> Array:
    """gain * Q with Q Haar-distributed: every singular value is `gain`.

    Source: Saxe et al. 2014, arXiv:1312.6120; signs as in Mezzadri 2007, arXiv:math-ph/0609050.
    """
    rows, columns = max(shape), min(shape)
    q, r = jnp.linalg.qr(jax.random.normal(key, (rows, columns)))
    q = q * jnp.sign(jnp.diagonal(r))[None, :]
    return gain * (q if shape[0] >= shape[1] else q.T)


def xavier_normal(key: Array, shape: Shape, gain: Array) -> Array:
    """N(0, gain^2 * 2 / (fan_in + fan_out)). Source: Glorot and Bengio 2010."""
    return gain * (2 / sum(shape)) ** 0.5 * jax.random.normal(key, shape)


def xavier_uniform(key: Array, shape: Shape, gain: Array) -> Array:
    """U(-a, a) with a = gain * sqrt(6 / (fan_in + fan_out)). Source: Glorot and Bengio 2010."""
    return gain * (6 / sum(shape)) ** 0.5 * jax.random.uniform(key, shape, minval=-1.0)


def he_normal(key: Array, shape: Shape, gain: Array) -> Array:
    """N(0, gain^2 * 2 / fan_in). Source: He et al. 2015, arXiv:1502.01852."""
    return gain * (2 / shape[0]) ** 0.5 * jax.random.normal(key, shape)


def normal(key: Array, shape: Shape, gain: Array) -> Array:
    """N(0, gain^2), whatever the size."""
    return gain * jax.random.normal(key, shape)


def uniform(key: Array, shape: Shape, gain: Array) -> Array:
    """U(-gain, gain), whatever the size."""
    return gain * jax.random.uniform(key, shape, minval=-1.0)


def identity(key: Array, shape: Shape, gain: Array) -> Array:
    """gain * I, the start of an IRNN. Source: Le et al. 2015, arXiv:1504.00941."""
    del key
    return gain * jnp.eye(*shape)


def radius(key: Array, shape: Shape, gain: Array) -> Array:
    """A Gaussian matrix rescaled so that its spectral radius is exactly `gain`; square kernels only."""
    matrix = jax.random.normal(key, shape)
    return gain * matrix / spectral_radius(matrix)


INITIALIZERS = {
    "orthogonal": orthogonal,
    "xavier_normal": xavier_normal,
    "xavier_uniform": xavier_uniform,
    "he_normal": he_normal,
    "normal": normal,
    "uniform": uniform,
    "identity": identity,
    "radius": radius,
}
SQUARE_ONLY = ("radius",)

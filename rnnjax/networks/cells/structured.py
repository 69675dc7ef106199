"""Cells whose recurrent kernel has a form that keeps gradients in range: diagonal, skew, orthogonal, oscillators.

Throughout, u = x W + b is the projected input and phi the setting `activation`.
"""

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.activations import ACTIVATIONS
from rnnjax.networks.cells.build import build_cell, init_projection, input_projection
from rnnjax.networks.initializers import INITIALIZERS
from rnnjax.networks.products import PRODUCTS
from rnnjax.settings import HParams, Spec
from rnnjax.settings.checks import lookup
from rnnjax.types import Carry, Cell, OpaqueCell, Params

SQUARINGS = 6  # of the exponential: exact to float32 while the norm of the skew matrix is below about 60


def indrnn(spec: Spec, hp: HParams) -> Cell:
    """Independently recurrent network: h' = phi(u + w * h), w [H]; the carry is h [H].

    w ~ U(0, recurrent_gain), as in the paper for relu; `recurrent_initializer` has no effect.
    Source: Li et al. 2018, arXiv:1803.04831.
    """
    cell = elementwise_cell(spec, hp)

    def init(key: Array) -> Params:
        params = cell.init(key)
        del params["recurrent_kernel"]
        weights_key = jax.random.split(key)[1]
        return params | {"recurrent_weights": hp.recurrent_gain * jax.random.uniform(weights_key, (spec.hidden,))}

    def weights(params: Params) -> Array:
        return params["recurrent_weights"]

    return cell._replace(init=init, product=scale_units, recurrent_kernel=weights)


def scale_units(h: Array, weights_H: Array) -> Array:
    """w * h of h [..., H]: the product with a diagonal kernel."""
    return h * jnp.broadcast_to(weights_H, h.shape)


def antisymmetric(spec: Spec, hp: HParams) -> Cell:
    """Antisymmetric network: h' = h + e phi(u + h (M - M^T - d I)), e = step_size, d = damping; the carry is h [H].

    A forward Euler step of a stable differential equation. M [H, H] is drawn by `recurrent_initializer`.
    Source: Chang et al. 2019, arXiv:1902.09689.
    """
    phi = lookup(ACTIVATIONS, spec.activation, "activation")

    def gate(params: Params, h: Array, u: Array, r: Array) -> Array:
        return h + hp.step_size * phi(u + r)

    def kernel(params: Params) -> Array:
        return skew_part(params) - hp.damping * jnp.eye(spec.hidden, dtype=params["recurrent_skew"].dtype)

    cell = with_skew_parameter(build_cell(spec, hp, ("new",), gate))
    return cell._replace(recurrent_kernel=kernel, activation="identity")


def exprnn(spec: Spec, hp: HParams) -> Cell:
    """Orthogonal network: h' = phi(u + h exp(M - M^T)); the carry is h [H].

    The exponential of a skew matrix is orthogonal whatever M [H, H] is, so training cannot leave the orthogonal
    matrices. M is drawn by `recurrent_initializer`; the exponential costs 10 products [H, H] a window.
    Source: Lezcano-Casado and Martinez-Rubio 2019, arXiv:1901.08428.
    """

    def kernel(params: Params) -> Array:
        return matrix_exponential(skew_part(params))

    return with_skew_parameter(elementwise_cell(spec, hp))._replace(recurrent_kernel=kernel)


def elementwise_cell(spec: Spec, hp: HParams) -> Cell:
    """h' = phi(u + r)."""
    phi = lookup(ACTIVATIONS, spec.activation, "activation")

    def gate(params: Params, h: Array, u: Array, r: Array) -> Array:
        return phi(u + r)

    return build_cell(spec, hp, ("new",), gate)._replace(activation=spec.activation)


def with_skew_parameter(cell: Cell) -> Cell:
    """The cell with its recurrent kernel as the parameter M, called `recurrent_skew`."""

    def init(key: Array) -> Params:
        params = cell.init(key)
        return params | {"recurrent_skew": params.pop("recurrent_kernel")}

    return cell._replace(init=init)


def skew_part(params: Params) -> Array:
    """M - M^T, [H, H]."""
    return params["recurrent_skew"] - params["recurrent_skew"].T


def matrix_exponential(matrix_HH: Array) -> Array:
    """exp(A) by scaling and squaring of the Taylor polynomial of degree 8, in 10 products and without LAPACK.

    Source: Higham 2005, SIAM J. Matrix Anal. Appl. 26:1179, for scaling; Paterson and Stockmeyer 1973 for the products.
    """
    one, a = jnp.eye(len(matrix_HH), dtype=matrix_HH.dtype), matrix_HH / 2**SQUARINGS
    a2 = a @ a
    a3, a4 = a2 @ a, a2 @ a2
    power = one + a + a2 / 2 + a3 / 6 + a4 @ (one / 24 + a / 120 + a2 / 720 + a3 / 5040 + a4 / 40320)
    for _ in range(SQUARINGS):
        power = power @ power
    return power


def cornn(spec: Spec, hp: HParams) -> OpaqueCell:
    """Coupled oscillators: z' = z + e (tanh(u + y W_y + z W_z) - g y - d z), y' = y + e z'; h = y.

    e = step_size, g = stiffness, d = damping; the carry is (y [H], z [H]), and W_y above W_z are the recurrent kernel
    [2H, H]. Source: Rusch and Mishra 2021, arXiv:2010.00951.
    """
    start = lookup(INITIALIZERS, spec.recurrent_initializer, "recurrent_initializer")

    def init(key: Array) -> Params:
        kernel_key, *keys = jax.random.split(key, 3)
        kernels = [start(one, (spec.hidden, spec.hidden), jnp.asarray(hp.recurrent_gain)) for one in keys]
        return init_projection(spec, hp, 1, kernel_key) | {"recurrent_kernel": jnp.concatenate(kernels)}

    def carry() -> Carry:
        return jnp.zeros(spec.hidden), jnp.zeros(spec.hidden)

    def step(params: Params, carry: Carry, x: Array) -> Carry:
        y, z = carry
        u = input_projection(params["kernel"], x, spec.dtype) + params["bias"]
        r = PRODUCTS[spec.dtype](jnp.concatenate(carry), params["recurrent_kernel"])
        z = z + hp.step_size * (jnp.tanh(u + r) - hp.stiffness * y - hp.damping * z)
        return y + hp.step_size * z, z

    return OpaqueCell(init, carry, step, lambda carry: carry[0], "identity")

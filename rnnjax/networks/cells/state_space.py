"""Layers that are complex and diagonal in the state: s' = a * s + b, and h a nonlinear function of s and x.

The carry holds real and imaginary parts as real arrays. phi is the setting `activation`, which stands for the GELU of
the papers' blocks; their gated mixing, skip connections and norms between layers are no part of these cells.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.activations import ACTIVATIONS
from rnnjax.networks.cells.build import draw_blocks, init_projection, input_projection
from rnnjax.networks.initializers import INITIALIZERS
from rnnjax.networks.linear_recurrence import linear_cell
from rnnjax.networks.products import PRODUCTS
from rnnjax.settings import HParams, Spec
from rnnjax.settings.checks import lookup
from rnnjax.types import Carry, LinearRecurrence, OpaqueCell, Params

SMALLEST_MODULUS, LARGEST_MODULUS = 0.4, 0.99  # of the LRU's eigenvalues before training
SHORTEST_STEP, LONGEST_STEP = 0.001, 0.1  # of the state-space layer before training


def lru(spec: Spec, hp: HParams) -> OpaqueCell:
    """Linear recurrent unit: s' = l * s + g * (x B + b), h = phi(Re s C_r + Im s C_i + x D), s complex [H].

    l = exp(-exp(v) + i exp(t)), so |l| < 1 whatever v [H] and t [H] are; g = exp(log g), at the start (1 - |l|^2)^1/2.
    |l| starts uniform in area in the ring between 0.4 and 0.99, its phase in (0, 2 pi). B [D, 2H] in the blocks real
    and imaginary, C [2H, H] and D [D, H] are drawn by `kernel_initializer`. The carry is (Re s, Im s, h), each [H].
    Source: Orvieto et al. 2023, arXiv:2303.06349.
    """
    phi = lookup(ACTIVATIONS, spec.activation, "activation")
    start = lookup(INITIALIZERS, spec.kernel_initializer, "kernel_initializer")

    def init(key: Array) -> Params:
        modulus_key, phase_key, kernel_key, output_key, skip_key = jax.random.split(key, 5)
        low, high = SMALLEST_MODULUS**2, LARGEST_MODULUS**2
        square = low + (high - low) * jax.random.uniform(modulus_key, (spec.hidden,))
        phase = 2 * math.pi * (1 - jax.random.uniform(phase_key, (spec.hidden,)))
        gain = jnp.asarray(hp.kernel_gain)
        return init_projection(spec, hp, 2, kernel_key) | {
            "recurrent_decay": jnp.log(-jnp.log(square) / 2),
            "recurrent_phase": jnp.log(phase),
            "input_scale": jnp.log(1 - square) / 2,
            "output_kernel": start(output_key, (2 * spec.hidden, spec.hidden), gain),
            "skip_kernel": draw_blocks(1, spec.hidden, start, skip_key, spec.inputs, gain),
        }

    def coefficients(params: Params, x: Array) -> tuple[Array, Array]:
        eigenvalues = jnp.exp(jax.lax.complex(-jnp.exp(params["recurrent_decay"]), jnp.exp(params["recurrent_phase"])))
        u = input_projection(params["kernel"], x, spec.dtype) + params["bias"]
        return eigenvalues, jnp.exp(params["input_scale"]) * jax.lax.complex(*jnp.split(u, 2))

    def output(params: Params, s: Array, x: Array) -> Carry:
        y = PRODUCTS[spec.dtype](jnp.concatenate([s.real, s.imag]), params["output_kernel"])
        return s.real, s.imag, phi(y + input_projection(params["skip_kernel"], x, spec.dtype))

    return complex_cell(spec, init, (spec.hidden,), coefficients, output)


def s4d(spec: Spec, hp: HParams) -> OpaqueCell:
    """Diagonal state-space layer: s' = a s + (a - 1) / A u, h = phi(2 Re sum_n c_n s_n + d u), s complex [H, N].

    Each unit has N = `state_size` numbers s_n, driven by its own u. a = exp(step A), A = -exp(v) + i w. At the start
    A_n = -1/2 + i pi n ("S4D-Lin"), step is log-uniform in (0.001, 0.1), c complex normal of variance 1, d ~ N(0, 1);
    v, w and c are [H, N]. The carry is (Re s [H, N], Im s [H, N], h [H]).
    Source: Gu et al. 2022, arXiv:2206.11893.
    """
    phi = lookup(ACTIVATIONS, spec.activation, "activation")
    shape = spec.hidden, spec.state_size

    def init(key: Array) -> Params:
        kernel_key, step_key, real_key, imaginary_key, skip_key = jax.random.split(key, 5)
        bounds = math.log(SHORTEST_STEP), math.log(LONGEST_STEP)
        return init_projection(spec, hp, 1, kernel_key) | {
            "recurrent_decay": jnp.full(shape, math.log(0.5)),
            "recurrent_phase": jnp.broadcast_to(math.pi * jnp.arange(spec.state_size), shape),
            "recurrent_step": jax.random.uniform(step_key, shape[:1], minval=bounds[0], maxval=bounds[1]),
            "output_real": jax.random.normal(real_key, shape) / 2**0.5,
            "output_imaginary": jax.random.normal(imaginary_key, shape) / 2**0.5,
            "skip": jax.random.normal(skip_key, shape[:1]),
        }

    def project(params: Params, x: Array) -> Array:
        return input_projection(params["kernel"], x, spec.dtype) + params["bias"]

    def coefficients(params: Params, x: Array) -> tuple[Array, Array]:
        rates = jax.lax.complex(-jnp.exp(params["recurrent_decay"]), params["recurrent_phase"])
        a = jnp.exp(jnp.exp(params["recurrent_step"])[:, None] * rates)
        return a, (a - 1) / rates * project(params, x)[:, None]

    def output(params: Params, s: Array, x: Array) -> Carry:
        y = 2 * jnp.sum(params["output_real"] * s.real - params["output_imaginary"] * s.imag, axis=1)
        return s.real, s.imag, phi(y + params["skip"] * project(params, x))

    return complex_cell(spec, init, shape, coefficients, output)


def complex_cell(
    spec: Spec,
    init: Callable[[Array], Params],
    shape: tuple[int, ...],
    coefficients: Callable[[Params, Array], tuple[Array, Array]],
    output: Callable[[Params, Array, Array], Carry],
) -> OpaqueCell:
    """The cell whose carry is (Re s, Im s, h), s of a shape and h [H]."""

    def carry() -> Carry:
        return jnp.zeros(shape), jnp.zeros(shape), jnp.zeros(spec.hidden)

    def state(carry: Carry) -> Array:
        return jax.lax.complex(carry[0], carry[1])

    linear = LinearRecurrence(coefficients, state, output, spec.parallel)
    return linear_cell(init, carry, linear, lambda carry: carry[2], spec.activation)

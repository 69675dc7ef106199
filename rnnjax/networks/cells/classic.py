"""Elman, leaky and gated cells: each is a recurrent product and an elementwise gate, see `types.Cell`.

Throughout, u = x W + b is the projected input and r = h R the recurrent input, both [G*H], one block of H for each gate
in the order of `Cell.gates`; s is the logistic sigmoid and * elementwise.
"""

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.activations import ACTIVATIONS
from rnnjax.networks.cells.build import build_cell, with_forget_bias
from rnnjax.networks.products import PRODUCTS
from rnnjax.settings import HParams, Spec
from rnnjax.settings.checks import lookup
from rnnjax.types import Carry, Cell, OpaqueCell, Params


def elman(spec: Spec, hp: HParams) -> Cell:
    """Elman cell: h' = phi(u + r); the carry is h [H].

    Source: Elman 1990, Cognitive Science 14:179.
    """
    phi = lookup(ACTIVATIONS, spec.activation, "activation")

    def gate(params: Params, h: Array, u: Array, r: Array) -> Array:
        return phi(u + r)

    return build_cell(spec, hp, ("new",), gate)._replace(activation=spec.activation)


def leaky(spec: Spec, hp: HParams) -> Cell:
    """Leaky integrator: h' = (1 - leak) h + leak phi(u + r); the carry is h [H].

    An Euler step of a continuous-time RNN with leak = dt / tau. Source: Jaeger et al. 2007, Neural Networks 20:335.
    """
    phi = lookup(ACTIVATIONS, spec.activation, "activation")

    def gate(params: Params, h: Array, u: Array, r: Array) -> Array:
        return (1 - hp.leak) * h + hp.leak * phi(u + r)

    return build_cell(spec, hp, ("new",), gate)._replace(activation=spec.activation)


def minimal(spec: Spec, hp: HParams) -> Cell:
    """Minimal gated unit: f = s(u_f + r_f), n = tanh(u_n + f * (r_n + b_n)), h' = (1 - f) n + f h; the carry is h [H].

    As Flax's MGUCell: the gate acts after the product, and f = 1 keeps the state, where it replaces it in the paper.
    Source: Zhou et al. 2016, arXiv:1603.09420.
    """

    def gate(params: Params, h: Array, u: Array, r: Array) -> Array:
        (u_forget, u_new), (r_forget, r_new) = jnp.split(u, 2), jnp.split(r, 2)
        forget = jax.nn.sigmoid(u_forget + r_forget)
        new = jnp.tanh(u_new + forget * (r_new + params["bias"]))
        return (1 - forget) * new + forget * h

    return build_cell(spec, hp, ("forget", "new"), gate, lambda: {"bias": jnp.zeros(spec.hidden)})


def gru(spec: Spec, hp: HParams) -> Cell:
    """Gated recurrent unit, reset after the product; the carry is h [H].

    q = s(u_q + r_q), z = s(u_z + r_z), n = tanh(u_n + q * (r_n + b_n)), h' = (1 - z) n + z h.
    Source: Cho et al. 2014, arXiv:1406.1078; the reset after the product is that of cuDNN, torch and Flax.
    """

    def gate(params: Params, h: Array, u: Array, r: Array) -> Array:
        (u_reset, u_update, u_new), (r_reset, r_update, r_new) = jnp.split(u, 3), jnp.split(r, 3)
        reset, update = jax.nn.sigmoid(u_reset + r_reset), jax.nn.sigmoid(u_update + r_update)
        new = jnp.tanh(u_new + reset * (r_new + params["bias"]))
        return (1 - update) * new + update * h

    cell = build_cell(spec, hp, ("reset", "update", "new"), gate, lambda: {"bias": jnp.zeros(spec.hidden)})
    return with_chrono_biases(cell, spec, keep="update") if spec.gate_biases == "chrono" else cell


def gru_before(spec: Spec, hp: HParams) -> OpaqueCell:
    """Gated recurrent unit, reset before the product; the carry is h [H].

    q = s(u_q + r_q), z = s(u_z + r_z), n = phi(u_n + (q * h) R_n), h' = (1 - z) n + z h. The second product of a step
    is inside the gate, so it has no layer normalisation, no dropout and no backward pass of its own.
    Source: Cho et al. 2014, arXiv:1406.1078, in the form of Haiku, ONNX's default and Keras with reset_after=False.
    """
    phi, product = lookup(ACTIVATIONS, spec.activation, "activation"), PRODUCTS[spec.dtype]

    def gate(params: Params, h: Array, u: Array, r: Array) -> Array:
        (_, u_update, u_new), (_, r_update, r_new) = jnp.split(u, 3), jnp.split(r, 3)
        update = jax.nn.sigmoid(u_update + r_update)
        return (1 - update) * phi(u_new + r_new) + update * h

    cell = build_cell(spec, hp, ("reset", "update", "new"), gate)

    def step(params: Params, h: Array, x: Array) -> Array:
        u = cell.project_input(params, x)
        gates_H2H, new_HH = jnp.split(params["recurrent_kernel"], [2 * spec.hidden], axis=1)
        r = product(h, gates_H2H)
        reset = jax.nn.sigmoid(u[: spec.hidden] + r[: spec.hidden])
        return cell.gate(params["gate"], h, u, jnp.concatenate([r, product(reset * h, new_HH)]))

    return OpaqueCell(cell.init, cell.carry, step, cell.hidden_state, spec.activation, cell.gates)


def lstm(spec: Spec, hp: HParams) -> Cell:
    """Long short-term memory; the carry is (c [H], h [H]).

    i, f, o = s(u + r), n = tanh(u_n + r_n), c' = f * c + i * n, h' = o * tanh(c'). The bias of f starts at forget_bias.
    Source: Hochreiter and Schmidhuber 1997; Gers et al. 2000 for the forget gate.
    """
    gates = ("input", "forget", "new", "output")

    def gate(params: Params, carry: Carry, u: Array, r: Array) -> Carry:
        enter, forget, new, leave = jnp.split(u + r, 4)
        c = jax.nn.sigmoid(forget) * carry[0] + jax.nn.sigmoid(enter) * jnp.tanh(new)
        return c, jax.nn.sigmoid(leave) * jnp.tanh(c)

    cell = build_cell(spec, hp, gates, gate)

    def init(key: Array) -> Params:
        return with_forget_bias(hp, gates, cell.init(key))

    def carry() -> Carry:
        return jnp.zeros(spec.hidden), jnp.zeros(spec.hidden)

    found = cell._replace(init=init, carry=carry, hidden_state=lambda carry: carry[1])
    return with_chrono_biases(found, spec, keep="forget", enter="input") if spec.gate_biases == "chrono" else found


def with_chrono_biases(cell: Cell, spec: Spec, keep: str, enter: str = "") -> Cell:
    """The cell whose gate `keep` starts with the biases log u, u ~ U(1, T - 1), and the gate `enter` with -log u.

    Unit i then forgets within about u_i steps of the window's T.
    Source: Tallec and Ollivier 2018, arXiv:1804.11188.
    """

    def init(key: Array) -> Params:
        params = cell.init(key)
        longest = max(spec.window - 1.0, 1.0)
        bias_H = jnp.log(jax.random.uniform(jax.random.fold_in(key, 2), (spec.hidden,), minval=1.0, maxval=longest))
        blocks_GH = params["bias"].reshape(len(cell.gates), spec.hidden).at[cell.gates.index(keep)].set(bias_H)
        if enter:
            blocks_GH = blocks_GH.at[cell.gates.index(enter)].set(-bias_H)
        return params | {"bias": blocks_GH.ravel()}

    return cell._replace(init=init)

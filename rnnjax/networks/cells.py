"""Recurrent cells: each is a linear recurrence and an elementwise gate, see `types.Cell`.

Throughout, u = x W + b is the projected input and r = h R the recurrent input, both [G*H], one block of H for each gate
in the order of `Cell.gates`; s is the logistic sigmoid and * elementwise.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.activations import ACTIVATIONS
from rnnjax.networks.flax_bridge import from_flax
from rnnjax.networks.initializers import INITIALIZERS
from rnnjax.settings import HParams, Spec
from rnnjax.settings.checks import lookup
from rnnjax.types import Carry, Cell, OpaqueCell, Params

LAYER_NORM_EPSILON = 1e-6  # as in Flax; inside the root, so that a constant vector becomes 0


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
        params = cell.init(key)
        is_forget = jnp.arange(4 * spec.hidden) // spec.hidden == gates.index("forget")
        return params | {"bias": jnp.where(is_forget, hp.forget_bias, params["bias"])}

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


def build_cell(
    spec: Spec,
    hp: HParams,
    gates: tuple[str, ...],
    gate: Callable[[Params, Carry, Array, Array], Carry],
    gate_init: Callable[[], Params] = dict,
) -> Cell:
    """A cell whose carry is h [H], from its gate; each block [., H] of a kernel is drawn by the initializer on its own.

    Args:
        gates: the names of the G blocks.
        gate: (params of the gate, h [H], u [G*H], r [G*H]) -> h' [H].
        gate_init: the gate's own parameters before training.

    Raises:
        BadInput: an unknown initializer.
    """
    starts = [
        lookup(INITIALIZERS, getattr(spec, field), field) for field in ("kernel_initializer", "recurrent_initializer")
    ]

    def blocks(start: Callable[..., Array], key: Array, rows: int, gain: Any) -> Array:
        keys = jax.random.split(key, len(gates)) if len(gates) > 1 else [key]
        return jnp.concatenate([start(gate_key, (rows, spec.hidden), jnp.asarray(gain)) for gate_key in keys], axis=1)

    def init(key: Array) -> Params:
        kernel_key, recurrent_key = jax.random.split(key)
        return {
            "kernel": blocks(starts[0], kernel_key, spec.inputs, hp.kernel_gain),
            "recurrent_kernel": blocks(starts[1], recurrent_key, spec.hidden, hp.recurrent_gain),
            "bias": jnp.zeros(len(gates) * spec.hidden),
            "gate": gate_init(),
        }

    def carry() -> Array:
        return jnp.zeros(spec.hidden)

    def project_input(params: Params, x: Array) -> Array:
        return input_projection(params["kernel"], x) + params["bias"]

    def hidden_state(h: Array) -> Array:
        return h

    return Cell(gates, init, carry, project_input, gate, hidden_state)


def input_projection(kernel_DG: Array, x: Array) -> Array:
    """x W for a vector x [D]; for an id, an integer scalar, the row of W with that number."""
    if jnp.issubdtype(x.dtype, jnp.integer):
        return kernel_DG.at[x].get(mode="promise_in_bounds")
    return x @ kernel_DG


def with_layer_norm(cell: Cell) -> Cell:
    """The cell with u = g_u * standard(x W) + b and r = g_r * standard(h R), each block of a gate on its own.

    standard(v) has mean 0 and variance 1 over the H units; the scales g and the bias b are learned.
    Source: Ba et al. 2016, arXiv:1607.06450.
    """

    def standard(values_G: Array) -> Array:
        blocks_GH = values_G.reshape(len(cell.gates), -1)
        centred_GH = blocks_GH - jnp.mean(blocks_GH, axis=1, keepdims=True)
        variance_G1 = jnp.mean(centred_GH**2, axis=1, keepdims=True)
        return (centred_GH * jax.lax.rsqrt(variance_G1 + LAYER_NORM_EPSILON)).ravel()

    def init(key: Array) -> Params:
        params = cell.init(key)
        bias = params.pop("bias")  # it is added after u is brought to mean 0, so it belongs to the gate
        scales = {"input_scale": jnp.ones_like(bias), "recurrent_scale": jnp.ones_like(bias), "input_bias": bias}
        return params | {"gate": params["gate"] | scales}

    def project_input(params: Params, x: Array) -> Array:
        return input_projection(params["kernel"], x)

    def gate(params: Params, carry: Carry, u: Array, r: Array) -> Carry:
        u = params["input_scale"] * standard(u) + params["input_bias"]
        return cell.gate(params, carry, u, params["recurrent_scale"] * standard(r))

    return cell._replace(init=init, project_input=project_input, gate=gate)


CELLS: dict[str, Callable[[Spec, HParams], Cell | OpaqueCell]] = {
    "elman": elman,
    "leaky": leaky,
    "minimal": minimal,
    "gru": gru,
    "lstm": lstm,
    "flax_simple": from_flax(nn.SimpleCell),
    "flax_gru": from_flax(nn.GRUCell),
    "flax_mgu": from_flax(nn.MGUCell),
    "flax_lstm": from_flax(nn.LSTMCell),
    "flax_optimized_lstm": from_flax(nn.OptimizedLSTMCell),
}

NATIVE_CELLS = ("elman", "leaky", "minimal", "gru", "lstm")  # made of `INITIALIZERS` alone


def build_spec_cell(spec: Spec, hp: HParams) -> Cell | OpaqueCell:
    """The cell of a spec, with layer normalisation if `spec.layer_norm`. Raises BadInput for a name not in CELLS."""
    cell = lookup(CELLS, spec.cell, "cell")(spec, hp)
    return with_layer_norm(cell) if spec.layer_norm and isinstance(cell, Cell) else cell

"""Cells whose gates depend on the input alone: they are linear in the state, see `linear_recurrence`.

Throughout, u = x W + b is the projected input, one block of H for each gate, and s the logistic sigmoid.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.cells.build import init_projection, input_projection, with_forget_bias
from rnnjax.networks.linear_recurrence import linear_cell
from rnnjax.settings import HParams, Spec
from rnnjax.types import LinearRecurrence, OpaqueCell, Params


def min_gru(spec: Spec, hp: HParams) -> OpaqueCell:
    """Minimal GRU of 2024: z = s(u_z), n = u_n, h' = (1 - z) h + z n; linear in h; the carry is h [H].

    W [D, 2H] in the blocks z, n. As in the paper's appendix A ("vanilla"): n is not squashed; its form in log space
    keeps n positive and is another network.
    Source: Feng et al. 2024, arXiv:2410.01201.
    """

    def coefficients(params: Params, x: Array) -> tuple[Array, Array]:
        update, new = jnp.split(input_projection(params["kernel"], x, spec.dtype) + params["bias"], 2)
        return jax.nn.sigmoid(-update), jax.nn.sigmoid(update) * new

    return input_gated_cell(spec, lambda key: init_projection(spec, hp, 2, key), coefficients)


def min_lstm(spec: Spec, hp: HParams) -> OpaqueCell:
    """Minimal LSTM of 2024: f, i = s(u), n = u_n, h' = (f h + i n) / (f + i); linear in h; the carry is h [H].

    W [D, 3H] in the blocks forget, input, new; the bias of f starts at forget_bias. As `min_gru`, n is not squashed.
    Source: Feng et al. 2024, arXiv:2410.01201.
    """
    gates = ("forget", "input", "new")

    def init(key: Array) -> Params:
        return with_forget_bias(hp, gates, init_projection(spec, hp, len(gates), key))

    def coefficients(params: Params, x: Array) -> tuple[Array, Array]:
        forget, enter, new = jnp.split(input_projection(params["kernel"], x, spec.dtype) + params["bias"], 3)
        # f / (f + i) as a sigmoid, which is finite where both gates are closed
        keep = jax.nn.sigmoid(jax.nn.log_sigmoid(forget) - jax.nn.log_sigmoid(enter))
        return keep, (1 - keep) * new

    return input_gated_cell(spec, init, coefficients)


def input_gated_cell(
    spec: Spec,
    init: Callable[[Array], Params],
    coefficients: Callable[[Params, Array], tuple[Array, Array]],
) -> OpaqueCell:
    """The cell of h' = a h + b, whose carry and output is h [H]."""

    def carry() -> Array:
        return jnp.zeros(spec.hidden)

    def state(h: Array) -> Array:
        return h

    def output(params: Params, h: Array, x: Array) -> Array:
        return h

    return linear_cell(init, carry, LinearRecurrence(coefficients, state, output, spec.parallel), state, "identity")

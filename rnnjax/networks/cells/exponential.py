"""The cell with exponential gates of xLSTM."""

import jax
import jax.numpy as jnp
from jax import Array

from rnnjax.networks.cells.build import build_cell, with_forget_bias
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Cell, Params


def slstm(spec: Spec, hp: HParams) -> Cell:
    """sLSTM: an LSTM with an exponential input gate, a normaliser n and a stabiliser m; the carry is (c, n, m, h), [H].

    With p = u + r in the blocks input, forget, new, output, s the logistic sigmoid and l = log s(p_f) + m:
    m' = max(l, p_i), i = exp(p_i - m'), f = exp(l - m'), c' = f c + i tanh(p_n), n' = f n + i, h' = s(p_o) c' / n'.
    Where n = 0, as at the start, m' = p_i. One head; the bias of the forget gate starts at forget_bias.
    Source: Beck et al. 2024, arXiv:2405.04517.
    """
    gates = ("input", "forget", "new", "output")

    def gate(params: Params, carry: Carry, u: Array, r: Array) -> Carry:
        c, n, m, _ = carry
        enter, forget, new, leave = jnp.split(u + r, 4)
        decay = jax.nn.log_sigmoid(forget) + m
        top = jnp.where(n == 0, enter, jnp.maximum(decay, enter))
        weight, keep = jnp.exp(enter - top), jnp.where(n == 0, 0, jnp.exp(jnp.minimum(decay - top, 0)))
        c, n = keep * c + weight * jnp.tanh(new), keep * n + weight
        return c, n, top, jax.nn.sigmoid(leave) * c / n

    cell = build_cell(spec, hp, gates, gate)

    def init(key: Array) -> Params:
        return with_forget_bias(hp, gates, cell.init(key))

    def carry() -> Carry:
        return (jnp.zeros(spec.hidden),) * 4

    return cell._replace(init=init, carry=carry, hidden_state=lambda carry: carry[3])

"""The GRU with its reset before the product, against a loop in NumPy, and finite differences."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from rnnjax.errors import BadInput
from rnnjax.networks.cells import gru, gru_before
from rnnjax.networks.unroll import unroll
from rnnjax.settings import HParams, Spec

T, B, D, H = 5, 3, 4, 6
LENGTHS = (5, 2, 0)
MASK_TB = np.arange(T)[:, None] < np.array(LENGTHS)
ACTIVATIONS = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def loop(params: Any, h_BH: np.ndarray, x_TBD: np.ndarray, phi: Any) -> tuple[np.ndarray, np.ndarray]:
    """Oracle: the state after the window and the outputs, with masks; a matrix for each gate."""
    (w_q, w_z, w_n), (r_q, r_z, r_n), (b_q, b_z, b_n) = (
        np.split(np.asarray(params[name]), 3, axis=-1) for name in ("kernel", "recurrent_kernel", "bias")
    )
    h_BH, outputs = h_BH.copy(), np.zeros((T, B, H))
    for t in range(T):
        for b in np.flatnonzero(MASK_TB[t]):
            x, h = x_TBD[t, b], h_BH[b]
            q, z = sigmoid(x @ w_q + h @ r_q + b_q), sigmoid(x @ w_z + h @ r_z + b_z)
            h_BH[b] = outputs[t, b] = (1 - z) * phi(x @ w_n + (q * h) @ r_n + b_n) + z * h
    return h_BH, outputs


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_the_loop_and_its_gradients_are_differences(activation: str) -> None:
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        cell = gru_before(Spec(hidden=H, inputs=D, activation=activation), HParams())
        shapes = jax.eval_shape(cell.init, jax.random.key(0))
        params = jax.tree.map(lambda leaf: jnp.asarray(0.6 * rng.normal(size=leaf.shape)), shapes)
        h_BH, ids_TB = jnp.asarray(rng.normal(size=(B, H))), rng.integers(D, size=(T, B))
        run = jax.jit(partial(unroll, cell, mask_TB=jnp.asarray(MASK_TB)))
        ours = run(params, h_BH, jnp.asarray(ids_TB))
        expected = loop(params, np.asarray(h_BH), np.eye(D)[ids_TB], ACTIVATIONS[activation])
        for one, other in zip(ours, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
        if activation == "relu":  # its derivative has jumps
            return
        flat, unflatten = ravel_pytree((params, h_BH))

        def loss(values: Any) -> Any:
            end, h_TBH = run(*unflatten(values), jnp.asarray(ids_TB))
            return jnp.sum(jnp.sin(3 * h_TBH)) + jnp.sum(end**2)

        moves = 1e-5 * jnp.eye(len(flat))
        near = jax.jit(jax.vmap(lambda move: loss(flat + move)))
        differences = (near(moves) - near(-moves)) / 2e-5
        np.testing.assert_allclose(jax.grad(loss)(flat), differences, rtol=1e-6, atol=1e-7)


def test_it_starts_as_the_gru_that_resets_after() -> None:
    """The same draws of both kernels; the bias inside the reset is the only parameter less."""
    spec = Spec(hidden=H, inputs=D, recurrent_initializer="normal")
    before, after = (cell(spec, HParams()).init(jax.random.key(3)) for cell in (gru_before, gru))
    assert before.pop("gate") == {}
    del after["gate"]
    assert jax.tree.map(np.array_equal, before, after) == {"kernel": True, "recurrent_kernel": True, "bias": True}


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^activation: got 'tahn'"):
        gru_before(Spec(activation="tahn"), HParams())

"""The walk through time, forwards against loops, backwards against differences, Flax and autodiff through a plain scan.

Everything runs in float64, so that an oracle can be met to many digits.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from jax.flatten_util import ravel_pytree

from rnnjax.activations import ACTIVATIONS
from rnnjax.cells import CELLS
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Cell, Params
from rnnjax.unroll import recurrence, unroll

fast_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # compiles faster

T, B, D, H = 5, 3, 4, 6
INPUTS = ("vectors", "ids")
NUMPY_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.where(x > 0, x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "identity": lambda x: x,
}


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


class Case:
    """A cell with random parameters (the bias too), a random carry and random inputs."""

    def __init__(self, cell: str = "elman", activation: str = "tanh", inputs: str = "vectors") -> None:
        spec = Spec(cell=cell, activation=activation, hidden=H, inputs=D, recurrent_initializer="normal")
        self.rng = np.random.default_rng(7)
        self.cell: Cell = CELLS[cell](spec, HParams(recurrent_gain=0.4))
        self.params: Params = jax.tree.map(self.like, self.cell.init(jax.random.key(0)))
        self.carry: Carry = jax.tree.map(
            lambda leaf: self.like(np.broadcast_to(leaf, (B, *leaf.shape))), self.cell.carry()
        )
        self.x = self.rng.normal(size=(T, B, D)) if inputs == "vectors" else self.rng.integers(D, size=(T, B))

    def like(self, leaf: Any) -> Array:
        return jnp.asarray(self.rng.normal(size=np.shape(leaf)) * 0.6)

    def loss(self) -> Callable[[Any], Array]:
        """A scalar that every output and the carry after the window enter with weights of their own."""
        weights = jax.tree.map(self.like, self.run(self.params, self.carry, self.x))

        def loss(arguments: Any) -> Array:
            products = jax.tree.map(lambda weight, value: jnp.sum(weight * value), weights, self.run(*arguments))
            return sum(jax.tree.leaves(products), jnp.zeros(()))

        return loss

    def run(self, params: Params, carry: Carry, x: Any = None) -> tuple[Carry, Array]:
        return unroll(self.cell, params, carry, jnp.asarray(self.x if x is None else x))

    @property
    def arguments(self) -> tuple[Any, ...]:
        """All that a gradient can be taken of."""
        if np.issubdtype(self.x.dtype, np.integer):
            return self.params, self.carry
        return self.params, self.carry, jnp.asarray(self.x)


def plain_loop(
    params: Params, h_BH: np.ndarray, x_TBD: np.ndarray, phi: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Oracle: h_t = phi(x_t W_xh + h_{t-1} W_hh + b), [T, B, H]."""
    outputs = []
    for x_BD in x_TBD:
        h_BH = phi(x_BD @ params["kernel"] + h_BH @ params["recurrent_kernel"] + params["bias"])
        outputs.append(h_BH)
    return np.stack(outputs)


def differences(loss: Callable[[Any], Array], arguments: Any) -> np.ndarray:
    """Oracle: central finite differences in every coordinate, error about 1e-9."""
    flat, unflatten = ravel_pytree(arguments)
    step = 1e-5
    moved = fast_jit(jax.vmap(lambda move: loss(unflatten(flat + move))))
    moves = step * np.eye(len(flat))
    return np.asarray(moved(moves) - moved(-moves)) / (2 * step)


def assert_same_trees(first: Any, second: Any, tolerance: float) -> None:
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for (path, one), other in zip(jax.tree.leaves_with_path(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance, err_msg=jax.tree_util.keystr(path))


def test_every_activation_has_an_oracle() -> None:
    assert NUMPY_ACTIVATIONS.keys() == ACTIVATIONS.keys(), "write the new activation in NumPy"


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_elman_is_a_plain_loop(activation: str, inputs: str) -> None:
    case = Case(activation=activation, inputs=inputs)
    vectors = case.x if inputs == "vectors" else np.eye(D)[case.x]
    expected = plain_loop(
        jax.tree.map(np.asarray, case.params), np.asarray(case.carry), vectors, NUMPY_ACTIVATIONS[activation]
    )
    carry, h_TBH = case.run(case.params, case.carry)
    np.testing.assert_allclose(h_TBH, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(carry, h_TBH[-1])


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("cell", CELLS)
class TestGradients:
    def test_are_finite_differences(self, cell: str, activation: str, inputs: str) -> None:
        case = Case(cell, activation, inputs)
        loss = case.loss()
        gradient, _ = ravel_pytree(fast_jit(jax.grad(loss))(case.arguments))
        np.testing.assert_allclose(gradient, differences(loss, case.arguments), rtol=1e-6, atol=1e-7)

    def test_are_those_of_autodiff_through_the_plain_scan(
        self, cell: str, activation: str, inputs: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        case = Case(cell, activation, inputs)
        by_hand = fast_jit(jax.value_and_grad(case.loss()))(case.arguments)
        monkeypatch.setattr("rnnjax.unroll.recurrence", recurrence.fun)
        again = Case(cell, activation, inputs)
        assert_same_trees(by_hand, fast_jit(jax.value_and_grad(again.loss()))(again.arguments), 1e-11)


def test_elman_and_its_gradients_are_flax_simple_cell() -> None:
    case = Case()
    module = nn.RNN(nn.SimpleCell(H, param_dtype=jnp.float64), time_major=True, return_carry=True)

    def ours_as_flax(params: Params) -> Params:
        dense = {"i": {"kernel": params["kernel"], "bias": params["bias"]}, "h": {"kernel": params["recurrent_kernel"]}}
        return {"params": {"cell": dense}}

    def of_flax(params: Params, carry: Carry, x_TBD: Array) -> tuple[Carry, Array]:
        return module.apply(ours_as_flax(params), x_TBD, initial_carry=carry)

    assert_same_trees(case.run(*case.arguments), of_flax(*case.arguments), 1e-12)
    ours = jax.grad(case.loss())(case.arguments)
    case = Case()  # the weights of the loss are drawn alike
    case.run = of_flax  # type: ignore[method-assign]
    assert_same_trees(ours, jax.grad(case.loss())(case.arguments), 1e-11)


@pytest.mark.parametrize("cell", CELLS)
def test_ids_are_one_hot_vectors(cell: str) -> None:
    case = Case(cell, inputs="ids")
    assert_same_trees(case.run(case.params, case.carry), case.run(case.params, case.carry, np.eye(D)[case.x]), 1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_two_windows_are_one_long_one(cell: str) -> None:
    case = Case(cell)
    end, h_TBH = case.run(case.params, case.carry)
    middle, first = case.run(case.params, case.carry, case.x[:2])
    assert_same_trees((end, h_TBH[2:]), case.run(case.params, middle, case.x[2:]), 1e-12)
    assert_same_trees(h_TBH[:2], first, 1e-12)


@pytest.mark.parametrize("cell", CELLS)
class TestContractOfACell:
    def test_shapes(self, cell: str) -> None:
        case = Case(cell)
        params = case.cell.init(jax.random.key(3))
        gates = params["bias"].size
        assert gates % H == 0
        assert jax.tree.map(jnp.shape, params) == {
            "kernel": (D, gates),
            "recurrent_kernel": (H, gates),
            "bias": (gates,),
        }
        u_G = case.cell.drive(params, jnp.asarray(case.x[0, 0]))
        assert u_G.shape == case.cell.drive(params, jnp.int32(1)).shape == (gates,)
        start = case.cell.carry()
        after = case.cell.gate(start, u_G, u_G)
        assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after) == jax.tree.map(
            lambda leaf: (leaf.shape, leaf.dtype), start
        )
        assert case.cell.output(start).shape == (H,)

    def test_the_drive_is_the_affine_map_of_its_parameters(self, cell: str) -> None:
        case = Case(cell)
        x_D = np.asarray(case.x[0, 0])
        expected = x_D @ np.asarray(case.params["kernel"]) + np.asarray(case.params["bias"])
        np.testing.assert_allclose(case.cell.drive(case.params, jnp.asarray(x_D)), expected, rtol=1e-12)

    def test_the_gate_is_elementwise(self, cell: str) -> None:
        """Unit j of carry and output hears nothing of the other units' carry, drive and recurrent input."""
        case = Case(cell)
        gates = case.params["bias"].size // H

        def step(carry: Carry, u_GH: Array, r_GH: Array) -> tuple[Carry, Array]:
            after = case.cell.gate(carry, u_GH.ravel(), r_GH.ravel())
            return after, case.cell.output(after)

        carry = jax.tree.map(lambda leaf: leaf[0], case.carry)
        arguments = (carry, case.like(np.zeros((gates, H))), case.like(np.zeros((gates, H))))
        for jacobian in jax.tree.leaves(jax.jacfwd(step, argnums=(0, 1, 2))(*arguments)):
            of_units = np.abs(np.moveaxis(jacobian.reshape(H, -1, H), 1, 0)).max(axis=0)
            assert np.all(of_units[~np.eye(H, dtype=bool)] == 0)

    def test_streams_do_not_mix(self, cell: str) -> None:
        case = Case(cell)
        one = partial(jax.tree.map, lambda leaf: leaf[:1])
        _, h_TBH = case.run(case.params, case.carry)
        _, h_T1H = case.run(case.params, one(case.carry), case.x[:, :1])
        np.testing.assert_allclose(h_TBH[:, :1], h_T1H, rtol=1e-12)

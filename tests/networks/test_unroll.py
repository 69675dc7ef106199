"""The walk through time, forwards against loops, backwards against differences and autodiff through a plain scan.

Everything runs in float64, so that an oracle can be met to many digits.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from jax.flatten_util import ravel_pytree

from rnnjax.networks.activations import ACTIVATIONS
from rnnjax.networks.cells import CELLS, NATIVE_CELLS, build_spec_cell
from rnnjax.networks.unroll import flip_sequences, recurrence, unroll
from rnnjax.settings import HParams, Spec
from rnnjax.types import Carry, Cell, Params

fast_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # compiles faster

T, B, D, H = 5, 3, 4, 6
LENGTHS = (5, 2, 3)  # of the three streams, where there is a mask
INPUTS = ("vectors", "ids")
OURS = [name for name in NATIVE_CELLS if name != "gru_before"]  # which test_gru_before has
KNOWN = [*NATIVE_CELLS, *(name for name in CELLS if name.startswith("flax"))]  # others: test_new_cells.py
LEAK = 0.3


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


NUMPY_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.where(x > 0, x, 0),
    "sigmoid": sigmoid,
    "softsign": lambda x: np.where(x > 0, x / (1 + x), x / (1 - x)),
    "identity": lambda x: x,
}


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


class Case:
    """A cell with random parameters (the biases too), a random carry and random inputs."""

    def __init__(
        self, cell: str, inputs: str = "vectors", masked: bool = False, dropout: bool = False, **settings: Any
    ) -> None:
        spec = Spec(cell=cell, hidden=H, inputs=D, recurrent_initializer="normal", **settings)
        self.rng = np.random.default_rng(7)
        self.cell = build_spec_cell(spec, HParams(recurrent_gain=0.4, leak=LEAK))
        shapes = jax.eval_shape(lambda: (self.cell.init(jax.random.key(0)), self.cell.carry()))
        self.params: Params = jax.tree.map(self.like, shapes[0])
        self.carry: Carry = jax.tree.map(lambda leaf: self.like(np.empty((B, *leaf.shape))), shapes[1])
        self.x = self.rng.normal(size=(T, B, D)) if inputs == "vectors" else self.rng.integers(D, size=(T, B))
        self.mask_TB = np.arange(T)[:, None] < np.array(LENGTHS) if masked else None
        self.dropout_BH = self.rng.integers(2, size=(B, H)) / 0.5 if dropout else None

    @property
    def gates(self) -> int:
        assert isinstance(self.cell, Cell)
        return len(self.cell.gates)

    def like(self, leaf: Any) -> Array:
        return jnp.asarray(self.rng.normal(size=leaf.shape) * 0.6)

    def loss(self) -> Callable[[Any], Array]:
        """A scalar that every output and the carry after the window enter with weights of their own."""
        weights = jax.tree.map(self.like, jax.eval_shape(self.run, self.params, self.carry))

        def loss(arguments: Any) -> Array:
            products = jax.tree.map(lambda weight, value: jnp.sum(weight * value), weights, self.run(*arguments))
            return sum(jax.tree.leaves(products), jnp.zeros(()))

        return loss

    def run(self, params: Params, carry: Carry, x: Any = None) -> tuple[Carry, Array]:
        x = jnp.asarray(self.x if x is None else x)
        mask_TB = None if self.mask_TB is None else jnp.asarray(self.mask_TB)
        dropout_BH = None if self.dropout_BH is None else jnp.asarray(self.dropout_BH)
        return jax.jit(partial(unroll, self.cell))(params, carry, x, mask_TB, dropout_BH)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """All that a gradient can be taken of."""
        if np.issubdtype(self.x.dtype, np.integer):
            return self.params, self.carry
        return self.params, self.carry, jnp.asarray(self.x)


def by_hand(cell: str, params: Params, carry: Any, u: np.ndarray, r: np.ndarray, phi: Any = np.tanh) -> Any:
    """Oracle: (carry, output) after one step of one example, written from each cell's own paper."""
    u_, r_ = (np.split(v, {"minimal": 2, "gru": 3, "lstm": 4}.get(cell, 1)) for v in (u, r))
    if cell == "elman":
        h = phi(u + r)
    elif cell == "leaky":
        h = carry + LEAK * (phi(u + r) - carry)
    elif cell == "minimal":
        f = sigmoid(u_[0] + r_[0])
        n = np.tanh(u_[1] + f * (r_[1] + params["bias"]))
        h = n + f * (carry - n)
    elif cell == "gru":
        reset, z = sigmoid(u_[0] + r_[0]), sigmoid(u_[1] + r_[1])
        n = np.tanh(u_[2] + reset * (r_[2] + params["bias"]))
        h = n + z * (carry - n)
    else:
        i, f, n, o = sigmoid(u_[0] + r_[0]), sigmoid(u_[1] + r_[1]), np.tanh(u_[2] + r_[2]), sigmoid(u_[3] + r_[3])
        c = f * carry[0] + i * n
        return (c, o * np.tanh(c)), o * np.tanh(c)
    return h, h


def normalised(v: np.ndarray, gates: int) -> np.ndarray:
    blocks = [(b - b.mean()) / np.sqrt(b.var() + 1e-6) for b in np.split(v, gates)]
    return np.concatenate(blocks)


def plain_loop(case: Case, name: str, phi: Any = np.tanh, layer_norm: bool = False) -> tuple[Any, np.ndarray]:
    """Oracle: carries after the window, one per stream, and h [T, B, H]; one stream, one step at a time."""
    params, vectors = jax.tree.map(np.asarray, case.params), case.x
    if np.issubdtype(vectors.dtype, np.integer):
        vectors = np.eye(D)[vectors]
    ends, h_TBH = [], np.zeros((T, B, H))
    for b in range(B):
        carry = jax.tree.map(lambda leaf, b=b: np.asarray(leaf[b]), case.carry)
        drop = 1 if case.dropout_BH is None else case.dropout_BH[b]
        for t in range(T):
            if case.mask_TB is not None and not case.mask_TB[t, b]:
                continue  # the carry is held, the output is 0
            h = carry[1] if isinstance(carry, tuple) else carry
            u, r = vectors[t, b] @ params["kernel"], (h * drop) @ params["recurrent_kernel"]
            if layer_norm:
                gate = params["gate"]
                u = gate["input_scale"] * normalised(u, case.gates) + gate["input_bias"]
                r = gate["recurrent_scale"] * normalised(r, case.gates)
            else:
                u = u + params["bias"]
            carry, h_TBH[t, b] = by_hand(name, params["gate"], carry, u, r, phi)
        ends.append(carry)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *ends), h_TBH


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


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "ids": {"inputs": "ids"},
    "mask": {"masked": True},
    "dropout": {"dropout": True},
    "layer_norm": {"layer_norm": True},
    "all": {"inputs": "ids", "masked": True, "dropout": True, "layer_norm": True},
}


@pytest.mark.parametrize(
    "variant", [name if name in ("plain", "all") else pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS]
)
@pytest.mark.parametrize(
    "cell", [cell if cell in ("elman", "lstm") else pytest.param(cell, marks=pytest.mark.slow) for cell in OURS]
)
class TestEveryCell:
    def test_is_a_plain_loop(self, cell: str, variant: str) -> None:
        case = Case(cell, **VARIANTS[variant])
        expected = plain_loop(case, cell, layer_norm=VARIANTS[variant].get("layer_norm", False))
        assert_same_trees(case.run(case.params, case.carry), expected, 1e-12)

    def test_gradients_are_those_of_autodiff_through_the_plain_scan(
        self, cell: str, variant: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        case = Case(cell, **VARIANTS[variant])
        ours = fast_jit(jax.value_and_grad(case.loss()))(case.arguments)
        monkeypatch.setattr("rnnjax.networks.unroll.recurrence", recurrence.fun)
        again = Case(cell, **VARIANTS[variant])
        assert_same_trees(ours, fast_jit(jax.value_and_grad(again.loss()))(again.arguments), 1e-11)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("cell", ["elman", "leaky"])
def test_every_activation_is_a_plain_loop(cell: str, activation: str) -> None:
    case = Case(cell, activation=activation)
    expected = plain_loop(case, cell, NUMPY_ACTIVATIONS[activation])
    assert_same_trees(case.run(case.params, case.carry), expected, 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "settings"),
    [
        *((cell, {}) for cell in OURS),
        *(("elman", {"activation": activation}) for activation in ACTIVATIONS if activation != "tanh"),
        ("elman", VARIANTS["all"]),
        ("lstm", VARIANTS["all"]),
    ],
)
def test_gradients_are_finite_differences(cell: str, settings: dict[str, Any]) -> None:
    case = Case(cell, **settings)
    loss = case.loss()
    gradient, _ = ravel_pytree(fast_jit(jax.grad(loss))(case.arguments))
    np.testing.assert_allclose(gradient, differences(loss, case.arguments), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("cell", OURS)
def test_ids_are_one_hot_vectors(cell: str) -> None:
    case = Case(cell, inputs="ids")
    assert_same_trees(case.run(case.params, case.carry), case.run(case.params, case.carry, np.eye(D)[case.x]), 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("cell", KNOWN)
def test_two_windows_are_one_long_one(cell: str) -> None:
    case = Case(cell)
    end, h_TBH = case.run(case.params, case.carry)
    middle, first = case.run(case.params, case.carry, case.x[:2])
    assert_same_trees((end, h_TBH[2:]), case.run(case.params, middle, case.x[2:]), 1e-6)
    assert_same_trees(h_TBH[:2], first, 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("cell", KNOWN)
def test_streams_do_not_mix(cell: str) -> None:
    case = Case(cell)
    one = partial(jax.tree.map, lambda leaf: leaf[:1])
    _, h_TBH = case.run(case.params, case.carry)
    _, h_T1H = case.run(case.params, one(case.carry), case.x[:, :1])
    np.testing.assert_allclose(h_TBH[:, :1], h_T1H, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("cell", KNOWN)
def test_what_comes_after_the_end_of_a_sequence_changes_nothing(cell: str) -> None:
    """The carry of each stream is that of its own shorter window; nothing is shown after it."""
    case = Case(cell, masked=True)
    end, h_TBH = case.run(case.params, case.carry)
    for b, length in enumerate(LENGTHS):
        alone = Case(cell)
        stream = partial(jax.tree.map, lambda leaf, b=b: leaf[b : b + 1])
        short_end, short_h = alone.run(alone.params, stream(alone.carry), alone.x[:length, b : b + 1])
        assert_same_trees((stream(end), h_TBH[:length, b : b + 1]), (short_end, short_h), 1e-6)
        assert np.all(np.asarray(h_TBH)[length:, b] == 0)


def test_a_mask_of_another_shape_is_refused() -> None:
    case = Case("gru")
    with pytest.raises(ValueError, match=r"^mask: got shape \(3, 5\); expected \[T, B\] = \(5, 3\)$"):
        unroll(case.cell, case.params, case.carry, jnp.asarray(case.x), jnp.ones((B, T), bool))


def test_reversal_is_within_the_length() -> None:
    x_TB = np.arange(T * B).reshape(T, B)
    mask_TB = np.arange(T)[:, None] < np.array(LENGTHS)
    turned = np.asarray(flip_sequences(jnp.asarray(x_TB), jnp.asarray(mask_TB)))
    for b, length in enumerate(LENGTHS):
        assert turned[:, b].tolist() == [*x_TB[:length, b][::-1], *x_TB[length:, b]]
    np.testing.assert_array_equal(flip_sequences(jnp.asarray(x_TB), None), x_TB[::-1])


@pytest.mark.parametrize("cell", OURS)
class TestContractOfACell:
    def test_shapes(self, cell: str) -> None:
        case = Case(cell)
        params = case.cell.init(jax.random.key(3))
        wide = case.gates * H
        shapes = jax.tree.map(jnp.shape, {name: leaf for name, leaf in params.items() if name != "gate"})
        assert shapes == {"kernel": (D, wide), "recurrent_kernel": (H, wide), "bias": (wide,)}
        assert isinstance(case.cell, Cell)
        u_G = case.cell.project_input(params, jnp.asarray(case.x[0, 0]))
        assert u_G.shape == case.cell.project_input(params, jnp.int32(1)).shape == (wide,)
        start = case.cell.carry()
        after = case.cell.gate(params["gate"], start, u_G, u_G)
        assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after) == jax.tree.map(
            lambda leaf: (leaf.shape, leaf.dtype), start
        )
        assert case.cell.hidden_state(start).shape == (H,)

    def test_the_drive_is_the_affine_map_of_its_parameters(self, cell: str) -> None:
        case = Case(cell)
        assert isinstance(case.cell, Cell)
        x_D = np.asarray(case.x[0, 0])
        expected = x_D @ np.asarray(case.params["kernel"]) + np.asarray(case.params["bias"])
        np.testing.assert_allclose(case.cell.project_input(case.params, jnp.asarray(x_D)), expected, rtol=1e-12)

    def test_the_gate_is_elementwise(self, cell: str) -> None:
        """Unit j of carry and output hears nothing of the other units' carry, drive and recurrent input."""
        case = Case(cell)
        assert isinstance(case.cell, Cell)

        def step(carry: Carry, u_GH: Array, r_GH: Array) -> tuple[Carry, Array]:
            after = case.cell.gate(case.params["gate"], carry, u_GH.ravel(), r_GH.ravel())  # type: ignore[union-attr]
            return after, case.cell.hidden_state(after)

        carry = jax.tree.map(lambda leaf: leaf[0], case.carry)
        arguments = (carry, case.like(np.zeros((case.gates, H))), case.like(np.zeros((case.gates, H))))
        for jacobian in jax.tree.leaves(fast_jit(jax.jacfwd(step, argnums=(0, 1, 2)))(*arguments)):
            of_units = np.abs(np.moveaxis(jacobian.reshape(H, -1, H), 1, 0)).max(axis=0)
            assert np.all(of_units[~np.eye(H, dtype=bool)] == 0)

    def test_each_gate_starts_from_a_draw_of_its_own(self, cell: str) -> None:
        """Each block of an orthogonal start is orthogonal, and no two are the same."""
        spec = Spec(cell=cell, hidden=H, inputs=D, recurrent_initializer="orthogonal")
        params = build_spec_cell(spec, HParams()).init(jax.random.key(3))
        blocks = np.split(np.asarray(params["recurrent_kernel"]), Case(cell).gates, axis=1)
        for block in blocks:
            np.testing.assert_allclose(block @ block.T, np.eye(H), atol=1e-6)
        assert len({block.tobytes() for block in blocks}) == len(blocks)


def test_the_forget_bias_is_that_of_the_forget_gate_alone() -> None:
    cell = build_spec_cell(Spec(cell="lstm", hidden=H, inputs=D), HParams(forget_bias=2.5))
    expected = {"input": 0.0, "forget": 2.5, "new": 0.0, "output": 0.0}
    assert isinstance(cell, Cell)
    blocks = np.split(np.asarray(cell.init(jax.random.key(0))["bias"]), 4)
    assert {gate: set(block.tolist()) for gate, block in zip(cell.gates, blocks, strict=True)} == {
        gate: {value} for gate, value in expected.items()
    }

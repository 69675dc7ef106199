"""The cells of 2018 to 2024 against loops in NumPy, written from the papers; all in float64.

One compiled program for each cell computes everything: values and gradients, with masks and starts of sequences, step
by step and by an associative scan.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.linalg import expm

from rnnjax.errors import BadInput
from rnnjax.networks.cells import CELLS, LINEAR_CELLS, NATIVE_CELLS, build_spec_cell
from rnnjax.networks.cells.structured import matrix_exponential
from rnnjax.networks.flax_bridge import to_flax
from rnnjax.networks.model import build_network
from rnnjax.networks.products import bfloat16_product
from rnnjax.networks.unroll import unroll, unroll_segments
from rnnjax.settings import HParams, Spec

T, B, D, H, N = 7, 3, 4, 5, 2
NEW = [cell for cell in CELLS if cell not in NATIVE_CELLS and not cell.startswith("flax")]
HP = HParams(step_size=0.3, damping=0.2, stiffness=1.5)
PHI = np.tanh
MASK_TB = np.arange(T)[:, None] < np.array((7, 4, 0))  # the last stream has no step at all
STARTS_TB = np.isin(np.arange(T), (2, 5))[:, None] & np.array([True, False, False])
EQUAL = 1e-10  # of `parallel` and the scan in float64, relative; 2e-5 in float32, see docs/cells.md


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def min_gru(p: Any, h: np.ndarray, u: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    z, n = sigmoid(u[:H]), u[H:]
    return (h + z * (n - h),)


def min_lstm(p: Any, h: np.ndarray, u: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    f, i, n = sigmoid(u[:H]), sigmoid(u[H : 2 * H]), u[2 * H :]
    return (f / (f + i) * h + i / (f + i) * n,)


def lru(p: Any, re: np.ndarray, im: np.ndarray, h: np.ndarray, u: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    eigenvalues = np.exp(-np.exp(p["recurrent_decay"])) * np.exp(1j * np.exp(p["recurrent_phase"]))
    s = eigenvalues * (re + 1j * im) + np.exp(p["input_scale"]) * (u[:H] + 1j * u[H:])
    read = p["output_kernel"][:H] - 1j * p["output_kernel"][H:]  # Re (C_r - i C_i)(a + i b) = C_r a + C_i b
    return s.real, s.imag, PHI((s @ read).real + x @ p["skip_kernel"])


def s4d(p: Any, re: np.ndarray, im: np.ndarray, h: np.ndarray, u: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    s, y = re + 1j * im, np.zeros(H)
    for j in range(H):
        step = np.exp(p["recurrent_step"][j])
        for n in range(N):
            rate = -np.exp(p["recurrent_decay"][j, n]) + 1j * p["recurrent_phase"][j, n]
            s[j, n] = np.exp(step * rate) * s[j, n] + (np.exp(step * rate) - 1) / rate * u[j]
            y[j] += 2 * ((p["output_real"][j, n] + 1j * p["output_imaginary"][j, n]) * s[j, n]).real
    return s.real, s.imag, PHI(y + p["skip"] * u)


def indrnn(p: Any, h: np.ndarray, u: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    return (PHI(u + p["recurrent_weights"] * h),)


def antisymmetric(p: Any, h: np.ndarray, u: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    skew = p["recurrent_skew"] - p["recurrent_skew"].T
    return (h + 0.3 * PHI(u + h @ skew - 0.2 * h),)


def exprnn(p: Any, h: np.ndarray, u: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    return (PHI(u + h @ expm(p["recurrent_skew"] - p["recurrent_skew"].T)),)


def cornn(p: Any, y: np.ndarray, z: np.ndarray, u: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    force = np.tanh(u + y @ p["recurrent_kernel"][:H] + z @ p["recurrent_kernel"][H:]) - 1.5 * y - 0.2 * z
    return y + 0.3 * (z + 0.3 * force), z + 0.3 * force


def slstm(p: Any, c: Any, n: Any, m: Any, h: Any, u: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """Without the stabiliser: c and n are those of the cell times exp(m)."""
    i, f, z, o = np.split(u + h @ p["recurrent_kernel"], 4)
    top = np.where(n == 0, i, np.maximum(np.log(sigmoid(f)) + m, i))
    c, n = (sigmoid(f) * v * np.exp(m) + np.exp(i) * w for v, w in ((c, np.tanh(z)), (n, 1)))
    return c / np.exp(top), n / np.exp(top), top, sigmoid(o) * c / n


STEPS: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (min_gru, min_lstm, lru, s4d, indrnn, antisymmetric, exprnn, cornn, slstm)
}
OUTPUT = {"lru": 2, "s4d": 2, "slstm": 3}  # the number of h in the carry; else 0


class Case:
    """A cell with random parameters, carries and inputs, and everything that its program computes."""

    def __init__(self, name: str) -> None:
        self.name, self.rng = name, np.random.default_rng(5)
        self.spec = Spec(cell=name, hidden=H, inputs=D, state_size=N)
        cells = [build_spec_cell(self.spec, HP)]
        if name in LINEAR_CELLS:
            cells.append(build_spec_cell(Spec(cell=name, hidden=H, inputs=D, state_size=N, parallel=True), HP))
        shapes = jax.eval_shape(lambda: (cells[0].init(jax.random.key(0)), cells[0].carry()))
        self.params = jax.tree.map(lambda leaf: self.rng.normal(size=leaf.shape) * 0.6, shapes[0])
        self.carry, self.start = (jax.tree.map(self.streams, shapes[1]) for _ in range(2))
        self.x = self.rng.normal(size=(T, B, D))
        self.weights = self.rng.normal(size=(T, B, H))
        self.results = jax.tree.map(np.asarray, jax.jit(partial(self.compute, cells))(self.inputs))

    def streams(self, leaf: Any) -> np.ndarray:
        return 0.3 + 0.2 * np.abs(self.rng.normal(size=(B, *leaf.shape)))  # the normaliser of slstm is positive

    @property
    def inputs(self) -> Any:
        return self.params, self.carry, self.x, self.start

    def compute(self, cells: Any, inputs: Any) -> Any:
        """For each cell: the window, the gradient of a weighted sum of all outputs, differences along 3 directions."""
        flat, unflatten = ravel_pytree(inputs)
        directions = jnp.asarray(np.random.default_rng(6).normal(size=(3, flat.size)))

        def run(cell: Any, flat: Any) -> Any:
            params, carry, x, start = unflatten(flat)
            return unroll(cell, params, carry, x, jnp.asarray(MASK_TB), None, jnp.asarray(STARTS_TB), start)

        def loss(cell: Any, flat: Any) -> Any:
            end, h_TBH = run(cell, flat)
            return jnp.sum(self.weights * h_TBH) + sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(end))

        gradients = [jax.grad(partial(loss, cell))(flat) for cell in cells]
        move = jax.vmap(lambda direction: loss(cells[0], flat + 1e-5 * direction))
        slopes = (move(directions) - move(-directions)) / 2e-5
        return [run(cell, flat) for cell in cells], gradients, directions @ gradients[0], slopes


@cache
def case(name: str) -> Case:
    with jax.enable_x64(True):
        return Case(name)


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def loop(
    name: str, params: Any, carry: Any, x: np.ndarray, mask: Any = None, starts: Any = None, start: Any = None
) -> Any:
    """Oracle: the carries after the window and h [T, B, H], one stream and one step at a time."""
    steps, streams = x.shape[:2]
    h_TBH, ends = np.zeros((steps, streams, H)), []
    for b in range(streams):
        state = [leaf[b] for leaf in jax.tree.leaves(carry)]
        for t in range(steps):
            if starts is not None and starts[t, b]:
                state = [leaf[b] for leaf in jax.tree.leaves(start)]
            if mask is None or mask[t, b]:
                u = x[t, b] @ params["kernel"] + params["bias"]
                state = STEPS[name](params, *state, u, x[t, b])
                h_TBH[t, b] = state[OUTPUT.get(name, 0)]
        ends.append(state)
    return [np.stack(leaves) for leaves in zip(*ends, strict=True)], h_TBH


def assert_close(first: Any, second: Any, tolerance: float) -> None:
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", NEW)
class TestEveryCell:
    def test_is_a_loop_with_masks_and_starts(self, name: str) -> None:
        one = case(name)
        expected = loop(name, one.params, one.carry, one.x, MASK_TB, STARTS_TB, one.start)
        assert_close(one.results[0][0], expected, 1e-10)

    def test_gradients_are_finite_differences(self, name: str) -> None:
        np.testing.assert_allclose(*case(name).results[2:], rtol=1e-6)

    def test_runs_in_flax(self, name: str) -> None:
        one = case(name)
        module = nn.RNN(to_flax(CELLS[name], H, HP, state_size=N), return_carry=True)
        variables = {"params": {"cell": {"cell": one.params}}}
        carry, h_BTH = jax.jit(module.apply)(variables, one.x.swapaxes(0, 1))
        zero = jax.tree.map(np.zeros_like, one.carry)
        assert_close((jax.tree.leaves(carry), h_BTH.swapaxes(0, 1)), loop(name, one.params, zero, one.x), 1e-10)


@pytest.mark.parametrize("name", LINEAR_CELLS)
def test_parallel_is_the_scan(name: str) -> None:
    """Values, the carry after the window and gradients."""
    windows, gradients = case(name).results[:2]
    assert_close(windows[1], windows[0], EQUAL)
    assert_close(gradients[1], gradients[0], EQUAL)


def test_parallel_of_segments_and_layers_in_float32() -> None:
    """Two bidirectional layers of a packed row, in segments: what an associative scan changes is rounding."""
    sizes = {"cell": "min_lstm", "hidden": H, "inputs": D, "outputs": 2, "layers": 2, "bidirectional": True, "remat": 3}
    plain, fast = (build_network(Spec(**sizes, parallel=parallel), HP) for parallel in (False, True))
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), plain.init(jax.random.key(1)))
    carry = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), plain.carry(params, jax.random.key(0), B))
    x = jnp.asarray(case("min_lstm").x, jnp.float32)
    flags = jnp.asarray(MASK_TB), None, jnp.asarray(STARTS_TB), carry

    @jax.jit
    def outputs(params: Any) -> Any:
        return [model.apply(params, carry, x, *flags)[1] for model in (plain, fast)]

    first, second = outputs(params)
    assert np.abs(np.asarray(first)).max() > 0.1
    np.testing.assert_allclose(first, second, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["gru", "flax_gru", "slstm"])
def test_parallel_is_refused_where_the_state_is_not_linear(name: str) -> None:
    with pytest.raises(BadInput, match=f"^parallel: got true; expected false: the state of '{name}' is not linear"):
        build_spec_cell(Spec(cell=name, hidden=H, inputs=D, parallel=True), HP)


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_the_exponential_of_a_skew_matrix(scale: float) -> None:
    m = scale * np.random.default_rng(2).normal(size=(12, 12))
    found = np.asarray(matrix_exponential(jnp.asarray(m - m.T)))
    np.testing.assert_allclose(found, expm(m - m.T), atol=1e-7)
    np.testing.assert_allclose(found @ found.T, np.eye(12), atol=1e-7)


def test_starts_of_the_state_space_layers_are_stable() -> None:
    lru, s4d = (CELLS[name](Spec(hidden=64, inputs=D), HP).init(jax.random.key(0)) for name in ("lru", "s4d"))
    modulus = np.exp(-np.exp(np.asarray(lru["recurrent_decay"])))
    assert 0.4 <= modulus.min() < 0.6 and 0.9 < modulus.max() < 0.99
    np.testing.assert_allclose(np.exp(lru["input_scale"]), np.sqrt(1 - modulus**2), rtol=1e-6)
    steps = np.exp(np.asarray(s4d["recurrent_step"]))
    assert 0.001 < steps.min() < 0.002 and 0.05 < steps.max() < 0.1
    np.testing.assert_allclose(s4d["recurrent_phase"][0], np.pi * np.arange(4), rtol=1e-6)


def test_large_gates_of_slstm_stay_finite() -> None:
    cell = build_spec_cell(Spec(cell="slstm", hidden=1, inputs=4), HP)
    params: Any = {"kernel": jnp.eye(4), "recurrent_kernel": jnp.zeros((1, 4)), "bias": jnp.zeros(4), "gate": {}}
    carry = cell.carry()
    for enter, new in ((-200.0, 1.0), (300.0, -2.0), (-300.0, 3.0)):  # the second input outweighs all others
        carry = cell.step(params, carry, jnp.array([enter, 0.0, new, 20.0]))
    np.testing.assert_allclose(cell.hidden_state(carry), np.tanh(-2.0), rtol=1e-6)


def rounded(x: np.ndarray) -> np.ndarray:
    """Oracle: the nearest number with 8 significant bits, ties to even."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.round(mantissa * 256) / 256, exponent)


def test_bfloat16_rounds_every_operand_of_products_and_of_their_gradients() -> None:
    rng = np.random.default_rng(0)
    x, kernel, weights = (rng.normal(size=shape).astype(np.float32) for shape in ((6, 8), (8, 3), (6, 3)))

    def loss(x: Any, kernel: Any) -> Any:
        return jnp.sum(weights * bfloat16_product(x, kernel))

    found = bfloat16_product(jnp.asarray(x), jnp.asarray(kernel))
    d_x, d_kernel = jax.jit(jax.grad(loss, argnums=(0, 1)))(x, kernel)
    np.testing.assert_allclose(found, rounded(x) @ rounded(kernel), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(d_x, rounded(weights) @ rounded(kernel).T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(d_kernel, rounded(x).T @ rounded(weights), rtol=1e-5, atol=1e-6)
    assert np.abs(np.asarray(d_kernel) - x.T @ weights).max() > 1e-3


def test_a_network_in_bfloat16_is_a_loop_with_rounded_operands() -> None:
    """An Elman network with its readout: parameters and states are not rounded, what a product reads is."""
    spec = Spec(hidden=H, inputs=D, outputs=2, dtype="bfloat16")
    model = build_network(spec, HP)
    params = jax.tree.map(np.asarray, model.init(jax.random.key(0)))
    ids = np.random.default_rng(1).integers(D, size=(T, 1))
    _, y_TBO, h_TBH = jax.jit(model.apply)(params, {"layer_0": jnp.zeros((1, H))}, jnp.asarray(ids))
    h, layer = np.zeros(H), params["layer_0"]
    for t in range(T):
        h = np.tanh(
            rounded(layer["kernel"])[ids[t, 0]] + layer["bias"] + rounded(h) @ rounded(layer["recurrent_kernel"])
        )
        np.testing.assert_allclose(h_TBH[t, 0], h, atol=1e-3)  # one step's rounding may tip over at the next one
        y = rounded(np.asarray(h_TBH[t, 0])) @ rounded(params["readout"]["kernel"]) + params["readout"]["bias"]
        np.testing.assert_allclose(y_TBO[t, 0], y, atol=1e-6)


def test_segments_are_the_window() -> None:
    one = case("lru")
    cell = build_spec_cell(Spec(cell="lru", hidden=H, inputs=D, parallel=True), HP)
    found = unroll_segments(cell, one.params, one.carry, jnp.asarray(one.x), segment=3)
    assert_close(found, loop("lru", one.params, one.carry, one.x), 1e-10)

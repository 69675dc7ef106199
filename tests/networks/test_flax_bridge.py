"""Flax's cells here and ours in Flax: the same numbers either way."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import Array

from rnnjax.errors import BadInput
from rnnjax.networks.cells import CELLS, gru
from rnnjax.networks.flax_bridge import from_flax, to_flax
from rnnjax.networks.unroll import unroll
from rnnjax.settings import HParams, Spec
from rnnjax.types import Params

T, B, D, H = 7, 3, 4, 5
LENGTHS = np.array([7, 2, 5])
MASK_TB = jnp.asarray(np.arange(T)[:, None] < LENGTHS)
SPEC = Spec(hidden=H, inputs=D)
FLAX = {
    "flax_simple": nn.SimpleCell,
    "flax_gru": nn.GRUCell,
    "flax_mgu": nn.MGUCell,
    "flax_lstm": nn.LSTMCell,
    "flax_optimized_lstm": nn.OptimizedLSTMCell,
}
X_BTD = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)
X_TBD = jnp.asarray(X_BTD.swapaxes(0, 1))


def random_like(tree: Any) -> Any:
    """Numbers in place of the leaves of a tree or of their shapes."""
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.normal(size=leaf.shape), jnp.float32), tree)


def ours(cell: str, params: Params, mask_TB: Array | None = None, x_TBD: Array = X_TBD) -> Any:
    built = CELLS[cell](SPEC, HParams())

    @jax.jit
    def run(params: Params, x_TBD: Array, mask_TB: Array | None) -> Any:
        carry = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (B, *leaf.shape)), built.carry())
        return unroll(built, params, carry, x_TBD, mask_TB)

    return run(params, x_TBD, mask_TB)


def random_params(cell: Any) -> Params:
    return random_like(jax.eval_shape(cell.init, jax.random.key(0)))


def assert_close(first: Any, second: Any, tolerance: float = 2e-6) -> None:
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def test_cells_of_nnx_are_refused_in_one_line() -> None:
    with pytest.raises(
        BadInput, match=r"^from_flax: got GRUCell: .*; expected a cell of flax.linen, made by features=H$"
    ):
        from_flax(nnx.GRUCell)(SPEC, HParams())
    with pytest.raises(BadInput, match=r"^from_flax: got dict, which makes no cell of flax.linen; weights of nnx"):
        from_flax(dict)(SPEC, HParams())


@pytest.mark.slow
@pytest.mark.parametrize("cell", FLAX)
def test_a_flax_cell_here_is_the_flax_cell_there(cell: str) -> None:
    """Values and gradients; with masks as with Flax's `seq_lengths` for the carry."""
    module = nn.RNN(FLAX[cell](H), return_carry=True)
    apply = jax.jit(module.apply)
    params = random_params(CELLS[cell](SPEC, HParams()))

    def there(params: Params) -> Any:
        return apply({"params": {"cell": params}}, X_BTD)

    def here(params: Params) -> Any:
        (carry, _), h_TBH = ours(cell, params)
        return carry, h_TBH.swapaxes(0, 1)

    assert_close(here(params), there(params))
    gradients = [jax.jit(jax.grad(lambda p, run=run: jnp.sum(jnp.sin(run(p)[1]))))(params) for run in (here, there)]
    assert_close(*gradients, tolerance=2e-5)

    carry, _ = apply({"params": {"cell": params}}, X_BTD, seq_lengths=LENGTHS)
    assert_close(ours(cell, params, MASK_TB)[0][0], carry)


def in_flax_names(cell: str, params: Params) -> Params:
    """Our parameters under the names of the Flax cell of the same equations."""
    names = {
        "elman": ["", ""],
        "minimal": ["if", "hf", "in", "hn"],
        "gru": ["ir", "hr", "iz", "hz", "in", "hn"],
        "lstm": ["ii", "hi", "if", "hf", "ig", "hg", "io", "ho"],
    }[cell]
    blocks = len(names) // 2
    kernels, recurrent, biases = (
        np.split(np.asarray(params[key]), blocks, axis=-1) for key in ("kernel", "recurrent_kernel", "bias")
    )
    if cell == "elman":
        return {"i": {"kernel": kernels[0], "bias": biases[0]}, "h": {"kernel": recurrent[0]}}
    found: dict[str, Any] = {}
    for number in range(blocks):
        i, h = names[2 * number : 2 * number + 2]
        found[i], found[h] = {"kernel": kernels[number]}, {"kernel": recurrent[number]}
        found[h if cell == "lstm" else i]["bias"] = biases[number]
    if cell != "lstm":
        found["hn"]["bias"] = np.asarray(params["gate"]["bias"])
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "module"),
    [("elman", nn.SimpleCell), ("minimal", nn.MGUCell), ("gru", nn.GRUCell), ("lstm", nn.LSTMCell)],
)
def test_our_cells_are_those_of_flax(cell: str, module: Any) -> None:
    params = random_params(CELLS[cell](SPEC, HParams()))
    theirs = {"params": {"cell": in_flax_names(cell, params)}}
    carry, h_BTH = jax.jit(nn.RNN(module(H), return_carry=True).apply)(theirs, X_BTD)
    assert_close(ours(cell, params), (carry, h_BTH.swapaxes(0, 1)))


@pytest.mark.slow
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in FLAX])
@pytest.mark.parametrize("reverse", [False, True])
def test_our_cells_run_in_flax(cell: str, reverse: bool) -> None:
    module = nn.RNN(to_flax(CELLS[cell], H), return_carry=True, reverse=reverse, keep_order=True)
    apply = jax.jit(module.apply)
    variables = jax.jit(module.init)(jax.random.key(0), X_BTD)
    params = variables["params"]["cell"]["cell"]
    x_TBD = X_TBD[::-1] if reverse else X_TBD
    carry, h_TBH = ours(cell, params, None, x_TBD)
    expected = (h_TBH[::-1] if reverse else h_TBH).swapaxes(0, 1)
    assert_close(apply(variables, X_BTD), (carry, expected))

    if not reverse:
        carry, _ = apply(variables, X_BTD, seq_lengths=LENGTHS)
        assert_close(carry, ours(cell, params, MASK_TB)[0])


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_our_cells_read_both_ways_in_flax(cell: str) -> None:
    """`nn.Bidirectional` of two cells of ours: the outputs of both, the second from the end of each sequence."""
    forward, backward = (nn.RNN(to_flax(CELLS[cell], H)) for _ in range(2))
    module = nn.Bidirectional(forward, backward)
    variables = jax.jit(module.init)(jax.random.key(0), X_BTD)
    both = jax.jit(module.apply)(variables, X_BTD)
    parts = [variables["params"][name]["cell"]["cell"] for name in ("forward_rnn", "backward_rnn")]
    forwards, backwards = ours(cell, parts[0])[1], ours(cell, parts[1], None, X_TBD[::-1])[1][::-1]
    assert_close(both, jnp.concatenate([forwards, backwards], axis=-1).swapaxes(0, 1))


class Echo(nn.RNNCellBase):
    """A user's own cell: its carry is a tree, its output is not its carry, it has a parameter of its own."""

    features: int
    factor: float = 0.5

    @nn.compact
    def __call__(self, carry: Any, inputs: Array) -> tuple[Any, Array]:
        heard = nn.Dense(self.features, name="hear")(inputs)
        slow = self.factor * carry["slow"] + heard
        return {"slow": slow, "steps": carry["steps"] + 1.0}, jnp.tanh(slow) * carry["steps"][..., None]

    @nn.nowrap
    def initialize_carry(self, rng: Array, input_shape: tuple[int, ...]) -> Any:
        batch = input_shape[:-1]
        return {"slow": jnp.zeros((*batch, self.features)), "steps": jnp.zeros(batch)}

    @property
    def num_feature_axes(self) -> int:
        return 1


def test_a_cell_of_the_users_own() -> None:
    cell = from_flax(partial(Echo, factor=0.25))(SPEC, HParams())
    params = random_like(cell.init(jax.random.key(0)))
    carry = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (B, *leaf.shape)), cell.carry())
    (end, _), h_TBH = unroll(cell, params, carry, X_TBD)
    kernel, bias = (np.asarray(params["hear"][name], float) for name in ("kernel", "bias"))
    slow = np.zeros((B, H))
    for t in range(T):
        slow = 0.25 * slow + np.asarray(X_TBD[t], float) @ kernel + bias
        np.testing.assert_allclose(h_TBH[t], np.tanh(slow) * t, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(end["slow"], slow, rtol=1e-5, atol=1e-5)
    assert end["steps"].tolist() == [T] * B


def test_settings_reach_the_cell_in_flax() -> None:
    """There and back again: our GRU in Flax, made a cell here."""
    make = partial(to_flax, gru, hp=HParams(recurrent_gain=1e-20))
    cell = from_flax(make)(SPEC, HParams())
    params = cell.init(jax.random.key(0))
    assert 0 < np.abs(np.asarray(params["cell"]["recurrent_kernel"])).max() <= 1e-20
    assert cell.step(params, cell.carry(), jnp.ones(D))[1].shape == (H,)

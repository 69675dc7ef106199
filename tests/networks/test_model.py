"""Networks as compositions: layers, directions, start states and dropout against the walk through one layer."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.errors import BadInput
from rnnjax.networks.cells import NATIVE_CELLS, build_spec_cell
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_layers, build_network, dropout_masks, require_unidirectional
from rnnjax.networks.unroll import unroll
from rnnjax.settings import HParams, Spec
from rnnjax.types import Params

T, B, V, H = 6, 3, 5, 4
LENGTHS = (6, 2, 4)
IDS_TB = jnp.asarray(np.random.default_rng(0).integers(V, size=(T, B)))
MASK_TB = jnp.asarray(np.arange(T)[:, None] < np.array(LENGTHS))
KEY = jax.random.key(3)
HP = HParams()


def spec_of(**settings: Any) -> Spec:
    return Spec(**{"inputs": V, "outputs": V, "hidden": H} | settings)


def random_params(spec: Spec) -> Params:
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(build_network(spec, HP).init, KEY)
    return jax.tree.map(lambda leaf: jnp.asarray(0.6 * rng.normal(size=leaf.shape), jnp.float32), shapes)


def compiled_unroll(cell: Any) -> Any:
    return jax.jit(partial(unroll, cell))


def assert_close(first: Any, second: Any) -> None:
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["elman", "lstm", "flax_gru"])
def test_layers_read_each_other(cell: str) -> None:
    spec = spec_of(cell=cell, layers=3)
    model, params = build_network(spec, HP), random_params(spec)
    start = model.carry(params, KEY, B)
    after, outputs_TBV, h_TBH = jax.jit(model.apply)(params, start, IDS_TB)
    heard, ends = IDS_TB, {}
    for name, one in build_layers(spec, HP).items():
        ends[name], heard = compiled_unroll(one)(params[name], start[name], heard)
    readout = params["readout"]
    assert_close((after, h_TBH), (ends, heard))
    assert_close(outputs_TBV, np.asarray(heard) @ np.asarray(readout["kernel"]) + np.asarray(readout["bias"]))


def test_depth_does_not_change_how_the_first_layer_starts() -> None:
    flat, deep = (build_network(spec_of(layers=layers), HP).init(KEY) for layers in (1, 3))
    assert_close(flat["layer_0"], deep["layer_0"])
    kernels = {np.asarray(deep[f"layer_{i}"]["recurrent_kernel"]).tobytes() for i in range(3)}
    assert len(kernels) == 3, "each layer has a start of its own"


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["elman", "lstm"])
@pytest.mark.parametrize("layers", [1, 2])
def test_both_ways_is_one_network_forwards_and_one_backwards_in_each_sequence(cell: str, layers: int) -> None:
    """Each stream alone, cut to its length, its second network given the reversed sequence."""
    spec = spec_of(cell=cell, layers=layers, bidirectional=True)
    model, params = build_network(spec, HP), random_params(spec)
    start = model.carry(params, KEY, B)
    _, _, h_TBW = jax.jit(model.apply)(params, start, IDS_TB, MASK_TB)
    assert h_TBW.shape == (T, B, 2 * H)
    cells, start = build_layers(spec, HP), jax.tree.map(np.asarray, start)
    for b, length in enumerate(LENGTHS):
        heard: Any = np.asarray(IDS_TB)[:length, b : b + 1]
        carry = jax.tree.map(lambda leaf, b=b: leaf[b : b + 1], start)
        for i in range(layers):
            names = (f"layer_{i}", f"backward_layer_{i}")
            forwards, backwards = (
                compiled_unroll(cells[name])(params[name], carry[name], x)[1]
                for name, x in zip(names, (heard, heard[::-1]), strict=True)
            )
            heard = np.concatenate([forwards, backwards[::-1]], axis=-1)
        assert_close(h_TBW[:length, b], heard[:, 0])
        assert np.all(np.asarray(h_TBW)[length:, b] == 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [*({"cell": cell} for cell in (*NATIVE_CELLS, "flax_lstm", "min_gru")), {"cell": "gru", "layers": 2}]
)
def test_a_step_is_a_window_of_one(settings: dict[str, Any]) -> None:
    spec = spec_of(**settings)
    model, params = build_network(spec, HP), random_params(spec)
    start = model.carry(params, KEY, 1)
    after, outputs_TBV, _ = jax.jit(model.apply)(params, start, IDS_TB[:1, :1])
    carry = jax.jit(model.step)(params, jax.tree.map(lambda leaf: leaf[0], start), IDS_TB[0, 0])
    assert_close(carry, jax.tree.map(lambda leaf: leaf[0], after))
    assert_close(model.readout(params, carry), outputs_TBV[0, 0])


def test_a_network_that_reads_both_ways_is_refused_where_time_has_one_way() -> None:
    with pytest.raises(BadInput, match="bidirectional: got true; expected false"):
        require_unidirectional(spec_of(bidirectional=True))
    require_unidirectional(spec_of())


def leaves_of_start(start: str, key: jax.Array = KEY, seed: int = 0, scale: float = 0.5, streams: int = B) -> Any:
    spec = spec_of(cell="lstm", initial_state=start)
    hp = HParams(seed=seed, initial_state_scale=scale)
    model = build_network(spec, hp)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(model.carry(model.init(key_for(hp, "start")), key, streams))]


@pytest.mark.slow
def test_start_states() -> None:
    other = jax.random.key(4)
    assert all((leaf == 0).all() for leaf in leaves_of_start("zero"))
    assert all((leaf == 0.5).all() for leaf in leaves_of_start("constant"))
    cell, output = leaves_of_start("random")
    assert cell.shape == output.shape == (B, H)
    assert len(np.unique([cell, output])) == 2 * B * H, "every number is a draw of its own"
    assert not np.array_equal(leaves_of_start("random"), leaves_of_start("random", other))
    np.testing.assert_array_equal(leaves_of_start("fixed"), leaves_of_start("fixed", other))
    assert not np.array_equal(leaves_of_start("fixed"), leaves_of_start("fixed", seed=1))
    np.testing.assert_array_equal(leaves_of_start("learned"), leaves_of_start("learned", other))
    assert all((leaf == leaf[0]).all() and len(np.unique(leaf)) == H for leaf in leaves_of_start("learned"))


@pytest.mark.parametrize("start", ["random", "fixed", "learned"])
def test_a_drawn_start_is_normal_with_its_scale(start: str) -> None:

    def of_seed(seed: jax.Array) -> Any:
        hp = HParams(seed=seed, initial_state_scale=2.0)
        model = build_network(spec_of(initial_state=start), hp)
        return model.carry(model.init(key_for(hp, "start")), jax.random.key(seed), B)["layer_0"]

    drawn = np.asarray(jax.jit(jax.vmap(of_seed))(jnp.arange(120, dtype=jnp.uint32)))
    assert drawn.mean() == pytest.approx(0, abs=0.25)  # 480 different numbers at least: a deviation of 0.09
    assert drawn.std() == pytest.approx(2, rel=0.15)


def test_a_learned_start_has_a_gradient() -> None:
    spec = spec_of(initial_state="learned")
    model, params = build_network(spec, HP), random_params(spec)

    def loss(params: Params) -> jax.Array:
        return jnp.sum(model.apply(params, model.carry(params, KEY, B), IDS_TB)[1] ** 2)

    gradient = jax.jit(jax.grad(loss))(params)["start"]["layer_0"]
    assert gradient.shape == (1, H)
    assert (np.abs(np.asarray(gradient)) > 1e-4).all()


def masks(rate: float, key: jax.Array | None = KEY, dropout: bool = True, streams: int = 2_000) -> Any:
    spec = spec_of(dropout=dropout, layers=2)
    return dropout_masks(spec, HParams(dropout_rate=rate), ["layer_0", "layer_1"], streams, key)


def test_dropout_drops_a_share_and_keeps_the_mean() -> None:
    first, second = (np.asarray(mask) for mask in masks(0.2).values())
    for mask in (first, second):
        assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / 0.8)}
        assert mask.mean() == pytest.approx(1, abs=0.03)  # 8,000 draws: a deviation of 0.006
    assert not np.array_equal(first, second)
    assert (np.asarray(masks(0.0)["layer_0"]) == 1).all()
    assert set(masks(0.2, key=None).values()) == set(masks(0.2, dropout=False).values()) == {None}


def test_what_is_dropped_is_heard_by_the_recurrent_kernel_alone() -> None:
    """One layer with its mask is `unroll` with that mask; without a key it is the whole network."""
    spec, hp = spec_of(cell="gru", dropout=True), HParams(dropout_rate=0.5)
    model, params = build_network(spec, hp), random_params(spec)
    start = model.carry(params, KEY, B)
    keep = dropout_masks(spec, hp, ["layer_0"], B, KEY)["layer_0"]
    expected = unroll(build_spec_cell(spec, hp), params["layer_0"], start["layer_0"], IDS_TB, None, keep)[1]
    whole = unroll(build_spec_cell(spec, hp), params["layer_0"], start["layer_0"], IDS_TB)[1]
    assert_close(model.apply(params, start, IDS_TB, None, KEY)[2], expected)
    assert_close(model.apply(params, start, IDS_TB)[2], whole)
    assert not np.allclose(expected, whole)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("elman", "relu"), ("leaky", "relu"), ("gru", "tanh"), ("lstm", "tanh"), ("flax_gru", "tanh")],
)
@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_cell_has_the_activation_that_bounds_its_state(cell: str, expected: str, layer_norm: bool) -> None:
    spec = Spec(cell=cell, activation="relu", inputs=3, hidden=4, layer_norm=layer_norm)
    assert build_spec_cell(spec, HParams()).activation == expected

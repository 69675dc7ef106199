"""Programs of `to_stablehlo`: loaded again they give our outputs, for any number of steps and streams."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from random_networks import make_network

import rnnjax as rj

SHAPES = ((1, 1), (9, 3))
NETWORKS = [
    {"cell": "lstm", "layers": 2, "remat": 4},
    {"cell": "gru", "layer_norm": True, "bidirectional": True},
    {"cell": "flax_mgu", "inputs": 7, "outputs": 7, "loss": "cross_entropy"},
]


def inputs_and_carry(network: rj.Network, steps: int, streams: int) -> tuple[Any, Any]:
    """Random inputs [T, B, D], or ids [T, B], and a random carry."""
    rng, spec = np.random.default_rng(steps), network.spec
    x = rng.integers(0, spec.inputs, (steps, streams)) if network.vocabulary else rng.normal(size=(steps, streams, 3))
    x = jnp.asarray(x, jnp.int32 if network.vocabulary else jnp.float32)
    return x, jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype), network.initial_carry(streams)
    )


def largest_difference(one: Any, other: Any) -> float:
    return max(
        float(jnp.max(jnp.abs(a - b))) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


@pytest.mark.parametrize("settings", NETWORKS)
def test_a_window_of_any_shape_gives_our_outputs(settings: dict[str, Any], tmp_path: Path) -> None:
    network = make_network(**settings)
    rj.to_stablehlo(network, tmp_path / "window.stablehlo")
    loaded = export.deserialize(bytearray((tmp_path / "window.stablehlo").read_bytes()))
    for steps, streams in SHAPES:
        x, carry = inputs_and_carry(network, steps, streams)
        assert largest_difference(loaded.call(carry, x), network.apply(x, carry)) < 1e-5


def test_steps_one_after_the_other_are_a_window() -> None:
    network = make_network(cell="lstm", layers=2)
    loaded = export.deserialize(bytearray(rj.to_stablehlo(network, program="step").serialize()))
    x, carry = inputs_and_carry(network, 5, 3)
    expected = network.apply(x, carry)
    outputs = []
    for x_BD in x:
        carry, y_BO = loaded.call(carry, x_BD)
        outputs.append(y_BO)
    assert largest_difference((carry, jnp.stack(outputs)), expected) < 1e-5


def test_a_padded_window_reads_each_stream_up_to_its_length() -> None:
    """Each stream alone, cut to its length, is the oracle; a stream of no steps keeps its carry."""
    network = make_network(cell="gru", bidirectional=True)
    loaded = rj.to_stablehlo(network, program="padded_window")
    x, start = inputs_and_carry(network, 6, 3)
    after, outputs_TBO = loaded.call(start, x, jnp.asarray([6, 2, 0], jnp.int32))
    for stream, length in enumerate((6, 2, 0)):
        own = jax.tree.map(lambda leaf, stream=stream: leaf[stream : stream + 1], (start, after))
        if length == 0:
            assert largest_difference(*own) == 0
            continue
        expected = network.apply(x[:length, stream : stream + 1], own[0])
        assert largest_difference((own[1], outputs_TBO[:length, stream : stream + 1]), expected) < 1e-5


def test_a_learned_initial_state_is_the_first_carry() -> None:
    network = make_network(cell="lstm", initial_state="learned")
    start = network.initial_carry(2)
    assert np.array_equal(start["layer_0"][1], np.repeat(network.params["start"]["layer_0"][1], 2, axis=0))


def test_what_cannot_be_exported_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    network = make_network(bidirectional=True)
    for options, message in (
        ({"program": "step"}, r"^bidirectional: got true; expected false"),
        ({"program": "windows"}, r"^program: got 'windows'; expected one of 3, nearest: window"),
        ({"platforms": ("gpu",)}, r"^platforms: got 'gpu'; expected one of 4, nearest:"),
    ):
        with pytest.raises(rj.BadInput, match=message):
            rj.to_stablehlo(network, tmp_path / "network.stablehlo", **options)
    with pytest.raises(rj.BadInput, match=r"^network: got dict; expected a Network"):
        rj.to_stablehlo({})
    assert not list(tmp_path.iterdir())

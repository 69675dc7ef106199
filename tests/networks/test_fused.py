"""Fused windows against loops in NumPy, and their gradients against those of the scan."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax import devices
from rnnjax.errors import BadInput
from rnnjax.networks.cells import build_spec_cell
from rnnjax.networks.fused import ACTIVATIONS, CELLS, LANES
from rnnjax.networks.unroll import unroll
from rnnjax.settings import HParams, Spec

T, D = 4, 3
PLAIN = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "identity": lambda x: x,
}
KINDS = [("elman", name) for name in ACTIVATIONS] + [("gru", "tanh"), ("lstm", "tanh")]


@pytest.fixture(scope="module", autouse=True)
def compiler() -> None:
    try:
        devices.find_compiler()
    except BadInput as error:
        pytest.skip(str(error))


def spec_of(cell: str, activation: str = "tanh", hidden: int = 5, **more: Any) -> Spec:
    return Spec(cell=cell, activation=activation, hidden=hidden, inputs=D, outputs=2, recurrence="fused", **more)


def draw_state(rng: np.random.Generator, shape: tuple[int, int], _: Any) -> Any:
    return jnp.asarray(rng.normal(size=shape), jnp.float32)


def case(spec: Spec, streams: int) -> tuple[Any, Any, Any, np.ndarray]:
    """A cell, parameters without zeros, a carry [B, H] and inputs x_TBD."""
    cell, rng = build_spec_cell(spec, HParams()), np.random.default_rng(7)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(leaf + 0.4 * rng.normal(size=leaf.shape), jnp.float32), cell.init(jax.random.key(1))
    )
    draw = partial(draw_state, rng, (streams, spec.hidden))
    return cell, params, jax.tree.map(draw, cell.carry()), rng.normal(size=(T, streams, D)).astype(np.float32)


def loop(
    spec: Spec, params: Any, carry: Any, x_TBD: np.ndarray, mask_TB: Any, keep_BH: Any
) -> tuple[Any, list[np.ndarray]]:
    """The carry after the window and h after each step, by the equations, in float64."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    c, h = carry if spec.cell == "lstm" else (np.zeros(1), carry)
    c, h, phi, s, outputs = np.float64(c), np.float64(h), PLAIN[spec.activation], PLAIN["sigmoid"], []
    for t, x in enumerate(x_TBD):
        u, r = x @ p["kernel"] + p["bias"], (h * keep_BH) @ p["recurrent_kernel"]
        if spec.cell == "elman":
            new_c, new_h = c, phi(u + r)
        elif spec.cell == "gru":
            (u_q, u_z, u_n), (r_q, r_z, r_n) = np.split(u, 3, 1), np.split(r, 3, 1)
            z, n = s(u_z + r_z), np.tanh(u_n + s(u_q + r_q) * (r_n + p["gate"]["bias"]))
            new_c, new_h = c, (1 - z) * n + z * h
        else:
            i, f, n, o = np.split(u + r, 4, 1)
            new_c = s(f) * c + s(i) * np.tanh(n)
            new_h = s(o) * np.tanh(new_c)
        valid = mask_TB[t][:, None]
        c, h = np.where(valid, new_c, c), np.where(valid, new_h, h)
        outputs.append(np.where(valid, h, 0))
    return (c, h) if spec.cell == "lstm" else h, outputs


@pytest.mark.parametrize(
    ("cell", "activation", "streams", "masked"),
    [(*kind, 11, True) for kind in KINDS] + [("elman", "tanh", 1, False), ("gru", "tanh", 1, False)],
)
def test_a_window_is_the_loop_over_its_equations(cell: str, activation: str, streams: int, masked: bool) -> None:
    """H = 5 is filled up to 16; 11 streams are tiles of 8, 2 and 1; masked ones end at different steps."""
    spec = spec_of(cell, activation)
    built, params, carry, x_TBD = case(spec, streams)
    mask_TB = np.arange(T)[:, None] < 1 + np.arange(streams) % T if masked else np.ones((T, streams), bool)
    keep_BH = np.random.default_rng(2).integers(0, 2, (streams, 5)) * 2.0 if masked else np.ones((streams, 5))
    given = (jnp.asarray(mask_TB), jnp.asarray(keep_BH, jnp.float32)) if masked else (None, None)
    after, h_TBH = unroll(built, params, carry, jnp.asarray(x_TBD), *given)
    expected_after, expected = loop(spec, params, carry, x_TBD, mask_TB, keep_BH)
    np.testing.assert_allclose(h_TBH, expected, rtol=2e-5, atol=2e-6)
    for one, other in zip(jax.tree.leaves(after), jax.tree.leaves(expected_after), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("cell", "activation"),
    [kind if kind[1] == "tanh" else pytest.param(*kind, marks=pytest.mark.exhaustive) for kind in KINDS],
)
def test_gradients_of_many_runs_are_those_of_the_scan(cell: str, activation: str) -> None:
    """Of three runs under vmap, with a mask and dropout, and of the carry after the window, c and h, too."""
    spec, runs, streams = spec_of(cell, activation, hidden=LANES + 1), 3, 9
    built, params, carry, x_TBD = case(spec, streams)
    mask_TB = jnp.asarray(np.arange(T)[:, None] < 1 + np.arange(streams) % T)
    keep_BH = jnp.asarray(np.random.default_rng(3).integers(0, 2, (streams, spec.hidden)) * 2, jnp.float32)
    factors = jnp.cos(jnp.arange(T * streams * spec.hidden, dtype=jnp.float32)).reshape(T, streams, spec.hidden)
    stack = partial(jax.tree.map, lambda leaf: jnp.stack([leaf * scale for scale in (1.0, 0.5, -1.0)]))

    def total(which: Any, params: Any, carry: Any, x: Any) -> Any:
        after, h_TBH = unroll(which, params, carry, x, mask_TB, keep_BH)
        return jnp.sum(h_TBH * factors) + sum(
            jnp.sum(leaf * factors[i]) for i, leaf in enumerate(jax.tree.leaves(after))
        )

    def gradient(which: Any) -> Any:
        per_run = jax.grad(partial(total, which), argnums=(0, 1, 2))
        return jax.jit(jax.vmap(per_run))(stack(params), stack(carry), stack(jnp.asarray(x_TBD)))

    found, expected = gradient(built), gradient(built._replace(fused=""))
    assert len(jax.tree.leaves(found)[0]) == runs
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * max(1.0, float(jnp.abs(other).max())))


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_not_finite_stays_so(cell: str) -> None:
    """A run that diverges must be seen to; the stream beside it does not change."""
    built, params, carry, x_TBD = case(spec_of(cell), 2)
    broken = x_TBD.copy()
    broken[1, 0] = np.nan
    _, h_TBH = unroll(built, params, carry, jnp.asarray(broken))
    _, whole_TBH = unroll(built, params, carry, jnp.asarray(x_TBD))
    assert np.isnan(h_TBH[1:, 0]).all() and np.isfinite(h_TBH[0]).all()
    np.testing.assert_array_equal(h_TBH[:, 1], whole_TBH[:, 1])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"cell": "leaky"}, "'leaky' is none of elman, gru, lstm"),
        ({"cell": "gru", "layer_norm": True}, "layer_norm is on"),
        ({"cell": "lstm", "dtype": "bfloat16"}, "dtype is 'bfloat16'"),
    ],
)
def test_other_cells_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadInput) as raised:
        build_spec_cell(spec_of(**settings), HParams())
    assert str(raised.value) == f"recurrence: got 'fused'; expected 'scan': {reason}"


def test_a_machine_without_a_compiler_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BadInput) as raised:
        devices.find_compiler()
    message = "recurrence: got 'fused'; expected 'scan': no compiler of C++ was found (CXX=no-such-compiler)"
    assert str(raised.value) == message

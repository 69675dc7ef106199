"""Sequences of different lengths in one program: padding, packing, ends of both directions; against loops and Flax."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from jax.flatten_util import ravel_pytree

from rnnjax.networks.cells import build_spec_cell
from rnnjax.networks.model import build_network, running_mean
from rnnjax.networks.unroll import mirrored_steps, unroll, unroll_segments
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.training.loss import apply_truncated
from rnnjax.types import Params, WindowData

fast_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # compiles faster

D, H, OUTPUTS = 3, 5, 2
LENGTHS = (7, 1, 4, 6)
LABELS = TaskSpec(name="sequences")


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def spec_of(cell: str = "gru", **fields: Any) -> Spec:
    return Spec(**{"cell": cell, "hidden": H, "inputs": D, "outputs": OUTPUTS, "task": LABELS} | fields)


def random_params(spec: Spec) -> Params:
    rng = np.random.default_rng(5)
    shapes = jax.eval_shape(build_network(spec, HParams()).init, jax.random.key(0))
    return jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.normal(size=leaf.shape)), shapes)


def sequences(width: int = D) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.normal(size=(length, width)) for length in LENGTHS]


def padded(x: list[np.ndarray], steps: int, filling: float = 0.0) -> tuple[Array, Array]:
    """The sequences beside each other, [T, B, D], and where they are valid."""
    x_TBD = np.full((steps, len(x), x[0].shape[1]), filling)
    for b, one in enumerate(x):
        x_TBD[: len(one), b] = one
    return jnp.asarray(x_TBD), jnp.asarray(np.arange(steps)[:, None] < np.array([len(one) for one in x]))


def packed(x: list[np.ndarray], spare: int = 2) -> tuple[Array, Array, Array]:
    """All sequences after each other in one stream [T, 1, D], some empty steps behind; valid and first steps."""
    row = np.concatenate([*x, np.zeros((spare, x[0].shape[1]))])
    starts = np.zeros(len(row), bool)
    starts[np.cumsum([0, *LENGTHS[:-1]])] = True
    return (
        jnp.asarray(row[:, None]),
        jnp.asarray(np.arange(len(row))[:, None] < sum(LENGTHS)),
        jnp.asarray(starts[:, None]),
    )


def read(spec: Spec, params: Params, x: Array, mask: Array, starts: Array | None = None) -> tuple[Any, Array]:
    """The carry after a window and its outputs, as training reads it."""
    model = build_network(spec, HParams())
    carry = model.carry(params, jax.random.key(1), x.shape[1])
    window = WindowData(x, np.zeros(0), None, mask, starts_WTB=starts)
    return apply_truncated(spec, model, params, carry, window, jax.random.key(2), None if starts is None else carry)


def run(spec: Spec, *arguments: Any) -> tuple[Any, Array]:
    """`read`, compiled."""
    return fast_jit(partial(read, spec))(*arguments)


def objective(outputs: list[Array]) -> Array:
    """Something that depends on every output differently."""
    return sum(jnp.sum(jnp.sin((k + 1) * one) * jnp.arange(1, len(one) + 1)[:, None]) for k, one in enumerate(outputs))


def gradient_of(spec: Spec, params: Params, x: Array, mask: Array, starts: Array | None = None) -> Any:
    """Outputs of each sequence, and the gradient of the objective of all."""

    def loss(params: Params) -> tuple[Array, list[Array]]:
        outputs = read(spec, params, x, mask, starts)[1]
        if starts is None:
            each = [outputs[:length, b] for b, length in enumerate(LENGTHS)]
        else:
            each = [outputs[a:b, 0] for a, b in pairwise(np.cumsum([0, *LENGTHS]).tolist())]
        return objective(each), each

    (_, each), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    return jnp.concatenate(each), ravel_pytree(gradient)[0]


def value_and_gradient(spec: Spec, *arguments: Any) -> Any:
    """`gradient_of`, compiled."""
    return fast_jit(partial(gradient_of, spec))(*arguments)


CASES = [
    spec_of("lstm"),
    spec_of("gru", layers=2, initial_state="learned"),
    spec_of("elman", bidirectional=True, layers=2),
    spec_of("minimal", task=TaskSpec(name="sequences", summary="mean"), initial_state="constant"),
    spec_of("gru", remat=4),
]


@pytest.mark.slow
@pytest.mark.parametrize("spec", CASES, ids=lambda spec: spec.cell + str(spec.layers) + spec.task.summary)
def test_padding_changes_nothing(spec: Spec) -> None:
    params = random_params(spec)
    found = [value_and_gradient(spec, params, *padded(sequences(), steps)) for steps in (7, 32)]
    for value, other in zip(*found, strict=True):
        np.testing.assert_allclose(value, other, atol=1e-12)


def test_any_padding_gives_the_same_states_outputs_and_gradients() -> None:
    """Padded to 32, 64 and 100 steps, in float32 and optimised as in training: within 1e-6."""
    spec = spec_of("lstm", bidirectional=True)

    def everything(params: Params, x: Array, mask: Array) -> tuple[Any, Any]:
        return gradient_of(spec, params, x, mask), read(spec, params, x, mask)[0]

    with jax.enable_x64(False):
        params = jax.tree.map(jnp.float32, random_params(spec))
        found = [jax.jit(everything)(params, *padded(sequences(), steps)) for steps in (32, 64, 100)]
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(jnp.float32)}
    for other in found[1:]:
        ((outputs, gradient), carry), ((outputs_32, gradient_32), carry_32) = other, found[0]
        np.testing.assert_allclose(outputs, outputs_32, atol=1e-6)
        np.testing.assert_allclose(ravel_pytree(carry)[0], ravel_pytree(carry_32)[0], atol=1e-6)
        np.testing.assert_allclose(gradient, gradient_32, atol=1e-6 * float(jnp.abs(gradient_32).max()))


def test_what_stands_in_the_padding_changes_no_bit() -> None:
    spec = spec_of("lstm", bidirectional=True)
    params = random_params(spec)
    program = jax.jit(lambda x, mask: gradient_of(spec, params, x, mask))  # optimised, as in training
    first, second = (program(*padded(sequences(), 32, filling)) for filling in (0.0, 9.0))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    carries = [run(spec, params, *padded(sequences(), 32, filling))[0] for filling in (0.0, 9.0)]
    np.testing.assert_array_equal(*[ravel_pytree(carry)[0] for carry in carries])


@pytest.mark.slow
@pytest.mark.parametrize("spec", CASES, ids=lambda spec: spec.cell + str(spec.layers) + spec.task.summary)
def test_packing_equals_one_at_a_time(spec: Spec) -> None:
    params = random_params(spec)
    together = value_and_gradient(spec, params, *packed(sequences()))
    apart = value_and_gradient(spec, params, *padded(sequences(), 7))
    for value, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(value, other, atol=1e-12)


def elman_loop(params: Params, x: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The states of one sequence, step by step."""
    h, states = start, []
    for row in x:
        h = np.tanh(row @ params["kernel"] + h @ params["recurrent_kernel"] + params["bias"])
        states.append(h)
    return np.array(states)


def test_a_packed_stream_equals_a_loop_over_its_sequences() -> None:
    spec = spec_of("elman")
    cell = build_spec_cell(spec, HParams())
    params = jax.tree.map(np.asarray, random_params(spec)["layer_0"])
    start = np.random.default_rng(0).normal(size=H)
    x, mask, starts = packed(sequences())
    _, h_TBH = unroll(cell, params, jnp.zeros((1, H)), x, mask, None, starts, jnp.asarray(start)[None])
    loops = np.concatenate([elman_loop(params, one, start) for one in sequences()])
    np.testing.assert_allclose(h_TBH[: sum(LENGTHS), 0], loops, atol=1e-12)
    assert not h_TBH[sum(LENGTHS) :].any()


def test_an_empty_sequence_ends_in_the_start_state() -> None:
    spec = spec_of("lstm", initial_state="learned", bidirectional=True)
    params = random_params(spec)
    carry, _ = run(spec, params, jnp.ones((4, 2, D)), jnp.zeros((4, 2), bool))
    start = jax.tree.map(lambda leaf: np.repeat(leaf, 2, axis=0), params["start"])
    np.testing.assert_array_equal(ravel_pytree(carry)[0], ravel_pytree(start)[0])


def test_each_direction_ends_at_its_own_last_step() -> None:
    """The last output of a sequence reads the backward state after its first step; a mean reads them in step."""
    spec = spec_of("elman", bidirectional=True)
    params = jax.tree.map(np.asarray, random_params(spec))
    outputs = run(spec, params, *padded(sequences(), 9))[1]
    for b, one in enumerate(sequences()):
        forward = elman_loop(params["layer_0"], one, np.zeros(H))[-1]
        backward = elman_loop(params["backward_layer_0"], one[::-1], np.zeros(H))[-1]
        expected = np.concatenate([forward, backward]) @ params["readout"]["kernel"] + params["readout"]["bias"]
        np.testing.assert_allclose(outputs[len(one) - 1, b], expected, atol=1e-12)


def test_tags_read_both_directions_at_the_same_step() -> None:
    spec = spec_of("elman", bidirectional=True, task=TaskSpec(name="sequences", predict="tags"))
    params = jax.tree.map(np.asarray, random_params(spec))
    outputs = run(spec, params, *padded(sequences(), 9))[1]
    for b, one in enumerate(sequences()):
        forward = elman_loop(params["layer_0"], one, np.zeros(H))
        backward = elman_loop(params["backward_layer_0"], one[::-1], np.zeros(H))[::-1]
        expected = np.concatenate([forward, backward], axis=1) @ params["readout"]["kernel"] + params["readout"]["bias"]
        np.testing.assert_allclose(outputs[: len(one), b], expected, atol=1e-12)


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.GRUCell])
def test_flax_seq_lengths_agree(cell: Any) -> None:
    """The carry at each sequence's own end, and the outputs up to there; Flax's cells compute in float32."""
    with jax.enable_x64(False):
        spec = spec_of({"LSTMCell": "flax_lstm", "GRUCell": "flax_gru"}[cell.__name__])
        ours = build_spec_cell(spec, HParams())
        layer = nn.RNN(cell(H), return_carry=True)
        x, mask = padded(sequences(), 9)
        variables = layer.init(jax.random.key(0), x.swapaxes(0, 1))
        carry, outputs = layer.apply(variables, x.swapaxes(0, 1), seq_lengths=jnp.array(LENGTHS))
        zero = jax.tree.map(lambda leaf: jnp.zeros((len(LENGTHS), *leaf.shape)), ours.carry())
        after, h_TBH = unroll(ours, variables["params"]["cell"], zero, x, mask)
    for ours_BH, theirs_BH in zip(jax.tree.leaves(after), jax.tree.leaves(carry), strict=False):  # then ours has h
        np.testing.assert_allclose(ours_BH, theirs_BH, atol=1e-6)
    for b, length in enumerate(LENGTHS):
        np.testing.assert_allclose(h_TBH[:length, b], outputs[b, :length], atol=1e-6)


def test_flax_bidirectional_agrees() -> None:
    """Both directions at each valid step, of sequences of different lengths in one batch."""
    with jax.enable_x64(False):
        spec = spec_of("flax_gru", bidirectional=True, task=TaskSpec(name="sequences", predict="tags"))
        layer = nn.Bidirectional(nn.RNN(nn.GRUCell(H)), nn.RNN(nn.GRUCell(H)))
        x, mask = padded(sequences(), 9)
        variables = layer.init(jax.random.key(0), x.swapaxes(0, 1))
        outputs = layer.apply(variables, x.swapaxes(0, 1), seq_lengths=jnp.array(LENGTHS))
        model, cells = build_network(spec, HParams()), variables["params"]
        assert len(cells) == 2
        own = random_params(spec) | {"layer_0": cells["forward_rnn"]["cell"]}
        own |= {"backward_layer_0": cells["backward_rnn"]["cell"]}
        h_TBH = model.apply(own, model.carry(own, jax.random.key(1), len(LENGTHS)), x, mask)[2]
    for b, length in enumerate(LENGTHS):
        np.testing.assert_allclose(h_TBH[:length, b], outputs[b, :length], atol=1e-6)


def test_cells_of_flax_start_again_in_a_packed_stream() -> None:
    with jax.enable_x64(False):
        spec = spec_of("flax_gru", bidirectional=True)
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), random_params(spec))
        together = value_and_gradient(spec, params, *packed(sequences()))
        apart = value_and_gradient(spec, params, *padded(sequences(), 9))
    for value, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(value, other, atol=1e-6 * np.abs(other).max())


def test_running_means_begin_again_at_a_start() -> None:
    x, mask, starts = packed(sequences())
    means = running_mean(x, mask, starts)[:, 0]
    expected = [one[: t + 1].mean(axis=0) for one in sequences() for t in range(len(one))]
    np.testing.assert_allclose(means[: sum(LENGTHS)], expected, atol=1e-12)


def test_sequences_of_a_stream_are_mirrored_in_their_places() -> None:
    _, mask, starts = packed(sequences())
    at = np.cumsum([0, *LENGTHS])
    expected = [*[t for a, b in pairwise(at) for t in range(b - 1, a - 1, -1)], 18, 19]
    np.testing.assert_array_equal(mirrored_steps(mask, starts)[:, 0], expected)


@pytest.mark.slow
@pytest.mark.parametrize("segment", [1, 3, 50])
def test_segments_change_neither_states_nor_gradients(segment: int) -> None:
    spec = spec_of("lstm")
    cell, params = build_spec_cell(spec, HParams()), random_params(spec)["layer_0"]
    x, mask = padded(sequences(), 8)
    carry = jax.tree.map(lambda leaf: jnp.zeros((len(LENGTHS), *leaf.shape)), cell.carry())

    def total(read: Any, **more: int) -> Any:
        def loss(params: Params, x: Array) -> Array:
            after, h = read(cell, params, carry, x, mask, **more)
            return jnp.sum(jnp.sin(h)) + jnp.sum(after[0])

        return jax.value_and_grad(loss, argnums=(0, 1))(params, x)

    plain, segments = total(unroll), total(unroll_segments, segment=segment)
    np.testing.assert_allclose(ravel_pytree(plain)[0], ravel_pytree(segments)[0], atol=1e-12)


def test_an_embedding_is_a_linear_layer_below_the_ids() -> None:
    """x = E[id] equals reading the one-hot vector through E; tied logits are h E^T + b."""
    task = TaskSpec(name="text")
    spec = spec_of("gru", task=task, inputs=7, outputs=7, embedding=H, tied=True)
    params = random_params(spec)
    ids = jnp.asarray(np.random.default_rng(0).integers(7, size=(6, 2)))
    table = params["embedding"]["table"]
    below = spec_of("gru", task=task, inputs=H, outputs=7)
    plain = {"layer_0": params["layer_0"], "readout": params["readout"] | {"kernel": table.T}}
    mask = jnp.ones((6, 2), bool)
    np.testing.assert_allclose(
        run(spec, params, ids, mask)[1], run(below, plain, jax.nn.one_hot(ids, 7) @ table, mask)[1], atol=1e-12
    )
    assert "kernel" not in params["readout"]

"""The table of docs/interop.md of what differs between libraries: padding and empty sequences, against the libraries.

Packed sequences of torch are in test_golden.py; the rows of Keras and ONNX are in their own tests.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.interop.flax_trees import form_from_linen
from rnnjax.interop.programs import form_to_program
from rnnjax.networks.model import build_network
from rnnjax.settings import HParams

pytestmark = pytest.mark.slow
T, B, D, H = 6, 3, 2, 4
LENGTHS = np.array([6, 3, 0])
MASK_TB = np.arange(T)[:, None] < LENGTHS
X_TBD = np.random.default_rng(0).normal(size=(T, B, D)).astype(np.float32)


def ours(variables: Any, mask_TB: Any) -> tuple[Any, Any]:
    """The state after the window and the outputs, from a state of 0.5."""
    spec, params = form_to_program(form_from_linen(variables))
    network = build_network(spec, HParams())
    start = jax.tree.map(lambda leaf: leaf + 0.5, network.carry(params, jax.random.key(0), B))
    run = jax.jit(network.apply)
    after, outputs_TBO, _ = run(jax.tree.map(jnp.asarray, params), start, jnp.asarray(X_TBD), mask_TB)
    return after["layer_0"], outputs_TBO


def test_flax_goes_on_over_the_padding_and_an_empty_sequence_ends_after_it() -> None:
    module = nn.RNN(nn.GRUCell(H), return_carry=True, time_major=True)
    variables = module.init(jax.random.key(0), X_TBD)
    start = jnp.full((B, H), 0.5)
    carry, outputs_TBH = module.apply(variables, X_TBD, initial_carry=start, seq_lengths=LENGTHS)
    whole, all_TBH = module.apply(variables, X_TBD, initial_carry=start)
    state, masked_TBH = ours(variables, jnp.asarray(MASK_TB))
    np.testing.assert_allclose(outputs_TBH, all_TBH, atol=1e-6)  # Flax: the lengths change no output
    np.testing.assert_allclose(
        masked_TBH, np.where(MASK_TB[..., None], all_TBH, 0), atol=1e-6
    )  # ours: 0 in the padding
    np.testing.assert_allclose(state[:2], carry[:2], atol=1e-6)
    np.testing.assert_allclose(carry[2], whole[2], atol=1e-6)  # Flax: after all of the padding
    assert np.array_equal(state[2], start[2]), "ours: the initial state"


def test_torch_refuses_an_empty_sequence_and_reads_padding_where_nothing_is_packed() -> None:
    torch = pytest.importorskip("torch")
    from torch.nn.utils.rnn import pack_padded_sequence

    x, layer = torch.as_tensor(X_TBD), torch.nn.GRU(D, H, bidirectional=True)
    with pytest.raises(RuntimeError, match="greater than 0"):
        pack_padded_sequence(x, torch.tensor([6, 3, 0]), enforce_sorted=False)
    other = x.clone()
    other[3:, 1] += 1.0  # in the padding of the second sequence
    change = (layer(x)[0] - layer(other)[0]).detach().abs()[:3, 1]
    assert change[:, :H].max() == 0 and change[:, H:].max() > 1e-3, "the backward half has read it"


def test_the_backward_direction_of_flax_starts_at_the_own_end_and_then_reads_the_padding() -> None:
    module = nn.RNN(nn.GRUCell(H), time_major=True, reverse=True, keep_order=True)
    variables = module.init(jax.random.key(0), X_TBD)
    outputs_TBH = module.apply(variables, X_TBD, seq_lengths=LENGTHS)
    alone_TBH = module.apply(variables, X_TBD[:3, 1:2])
    np.testing.assert_allclose(outputs_TBH[:3, 1], alone_TBH[:, 0], atol=1e-6)
    assert np.abs(outputs_TBH[3:, 1]).min() > 0


def test_torch_has_dropout_between_layers_alone() -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.LSTM(D, H, num_layers=2, dropout=0.5)
    states = [layer.train(training)(torch.as_tensor(X_TBD))[1][0].detach() for training in (True, False)]
    assert torch.equal(states[0][0], states[1][0]), "the first layer has read all of its own states"
    assert not torch.equal(states[0][1], states[1][1])

"""Streams of documents: the state begins anew where a document does, in training, held-out losses and gradients."""

from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from rnnjax.config.load import load_study
from rnnjax.doctor.adapters import can_step
from rnnjax.doctor.batch import batch_step_losses
from rnnjax.doctor.from_training import build_input
from rnnjax.doctor.inputs import initial_carries
from rnnjax.errors import BadInput
from rnnjax.networks.beam_search import beam_search
from rnnjax.networks.documents import with_documents
from rnnjax.networks.model import build_network
from rnnjax.networks.sampling import decode_step, prefill, sample
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.studies.validation import check_names
from rnnjax.tasks.text import text_task
from rnnjax.tasks.windows import held_out_window, task_windows
from rnnjax.training.batching import select_window
from rnnjax.training.loss import evaluate_loss, window_loss
from rnnjax.training.losses import cross_entropy
from rnnjax.types import Params

TEXT = "|ab|cabba|b|acb|" * 12
SETTINGS = TaskSpec(name="text", document_token="|")
TASK = text_task(SETTINGS, TEXT)
fast_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # compiles faster


def spec_of(**fields: Any) -> Spec:
    known = {"task": SETTINGS, "cell": "gru", "hidden": 4, "inputs": 4, "outputs": 4, "window": 20, "reduction": "mean"}
    return Spec(**known | fields)


def mean_loss_of_pieces(spec: Spec, params: Params, carry: Any, inputs: np.ndarray, targets: np.ndarray) -> jax.Array:
    """The mean loss of one stream, read piece by piece; a piece that begins a document is read from the start state."""
    model, losses = build_network(spec, HParams()), []
    cuts = [0, *[t for t in range(1, len(inputs)) if TASK.vocabulary[inputs[t]] == "|"], len(inputs)]
    start = model.carry(params, jax.random.key(0), 1)
    for a, b in pairwise(cuts):
        begins = TASK.vocabulary[inputs[a]] == "|"
        _, outputs, _ = model.apply(params, start if begins else carry, jnp.asarray(inputs[a:b])[:, None])
        losses.append(jax.vmap(cross_entropy)(outputs[:, 0], jnp.asarray(targets[a:b])))
    return jnp.mean(jnp.concatenate(losses))


@pytest.mark.slow
@pytest.mark.parametrize("initial_state", ["zero", "learned"])
def test_a_window_has_the_loss_and_gradient_of_its_documents(initial_state: str) -> None:
    spec, hp = spec_of(initial_state=initial_state), HParams()
    model = build_network(spec, hp)
    params = model.init(jax.random.key(1))
    carried = jax.tree.map(lambda leaf: leaf + 0.3, model.carry(params, jax.random.key(0), 1))
    window = select_window(task_windows(TASK, TASK.train_N, 1, 20), jnp.int32(1))
    inputs, targets = (np.asarray(leaf)[:, 0] for leaf in window[:2])
    assert (inputs == TASK.vocabulary.index("|")).sum() > 2 and TASK.vocabulary[inputs[0]] != "|"

    def ours(params: Params) -> jax.Array:
        return window_loss(spec, hp, carried, jnp.bool_(False), jax.random.key(0), window, params)[0]

    def pieces(params: Params) -> jax.Array:
        return mean_loss_of_pieces(spec, params, carried, inputs, targets)

    found, expected = (fast_jit(jax.value_and_grad(loss))(params) for loss in (ours, pieces))
    np.testing.assert_allclose(found[0], expected[0], atol=1e-6)
    np.testing.assert_allclose(ravel_pytree(found[1])[0], ravel_pytree(expected[1])[0], atol=1e-6)


@pytest.mark.slow
def test_the_held_out_loss_is_that_of_its_documents() -> None:
    spec, hp = spec_of(window=5), HParams()
    model = build_network(spec, hp)
    params = model.init(jax.random.key(1))
    held_out = held_out_window(TASK, 5, carried=True)
    inputs, targets = (np.asarray(leaf)[0, :, 0] for leaf in held_out[:2])
    expected = mean_loss_of_pieces(spec, params, model.carry(params, jax.random.key(0), 1), inputs, targets)
    found = fast_jit(lambda params: evaluate_loss(spec, hp, params, held_out))(params)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("word", ["x", "ab"])
def test_a_document_begins_at_one_token(word: str) -> None:
    with pytest.raises(BadInput, match=f"task.document_token: got '{word}'; expected one character of the text"):
        text_task(TaskSpec(name="text", document_token=word), TEXT)


def test_documents_are_not_sampled_in_training(tmp_path: Any) -> None:
    lines = ['question = "q"', "[base]", 'task.name = "text"', 'task.document_token = "#"']
    (tmp_path / "a.toml").write_text("\n".join([*lines, 'scheduled_sampling = "sampled"']))
    with pytest.raises(BadInput, match="scheduled_sampling: got 'sampled'; expected 'teacher'"):
        check_names(load_study(tmp_path / "a.toml"))


@pytest.mark.slow
def test_a_text_goes_on_from_its_last_document_alone() -> None:
    """What is written after a document token depends on nothing before it, whether it is read or drawn."""
    spec, hp = spec_of(), HParams()
    model, begin = build_network(spec, hp), TASK.vocabulary.index("|")
    params, documents = model.init(jax.random.key(3)), with_documents(model, hp, begin)
    long, short = (jnp.array([[TASK.vocabulary.index(letter)] for letter in text]) for text in ("abbc|ca", "|ca"))
    alone = prefill(model, hp, params, short)
    assert np.abs(prefill(model, hp, params, long)[1] - alone[1]).max() > 1e-3
    drawn = decode_step(documents, params, alone[0], jnp.array([begin]))
    pairs = (prefill(documents, hp, params, long), alone), (drawn, prefill(model, hp, params, jnp.array([[begin]])))
    for ours, expected in pairs:
        assert jax.tree.all(jax.tree.map(partial(np.allclose, atol=1e-6), ours, expected))
    draw = partial(
        sample, spec, hp, params, length=9, temperature=jnp.float32(1), key=jax.random.key(0), document=begin
    )
    assert np.array_equal(draw(long), draw(short))
    search = partial(beam_search, spec, hp, params, length=6, width=2, length_penalty=0.0, end=jnp.int32(-1))
    assert np.array_equal(search(long, document=begin).ids_MNP, search(short, document=begin).ids_MNP)


def test_the_doctor_reads_documents_as_training_does() -> None:
    """Its loss of a stream is that of its documents, each from the initial state."""
    spec = spec_of(batch=2, window=10)
    params = build_network(spec, HParams()).init(jax.random.key(1))
    setup = build_input(spec, HParams(), TASK, jax.tree.map(lambda leaf: leaf[None], params))
    carry = initial_carries(setup, setup.batch)
    outputs = setup.adapter.apply(params, jax.tree.map(lambda leaf: leaf[0], carry), jnp.asarray(setup.batch.inputs))[1]
    losses = batch_step_losses(setup.batch, outputs)
    stream = jax.tree.map(lambda leaf: leaf[0, :1], carry)
    expected = mean_loss_of_pieces(spec, params, stream, setup.batch.inputs[:, 0], setup.batch.targets[:, 0])
    np.testing.assert_allclose(jnp.mean(losses[:, 0]), expected, rtol=1e-5)
    assert can_step(setup.adapter, params, jax.tree.map(lambda leaf: leaf[0], carry), jnp.asarray(setup.batch.inputs))

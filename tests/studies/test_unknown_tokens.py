"""The token that stands for all others is not written unless it is asked for, however likely it is."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.networks.model import build_network
from rnnjax.probes.generation.free_running import text
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.settings.vocabulary import known_tokens, unknown_token
from rnnjax.studies.load_networks import LoadedNetwork
from rnnjax.studies.sampling import SamplingOptions, continue_text
from rnnjax.tasks.text import text_task
from rnnjax.training.state import init_state
from rnnjax.types import Params, Task

TEXT = "the cat saw the dog. the dog saw a cat! one two the cat ran, the dog ran. " * 20 + "a rare word ends it."
KINDS: dict[str, dict[str, Any]] = {"words": {"tokens": "words"}, "characters": {"vocabulary_limit": 8}}


def network(kind: str) -> tuple[Task, Spec, Params]:
    """A network that finds the unknown token at least 1,000 times as likely as any other."""
    settings: Any = TaskSpec(name="text", **KINDS[kind])
    task = text_task(settings, TEXT)
    spec = Spec(task=settings, hidden=8, inputs=task.inputs, outputs=task.outputs, block=1)
    params = build_network(spec, HParams()).init(jax.random.key(1))
    unknown = task.vocabulary.index(unknown_token(task.vocabulary) or "")
    readout = {**params["readout"], "bias": params["readout"]["bias"].at[unknown].add(20)}
    return task, spec, {**params, "readout": readout}


def written(kind: str, **wishes: Any) -> str:
    task, spec, params = network(kind)
    prompt = tuple(task.validation_N[:5].tolist())
    loaded = LoadedNetwork("base", 0, spec, HParams(), params, task.vocabulary, prompt=prompt)
    return continue_text(loaded, 30, SamplingOptions(**wishes))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wishes", [{}, {"greedy": True}, {"top_p": 0.9}, {"top_k": 2}, {"beam": 3}])
def test_it_is_written_only_where_it_is_asked_for(kind: str, wishes: dict[str, Any]) -> None:
    unknown = unknown_token(network(kind)[0].vocabulary)
    assert unknown is not None
    assert unknown not in written(kind, **wishes)
    assert written(kind, unknown=True, **wishes).count(unknown) > 25


def test_it_may_end_a_text_that_is_to_end_at_it() -> None:
    assert written("characters", end="\ufffd") == "\ufffd"


@pytest.mark.parametrize("kind", KINDS)
def test_the_texts_of_a_report_are_without_it(kind: str) -> None:
    task, spec, params = network(kind)
    state = init_state(spec, HParams(), params)
    ids = jax.jit(text(spec, task).measure)(state, HParams(), jnp.int32(0))
    unknown = task.vocabulary.index(unknown_token(task.vocabulary) or "")
    assert all(unknown not in np.asarray(ids_PN) for ids_PN in ids.values())


def test_the_tokens_that_stand_for_themselves() -> None:
    assert known_tokens("ab") is None
    assert known_tokens(("<unk>", " a", "b")) is not None
    np.testing.assert_array_equal(known_tokens(("<unk>", " a", "b")), [False, True, True])  # type: ignore[arg-type]
    np.testing.assert_array_equal(known_tokens("ab\ufffd"), [True, True, False])  # type: ignore[arg-type]

"""What is said of decoders, on sentences written by hand and on networks whose words are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.errors import NotApplicable
from rnnjax.probes.generation.decoders import (
    LONGEST,
    PENALTIES,
    PROMPTS,
    SAMPLERS,
    WIDTHS,
    decoders,
    first_sentence_lengths,
    sentence_measures,
    sentence_prompts,
    sentence_transitions,
)
from rnnjax.probes.generation.errors_by_position import PROMPT, true_texts
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.settings.vocabulary import ids_to_text, text_to_ids
from rnnjax.tasks import TASKS
from rnnjax.tasks.automaton import build_language
from rnnjax.tasks.grammar import Grammar, grammar_vocabulary, sentence_prefixes, sentence_probabilities
from rnnjax.training.state import init_state

GRAMMAR = Grammar()
KNOWN, LETTERS = build_language(GRAMMAR), grammar_vocabulary(GRAMMAR)
SAID = [
    "the dog sleep ",
    "boy eat cake ",
    "the dog sleep ",
    "the dgo sleep ",
    "dog eat eat cake ",
    "boyeateateateateat",
]
ENDS = [14, 13, 14, 8, 12, LONGEST]  # the fourth is lost at "dg", the fifth at the second "ea", the last has no space


def written(*texts: str) -> np.ndarray:
    """Each text and whatever follows, LONGEST characters."""
    return np.stack([text_to_ids((text + "e" * LONGEST)[:LONGEST], LETTERS) for text in texts])


def test_a_sentence_ends_where_it_is_complete_or_with_the_word_that_spoils_it() -> None:
    assert first_sentence_lengths(sentence_transitions(KNOWN), written(*SAID)).tolist() == ENDS


def test_measures_of_sentences_by_hand() -> None:
    found = sentence_measures(KNOWN, written(*SAID))
    assert found["valid_sentences"] == 3 / 6
    assert found["sentence_length"] == pytest.approx(np.mean(ENDS))
    assert found["distinct_sentences"] == 5 / 6
    log_p = [np.log(sentence_probabilities(GRAMMAR)[said]) for said in SAID[:3]]
    assert found["grammar_logp"] == pytest.approx(sum(log_p) / sum(map(len, SAID[:3])), rel=1e-4)


def test_without_a_valid_sentence_there_is_no_log_probability() -> None:
    found = sentence_measures(KNOWN, written(SAID[3], SAID[5]))
    assert found["valid_sentences"] == 0
    assert np.isnan(found["grammar_logp"])


def test_prompts_end_where_a_sentence_begins() -> None:
    prompts = sentence_prompts(true_texts(GRAMMAR, 50, 2 * PROMPT, (0, 3)))
    assert prompts.shape == (50, PROMPT)
    for ids in prompts:
        text = ids_to_text(ids, LETTERS)
        assert any(text.endswith(sentence) for sentence in sentence_probabilities(GRAMMAR))
    assert "" in sentence_prefixes(GRAMMAR)


@pytest.mark.slow
def test_decoders_of_a_network_that_says_one_sentence() -> None:
    """Its state is the last letter only, and each letter has one successor: "the king " hides in no such network, but
    a loop of letters does, and every decoder must find it."""
    task = TASKS["grammar"](TaskSpec(characters=2_000), None)
    spec = Spec(hidden=len(LETTERS), inputs=len(LETTERS), outputs=len(LETTERS))
    params = jax.tree.map(jnp.zeros_like, init_state(spec, HParams()).params)
    turns = np.roll(np.eye(len(LETTERS), dtype=np.float32), 1, axis=1)  # each letter is followed by the next one
    params["layer_0"]["kernel"] = 5 * jnp.eye(len(LETTERS))
    params["readout"]["kernel"] = 200 * jnp.asarray(turns)
    probe = decoders(spec, task)

    def of_run(hp: HParams) -> dict[str, jax.Array]:
        return probe.measure(init_state(spec, hp).replace(params=params), hp, jnp.int32(0))

    hp = jax.tree.map(lambda value: jnp.asarray(value)[None], HParams())
    options = {"xla_backend_optimization_level": 0}
    found = probe.summarise(jax.tree.map(np.asarray, jax.jit(jax.vmap(of_run), compiler_options=options)(hp)))
    beams = [f"beam_{width}" for width in WIDTHS]
    for name in (*SAMPLERS, *beams):
        assert found[f"loop_rate_{name}"] == [1], "24 letters round and round"
    for name in (*SAMPLERS, *beams, *(f"{beam}{penalty}" for beam in beams for penalty in PENALTIES)):
        assert found[f"valid_sentences_{name}"] == [0]
        assert found[f"distinct_sentences_{name}"] == pytest.approx([1 / PROMPTS]), "all prompts end with a space"
        assert found[f"sentence_length_{name}"] == [len(LETTERS)], "lost at once, ended by the next space"


def test_a_series_has_no_words() -> None:
    settings = TaskSpec(name="series")
    with pytest.raises(NotApplicable, match="task.name: got 'series'; expected a text"):
        decoders(Spec(task=settings), TASKS["series"](settings, None))

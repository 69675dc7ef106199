"""The category probe on planted states and on a network whose state is the letter that it last read."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.errors import BadInput, NotApplicable
from rnnjax.probes.words.categories import (
    accuracy,
    categories,
    find_occurrences,
    letter_ngrams,
    map_runs,
    read_states,
    task_lexicon,
)
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.tasks import TASKS
from rnnjax.tasks.grammar import LEXICON
from rnnjax.training.state import init_state
from rnnjax.types import Params, Task

SETTINGS = TaskSpec(characters=6_000)
TASK = TASKS["grammar"](SETTINGS, None)
V = len(TASK.vocabulary)


def spec_of(**fields: Any) -> Spec:
    return Spec(**{"task": SETTINGS, "inputs": V, "outputs": V, "hidden": V, "activation": "identity"} | fields)


def letters() -> Params:
    """h_t = the one-hot vector of the letter just read."""
    shapes = jax.eval_shape(lambda: init_state(spec_of(), HParams())).params
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    params["layer_0"]["kernel"] = jnp.eye(V)
    return params


def test_the_lexicon_is_that_of_the_grammar_without_its_determiner() -> None:
    _, lexicon = task_lexicon(spec_of())
    assert lexicon.words == tuple(word for _, words in LEXICON for word in words)
    assert [lexicon.names[i] for i in lexicon.categories_W] == [name for name, words in LEXICON for _ in words]


@pytest.mark.parametrize("carry", ["carried", "reset"])
def test_occurrences_are_where_the_words_are(carry: str) -> None:
    spec = spec_of(carry=carry)
    grammar, lexicon = task_lexicon(spec)
    found = find_occurrences(spec, TASK, grammar, lexicon)
    assert found.ids_TB.shape == ((300, 20) if carry == "carried" else (25, 240))
    said = np.array(list(TASK.vocabulary))[found.ids_TB.ravel()]
    assert set(said[found.before_N]) == {" "}
    assert [*said[found.ends_N]] == [lexicon.words[word][-1] for word in found.words_N]
    assert (found.ends_N // found.ids_TB.shape[1]).min() >= (25 if carry == "carried" else 12), "after the warm-up"
    assert len(found.words_N) > 500
    verbs = np.array([name.startswith("VERB") for name in lexicon.names])[lexicon.categories_W[found.words_N]]
    assert set(found.positions_N[verbs]) == {1, 2}
    assert set(found.positions_N[~verbs]) == {0, 1, 2, 3, 4}


def test_states_are_in_the_order_of_the_places() -> None:
    ids_TB = np.array([[0, 3], [1, 2], [5, 5]])
    h_NH = read_states(spec_of(), HParams(), letters(), ids_TB)
    assert jnp.argmax(h_NH, axis=1).tolist() == [0, 3, 1, 2, 5, 5]


def test_spelling_by_hand() -> None:
    assert letter_ngrams(("ab", "b"), 2, at_end=True).tolist() == [[1, 1], [0, 1]]  # ab, b
    assert letter_ngrams(("ab", "b"), 1, at_end=False).tolist() == [[1, 1, 1, 1], [1, 1, 0, 1]]  # $ ^ a b
    assert letter_ngrams(("ab", "b"), 2, at_end=False).sum(axis=1).tolist() == [7, 5]  # ^a ab b$ and 4; ^b b$ and 3


@pytest.mark.slow
def test_a_network_of_letters_knows_the_last_one_and_no_more() -> None:
    """At the end of a word its state is the word's last letter; at the space before, the same whatever comes."""
    probe = categories(spec_of(), TASK)
    state = init_state(spec_of(), HParams()).replace(params=letters())
    measured = jax.tree.map(lambda value: np.asarray(value)[None], probe.measure(state, HParams(), jnp.int32(0)))
    found = {name: float(value[0]) for name, value in probe.summarise(measured).items()}
    _, lexicon = task_lexicon(spec_of())
    last_letter = accuracy(letter_ngrams(lexicon.words, 1, True), np.arange(35), lexicon)
    assert found["category_accuracy"] == pytest.approx(last_letter, abs=0.03)
    assert found["category_start_accuracy"] < 0.2
    assert found["majority_category"] == pytest.approx(6 / 35)
    assert found["suffix_accuracy"] >= last_letter - 1e-6
    by_longest = [accuracy(letter_ngrams(lexicon.words, n, False), np.arange(35), lexicon) for n in (1, 2, 3)]
    assert found["spelling_accuracy"] == pytest.approx(max(by_longest)) != pytest.approx(min(by_longest))
    assert 6 / 35 < found["position_accuracy"] < 0.5


@pytest.mark.slow
def test_planted_categories_are_found() -> None:
    spec = spec_of()
    grammar, lexicon = task_lexicon(spec)
    words_N = find_occurrences(spec, TASK, grammar, lexicon).words_N
    rng = np.random.default_rng(1)
    planted = np.eye(7, 12)[lexicon.categories_W[words_N]] + 0.05 * rng.normal(size=(len(words_N), 12))
    noise = rng.normal(size=planted.shape)
    nothing = np.full_like(noise, np.nan)
    values = {"states": np.stack([planted, noise, nothing]), "before": np.stack([noise, planted, planted])}
    found = categories(spec, TASK).summarise(values)
    assert found["category_accuracy"][0] == found["category_accuracy_vectors"][0] == 1
    assert found["category_start_accuracy"][1] == 1
    assert found["category_accuracy"][1] < 0.3
    assert found["category_start_accuracy"][0] < 0.3
    shifted = {name: value[1:2] + 50 for name, value in values.items()}
    for name in ("silhouette", "category_resemblance", "category_accuracy"):
        assert categories(spec, TASK).summarise(shifted)[name] == pytest.approx(found[name][1:2], rel=1e-4), name
    assert found["silhouette"][0] > 0.9 > 0.2 > found["silhouette"][1]
    assert found["category_resemblance"][0] > 0.9
    assert found["category_variance_ratio"][0] > 50 > 1 > found["category_variance_ratio"][1]
    assert np.isnan(found["category_accuracy"][2]) and np.isnan(found["silhouette"][2])
    assert found["majority_category"][2] == found["majority_category"][0]


def test_a_run_that_is_not_finite_has_no_values() -> None:
    values = {"a": np.array([[1.0, 2.0], [1.0, np.inf], [3.0, 4.0]])}
    found = map_runs(lambda a: {"sum": a.sum(), "both": 2 * a}, values)
    np.testing.assert_array_equal(found["sum"], [3, np.nan, 7])
    np.testing.assert_array_equal(found["both"], [[2, 4], [np.nan, np.nan], [6, 8]])


@pytest.mark.parametrize(
    ("error", "message", "fields", "characters"),
    [
        (NotApplicable, "got 'text'; expected 'grammar'", {"task": TaskSpec(name="text")}, 6_000),
        (BadInput, "bidirectional", {"bidirectional": True}, 6_000),
        (BadInput, "task.characters: got 30; need more", {}, 30),
    ],
)
def test_where_there_are_no_categories(
    error: type[BadInput], message: str, fields: dict[str, Any], characters: int
) -> None:
    task: Task = TASKS["grammar"](TaskSpec(characters=characters), None)
    with pytest.raises(error, match=message):
        categories(spec_of(**fields), task)

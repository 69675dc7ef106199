"""Novel words in texts by hand, in a network whose state is its last letter, and as planted vectors."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.errors import BadInput, NotApplicable
from rnnjax.probes.words.categories import categories, task_lexicon
from rnnjax.probes.words.novel_words import (
    factorial_metrics,
    in_context_metrics,
    in_place_vectors,
    novel_words,
    pair_metrics,
    share_classified_as,
)
from rnnjax.probes.words.substitution import (
    NOVEL,
    REPLACED,
    build_corpora,
    contexts,
    has_known_letters,
    map_labels,
    neighbour_counts,
    replaced_text,
)
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.settings.vocabulary import ids_to_text
from rnnjax.tasks import TASKS
from rnnjax.training.state import init_state
from rnnjax.types import Params, Probe, Task

SETTINGS = TaskSpec(extra_letters="jxz")
TASK = TASKS["grammar"](SETTINGS, None)
TEXT = ids_to_text(TASK.train_N, TASK.vocabulary)
V = len(TASK.vocabulary)
SPEC = Spec(task=SETTINGS, inputs=V, outputs=V, hidden=V, activation="identity")
_, LEXICON = task_lexicon(SPEC)
MAN, LION = LEXICON.words.index("man"), LEXICON.words.index("lion")


def letters(echo: float = 0.0) -> Params:
    """h_t = one-hot letter + echo h_{t-1}."""
    shapes = jax.eval_shape(lambda: init_state(SPEC, HParams())).params
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    params["layer_0"]["kernel"], params["layer_0"]["recurrent_kernel"] = jnp.eye(V), echo * jnp.eye(V)
    return params


def test_only_whole_words_are_replaced() -> None:
    assert replaced_text("man woman the man man", "man", "zog") == "zog woman the zog zog"


def test_neighbours_are_counted_with_the_word_itself_as_it() -> None:
    counts = neighbour_counts("a man b man man c man b", "man")
    assert counts == Counter({("a", "b"): 1, ("b", "it"): 1, ("it", "c"): 1, ("c", "b"): 1})
    assert neighbour_counts("a zog b zog zog c zog b", "zog") == counts
    assert neighbour_counts("a man b", "man") != neighbour_counts("b man a", "man")


def test_the_novel_strings_are_novel_and_of_one_length() -> None:
    assert len(set(NOVEL)) == len(set(REPLACED)) == 10
    assert {len(string) for string in NOVEL} == {3}
    assert not set(NOVEL) & set(LEXICON.words)
    assert set(REPLACED) <= set(LEXICON.words)
    assert not any(f" {string} " in TEXT for string in NOVEL)


def test_six_of_the_strings_have_letters_that_are_read() -> None:
    known = [string for string, known in zip(NOVEL, has_known_letters(TEXT), strict=True) if known]
    assert known == ["vup", "wug", "fep", "bim", "tob", "nal"]


def test_the_map_names_every_word_and_both_zogs() -> None:
    places = map_labels()
    assert [word for word, _ in places] == [*LEXICON.words, "zog for man", "zog for lion"]
    assert [kind for _, kind in places[:35]] == [LEXICON.names[i] for i in LEXICON.categories_W]


def test_corpora_have_the_novel_word_where_the_known_one_was() -> None:
    corpora = build_corpora(SPEC, TEXT, TASK.vocabulary, LEXICON)
    said_XN = np.array(list(TASK.vocabulary))[corpora.ids_XTB].reshape(3, -1)
    assert corpora.same_positions == 1
    for corpus, word, last in ((0, MAN, "n"), (1, MAN, "g"), (2, LION, "g"), (2, MAN, "n")):
        assert set(said_XN[corpus][corpora.labels_XDN[corpus, 0] == word]) == {last}
        assert set(said_XN[corpus][corpora.labels_XDN[corpus, 2] == word]) == {" "}
    assert set(said_XN[1][corpora.labels_XDN[1, 1] == MAN]) == set("zog")
    counts = [np.sum(corpora.labels_XDN[corpus, 0] == MAN) for corpus in (0, 1)]
    assert counts[0] == counts[1] > 50
    halves = np.bincount(corpora.labels_XDN[0, 3] + 1)[1:]
    assert halves.sum() == counts[0]
    assert abs(halves[0] - halves[1]) <= 20, "every other one, less those in the 20 warm-ups"


def test_contexts_end_before_the_word_and_do_not_have_it() -> None:
    found = contexts(TEXT, "man", 32)
    assert len(found) == 32
    assert {len(context) for context in found} == {40}
    for context in found:
        assert f"{context}man " in TEXT
        assert context.endswith(" ")
        assert "man" not in context.split(" ")
    assert len(set(found)) > 25
    assert all(f"{context}eat " in TEXT for context in contexts("eatx " * 9 + TEXT, "eat", 200))
    with pytest.raises(BadInput, match="'man' does not occur after 40 others"):
        contexts(TEXT[:30], "man", 32)


def test_vectors_in_place_are_read_after_their_contexts() -> None:
    """Two words with three contexts each: h = last letter + 0.5 * the one before + 0.25 * ..."""
    place = {letter: i for i, letter in enumerate(TASK.vocabulary)}
    contexts_TP = np.array(
        [[place[letter] for letter in context] for context in ("ab", "cb", "cb", "de", "de", "de")]
    ).T
    strings_SL = np.array([[place[letter] for letter in string] for string in ("fg", "hh")])
    found = in_place_vectors(SPEC, HParams(), letters(echo=0.5), contexts_TP, strings_SL, words=2)
    expected = np.zeros((2, 2, V))
    for (s, w, letter), value in {
        (0, 0, "g"): 1, (0, 0, "f"): 0.5, (0, 0, "b"): 0.25, (0, 0, "a"): 0.125 / 3, (0, 0, "c"): 0.25 / 3,
        (0, 1, "g"): 1, (0, 1, "f"): 0.5, (0, 1, "e"): 0.25, (0, 1, "d"): 0.125,
        (1, 0, "h"): 1.5, (1, 0, "b"): 0.25, (1, 0, "a"): 0.125 / 3, (1, 0, "c"): 0.25 / 3,
        (1, 1, "h"): 1.5, (1, 1, "e"): 0.25, (1, 1, "d"): 0.125,
    }.items():  # fmt: skip
        expected[s, w, place[letter]] = value
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_a_network_of_letters_is_all_spelling() -> None:
    """Its state at the end of zog is "g" whatever zog stands for, and orthogonal to the "n" of man."""
    probe = novel_words(SPEC, TASK)
    state = init_state(SPEC, HParams()).replace(params=letters())
    measured = jax.tree.map(lambda value: np.asarray(value)[None], probe.measure(state, HParams(), jnp.int32(0)))
    found = {name: value[0] for name, value in probe.summarise(measured).items()}
    assert (found["string_share"], found["word_share"]) == pytest.approx((1, 0), abs=1e-6)
    assert found["similarity_zog_man"] == pytest.approx(0, abs=1e-6)
    assert found["similarity_zog_man_space"] == pytest.approx(1)
    assert found["similarity_zog_man_letters"] == pytest.approx(0, abs=1e-6), "no letter in common"
    assert found["zog_man_lion"] == pytest.approx(1)
    assert found["zog_shift"] == pytest.approx(np.nan, nan_ok=True), "man and lion end alike too"
    assert found["halves_deviation"] == pytest.approx(0, abs=1e-6)
    assert found["same_positions"] == 1
    assert found["map"].shape == (37, 2)


def planted(categories: float, own: float) -> np.ndarray:
    """Word vectors [W, H]: a direction for each category, one for each word, and one that all share."""
    return np.concatenate([categories * np.eye(7)[LEXICON.categories_W], own * np.eye(35), np.ones((35, 1))], axis=1)


def whole_of(known_WH: np.ndarray) -> np.ndarray:
    """Three corpora alike, by four definitions alike; rows 0 and 1 of the halves are made the vector of man."""
    whole = np.broadcast_to(known_WH, (3, 4, *known_WH.shape)).copy()
    whole[:, 3, :2] = known_WH[MAN]
    return whole


def test_zog_in_the_place_of_man_by_context_alone() -> None:
    found = in_context_metrics(whole_of(planted(3.0, 0.5)), LEXICON)
    similar = [name for name in found if name.startswith("similarity")]
    assert len(similar) == 6
    assert [found[name] for name in similar] == pytest.approx([1] * 6)
    assert found["neighbours_human"] == found["neighbours_animal_lion"] == found["neighbours_human_raw"] == 1
    assert found["zog_shift"] == pytest.approx(1)
    assert found["zog_man_lion_centred"] < 0 < found["zog_man_lion"]
    assert found["zog_deviation"] == pytest.approx(0, abs=1e-12)
    assert found["cross_category_mean"] == found["cross_category_p95"] == pytest.approx(1 / 10.25)
    assert found["same_category_mean"] == pytest.approx(10 / 10.25)


def test_zog_by_spelling_alone() -> None:
    """Both zogs are one vector, that of an animal; man's halves differ by an angle of 60 degrees."""
    known = planted(3.0, 0.5)
    whole = whole_of(known)
    whole[1, :, MAN] = whole[2, :, LION] = known[LEXICON.words.index("dog")]
    whole[0, 3, :2] = 0
    whole[0, 3, 0, 0], whole[0, 3, 1, :2] = 2, [0.5, 0.75**0.5]
    found = in_context_metrics(whole, LEXICON)
    assert (found["neighbours_human"], found["neighbours_animal_lion"]) == (0, 1)
    assert (found["neighbours_human_raw"], found["neighbours_animal_lion_raw"]) == (0, 1)
    assert found["zog_shift"] == 0
    assert found["zog_man_lion_centred"] == pytest.approx(1)
    assert found["halves_deviation"] == pytest.approx(0.5)
    assert found["zog_deviation"] == pytest.approx(1 - 1 / 10.25)
    assert found["deviation_ratio"] == pytest.approx(2 * (1 - 1 / 10.25))


@pytest.mark.parametrize(("context", "share"), [(True, 0.0), (False, 1.0)])
def test_the_factorial_of_planted_vectors(context: bool, share: float) -> None:
    """Every string has the vector of the word in whose place it stands, or one of its own: that of a word for food."""
    known = planted(3.0, 0.5)
    words = [LEXICON.words.index(word) for word in REPLACED]
    food = [LEXICON.words.index(word) for word in ("bread", "apple", "milk", "cookie", "cake")] * 2
    in_place = np.broadcast_to(known[words][None] if context else known[food][:, None], (10, 10, known.shape[1]))
    found = factorial_metrics(in_place, known, LEXICON, np.arange(10) > 3)
    shares = [found[name] for name in ("string_share", "word_share", "string_share_known", "word_share_known")]
    assert shares == pytest.approx([share, 1 - share] * 2)
    for name in ("neighbours_human_strings", "neighbours_animal_strings", "probe_human", "probe_animal"):
        assert found[name] == 1 - share
    assert found["similarity_strings_man"] == pytest.approx(1 if context else 1 / 10.25)


def test_strings_of_known_letters_have_shares_of_their_own() -> None:
    known = planted(3.0, 0.5)
    in_place = np.repeat(known[None, [LEXICON.words.index(word) for word in REPLACED]], 10, axis=0)
    in_place[:4] = known[:4, None]  # only the first four strings go by themselves
    found = factorial_metrics(in_place, known, LEXICON, np.arange(10) > 3)
    assert (found["string_share_known"], found["word_share_known"]) == pytest.approx((0, 1))
    assert found["string_share"] > 0.1


def test_the_probe_of_strings_has_not_seen_the_word_itself() -> None:
    """Vectors that only name the word: a string with the vector of man is told to be of the largest OTHER category."""
    known = planted(0.0, 1.0)
    assert share_classified_as(known[[MAN, MAN]], known, MAN, LEXICON) == 0
    assert share_classified_as(planted(1.0, 0.1)[[MAN, LION]], planted(1.0, 0.1), MAN, LEXICON) == 0.5


def test_pairs_by_hand() -> None:
    angles = np.deg2rad([0.0, 60.0, 90.0])
    found = pair_metrics(np.stack([np.cos(angles), np.sin(angles)], axis=1), np.array([0, 0, 1]), "_x")
    assert found["same_category_mean_x"] == pytest.approx(0.5)
    assert found["cross_category_mean_x"] == pytest.approx(3**0.5 / 4)
    assert found["cross_category_p95_x"] == pytest.approx(0.95 * 3**0.5 / 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TaskSpec(), "task.extra_letters: got none of 'jxz'"),
        (TaskSpec(extra_letters="jz"), "task.extra_letters: got none of 'x'"),
        (TaskSpec(name="text"), "got 'text'; expected 'grammar'"),
    ],
)
def test_where_novel_words_cannot_be_read(settings: TaskSpec, message: str) -> None:
    fields: dict[str, Any] = {"task": settings}
    with pytest.raises(NotApplicable, match=message):
        novel_words(replace(SPEC, **fields), TASKS[settings.name](settings, None))


@pytest.mark.slow
@pytest.mark.parametrize("probe_of", [categories, novel_words])
def test_contract_with_several_layers_of_another_cell(probe_of: Callable[[Spec, Task], Probe]) -> None:
    """Numbers with a run axis; that of a run does not come from its neighbours."""
    spec = replace(SPEC, cell="lstm", layers=2, hidden=6, carry="reset")
    probe = probe_of(spec, TASK)

    def of_run(seed: jax.Array) -> dict[str, jax.Array]:
        return probe.measure(init_state(spec, HParams(seed=seed)), HParams(seed=seed), jnp.int32(3))

    measure = jax.jit(jax.vmap(of_run))
    both, swapped = (probe.summarise(jax.tree.map(np.asarray, measure(jnp.array(s)))) for s in ([0, 1], [1, 0]))
    for name, values in both.items():
        assert values.shape[0] == 2 and values.dtype == np.float32
        assert values.ndim == (3 if name == "map" else 1)
        assert np.isfinite(values).all(), name
        np.testing.assert_allclose(values[::-1], swapped[name], rtol=1e-3, atol=1e-6, err_msg=name)
    blank = probe.summarise(jax.tree.map(lambda leaf: np.full((1, *leaf.shape), np.nan), jax.eval_shape(of_run, 0)))
    assert {name: value.shape[1:] for name, value in blank.items()} == {
        name: value.shape[1:] for name, value in both.items()
    }

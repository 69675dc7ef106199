"""Word vectors, neighbours, variance shares and the linear probe, against loops and planted answers."""

import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.probes.numerics import word_vectors as words

RNG = np.random.default_rng(0)
KINDS = np.array([0, 0, 0, 1, 1, 2, 2, 2])  # the category of each of 8 words


def test_streams_are_pieces_side_by_side() -> None:
    assert words.streams(np.arange(11), 3).tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


def test_word_labels_by_hand() -> None:
    """The last word is cut by the end of the text, "oxen" is not asked for."""
    labels = words.word_labels("ox go oxen ox go ox ox go", {"ox": 0, "go": 1}, split_word=0)
    shown = {name: "".join("-" if label < 0 else str(label) for label in each) for name, each in labels.items()}
    assert shown == {
        "last": "-0--1-------0--1--0--0---",
        "letters": "00-11------00-11-00-00---",
        "space": "--0--1-------0--1--0--0--",
        "halves": "-0----------1-----0--1---",
    }
    assert (words.word_labels("ox go ", {"ox": 0})["halves"] == -1).all()


def test_mean_states_are_means() -> None:
    h_NH = RNG.normal(size=(9, 4)).astype(np.float32)
    labels = np.array([0, -1, 0, 2, 0, -1, -1, 0, 0])
    expected = [h_NH[labels == 0].mean(axis=0), np.zeros(4), h_NH[3]]
    np.testing.assert_allclose(words.mean_states(jnp.asarray(h_NH), jnp.asarray(labels), 3), expected, rtol=1e-5)


def test_cosines_and_centred_cosines_by_hand() -> None:
    """A shift common to all hides what tells vectors apart; taking the mean away shows it again."""
    vectors = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    assert words.cosines(vectors, vectors)[0].tolist() == [1, -1, 0, 0]
    shifted = vectors + 100
    assert words.cosines(shifted, shifted).min() > 0.999
    centred = shifted - shifted.mean(axis=0)
    np.testing.assert_allclose(words.cosines(centred, centred), words.cosines(vectors, vectors), atol=1e-12)
    assert np.isnan(words.cosines(np.zeros((1, 2)), vectors)).all()


def test_neighbours_are_by_angle_and_nearest_first() -> None:
    known = np.array([[0.0, 1.0], [9.0, 9.0], [1.0, 0.1], [-5.0, 0.0]])
    assert words.neighbours(np.array([[2.0, 0.0], [-1.0, 0.5]]), known, 3).tolist() == [[2, 1, 0], [3, 0, 1]]


@pytest.mark.parametrize(("string", "word"), [(1.0, 1.0), (3.0, 1.0), (0.0, 1.0), (1.0, 0.0)])
def test_two_way_of_additive_data(string: float, word: float) -> None:
    """v_sw = a_s + b_w with effects of known size: unit vectors that add up to zero."""
    of_string, of_word = (np.stack([np.eye(3)[0], -np.eye(3)[0]] * n) for n in (2, 3))
    shares = words.two_way_anova_shares(5.0 + string * of_string[:, None] + word * of_word[None])
    expected = string**2 / (string**2 + word**2)
    assert [*shares.values()] == pytest.approx([expected, 1 - expected, 0], abs=1e-12)


def test_two_way_of_an_interaction_and_of_nothing() -> None:
    crossed = np.array([[[1.0], [-1.0]], [[-1.0], [1.0]]])
    assert [*words.two_way_anova_shares(crossed).values()] == pytest.approx([0, 0, 1])
    assert np.isnan([*words.two_way_anova_shares(np.ones((2, 3, 4))).values()]).all()


def test_two_way_of_noise_is_what_the_degrees_of_freedom_say() -> None:
    """(S-1), (W-1) and (S-1)(W-1) of SW-1."""
    shares = words.two_way_anova_shares(RNG.normal(size=(5, 7, 20_000)))
    assert [*shares.values()] == pytest.approx([4 / 34, 6 / 34, 24 / 34], rel=0.02)


def test_silhouette_is_its_definition() -> None:
    points = RNG.normal(size=(8, 3))
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    kinds = np.array([0, 0, 0, 1, 1, 2, 2, 3])  # the last one is alone
    scores = []
    for i in range(8):
        own = [distances[i, j] for j in range(8) if kinds[j] == kinds[i] and j != i]
        others = [np.mean([distances[i, j] for j in range(8) if kinds[j] == k]) for k in set(kinds) - {kinds[i]}]
        scores.append((min(others) - np.mean(own)) / max(min(others), np.mean(own)) if own else 0.0)
    assert words.silhouette(distances, kinds) == pytest.approx(np.mean(scores))
    assert words.silhouette((KINDS[:, None] != KINDS).astype(float), KINDS) == 1


def test_variance_ratio_by_hand() -> None:
    """Categories at 0 and 10, words 1 away from them: between 4 * 25, within 4 * 1."""
    assert words.variance_ratio(np.array([[-1.0], [9.0], [1.0], [11.0]]), np.array([0, 1, 0, 1])) == pytest.approx(25)
    assert np.isnan(words.variance_ratio(np.ones((4, 2)), np.array([0, 1, 0, 1])))


def test_resemblance_is_one_where_only_categories_are_alike() -> None:
    same = (KINDS[:, None] == KINDS).astype(float)
    assert words.resemblance(0.3 + 0.2 * same + 0.5 * np.eye(8), KINDS) == pytest.approx(1)
    assert words.resemblance(-same, KINDS) == pytest.approx(-1)
    assert np.isnan(words.resemblance(np.ones((8, 8)), KINDS))


def test_the_probe_finds_planted_categories_in_unseen_words() -> None:
    words_N = np.repeat(np.arange(8), [30, 1, 5, 9, 2, 40, 3, 3])
    direction = RNG.normal(size=(3, 20))
    features = 3 + direction[KINDS[words_N]] + 0.1 * RNG.normal(size=(len(words_N), 20))
    assert words.leave_word_out_accuracy(features, words_N, KINDS).tolist() == [1] * 8


def test_the_probe_does_not_learn_single_words() -> None:
    """Features that name the word tell nothing of a word that was left out: ridge then guesses the largest category.

    On all words together the same features would tell everything.
    """
    words_N = np.repeat(np.arange(8), 10)
    shares = words.leave_word_out_accuracy(np.eye(8)[words_N], words_N, np.array([0, 0, 0, 0, 1, 1, 2, 2]))
    assert shares.tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


def test_the_probe_is_ridge_regression_without_the_word() -> None:
    """Oracle: weighted least squares with the penalty as further rows, refitted for each word."""
    words_N = RNG.integers(7, size=120)  # the last word does not occur
    features = RNG.normal(size=(120, 6)) + 0.8 * KINDS[words_N][:, None]
    found = words.leave_word_out_accuracy(features, words_N, KINDS)
    scaled = (features - features.mean(axis=0)) / features.std()
    for word in range(7):
        rest = words_N != word
        root = np.sqrt(1 / np.bincount(words_N, minlength=8)[words_N[rest]])[:, None]
        rows = root * np.column_stack([scaled[rest], np.ones(rest.sum())])
        penalty = np.sqrt(words.RIDGE * 7 * np.array([1] * 6 + [1e-6]))
        targets = np.concatenate([root * np.eye(3)[KINDS[words_N[rest]]], np.zeros((7, 3))])
        weights = np.linalg.lstsq(np.concatenate([rows, np.diag(penalty)]), targets)[0]
        guesses = np.argmax(scaled[~rest] @ weights[:-1] + weights[-1], axis=1)
        assert found[word] == pytest.approx(np.mean(guesses == KINDS[word]))
    assert np.isnan(found[7])


def test_the_plane_keeps_what_lies_in_it() -> None:
    """Points in a plane of a space of 5: distances stay, also to the others, and the longer axis comes first."""
    flat = np.array([[4.0, 0.0], [-3.0, 1.0], [0.0, -1.0], [-1.0, 0.5]])
    others = np.array([[1.0, 1.0]])
    turn = np.linalg.qr(RNG.normal(size=(5, 5)))[0][:2]
    plane = words.principal_plane(flat @ turn + 7, others @ turn + 7)
    both = np.concatenate([flat, others])
    np.testing.assert_allclose(
        np.linalg.norm(plane[:, None] - plane, axis=2), np.linalg.norm(both[:, None] - both, axis=2), atol=1e-9
    )
    assert np.ptp(plane[:4, 0]) > np.ptp(plane[:4, 1])
    assert (plane[np.abs(plane[:4]).argmax(axis=0), [0, 1]] > 0).all()

"""Free running: greedy against a NumPy loop, draws against exact probabilities, a beam against all texts there are."""

from functools import cache, partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from rnnjax.networks.beam_search import BeamResult, beam_search
from rnnjax.networks.cells import CELLS
from rnnjax.networks.model import build_network
from rnnjax.networks.sampling import (
    Truncation,
    forecast,
    sample,
    sample_id,
    sample_truncated_id,
    softmax_weights,
    truncation_mask,
)
from rnnjax.settings import HParams, Spec
from rnnjax.types import Params

V, H = 4, 6
SPEC = Spec(inputs=V, outputs=V, hidden=H)
HP = HParams()
PROMPT = np.array([2, 0, 3], np.int32)


@cache
def params_of(spec: Spec = SPEC) -> Params:
    """A network with opinions: random parameters, the biases too."""
    rng = np.random.default_rng(11)
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32),
        build_network(spec, HP).init(jax.random.key(0)),
    )


PARAMS = params_of()


@cache
def compiled(function: Any, spec: Spec, **settings: Any) -> Any:
    """One compilation for each network and length, over all tests."""
    return jax.jit(partial(function, spec, HP, **settings))


def written(
    prompts_TP: np.ndarray,
    length: int,
    temperature: float,
    seed: int = 0,
    spec: Spec = SPEC,
    truncation: Truncation | None = None,
) -> np.ndarray:
    run = compiled(sample, spec, length=length)
    arguments = {"temperature": jnp.float32(temperature), "key": jax.random.key(seed), "truncation": truncation}
    return np.asarray(run(params_of(spec), jnp.asarray(prompts_TP), **arguments))


def logits_after(ids: list[int], params: Params = PARAMS) -> np.ndarray:
    """Oracle: an Elman network that reads a text from its start state, in float64."""
    cell, readout = (
        jax.tree.map(lambda leaf: np.asarray(leaf, float), params[part]) for part in ("layer_0", "readout")
    )
    h_H = np.zeros(H)
    for one in ids:
        h_H = np.tanh(cell["kernel"][one] + h_H @ cell["recurrent_kernel"] + cell["bias"])
    return np.asarray(h_H @ readout["kernel"] + readout["bias"])


def probabilities_after(ids: list[int], temperature: float) -> np.ndarray:
    weights = np.exp(logits_after(ids) / temperature)
    return np.asarray(weights / weights.sum())


def test_greedy_is_a_loop_that_reads_everything_again() -> None:
    prompts_TP = np.random.default_rng(1).integers(V, size=(3, 8)).astype(np.int32)
    ids_NP = written(prompts_TP, 12, temperature=0)
    assert ids_NP.dtype == np.int32
    for prompt, ids_N in zip(prompts_TP.T.tolist(), ids_NP.T.tolist(), strict=True):
        text = prompt
        for _ in range(12):
            text = [*text, int(np.argmax(logits_after(text)))]
        assert text == prompt + ids_N


def assert_drawn_from(exact: np.ndarray, first_P: np.ndarray, second_P: np.ndarray) -> None:
    """Pairs of symbols against p(a) p(b | a): chi-square, which also tells them from equally likely ones."""
    texts, counts = len(first_P), np.zeros((V, V))
    np.add.at(counts, (first_P, second_P), 1)
    assert not np.any(counts[exact == 0])
    usual = exact * texts >= 5  # of the chi-square approximation
    observed, expected = (np.append(table[usual], table[~usual].sum()) for table in (counts, exact * texts))
    enough = expected > 0.5
    distance = ((observed - expected)[enough] ** 2 / expected[enough]).sum()
    assert scipy.stats.chi2.sf(distance, enough.sum() - 1) > 0.01
    assert scipy.stats.chisquare(observed[enough], observed[enough].sum() / enough.sum()).pvalue < 1e-9


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_two_symbols_are_drawn_from_the_exact_softmax(temperature: float) -> None:
    """Both symbols of 20,000 texts after one prompt, at a fixed seed."""
    first_P, second_P = written(np.tile(PROMPT[:, None], 20_000), 2, temperature)
    first = probabilities_after(PROMPT.tolist(), temperature)
    exact = np.stack([p * probabilities_after([*PROMPT.tolist(), a], temperature) for a, p in enumerate(first)])
    assert_drawn_from(exact, first_P, second_P)


def truncated(p_V: np.ndarray, top_k: int, top_p: float) -> np.ndarray:
    """Oracle: symbols are taken from the most likely on, until there are k or they hold a share p of the best k."""
    order = sorted(range(len(p_V)), key=lambda one: (-p_V[one], one))[:top_k]
    enough = next(n for n in range(1, len(order) + 1) if p_V[order[:n]].sum() >= top_p * p_V[order].sum() or n == top_k)
    left = np.where(np.isin(np.arange(len(p_V)), order[:enough]), p_V, 0)
    return np.asarray(left / left.sum())


@pytest.mark.parametrize(("top_k", "top_p", "temperature"), [(3, 1.0, 3.0), (4, 0.8, 3.0), (3, 0.9, 4.0)])
def test_two_symbols_are_drawn_from_the_truncated_softmax(top_k: int, top_p: float, temperature: float) -> None:
    truncation = Truncation(jnp.int32(top_k), jnp.float32(top_p))
    first_P, second_P = written(np.tile(PROMPT[:, None], 20_000), 2, temperature, truncation=truncation)
    first = truncated(probabilities_after(PROMPT.tolist(), temperature), top_k, top_p)
    after = [truncated(probabilities_after([*PROMPT.tolist(), a], temperature), top_k, top_p) for a in range(V)]
    exact = first[:, None] * np.stack(after)
    assert np.sum(exact == 0) >= V, "or nothing was truncated"
    assert_drawn_from(exact, first_P, second_P)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_what_takes_nothing_away_changes_nothing(cell: str) -> None:
    prompts_TP, spec = np.tile(PROMPT[:, None], 500), Spec(cell=cell, inputs=V, outputs=V, hidden=H)
    plain = written(prompts_TP, 30, 1.3, spec=spec)
    for top_k in (V, V + 100):
        everything = Truncation(jnp.int32(top_k), jnp.float32(1))
        np.testing.assert_array_equal(written(prompts_TP, 30, 1.3, spec=spec, truncation=everything), plain)
    for truncation in (Truncation(jnp.int32(1), jnp.float32(1)), Truncation(jnp.int32(V), jnp.float32(1e-6))):
        only = written(prompts_TP, 30, 1.3, spec=spec, truncation=truncation)
        np.testing.assert_array_equal(only, written(prompts_TP, 30, 0, spec=spec))


EQUAL = [0.0, 0.0, 0.0, 0.0]
UNEQUAL = np.log([0.1, 0.5, 0.15, 0.25]).tolist()


@pytest.mark.parametrize(
    ("logits", "temperature", "top_k", "top_p", "expected"),
    [
        (EQUAL, 1.0, 1, 1.0, [0]),
        (EQUAL, 1.0, 3, 1.0, [0, 1, 2]),  # of equally likely symbols the lowest ids
        (EQUAL, 1.0, 4, 0.5, [0, 1]),  # two reach 0.5 exactly
        (EQUAL, 1.0, 4, 0.5001, [0, 1, 2]),
        (EQUAL, 1.0, 4, 1e-30, [0]),  # never nothing
        (EQUAL, 1.0, 4, 1e-45, [0]),
        (UNEQUAL, 1.0, 4, 0.49, [1]),
        (UNEQUAL, 1.0, 4, 0.51, [1, 3]),
        (UNEQUAL, 1.0, 4, 0.74, [1, 3]),
        (UNEQUAL, 1.0, 4, 0.76, [1, 2, 3]),
        (UNEQUAL, 1.0, 4, 0.91, [0, 1, 2, 3]),
        (UNEQUAL, 1.0, 2, 0.66, [1]),  # the share of the best two: 2/3 and 1/3
        (UNEQUAL, 1.0, 2, 0.67, [1, 3]),
        (UNEQUAL, 0.25, 4, 0.92, [1]),  # after the temperature: 0.0625 of 0.0670
        (UNEQUAL, 0.25, 4, 0.94, [1, 3]),
        ([0.0, -200.0, 0.0, -200.0], 1.0, 4, 1.0, [0, 1, 2, 3]),  # no weight at all in float32, yet p = 1
        ([0.0, -200.0, 0.0, -200.0], 1.0, 4, 0.999999, [0, 2]),
    ],
)
def test_what_is_kept(logits: list[float], temperature: float, top_k: int, top_p: float, expected: list[int]) -> None:
    truncation = Truncation(jnp.int32(top_k), jnp.float32(top_p))
    assert np.flatnonzero(truncation_mask(truncation, jnp.float32(temperature), jnp.array(logits))).tolist() == expected


def test_what_was_taken_away_is_never_drawn() -> None:
    """Over many symbols XLA sums in pieces, and may rise by a rounding error where a weight is 0: draws right there."""
    truncation, one = Truncation(jnp.int32(500), jnp.float32(1)), jnp.float32(1)
    rises = 0
    for seed in range(3):
        logits_V = jnp.asarray(np.random.default_rng(seed).normal(size=1000), jnp.float32)
        left_V = np.asarray(truncation_mask(truncation, one, logits_V))
        cumulative_V = np.asarray(jnp.cumsum(jnp.where(left_V, softmax_weights(one, logits_V), 0)))
        for place in np.flatnonzero(~left_V[1:] & (np.diff(cumulative_V) > 0)):
            uniform = cumulative_V[place] / cumulative_V[-1]
            for near in (uniform, np.nextafter(uniform, np.float32(1)), np.nextafter(uniform, np.float32(0))):
                rises += not left_V[sample_id(one, near, jnp.where(left_V, logits_V, -jnp.inf))]
                assert left_V[sample_truncated_id(truncation, one, near, logits_V)]
    assert rises, "or the test says nothing"


@pytest.mark.parametrize("truncation", [None, Truncation(jnp.int32(V), jnp.float32(1))])
def test_a_symbol_that_is_not_allowed_leaves_its_probability_to_the_others(truncation: Truncation | None) -> None:
    p_V = probabilities_after(PROMPT.tolist(), 1.0)
    banned = int(np.argmax(p_V))
    run = partial(sample, SPEC, HP, PARAMS, length=2, truncation=truncation, allowed_V=np.arange(V) != banned)
    prompts_TP = jnp.asarray(np.tile(PROMPT[:, None], 20_000))
    ids_NP = np.asarray(run(prompts_TP, temperature=jnp.float32(1), key=jax.random.key(0)))
    assert banned not in ids_NP
    left_V = np.delete(p_V, banned)
    counts_V = np.delete(np.bincount(ids_NP[0], minlength=V), banned)
    assert scipy.stats.chisquare(counts_V, 20_000 * left_V / left_V.sum()).pvalue > 1e-4
    greedy = np.asarray(run(prompts_TP[:, :1], temperature=jnp.float32(0), key=jax.random.key(0)))
    assert greedy[0, 0] == np.argsort(p_V)[-2]


def test_a_low_temperature_is_greedy() -> None:
    prompts_TP = np.tile(PROMPT[:, None], 50)
    np.testing.assert_array_equal(written(prompts_TP, 5, 1e-3), written(prompts_TP, 5, 0))


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_the_key_decides(cell: str) -> None:
    prompts_TP, spec = np.tile(PROMPT[:, None], 20), Spec(cell=cell, inputs=V, outputs=V, hidden=H)
    first, again, other = (written(prompts_TP, 30, 1.0, seed, spec) for seed in (0, 0, 1))
    assert first.shape == (30, 20)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first, axis=1).T) > 5, "each prompt has a text of its own"


def test_longer_is_not_another_text() -> None:
    """Greedy texts do not depend on their length."""
    np.testing.assert_array_equal(written(PROMPT[:, None], 20, 0)[:7], written(PROMPT[:, None], 7, 0))


@pytest.mark.parametrize(
    ("uniform", "logits", "expected"),
    [
        (0.0, [0.0, 0.0, 0.0, 0.0], 0),
        (0.26, [0.0, 0.0, 0.0, 0.0], 1),
        (0.99, [0.0, 0.0, 0.0, 0.0], 3),
        (0.0, [-np.inf, 0.0, -np.inf, -np.inf], 1),  # what has no probability is not drawn at either end
        (np.nextafter(np.float32(1), np.float32(0)), [0.0, 0.0, 1.0, -200.0], 2),
        (0.5, [1e30, -1e30, 0.0, 0.0], 0),
    ],
)
def test_draw_at_the_edges(uniform: float, logits: list[float], expected: int) -> None:
    assert sample_id(jnp.float32(1), jnp.float32(uniform), jnp.array(logits)) == expected


# Beam: a network of 3 symbols has 243 texts of 5, which can all be written down

SMALL = Spec(inputs=3, outputs=3, hidden=H)
LENGTH = 5


def found(
    prompts_TP: np.ndarray, length: int, width: int, penalty: float = 0, end: int = -1, spec: Spec = SPEC
) -> BeamResult:
    run = compiled(beam_search, spec, length=length, width=width)
    search = run(params_of(spec), jnp.asarray(prompts_TP), length_penalty=jnp.float32(penalty), end=jnp.int32(end))
    return BeamResult(*map(np.asarray, search))


Text = tuple[int, ...]


@cache
def log_p_after(ids: Text, spec: Spec) -> np.ndarray:
    logits_V = logits_after(list(ids), params_of(spec))
    return np.asarray(logits_V - scipy.special.logsumexp(logits_V))


def all_texts(prompt: list[int], end: int) -> dict[Text, float]:
    """Oracle: each text of 5 symbols, or fewer with the end symbol last, and its log p."""
    cut = {ids[: ids.index(end) + 1] if end in ids else ids for ids in product(range(3), repeat=LENGTH)}
    return {ids: sum(log_p_after((*prompt, *ids[:i]), SMALL)[one] for i, one in enumerate(ids)) for ids in cut}


def penalised(log_p: float, said: int, penalty: float) -> float:
    return float(log_p / ((5 + said) / 6) ** penalty)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [0, 0.6, 1])
@pytest.mark.parametrize("end", [-1, 0, 2])
def test_a_beam_as_wide_as_all_texts_ranks_them_all(end: int, penalty: float) -> None:
    ids_MN, lengths_M, scores_M = (
        leaf[..., 0] for leaf in found(np.array([[2], [0]], np.int32), LENGTH, 3**LENGTH, penalty, end, SMALL)
    )
    texts = all_texts([2, 0], end)
    assert np.isfinite(scores_M).sum() == len(texts) == (3**LENGTH if end < 0 else 1 + 2 + 4 + 8 + 16 + 32)
    assert np.all(np.isneginf(scores_M[len(texts) :])) and np.all(np.diff(scores_M[: len(texts)]) <= 0)
    said = {}
    for ids, length, score in zip(ids_MN.tolist(), lengths_M.tolist(), scores_M, strict=True):
        if np.isfinite(score):
            assert ids[length:] == [end] * (LENGTH - length)
            said[tuple(ids[:length])] = score
    assert said.keys() == texts.keys()
    for ids, log_p in texts.items():
        assert said[ids] == pytest.approx(penalised(log_p, len(ids), penalty), abs=1e-4)
    assert tuple(ids_MN[0, : lengths_M[0]]) == max(texts, key=lambda ids: penalised(texts[ids], len(ids), penalty))


@pytest.mark.slow
def test_no_text_ends_before_its_shortest_length() -> None:
    """A beam as wide as all texts: those of `all_texts` with a first end symbol at place 4 or later."""
    prompt, end, shortest = np.array([[2], [0]], np.int32), 2, 4
    arguments = (LENGTH, 3**LENGTH, jnp.float32(0), jnp.int32(end), None, jnp.int32(shortest))
    ranked = beam_search(SMALL, HParams(), params_of(SMALL), prompt, *arguments)
    ids_MN, lengths_M, scores_M = (np.asarray(leaf)[..., 0] for leaf in ranked)
    said = {
        tuple(ids[:n]) for ids, n, score in zip(ids_MN.tolist(), lengths_M, scores_M, strict=True) if score > -np.inf
    }
    assert said == {ids for ids in all_texts([2, 0], end) if len(ids) >= shortest}


@pytest.mark.slow
def test_no_text_has_a_symbol_that_is_not_allowed() -> None:
    """A beam as wide as all texts: those of `all_texts` without the symbol, each with its own probability."""
    prompt, end = np.array([[2], [0]], np.int32), 2
    arguments = (LENGTH, 3**LENGTH, jnp.float32(0), jnp.int32(end), None, None, np.array([True, False, True]))
    ranked = beam_search(SMALL, HParams(), params_of(SMALL), prompt, *arguments)
    ids_MN, lengths_M, scores_M = (np.asarray(leaf)[..., 0] for leaf in ranked)
    ranked_texts = zip(ids_MN.tolist(), lengths_M, scores_M, strict=True)
    said = {tuple(ids[:n]): score for ids, n, score in ranked_texts if np.isfinite(score)}
    texts = {ids: log_p for ids, log_p in all_texts([2, 0], end).items() if 1 not in ids}
    assert said.keys() == texts.keys()
    assert all(said[ids] == pytest.approx(log_p, abs=1e-4) for ids, log_p in texts.items())


def test_the_penalty_decides_between_short_and_long() -> None:
    """Or the test above would not tell a penalty from none."""
    texts = all_texts([2, 0], 2)
    best = {a: max(texts, key=lambda ids: penalised(texts[ids], len(ids), a)) for a in (0, 5)}
    assert len(best[0]) < len(best[5])


def narrow(prompt: list[int], length: int, width: int, end: int) -> list[tuple[float, Text]]:
    """Oracle: a beam as lists of texts that are read again from their start at every step."""
    texts: list[tuple[float, Text]] = [(0.0, ())]
    for _ in range(length):
        longer = [text for text in texts if text[1] and text[1][-1] == end]
        for log_p, ids in texts:
            if not ids or ids[-1] != end:
                gains_V = log_p_after((*prompt, *ids), SPEC)
                longer += [(log_p + gain, (*ids, one)) for one, gain in enumerate(gains_V.tolist())]
        texts = sorted(longer, reverse=True)[:width]
    return texts


@pytest.mark.slow
@pytest.mark.parametrize(("width", "end"), [(1, 3), (2, -1), (3, 3), (6, 1), (6, -1)])
def test_a_narrow_beam_is_a_loop_over_lists(width: int, end: int) -> None:
    """Width 6 is more than the 4 texts that there are after one step."""
    prompts_TP = np.random.default_rng(2).integers(V, size=(3, 5)).astype(np.int32)
    ids_MNP, lengths_MP, scores_MP = found(prompts_TP, 9, width, end=end)
    assert ids_MNP.shape == (width, 9, 5) and lengths_MP.shape == scores_MP.shape == (width, 5)
    for i, prompt in enumerate(prompts_TP.T.tolist()):
        texts = narrow(prompt, 9, width, end)
        np.testing.assert_allclose(scores_MP[:, i], [log_p for log_p, _ in texts], rtol=1e-4)
        assert [tuple(ids[:n]) for ids, n in zip(ids_MNP[..., i], lengths_MP[:, i], strict=True)] == [
            ids for _, ids in texts
        ]


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "layers"), [*[(cell, 1) for cell in CELLS], ("lstm", 2)])
def test_a_beam_of_width_1_is_greedy(cell: str, layers: int) -> None:
    prompts_TP = np.random.default_rng(3).integers(V, size=(3, 6)).astype(np.int32)
    spec = Spec(cell=cell, inputs=V, outputs=V, hidden=H, layers=layers)
    search = found(prompts_TP, 40, 1, 0.7, spec=spec)
    np.testing.assert_array_equal(search.ids_MNP[0], written(prompts_TP, 40, 0, spec=spec))
    assert search.ids_MNP.dtype == np.int32 and np.all(search.lengths_MP == 40)


def test_a_long_text_is_told_from_one_almost_as_likely() -> None:
    """After 400 symbols log p is -550, where float32 has steps of 6e-5; the two best logits are 1e-5 apart."""
    params = jax.tree.map(jnp.zeros_like, params_of())
    params["readout"]["bias"] = jnp.array([0, 1e-5, -1e-5, 0])
    said = beam_search(SPEC, HP, params, jnp.asarray(PROMPT)[:, None], 400, 1, jnp.float32(0), jnp.int32(-1))
    assert np.all(said.ids_MNP == 1)
    np.testing.assert_allclose(said.scores_MP, -400 * np.log(4), rtol=1e-4)


def test_an_automaton_ends_a_text() -> None:
    """Texts that end with a 2 followed by a 0, against all texts; what has ended is filled up with 1."""
    turns = jnp.array([[0, 0, 2], [1, 1, 1], [1, 0, 2]])  # place 2: after a 2
    prompt = np.array([[2], [0]], np.int32)
    ranked = beam_search(
        SMALL, HParams(), params_of(SMALL), prompt, LENGTH, 3**LENGTH, jnp.float32(1), jnp.int32(1), turns
    )
    ids_MN, lengths_M, scores_M = (np.moveaxis(np.asarray(leaf), -1, 0)[0] for leaf in ranked)
    ids_MN = ids_MN.reshape(3**LENGTH, LENGTH)

    def cut(ids: Text) -> Text:
        ends = [i + 2 for i in range(LENGTH - 1) if ids[i : i + 2] == (2, 0)]
        return ids[: ends[0]] if ends else ids

    texts = {cut(ids): 0.0 for ids in product(range(3), repeat=LENGTH)}
    texts = {ids: sum(log_p_after((2, 0, *ids[:i]), SMALL)[one] for i, one in enumerate(ids)) for ids in texts}
    assert np.isfinite(scores_M).sum() == len(texts) < 3**LENGTH
    for ids, length, score in zip(ids_MN.tolist(), lengths_M.tolist(), scores_M, strict=True):
        if np.isfinite(score):
            assert ids[length:] == [1] * (LENGTH - length)
            assert score == pytest.approx(penalised(texts[tuple(ids[:length])], length, 1), abs=1e-4)


def test_the_end_symbol_ends_a_text() -> None:
    """What greedy says up to its first end symbol, then that symbol for ever."""
    prompts_TP = np.random.default_rng(3).integers(V, size=(3, 20)).astype(np.int32)
    greedy_NP, end = written(prompts_TP, 12, 0), 1
    search = found(prompts_TP, 12, 1, end=end)
    lengths = [ids.index(end) + 1 if end in ids else 12 for ids in greedy_NP.T.tolist()]
    assert len(set(lengths)) > 1, "or the test says nothing"
    assert search.lengths_MP[0].tolist() == lengths
    for ids_N, expected_N, length in zip(search.ids_MNP[0].T, greedy_NP.T, lengths, strict=True):
        assert ids_N.tolist() == expected_N[:length].tolist() + [end] * (12 - length)


# Forecasts

SERIES = Spec(inputs=2, outputs=2, hidden=H, loss="squared_error")
ROWS_TPD = np.random.default_rng(5).normal(size=(4, 3, 2)).astype(np.float32)


def expected_rows(rows: list[np.ndarray], params: Params, length: int) -> np.ndarray:
    """Oracle: an Elman network that reads all that there is again for each row it says, in float64."""
    cell, readout = (
        jax.tree.map(lambda leaf: np.asarray(leaf, float), params[part]) for part in ("layer_0", "readout")
    )
    for _ in range(length):
        h_H = np.zeros(H)
        for row_D in rows:
            h_H = np.tanh(row_D @ cell["kernel"] + h_H @ cell["recurrent_kernel"] + cell["bias"])
        rows = [*rows, h_H @ readout["kernel"] + readout["bias"]]
    return np.stack(rows[-length:])


def test_a_forecast_is_a_loop_that_reads_everything_again() -> None:
    params = jax.tree.map(lambda leaf: leaf / 2, params_of(SERIES))  # so that rounding does not grow
    run = jax.jit(partial(forecast, SERIES, HP, length=7))
    said_NPD = np.asarray(run(params, jnp.asarray(ROWS_TPD)))
    assert said_NPD.shape == (7, 3, 2)
    for i in range(3):
        np.testing.assert_allclose(said_NPD[:, i], expected_rows(list(ROWS_TPD[:, i]), params, 7), atol=1e-4)


# Many prompts, many runs

PROMPTS_TP = np.random.default_rng(6).integers(V, size=(3, 4)).astype(np.int32)
UNLIKE = HParams(leak=np.array([0.3, 0.8], np.float32), seed=np.array([1, 2], np.uint32))  # type: ignore[arg-type]


def decoders(name: str, spec: Spec, hp: HParams, params: Params, prompts: Any, number: Any) -> Any:
    """Each decoder as a function of a run; a number in [0, 1) is what else may differ between runs."""
    if name == "forecast":
        return forecast(spec, hp, params, prompts, 6)
    if name == "beam":
        return beam_search(spec, hp, params, prompts, 8, 3, 3 * number, jnp.int32(1))
    truncation = Truncation((2 + 2 * number).astype(jnp.int32), 0.5 + number / 2)
    return sample(spec, hp, params, prompts, 8, jnp.float32(2), jax.random.key(0), truncation)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sample", "beam", "forecast"])
def test_two_runs_at_once_are_each_alone(name: str) -> None:
    sizes = 2 if name == "forecast" else V
    spec = Spec(cell="leaky", inputs=sizes, outputs=sizes, hidden=H)
    prompts = jnp.asarray(ROWS_TPD if name == "forecast" else PROMPTS_TP)
    both = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf[..., ::-1] / 2]), params_of(spec))
    numbers = jnp.array([0.1, 0.9])
    hps = jax.tree.map(lambda leaf: jnp.broadcast_to(jnp.asarray(leaf), 2), UNLIKE)
    run = partial(decoders, name, spec)
    vmapped = jax.jit(jax.vmap(run, in_axes=(0, 0, None, 0)))
    together = vmapped(hps, both, prompts, numbers)
    single = jax.jit(run)
    for i in range(2):
        hp, params = jax.tree.map(lambda leaf, i=i: leaf[i], (hps, both))
        for one, other in zip(
            jax.tree.leaves(single(hp, params, prompts, numbers[i])), jax.tree.leaves(together), strict=True
        ):
            np.testing.assert_allclose(one, other[i], rtol=1e-5, atol=1e-5)
    first, second = (np.asarray(jax.tree.leaves(together)[0][i]) for i in range(2))
    assert not np.array_equal(first, second)
    vmapped(hps, both, prompts, numbers[::-1])
    assert vmapped._cache_size() == 1, "k, p and the penalty are traced"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["beam", "forecast"])
def test_many_prompts_at_once_are_each_alone(name: str) -> None:
    spec = SERIES if name == "forecast" else SPEC
    prompts = jnp.asarray(ROWS_TPD if name == "forecast" else PROMPTS_TP)
    run = jax.jit(partial(decoders, name, spec, HP, params_of(spec)))
    together = jax.tree.leaves(run(prompts, jnp.float32(0.2)))
    axis = 1 if name == "forecast" else -1
    for i in range(prompts.shape[1]):
        alone = jax.tree.leaves(run(prompts[:, i : i + 1], jnp.float32(0.2)))
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_allclose(one, np.take(other, [i], axis), rtol=1e-5, atol=1e-5)

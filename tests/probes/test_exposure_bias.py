"""The exposure probe on texts with planted errors, on clouds of known overlap and on networks of known memory."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from rnnjax.errors import NotApplicable
from rnnjax.networks.model import build_network
from rnnjax.networks.sampling import prefill
from rnnjax.probes.generation.errors_by_position import (
    BIN,
    BINS,
    INJECTION_BINS,
    LAGS,
    PROMPT,
    TrueTexts,
    errors_by_position,
    exposure_errors,
    first_starts,
    slope,
    true_texts,
)
from rnnjax.probes.generation.exposure_bias import MARGIN, PROMPTS, exposure, injected_texts, recovery, wrong_symbols
from rnnjax.probes.numerics.discriminant import discriminant, separation
from rnnjax.settings import HParams, Spec, TaskSpec
from rnnjax.tasks import TASKS
from rnnjax.tasks.automaton import build_language
from rnnjax.tasks.grammar import Grammar, entropy_rate, grammar_vocabulary
from rnnjax.training.state import init_state
from rnnjax.types import Task

pytestmark = pytest.mark.slow  # much training or compiling for all of this module

GRAMMAR = Grammar()
KNOWN, V = build_language(GRAMMAR), len(grammar_vocabulary(GRAMMAR))
LENGTH = PROMPT + BINS * BIN + MARGIN


@pytest.fixture(scope="module")
def texts() -> TrueTexts:
    return true_texts(GRAMMAR, 400, LENGTH, (0, 1))


def errors(texts: TrueTexts, ids_PN: np.ndarray) -> dict[str, Any]:
    return errors_by_position(KNOWN, ids_PN, first_starts(texts.starts_PN, 0), PROMPT, BINS)


# Errors by position


@pytest.mark.slow
def test_the_true_grammar_makes_no_errors_anywhere(texts: TrueTexts) -> None:
    found = errors(texts, texts.ids_PN)
    assert not found["invalid_words_by_bin"].any()
    assert not found["invalid_sentences_by_bin"].any()
    assert found["error_slope"] == found["error_slope_sentences"] == 0
    assert np.isnan(found["error_growth"]), "nothing over nothing"
    np.testing.assert_allclose(found["true_surprisal_by_bin"], entropy_rate(GRAMMAR), rtol=0.03)
    assert abs(found["surprisal_slope"]) < 0.003


def planted(ids_PN: np.ndarray, chance_N: np.ndarray) -> np.ndarray:
    """Each character is replaced by another one with a chance that depends on its place."""
    rng = np.random.default_rng(4)
    other_PN = (ids_PN + rng.integers(1, V, ids_PN.shape)) % V
    return np.where(rng.random(ids_PN.shape) < chance_N, other_PN, ids_PN)


@pytest.mark.slow
def test_errors_that_do_not_depend_on_position_are_flat(texts: TrueTexts) -> None:
    found = errors(texts, planted(texts.ids_PN, np.where(np.arange(LENGTH) < PROMPT, 0, 0.02)))
    assert 0.06 < found["invalid_words"] < 0.12
    assert found["invalid_sentences"] > found["invalid_words"], "a wrong word spoils its sentence"
    assert abs(found["error_slope"]) < 0.003
    assert found["error_growth"] == pytest.approx(1, abs=0.25)


def test_errors_that_grow_are_seen_to_grow(texts: TrueTexts) -> None:
    """0 to 5% of the characters, in a line: a word of 4 letters and its space has about 4.6 times that."""
    found = errors(texts, planted(texts.ids_PN, 0.05 * np.clip(np.arange(LENGTH) - PROMPT, 0, None) / 500))
    assert found["error_slope"] == pytest.approx(0.05 / 5 * 4.6, rel=0.25)
    assert found["error_last"] > 5 * found["error_first"]
    assert found["error_growth"] == pytest.approx(found["error_last"] / found["error_first"])


def test_a_slope_is_per_100_characters() -> None:
    assert slope(3 + 0.5 * np.arange(20)) == pytest.approx(0.5 * 100 / BIN)


# The grammar's own text in place of the network's


def cut(texts: TrueTexts, wrong: bool) -> dict[str, np.ndarray]:
    """What the probe would have measured of a network that goes on as the true text does."""
    ids_PN = texts.ids_PN[:PROMPTS]
    length = LAGS + 1 + MARGIN
    places = [PROMPT + bin_ * BIN for bin_ in INJECTION_BINS]
    calm = np.concatenate([ids_PN[:, place : place + length] for place in places])
    after = calm.copy()
    if wrong:
        after[:, 0] = wrong_symbols(calm[:, 0], V)
    branched = np.concatenate([ids_PN[:, PROMPT + BIN * bin_ :][:, :BIN] for bin_ in range(BINS)])
    return {"free": ids_PN[:, PROMPT:], "branched": branched, "injected": np.concatenate([calm, after])}


def test_the_true_grammar_has_no_gap_and_recovers_at_once(texts: TrueTexts) -> None:
    some = TrueTexts(*(leaf[:PROMPTS] for leaf in texts))
    assert injected_texts(some.ids_PN.T).shape == (LAGS + 1, len(INJECTION_BINS) * PROMPTS)
    for wrong in (False, True):
        found = exposure_errors(KNOWN, some, **cut(texts, wrong))
        assert found["exposure_gap"] == found["forced_invalid_words"] == 0
        assert (found["injected_excess"][0] > 0.9) == wrong, "a replaced letter hardly ever gives another word"
        assert found["excess_30"] == found["excess_30_sentences"] == 0
    assert 0.3 < found["injected_excess_sentences"][5] < 1, "the rest of the sentence is lost"
    assert not found["injected_excess"][15:].any()


# States


@pytest.mark.parametrize("apart", [0.0, 1.0, 3.0])
def test_the_area_of_two_normal_clouds(apart: float) -> None:
    """Phi(d / sqrt 2) along the direction of their distance, whatever the other directions' variances are."""
    rng = np.random.default_rng(0)
    scale = np.array([1.0, 5.0, 0.2, 1.0])
    first, second = (scale * rng.normal(size=(20, 100, 4)) for _ in range(2))
    second[..., 0] += apart
    found = float(separation(jnp.asarray(first, jnp.float32), jnp.asarray(second, jnp.float32)))
    assert found == pytest.approx(norm.cdf(apart / 2**0.5), abs=0.03)


def test_states_that_a_prompt_has_in_common_do_not_count() -> None:
    """Each prompt has a place of its own in space; the classes do not differ. A split of mixed prompts would fit it."""
    rng = np.random.default_rng(1)
    places = rng.normal(size=(2, 1, 60, 50))
    first, second = (np.float32(place + 0.01 * rng.normal(size=(10, 60, 50))) for place in places)
    assert float(separation(jnp.asarray(first), jnp.asarray(second))) == pytest.approx(0.5, abs=0.15)


def test_a_state_that_never_changes_tells_nothing() -> None:
    assert float(separation(jnp.ones((5, 8, 3)), jnp.ones((5, 8, 3)))) == 0.5


def test_the_discriminant_solves_its_equation() -> None:
    rng = np.random.default_rng(2)
    first, second = (rng.normal(size=(300, 30)) @ rng.normal(size=(30, 30)) + shift for shift in (0, 0.5))
    centred = np.concatenate([first - first.mean(0), second - second.mean(0)])
    covariance = centred.T @ centred / len(centred)
    ridged = covariance + 0.01 * np.trace(covariance) / 30 * np.eye(30)
    expected = np.linalg.solve(ridged, second.mean(0) - first.mean(0))
    found = discriminant(jnp.asarray(first, jnp.float32), jnp.asarray(second, jnp.float32))
    np.testing.assert_allclose(found, expected, atol=0.01 * np.abs(expected).max())


# Recovery


def recovered(recurrent: jax.Array) -> dict[str, np.ndarray]:
    """Of a linear network h' = h W + E[x] with a random readout."""
    spec = Spec(hidden=6, inputs=V, outputs=V, activation="identity")
    params = init_state(spec, HParams()).params
    params["layer_0"]["recurrent_kernel"] = recurrent
    params["readout"]["kernel"] = params["readout"]["kernel"] * 0.3
    ids_NP = true_texts(GRAMMAR, PROMPTS, PROMPT + LAGS + 1, (0, 2)).ids_PN.T
    model = build_network(spec, HParams())
    start = prefill(model, HParams(), params, jnp.asarray(ids_NP[:PROMPT]))
    wrong = jnp.asarray(wrong_symbols(ids_NP[PROMPT], V))
    found = jax.jit(partial(recovery, model))(params, start, jnp.asarray(ids_NP[PROMPT:]), wrong)
    return jax.tree.map(np.asarray, found)


def test_a_network_that_knows_only_its_last_input_recovers_in_one_step() -> None:
    found = recovered(jnp.zeros((6, 6)))
    assert found["injected_kl"][:2].tolist() == [0, pytest.approx(found["injected_kl"].max())]
    assert found["injected_kl"][1] > 1e-3
    assert np.abs(found["injected_kl"][2:]).max() < 1e-6
    assert found["half_life"] == 1
    assert found["state_distance"][:2].tolist() == [0, 1]
    assert not found["state_distance"][2:].any()


def test_a_network_that_forgets_nothing_never_recovers() -> None:
    found = recovered(jnp.eye(6))
    np.testing.assert_allclose(found["state_distance"][1:], 1, rtol=1e-3)
    assert found["half_life"] == LAGS


def test_a_leaking_state_forgets_at_its_rate() -> None:
    found = recovered(0.9 * jnp.eye(6))
    np.testing.assert_allclose(found["state_distance"][1:], 0.9 ** np.arange(LAGS), rtol=1e-2, atol=1e-4)
    assert 2 <= found["half_life"] <= 5, "the divergence falls as the square: 0.9^(2 x 3.3) = 0.5"


# The probe


@pytest.fixture(scope="module")
def task() -> Task:
    return TASKS["grammar"](TaskSpec(characters=2_000), None)


@pytest.mark.slow
def test_the_probe_of_a_network_that_guesses(task: Task) -> None:
    """All parameters 0: every character equally likely, whatever was read."""
    spec = Spec(hidden=4, inputs=V, outputs=V)
    probe = exposure(spec, task)

    def of_run(hp: HParams) -> dict[str, jax.Array]:
        state = init_state(spec, hp)
        return probe.measure(state.replace(params=jax.tree.map(jnp.zeros_like, state.params)), hp, jnp.int32(0))

    hp = jax.tree.map(lambda value: jnp.asarray(value)[None], HParams())
    found = probe.summarise(jax.tree.map(np.asarray, jax.jit(jax.vmap(of_run))(hp)))
    assert found["one_step_loss"] == pytest.approx([np.log(V)])
    assert found["context_loss_ratio"] == pytest.approx([np.log(V) / entropy_rate(GRAMMAR)], rel=0.02)
    assert found["excess_loss"] == pytest.approx([np.log(V) - entropy_rate(GRAMMAR)], abs=0.01)
    assert 0.8 < found["best_accuracy"] < 0.9
    assert found["state_auc"] == [0.5]
    assert found["state_auc_by_bin"].tolist() == [[0.5] * BINS]
    assert found["half_life"] == [0], "there was no effect to lose"
    assert not found["injected_kl"].any()
    assert found["invalid_words"] == pytest.approx([1], abs=0.03)
    assert found["exposure_gap"] == pytest.approx([0], abs=0.02), "its first words are as wrong as its last"
    assert found["excess_30"] == pytest.approx([0], abs=0.03)
    assert np.mean(found["injected_excess"][0, 10:]) == pytest.approx(0, abs=0.03)
    assert found["invalid_words_by_bin"].shape == found["forced_invalid_words_by_bin"].shape == (1, BINS)
    assert found["injected_excess"].shape == found["state_distance"].shape == (1, LAGS + 1)


def test_a_series_has_no_words() -> None:
    settings = TaskSpec(name="series")
    with pytest.raises(NotApplicable, match="task.name: got 'series'; expected a text"):
        exposure(Spec(task=settings), TASKS["series"](settings, None))

"""Free running: greedy against a NumPy loop, sampling against the exact probabilities of a small network."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from rnnjax.cells import CELLS
from rnnjax.generate import draw, sample
from rnnjax.model import network
from rnnjax.settings import HParams, Spec
from rnnjax.types import Params

V, H = 4, 6
SPEC = Spec(inputs=V, outputs=V, hidden=H)
HP = HParams()
PROMPT = np.array([2, 0, 3], np.int32)


def params_of(spec: Spec = SPEC) -> Params:
    """A network with opinions: random parameters, the biases too."""
    rng = np.random.default_rng(11)
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32),
        network(spec, HP).init(jax.random.key(0)),
    )


PARAMS = params_of()


def written(prompts_TP: np.ndarray, length: int, temperature: float, seed: int = 0, spec: Spec = SPEC) -> np.ndarray:
    run = jax.jit(partial(sample, spec, HP, length=length))
    params = params_of(spec)
    return np.asarray(
        run(params, jnp.asarray(prompts_TP), temperature=jnp.float32(temperature), key=jax.random.key(seed))
    )


def logits_after(ids: list[int]) -> np.ndarray:
    """Oracle: an Elman network that reads a text from its start state, in float64."""
    cell, readout = (jax.tree.map(lambda leaf: np.asarray(leaf, float), PARAMS[part]) for part in ("cell", "readout"))
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


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_two_symbols_are_drawn_from_the_exact_softmax(temperature: float) -> None:
    """Both symbols of 20,000 texts after one prompt against p(a) p(b | a): chi-square at a fixed seed."""
    texts = 20_000
    first_P, second_P = written(np.tile(PROMPT[:, None], texts), 2, temperature)
    counts = np.zeros((V, V))
    np.add.at(counts, (first_P, second_P), 1)
    first = probabilities_after(PROMPT.tolist(), temperature)
    exact = np.stack([p * probabilities_after([*PROMPT.tolist(), a], temperature) for a, p in enumerate(first)])
    kept = exact * texts >= 5  # of the chi-square approximation
    observed, expected = (np.append(table[kept], table[~kept].sum()) for table in (counts, exact * texts))
    enough = expected > 0.5
    assert scipy.stats.chisquare(observed[enough], expected[enough], sum_check=False).pvalue > 0.01
    assert scipy.stats.chisquare(observed[enough], texts / enough.sum() * np.ones(enough.sum())).pvalue < 1e-9


def test_a_low_temperature_is_greedy() -> None:
    prompts_TP = np.tile(PROMPT[:, None], 50)
    np.testing.assert_array_equal(written(prompts_TP, 5, 1e-3), written(prompts_TP, 5, 0))


@pytest.mark.parametrize("cell", CELLS)
def test_the_key_decides(cell: str) -> None:
    prompts_TP, spec = np.tile(PROMPT[:, None], 20), Spec(cell=cell, inputs=V, outputs=V, hidden=H)
    first, again, other = (written(prompts_TP, 30, 1.0, seed, spec) for seed in (0, 0, 1))
    assert first.shape == (30, 20)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first, axis=1).T) > 15, "each prompt has a text of its own"


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
    assert draw(jnp.float32(1), jnp.float32(uniform), jnp.array(logits)) == expected

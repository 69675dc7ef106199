"""The norm of a tree against NumPy in float64, over all of float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.training.norms import scaled_norm

SHAPES = [(7,), (3, 5), (64, 64)]


@pytest.mark.parametrize("exponent", range(-36, 39))
def test_the_norm_is_that_of_float64(exponent: int) -> None:
    """As length / unit, since the norm of 4,118 elements of 1e38 is no float32."""
    rng = np.random.default_rng(exponent + 40)
    tree = [(rng.uniform(-1, 1, shape) * 10.0**exponent).astype(np.float32) for shape in SHAPES]
    norm = jax.jit(scaled_norm)(tree)
    expected = np.sqrt(sum((leaf.astype(np.float64) ** 2).sum() for leaf in tree))
    assert float(norm.length) / float(norm.unit) == pytest.approx(expected, rel=2e-6)
    if expected < 3e38:
        assert norm.value == pytest.approx(expected, rel=2e-6)


def test_over_the_usual_range_it_has_the_bits_of_the_plain_sum() -> None:
    tree = [np.random.default_rng(1).normal(size=(50,)).astype(np.float32)]
    assert jax.jit(scaled_norm)(tree).value == jax.jit(lambda x: jnp.sqrt(jnp.sum(x * x)))(tree[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_element_that_is_not_finite_is_seen(value: float) -> None:
    for size in (1e-30, 1.0, 1e38):
        leaf = np.full(100, size, np.float32)
        assert np.isfinite(scaled_norm([leaf]).length)
        leaf[17] = value
        assert not np.isfinite(scaled_norm([leaf]).length)


def test_zero_and_mixed_sizes() -> None:
    assert scaled_norm([np.zeros(5, np.float32)]).value == 0
    mixed = np.array([1e-30, 1.0, 1e30, 2e30, 0.0], np.float32)
    assert scaled_norm([mixed]).value == pytest.approx(5**0.5 * 1e30, rel=1e-6)

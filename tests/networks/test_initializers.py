"""Every initializer against the distribution it names; a new entry of the dict gets the general tests by itself."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.networks.cells import build_spec_cell
from rnnjax.networks.initializers import INITIALIZERS, SQUARE_ONLY, spectral_radius
from rnnjax.settings import HParams, Spec

SHAPES = [(7, 7), (9, 4), (4, 9)]
CASES = [(name, shape) for name in INITIALIZERS for shape in SHAPES if name not in SQUARE_ONLY or shape[0] == shape[1]]
KEYLESS = {"identity", "cyclic", "zeros"}  # starts without chance
MATRICES = 2_000  # of a test of means: a mean of N(0, 1) has a deviation of 0.022


def draw(name: str, shape: tuple[int, int], gain: float = 1.0, seed: int = 0) -> np.ndarray:
    return np.asarray(INITIALIZERS[name](jax.random.key(seed), shape, jnp.float32(gain)))


@pytest.mark.parametrize(("name", "shape"), CASES)
class TestEveryInitializer:
    def test_shape_and_dtype(self, name: str, shape: tuple[int, int]) -> None:
        matrix = draw(name, shape)
        assert matrix.shape == shape
        assert matrix.dtype == np.float32
        assert np.isfinite(matrix).all()

    def test_gain_multiplies(self, name: str, shape: tuple[int, int]) -> None:
        for gain in (0.1, 3.0):
            np.testing.assert_allclose(draw(name, shape, gain), gain * draw(name, shape), rtol=1e-5, atol=1e-7)

    def test_the_key_and_nothing_else_decides(self, name: str, shape: tuple[int, int]) -> None:
        first, again, other = draw(name, shape, seed=0), draw(name, shape, seed=0), draw(name, shape, seed=1)
        np.testing.assert_array_equal(first, again)
        assert np.array_equal(first, other) == (name in KEYLESS)


@pytest.mark.slow
@pytest.mark.parametrize("name", INITIALIZERS)
def test_runs_with_their_own_gain_are_batched(name: str) -> None:
    gains = np.array([0.5, 2.0], np.float32)
    start = jax.jit(
        jax.vmap(lambda seed, gain: INITIALIZERS[name](jax.random.key(seed), (7, 7), gain)),
        compiler_options={"xla_backend_optimization_level": 0},  # compiles faster
    )
    for seed, matrix in enumerate(start(np.arange(2), gains)):
        np.testing.assert_allclose(matrix, draw(name, (7, 7), float(gains[seed]), seed), rtol=1e-4, atol=1e-6)


LARGE = (300, 200)
DEVIATIONS: dict[str, Callable[[int, int], float]] = {
    "xavier_normal": lambda rows, columns: np.sqrt(2 / (rows + columns)),
    "xavier_uniform": lambda rows, columns: np.sqrt(2 / (rows + columns)),  # half-width sqrt(6 / (...)), over sqrt(3)
    "he_normal": lambda rows, columns: np.sqrt(2 / rows),
    "normal": lambda rows, columns: 1.0,
    "uniform": lambda rows, columns: 1 / np.sqrt(3),
    "torch": lambda rows, columns: 1 / np.sqrt(3 * columns),
    "keras": lambda rows, columns: np.sqrt(2 / (rows + columns)),
    "flax": lambda rows, columns: 1 / np.sqrt(rows),
}
HALF_WIDTHS = {"xavier_uniform": np.sqrt(6 / sum(LARGE)), "uniform": 1.0, "torch": 1 / np.sqrt(LARGE[1])}


@pytest.mark.parametrize("name", DEVIATIONS)
def test_mean_and_deviation(name: str) -> None:
    """60,000 values: the relative deviation of a standard deviation is 0.3%, so 2% is seven of it."""
    matrix = draw(name, LARGE)
    deviation = DEVIATIONS[name](*LARGE)
    assert matrix.std() == pytest.approx(deviation, rel=0.02)
    assert abs(matrix.mean()) < 0.02 * deviation


@pytest.mark.parametrize("name", HALF_WIDTHS)
def test_uniform_fills_its_width_and_no_more(name: str) -> None:
    matrix, half_width = draw(name, LARGE), HALF_WIDTHS[name]
    assert np.abs(matrix).max() <= half_width
    assert matrix.max() > 0.999 * half_width
    assert matrix.min() < -0.999 * half_width


def test_normal_has_the_tails_of_a_gaussian() -> None:
    """The kurtosis of 60,000 Gaussian values is 3 +- 0.02; uniform ones have 1.8."""
    for name in ("normal", "he_normal", "xavier_normal"):
        matrix = draw(name, LARGE)
        assert np.mean(matrix**4) / np.mean(matrix**2) ** 2 == pytest.approx(3, abs=0.1), name


@pytest.mark.parametrize("shape", SHAPES)
def test_orthogonal_has_the_gain_for_every_singular_value(shape: tuple[int, int]) -> None:
    np.testing.assert_allclose(np.linalg.svd(draw("orthogonal", shape, 0.7), compute_uv=False), 0.7, rtol=1e-5)


def test_orthogonal_has_no_preferred_direction() -> None:
    """Haar: entries have mean 0 and variance 1/n, the trace has mean 0 and variance 1, half of the matrices reflect.

    LAPACK's own signs give a diagonal with a mean far from 0.
    """
    start = jax.jit(jax.vmap(lambda seed: INITIALIZERS["orthogonal"](jax.random.key(seed), (4, 4), jnp.float32(1))))
    matrices = np.asarray(start(np.arange(MATRICES)))
    assert np.abs(matrices.mean(axis=0)).max() < 5 * 0.5 / np.sqrt(MATRICES)
    assert matrices.var(axis=0) == pytest.approx(np.full((4, 4), 0.25), rel=0.2)
    traces = np.trace(matrices, axis1=1, axis2=2)
    assert traces.var() == pytest.approx(1, rel=0.2)
    assert np.mean(np.linalg.det(matrices) > 0) == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(MATRICES))


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.5, 1.0, 1.7])
def test_radius_is_exact(gain: float) -> None:
    for seed in range(5):
        eigenvalues = np.linalg.eigvals(draw("radius", (32, 32), gain, seed).astype(np.float64))
        assert np.abs(eigenvalues).max() == pytest.approx(gain, rel=1e-5)


def test_identity_is_the_identity() -> None:
    np.testing.assert_array_equal(draw("identity", (3, 3), 2.0), 2 * np.eye(3))


def test_cyclic_hands_each_value_on() -> None:
    matrix = draw("cyclic", (5, 5), 0.5)
    np.testing.assert_array_equal(np.arange(5.0) @ matrix, [2, 0, 0.5, 1, 1.5])
    np.testing.assert_array_equal(np.linalg.matrix_power(draw("cyclic", (5, 5)), 5), np.eye(5))


def test_zeros_are_zeros() -> None:
    assert not draw("zeros", (5, 5), 3.0).any()


def test_spectral_radius_by_hand() -> None:
    """A rotation by 90 degrees times 3 has eigenvalues +-3i; a triangular matrix has its diagonal."""
    assert spectral_radius(jnp.array([[0.0, -3.0], [3.0, 0.0]])) == pytest.approx(3)
    assert spectral_radius(jnp.array([[1.0, 50.0], [0.0, -2.0]])) == pytest.approx(2, rel=1e-5)


RADII = {  # (library, cell) -> spectral radius of a block at H = 64: mean and deviation, measured in the library itself
    ("torch", "elman"): (0.608, 0.029),
    ("keras", "lstm"): (0.524, 0.021),
    ("keras", "elman"): (1.0, 0.001),
    ("flax", "lstm"): (1.0, 0.001),
}


@pytest.mark.slow
@pytest.mark.parametrize(("library", "cell"), RADII)
def test_cells_start_as_those_of_a_library(library: str, cell: str) -> None:
    """The radius of the recurrent blocks; Keras draws all gates at once, so that the rows are orthonormal."""
    spec = Spec(cell=cell, hidden=64, inputs=8, kernel_initializer=library, recurrent_initializer=library)
    params = jax.jit(jax.vmap(build_spec_cell(spec, HParams()).init))(jax.random.split(jax.random.key(0), 10))
    blocks = np.split(np.asarray(params["recurrent_kernel"]), 4 if cell == "lstm" else 1, axis=-1)
    radius = np.abs(np.linalg.eigvals(np.stack(blocks))).max(axis=-1).mean()
    mean, deviation = RADII[library, cell]
    assert radius == pytest.approx(mean, abs=max(deviation, 0.005))
    width = 64 * len(blocks)
    deviations = {"torch": 1 / 192**0.5, "keras": (2 / (8 + width)) ** 0.5, "flax": 8**-0.5}
    assert np.asarray(params["kernel"]).std() == pytest.approx(deviations[library], rel=0.05)

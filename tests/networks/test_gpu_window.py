"""The Pallas program of a window, in the interpreter, against a loop in NumPy and the gradient of the scan."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.networks.fused.gpu_window import elman_windows

R, T, B, H = 2, 4, 3, 5
interpreted = partial(elman_windows, interpret=True)


def test_a_window_and_its_gradients_for_several_runs() -> None:
    rng = np.random.default_rng(0)
    kernel, start, drive, factors = (
        rng.normal(size=shape).astype(np.float32) for shape in ((R, H, H), (R, B, H), (R, T, B, H), (R, T, B, H))
    )
    expected, h = [], start
    for t in range(T):
        h = np.tanh(drive[:, t] + h @ kernel)
        expected.append(h)
    found = jax.jit(interpreted)(kernel, start, drive)
    np.testing.assert_allclose(found, np.stack(expected, 1), rtol=1e-5, atol=1e-6)

    def scanned(kernel_HH: jax.Array, start_BH: jax.Array, input_TBH: jax.Array) -> jax.Array:
        def step(h_BH: jax.Array, u_BH: jax.Array) -> tuple[jax.Array, jax.Array]:
            h_BH = jnp.tanh(u_BH + h_BH @ kernel_HH)
            return h_BH, h_BH

        return jax.lax.scan(step, start_BH, input_TBH)[1]

    def gradients(window: Any) -> Any:
        def total(*arguments: jax.Array) -> jax.Array:
            return jnp.sum(window(*arguments) * factors)

        return jax.jit(jax.grad(total, argnums=(0, 1, 2)))(kernel, start, drive)

    for one, other in zip(gradients(interpreted), gradients(jax.vmap(scanned)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_is_lowered_for_cuda() -> None:
    """As far as it gets without a GPU: both programs become Triton's."""

    def total(*arguments: jax.Array) -> jax.Array:
        return jnp.sum(elman_windows(*arguments, False))

    shapes = (8, 64, 64), (8, 16, 64), (8, 25, 16, 64)
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    traced = jax.jit(jax.grad(total, argnums=(0, 1, 2))).trace(*arguments)
    assert traced.lower(lowering_platforms=("cuda",)).as_text().count("custom_call") >= 2

"""The dynamics behind a loop and a stuck state: on networks whose exponent and fixed point are known."""

import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.doctor import examine
from rnnjax.doctor.diagnosis import Diagnosis
from rnnjax.types import Carry, Params

V = 4


def cycling(params: Params, carry: Carry, ids_B: jnp.ndarray) -> tuple[Carry, jnp.ndarray]:
    """h' = 0.5 h + one-hot of the id; the next symbol is nearly always the id after this one."""
    carry = params["decay"] * carry + jnp.eye(V)[ids_B]
    return carry, carry @ params["readout"]


def noisy_cycles() -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets [T, B]: mostly the id after the last one."""
    rng, ids = np.random.default_rng(0), np.zeros((61, 6), np.int64)
    for t in range(60):
        ids[t + 1] = np.where(rng.random(6) < 0.7, (ids[t] + 1) % V, rng.integers(V, size=6))
    return ids[:-1], ids[1:]


def remarks(diagnosis: Diagnosis) -> dict[str, str]:
    return {finding.name: finding.remark for finding in diagnosis.findings}


def test_a_loop_is_explained_by_the_exponent_along_it() -> None:
    params = {"decay": jnp.float32(0.5), "readout": 20 * jnp.roll(jnp.eye(V), 1, axis=1)}
    found = remarks(examine(cycling, params, noisy_cycles(), carry=jnp.zeros((6, V))))
    expected = "largest Lyapunov exponent along greedy texts -0.6931 per step: the loop attracts states nearby"
    assert found["loops_of_model"] == expected


@pytest.mark.slow
def test_a_stuck_state_is_explained_by_its_fixed_point() -> None:
    """h' = 0.9 h + 0.1, whatever is read: it stands at 1, and the outputs are nearly the same for all inputs."""

    def stuck(params: Params, carry: Carry, x_BD: jnp.ndarray) -> tuple[Carry, jnp.ndarray]:
        carry = params["decay"] * carry + 0.1 + 1e-6 * x_BD
        return carry, carry * params["readout"]

    wave = np.sin(0.4 * np.arange(33)[:, None, None] + np.arange(8)[None, :, None]).astype(np.float32)
    params = {"decay": jnp.float32(0.9), "readout": jnp.float32(0.5)}
    found = remarks(examine(stuck, params, (wave[:-1], wave[1:]), carry=0.9 * jnp.ones((8, 1))))
    remark = found.get("identical", found.get("input_independent", ""))
    assert (
        "with the mean input held, 16 of 16 states lead to one stable fixed point (largest |eigenvalue| 0.9)" in remark
    )


def test_a_network_for_a_fixed_number_of_streams_is_examined_without_evidence() -> None:
    def fixed(params: Params, carry: Carry, ids_B: jnp.ndarray) -> tuple[Carry, jnp.ndarray]:
        return cycling(params, carry.reshape(6, V), ids_B)

    params = {"decay": jnp.float32(0.5), "readout": 20 * jnp.roll(jnp.eye(V), 1, axis=1)}
    found = remarks(examine(fixed, params, noisy_cycles(), carry=jnp.zeros((6, V))))
    assert found["loops_of_model"] == ""

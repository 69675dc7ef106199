"""Cases whose fault is in the program: operations that are not finite, rounding, memory, other parameters."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks.doctor.abroad import networks
from benchmarks.doctor.abroad.cases import REFUSED, AbroadCase
from benchmarks.doctor.abroad.networks import Params, draw, elman_step, embedded_step, text_ids, waves, windows
from benchmarks.doctor.abroad.records import learned
from rnnjax.doctor import examine
from rnnjax.doctor.diagnosis import Diagnosis

DELAY, DELAYED_STEPS = 25, 80


# Operations that are not finite


def log_of_zero(outputs: Array, ids: Array) -> Array:
    """-log of outputs cut off at 0."""
    positive = jax.nn.relu(outputs)
    return -jnp.mean(jnp.log(positive / positive.sum(-1, keepdims=True))[..., 0])


def divided_step(params: Params, carry: Array, ids: Array) -> tuple[Array, Array]:
    """Outputs divided by 0 at one id, and by its number at the others."""
    carry, outputs = embedded_step(params, carry, ids)
    return carry, outputs / (ids * (ids != 3))[:, None]


def examine_text_program(step: networks.Step, objective: networks.Objective) -> Diagnosis:
    """The trained text model in another program, with its own record."""
    params, record = networks.trained_text_model()
    batch, carry = draw(windows(text_ids())), networks.zero_carry()
    held_out = draw(windows(text_ids()), 101)
    return examine(step, params, batch, carry=carry, objective=objective, record=record, held_out=held_out)


# Rounding


def float32_step(params: Params, carry: Array, x: Array) -> tuple[Array, Array]:
    """Parameters of lower precision, computed in float32."""
    return elman_step(jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params), carry, x)


def examine_rounded(update_norm: float) -> Diagnosis:
    """Parameters in bfloat16, with updates of one norm."""
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), networks.trained_forecaster().params)
    loss = learned()
    record = {"loss": loss, "update_norm": np.full(len(loss), update_norm)}
    return examine(float32_step, params, draw(windows(waves())), carry=networks.zero_carry(), record=record)


# Memory


def delayed_windows(rng: np.random.Generator) -> networks.Pair:
    """Noise to be repeated 25 steps later."""
    inputs = rng.normal(size=(DELAYED_STEPS, networks.STREAMS, 1)).astype(np.float32)
    return inputs, np.roll(inputs, DELAY, 0)


def delayed_error(outputs: Array, targets: Array) -> Array:
    return jnp.mean((outputs - targets)[DELAY:] ** 2)


def examine_delayed() -> Diagnosis:
    """A recurrent kernel of gain 0.8, whose gradient ends before the delay."""
    params, record = networks.train(
        elman_step, networks.initial_params(1, 1, gain=0.8), delayed_windows, delayed_error, 300
    )
    batch, carry = draw(delayed_windows), networks.zero_carry()
    return examine(elman_step, params, batch, carry=carry, objective=delayed_error, record=record)


def linear_step(params: Params, carry: Array, x: Array) -> tuple[Array, Array]:
    """h' = W_xh x + W_hh h, without a bias."""
    carry = x @ params["kernel"] + carry @ params["recurrent_kernel"]
    return carry, carry @ params["readout"]


def examine_linear(gain: float) -> Diagnosis:
    """A linear network over 60 steps, and targets that are its outputs, of deviation 1, with noise.

    Args: gain: of its orthogonal recurrent kernel.
    """
    params = networks.initial_params(1, 1, gain)
    used: dict[str, Any] = {name: params[name] for name in ("kernel", "recurrent_kernel", "readout")}
    rng = np.random.default_rng(41)
    inputs = rng.normal(size=(60, networks.STREAMS, 1)).astype(np.float32)
    carry = networks.zero_carry()
    outputs = np.asarray(jax.lax.scan(lambda carry, x: linear_step(used, carry, x), carry, jnp.asarray(inputs))[1])
    used["readout"] /= outputs.std()
    targets = (outputs / outputs.std() + 0.1 * rng.normal(size=outputs.shape)).astype(np.float32)
    return examine(linear_step, used, (inputs, targets), carry=carry, objective=networks.squared_error)


# Other parameters and shapes


def examine_forecaster(trained: bool) -> Diagnosis:
    """The record of the trained forecaster, with its parameters or with untrained ones."""
    params, record = networks.trained_forecaster()
    params = params if trained else networks.initial_params(1, 1)
    batch, carry = draw(windows(waves())), networks.zero_carry()
    return examine(elman_step, params, batch, carry=carry, objective=networks.squared_error, record=record)


def last_output_of_window(params: Params, carry: Array, inputs: Array) -> tuple[Array, Array]:
    """[B, O], where the outputs of all steps [T, B, O] are expected."""
    carry, outputs = jax.lax.scan(lambda carry, x: elman_step(params, carry, x), carry, inputs)
    return carry, outputs[-1]


def all_outputs_of_window(params: Params, carry: Array, inputs: Array) -> tuple[Array, Array]:
    """[T, B, O]."""
    return jax.lax.scan(lambda carry, x: elman_step(params, carry, x), carry, inputs)


def examine_whole(network: networks.Step) -> Diagnosis:
    """The trained forecaster as a function of whole windows."""
    params, batch = networks.trained_forecaster().params, draw(windows(waves()))
    return examine(network, params, batch, whole=True, carry=networks.zero_carry(), objective=networks.squared_error)


CASES = (
    AbroadCase("not finite", "log_of_zero", "broken", partial(examine_text_program, embedded_step, log_of_zero)),
    AbroadCase(
        "not finite", "division_by_zero", "broken", partial(examine_text_program, divided_step, networks.cross_entropy)
    ),
    AbroadCase(
        "not finite", "finite_text_model", "", partial(examine_text_program, embedded_step, networks.cross_entropy)
    ),
    AbroadCase("rounding", "short_updates", "lost_in_rounding", partial(examine_rounded, 0.002)),
    AbroadCase("rounding", "long_updates", "", partial(examine_rounded, 0.2)),
    AbroadCase("memory", "gradient_ends_early", "vanishing_before_answer", examine_delayed),
    AbroadCase("memory", "growing_gradient", "exploding_slowly", partial(examine_linear, 1.12)),
    AbroadCase("memory", "steady_gradient", "", partial(examine_linear, 1.0)),
    AbroadCase("parameters", "untrained", "record_mismatch", partial(examine_forecaster, False)),
    AbroadCase("parameters", "trained", "", partial(examine_forecaster, True)),
    AbroadCase("shapes", "last_output_of_window", REFUSED, partial(examine_whole, last_output_of_window)),
    AbroadCase("shapes", "all_outputs_of_window", "", partial(examine_whole, all_outputs_of_window)),
)

"""A network as a StableHLO program of `jax.export`: for any number of streams and steps, its parameters inside."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, export

from rnnjax.networks.keys import key_for
from rnnjax.networks.model import Model
from rnnjax.settings import HParams
from rnnjax.types import Carry, Params

PROGRAMS = ("window", "padded_window", "step")


def initial_carry(model: Model, params: Params, hp: HParams, streams: int = 1) -> Carry:
    """The carry before the first step, leaves [streams, ...]."""
    return model.carry(params, key_for(hp, "evaluation"), streams)


def export_program(
    program: str,
    model: Model,
    params: Params,
    hp: HParams,
    x: jax.ShapeDtypeStruct,
    platforms: tuple[str, ...] | None,
) -> export.Exported:
    """One of `PROGRAMS` for every T >= 1 and B >= 1; a carry has leaves [B, ...].

    window: (carry, x [T, B, ...]) -> (carry, y [T, B, O]). padded_window: (carry, x, lengths [B]) -> the same, the
    steps after the length of a stream being no part of it. step: (carry, x [B, ...]) -> (carry, y [B, O]).

    Args: x: the type of the input of one step of one stream. platforms: as of `jax.export.export`, None = here.
    """
    steps, streams = export.symbolic_shape("T, B")
    sizes = (streams,) if program == "step" else (steps, streams)
    one = jax.eval_shape(lambda: initial_carry(model, params, hp))
    carry = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((streams, *leaf.shape[1:]), leaf.dtype), one)
    arguments = [carry, jax.ShapeDtypeStruct((*sizes, *x.shape), x.dtype)]
    if program == "padded_window":
        arguments.append(jax.ShapeDtypeStruct((streams,), jnp.int32))
    function = read_step if program == "step" else read_window
    return export.export(jax.jit(partial(function, model, params)), platforms=platforms)(*arguments)


def read_window(
    model: Model, params: Params, carry: Carry, x: Array, lengths_B: Array | None = None
) -> tuple[Carry, Array]:
    """All steps of B streams, or the first ones as `lengths_B` has them."""
    mask_TB = None if lengths_B is None else jnp.arange(x.shape[0])[:, None] < lengths_B[None, :]
    after, outputs_TBO, _ = model.apply(params, carry, x, mask_TB)
    return after, outputs_TBO


def read_step(model: Model, params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
    """One step of B streams."""
    after = jax.vmap(partial(model.step, params))(carry, x)
    return after, jax.vmap(partial(model.readout, params))(after)

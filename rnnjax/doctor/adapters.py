"""What can be examined: a network of ours, a cell, a Flax cell or module, or any pure apply(params, carry, x)."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import BadInput
from rnnjax.networks.cells import build_spec_cell
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_layers, build_network
from rnnjax.settings import HParams, Spec
from rnnjax.training.step import mask_frozen
from rnnjax.types import Carry, Cell, OpaqueCell, Params

FIRST = 4  # steps over which stepping must say what reading says; more, and rounding grows in a chaotic network
CLOSE = 0.01  # of the largest output: as near as this is the same


class Subject(NamedTuple):
    """A recurrent network as pure functions of B streams."""

    read: Callable[..., tuple[Carry, Array]]  # params, carry, x: inputs [T, B, ...] -> carry, outputs_TBO
    step: Callable[..., tuple[Carry, Array]] | None  # params, carry, inputs [B, ...] -> carry, outputs_BO
    start: Callable[[Params, Array], Carry] | None  # params, inputs [T, B, ...] -> the carry before the first step
    units: Callable[[Carry], Array]  # carry -> h_BH, the units to look at
    activation: str = ""  # of the units: one of `activations.ACTIVATIONS`, "" where it is not known
    trained: Callable[[Params], Params] = lambda gradient: gradient  # 0 for what is not to be trained
    settled: tuple[str, ...] = ()  # parameters that a window read from a given state gives no gradient


def subject_of(examined: Any, hp: HParams | None = None, whole: bool = False) -> Subject:
    """The subject that a user means.

    Args:
        examined: a `Spec`; a `Cell` or `OpaqueCell`, whose output is h; a `nn.RNNCellBase` or another Flax module
            called as (carry, x) -> (carry, y); or a function apply(params, carry, x) -> (carry, y).
        hp: of a `Spec`. whole: `apply` reads whole windows [T, B, ...] instead of one step [B, ...].
    Raises:
        BadInput: for anything else, or a `Spec` without sizes.
    """
    if isinstance(examined, Spec):
        return of_spec(examined, hp or HParams())
    if isinstance(examined, Cell | OpaqueCell):
        return of_cell(examined)
    if isinstance(examined, nn.Module):
        return of_flax(examined)
    if callable(examined):
        return of_apply(examined, whole)
    expected = "a Spec, a cell, a Flax module or a function apply(params, carry, x)"
    raise BadInput(f"network: got {type(examined).__name__}; expected {expected}")


def of_spec(spec: Spec, hp: HParams) -> Subject:
    """A network of ours. Raises BadInput where its sizes are not known."""
    if not (spec.inputs and spec.outputs):
        raise BadInput(
            "network: got a Spec without inputs and outputs; expected both (replace(spec, inputs=, outputs=))"
        )
    model = build_network(spec, hp)

    def step(params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
        carry = jax.vmap(partial(model.step, params))(carry, x)
        return carry, jax.vmap(partial(model.readout, params))(carry)

    def units(carry: Carry) -> Array:
        name, cell = list(build_layers(spec, hp).items())[-1]
        return jax.vmap(cell.hidden_state)(carry[name])

    return Subject(
        read=lambda params, carry, inputs: model.apply(params, carry, inputs)[:2],
        step=None if spec.bidirectional else step,
        start=lambda params, inputs: model.carry(params, key_for(hp, "evaluation"), inputs.shape[1]),
        units=units,
        activation=build_spec_cell(spec, hp).activation,
        trained=partial(mask_frozen, hp),
        settled=("start",),
    )


def of_cell(cell: Cell | OpaqueCell) -> Subject:
    """A cell without a readout: what it says is its output h [H]."""

    def step(params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
        carry = jax.vmap(partial(cell.step, params))(carry, x)
        return carry, jax.vmap(cell.hidden_state)(carry)

    def start(params: Params, inputs: Array) -> Carry:
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (inputs.shape[1], *leaf.shape)), cell.carry())

    return Subject(partial(scanned, step), step, start, jax.vmap(cell.hidden_state))


def of_flax(module: nn.Module) -> Subject:
    """A Flax cell or module called as (carry, x) -> (carry, y), with its variables or only its parameters."""

    def step(params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
        after: Any = module.apply(params if "params" in params else {"params": params}, carry, x)
        return after

    def start(params: Params, inputs: Array) -> Carry:
        return module.initialize_carry(jax.random.key(0), inputs.shape[1:])  # type: ignore[attr-defined]

    known = isinstance(module, nn.RNNCellBase)
    return Subject(partial(scanned, step), step, start if known else None, all_units)


def of_apply(apply: Callable[..., Any], whole: bool) -> Subject:
    """A user's own function of one step [B, ...], or of whole windows [T, B, ...], of which a step is one of T = 1."""

    def one(params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
        carry, outputs_TBO = apply(params, carry, x[None])
        return carry, outputs_TBO[0]

    return Subject(apply, one, None, all_units) if whole else Subject(partial(scanned, apply), apply, None, all_units)


def scanned(step: Callable[..., Any], params: Params, carry: Carry, inputs: Array) -> tuple[Carry, Array]:
    """A window read step by step."""
    return jax.lax.scan(partial(step, params), carry, inputs)


def all_units(carry: Carry) -> Array:
    """Every number of B carries that is not a count: [B, H]."""
    leaves = [leaf for leaf in jax.tree.leaves(carry) if is_float(leaf)]
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=1)


def is_float(leaf: Any) -> bool:
    return bool(jnp.issubdtype(jnp.result_type(leaf), jnp.floating))


def can_step(subject: Subject, params: Params, carry: Carry, inputs: Array) -> bool:
    """Whether there is a state, a step gives one like the one it was given, and steps say what reading says.

    They do not where a function of whole windows starts each window anew, or looks ahead.
    """
    step = subject.step
    if step is None or not any(map(is_float, jax.tree.leaves(carry))):
        return False
    shape = partial(jax.tree.map, lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)))
    try:
        after, _ = jax.eval_shape(step, params, carry, inputs[0])
    except (TypeError, ValueError):  # of the user's own function, which reads its axes in another order
        return False
    if shape(after) != shape(carry):
        return False
    read = jax.jit(subject.read)(params, carry, inputs)[1][:FIRST]
    stepped = jax.jit(partial(scanned, step))(params, carry, inputs[:FIRST])[1]
    if not np.isfinite(read).all():
        return True  # what is wrong then is another thing
    return bool(np.max(np.abs(stepped - read)) <= CLOSE * np.max(np.abs(read)))

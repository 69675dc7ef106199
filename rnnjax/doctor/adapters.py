"""Adapters: an rnnjax network, a cell, a Flax cell or module, or any function apply(params, carry, x), as one type."""

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

COMPARED_STEPS = 4  # of `step` and `apply`; over more steps, rounding grows in a chaotic network
TOLERANCE = 0.01  # of the largest output: a smaller difference is none
WINDOW_MODULE = (
    "reads whole sequences; expected its cell, network.cell, or with whole=True a function (params, carry, inputs) -> "
    "(carry, outputs), such as lambda p, c, x: net.apply(p, x, initial_carry=c, return_carry=True, time_major=True)"
)
NNX_MODULE = (
    "has no separate parameters; expected graph, params = nnx.split(network) and the function "
    "lambda p, c, x: nnx.merge(graph, p)(c, x), with params as the parameters"
)


class ModelAdapter(NamedTuple):
    """A recurrent network as pure functions of B streams."""

    apply: Callable[..., tuple[Carry, Array]]  # params, carry, inputs [T, B, ...] -> carry, outputs_TBO
    step: Callable[..., tuple[Carry, Array]] | None  # params, carry, inputs [B, ...] -> carry, outputs_BO
    initial_carry: Callable[[Params, Array], Carry] | None  # params, inputs [T, B, ...] -> carry
    units: Callable[[Carry], Array]  # carry -> h_BH, the hidden units
    activation: str = ""  # of the units: a key of `activations.ACTIVATIONS`; "" = unknown
    mask_gradient: Callable[[Params], Params] = lambda gradient: gradient  # sets that of frozen parameters to 0
    no_gradient: tuple[str, ...] = ()  # parameters without a gradient if the carry is given
    whole: bool = False  # `apply` is a user's function of whole windows


def make_adapter(network: Any, hp: HParams | None = None, whole: bool = False) -> ModelAdapter:
    """The adapter of a network.

    Args:
        network: a `Spec`; a `Cell` or `OpaqueCell`, whose output is h; a `nn.RNNCellBase` or another Flax module
            called as (carry, x) -> (carry, y); or a function apply(params, carry, x) -> (carry, y).
        hp: of a `Spec`. whole: `apply` takes whole windows [T, B, ...] instead of one step [B, ...].
    Raises:
        BadInput: for any other type, or a `Spec` without sizes.
    """
    if isinstance(network, Spec):
        return from_spec(network, hp or HParams())
    if isinstance(network, Cell | OpaqueCell):
        return from_cell(network)
    if isinstance(network, nn.RNN | nn.Bidirectional):
        raise BadInput(f"network: got {type(network).__name__}, which {WINDOW_MODULE}")
    if isinstance(network, nn.Module):
        return adapt_flax_module(network)
    if is_nnx(network):
        raise BadInput(f"network: got {type(network).__name__}, an nnx module, which {NNX_MODULE}")
    if callable(network):
        return from_apply(network, whole)
    expected = "a Spec, a cell, a Flax module or a function apply(params, carry, x)"
    raise BadInput(f"network: got {type(network).__name__}; expected {expected}")


def is_nnx(network: Any) -> bool:
    """Whether a network is a module of flax.nnx, which need not be imported for that."""
    return any(base.__module__.startswith("flax.nnx") for base in type(network).__mro__)


def from_spec(spec: Spec, hp: HParams) -> ModelAdapter:
    """A network built by rnnjax. Raises BadInput if its sizes are not set."""
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

    return ModelAdapter(
        apply=lambda params, carry, inputs: model.apply(params, carry, inputs)[:2],
        step=None if spec.bidirectional else step,
        initial_carry=lambda params, inputs: model.carry(params, key_for(hp, "evaluation"), inputs.shape[1]),
        units=units,
        activation=build_spec_cell(spec, hp).activation,
        mask_gradient=partial(mask_frozen, hp),
        no_gradient=("start",),
    )


def from_cell(cell: Cell | OpaqueCell) -> ModelAdapter:
    """A cell without a readout: the output is h [H]."""

    def step(params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
        carry = jax.vmap(partial(cell.step, params))(carry, x)
        return carry, jax.vmap(cell.hidden_state)(carry)

    def initial_carry(params: Params, inputs: Array) -> Carry:
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (inputs.shape[1], *leaf.shape)), cell.carry())

    return ModelAdapter(partial(scan_steps, step), step, initial_carry, jax.vmap(cell.hidden_state))


def adapt_flax_module(module: nn.Module) -> ModelAdapter:
    """A Flax cell or module called as (carry, x) -> (carry, y), with its variables or only its parameters."""

    def step(params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
        result: Any = module.apply(params if "params" in params else {"params": params}, carry, x)
        return result

    def initial_carry(params: Params, inputs: Array) -> Carry:
        unused_key = jax.random.key(0)  # Flax's cells require one and all start from zeros
        return module.initialize_carry(unused_key, inputs.shape[1:])  # type: ignore[attr-defined]

    has_carry = isinstance(module, nn.RNNCellBase)
    return ModelAdapter(partial(scan_steps, step), step, initial_carry if has_carry else None, flatten_carry)


def from_apply(apply: Callable[..., Any], whole: bool) -> ModelAdapter:
    """A function of one step [B, ...], or of whole windows [T, B, ...], of which a step is a window of T = 1."""

    def step(params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
        carry, outputs_TBO = apply(params, carry, x[None])
        return carry, outputs_TBO[0]

    if whole:
        return ModelAdapter(apply, step, None, flatten_carry, whole=True)
    return ModelAdapter(partial(scan_steps, apply), apply, None, flatten_carry)


def scan_steps(step: Callable[..., Any], params: Params, carry: Carry, inputs: Array) -> tuple[Carry, Array]:
    """A window, step by step."""
    return jax.lax.scan(partial(step, params), carry, inputs)


def flatten_carry(carry: Carry) -> Array:
    """All floating numbers of B carries: [B, H]."""
    leaves = [leaf for leaf in jax.tree.leaves(carry) if is_float(leaf)]
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=1)


def is_float(leaf: Any) -> bool:
    return bool(jnp.issubdtype(jnp.result_type(leaf), jnp.floating))


def can_step(adapter: ModelAdapter, params: Params, carry: Carry, inputs: Array) -> bool:
    """Whether there is a state, a step keeps its shapes, and steps give the outputs of the whole window.

    They do not if a function of whole windows resets its state in each window, or uses later inputs.
    """
    step = adapter.step
    if step is None or not any(map(is_float, jax.tree.leaves(carry))):
        return False
    return keeps_shapes(step, params, carry, inputs[0]) and agrees_with_steps(adapter, params, carry, inputs)


def keeps_shapes(step: Callable[..., Any], params: Params, carry: Carry, x: Array) -> bool:
    shape = partial(jax.tree.map, lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)))
    try:
        after, _ = jax.eval_shape(step, params, carry, x)
    except (TypeError, ValueError):  # of a user's function whose axes are in another order
        return False
    return bool(shape(after) == shape(carry))


def agrees_with_steps(adapter: ModelAdapter, params: Params, carry: Carry, inputs: Array) -> bool:
    """Whether `step` gives the outputs of `apply`; true if these are not finite, which is a condition of its own."""
    step: Any = adapter.step
    by_window = jax.jit(adapter.apply)(params, carry, inputs)[1][:COMPARED_STEPS]
    by_step = jax.jit(partial(scan_steps, step))(params, carry, inputs[:COMPARED_STEPS])[1]
    if not np.isfinite(by_window).all():
        return True
    return bool(np.max(np.abs(by_step - by_window)) <= TOLERANCE * np.max(np.abs(by_window)))

"""Adapters: an rnnjax network, a cell, a Flax cell or module, or any function apply(params, carry, x), as one type."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.doctor.batch import Batch
from rnnjax.doctor.segments import begins_with_padding, first_steps, is_packed
from rnnjax.errors import BadInput
from rnnjax.networks.cells import build_spec_cell
from rnnjax.networks.documents import build_reader
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_layers
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
    reads_segments: bool = False  # `apply` has a fourth argument, see `segments`


def apply_batch(adapter: ModelAdapter, params: Params, carry: Carry, batch: Batch, inputs: Any = None) -> Any:
    """`apply` on a batch, or on other inputs in the place of its own."""
    read = jnp.asarray(batch.inputs if inputs is None else inputs)
    if not adapter.reads_segments:
        return adapter.apply(params, carry, read)
    segments_TB = jnp.ones(read.shape[:2], jnp.int32) if batch.segments_TB is None else jnp.asarray(batch.segments_TB)
    return adapter.apply(params, carry, read, segments_TB)


def make_adapter(network: Any, hp: HParams | None = None, whole: bool = False, sequences: bool = False) -> ModelAdapter:
    """The adapter of a network.

    Args:
        network: a `Spec`; a `Cell` or `OpaqueCell`, whose output is h; a `nn.RNNCellBase` or another Flax module
            called as (carry, x) -> (carry, y); or a function apply(params, carry, x) -> (carry, y).
        hp: of a `Spec`. whole: `apply` takes whole windows [T, B, ...] instead of one step [B, ...].
        sequences: whether a `Spec` is to read segments.
    Raises:
        BadInput: for any other type, or a `Spec` without sizes.
    """
    if isinstance(network, Spec):
        return from_spec(network, hp or HParams(), sequences)
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


def from_spec(spec: Spec, hp: HParams, sequences: bool = False, document: int | None = None) -> ModelAdapter:
    """A network built by rnnjax. Raises BadInput if its sizes are not set.

    Args: sequences: it reads segments. document: the id before which its state becomes the initial state.
    """
    if not (spec.inputs and spec.outputs):
        raise BadInput(
            "network: got a Spec without inputs and outputs; expected both (replace(spec, inputs=, outputs=))"
        )
    model = build_reader(spec, hp, document)

    def step(params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
        carry = jax.vmap(partial(model.step, params))(carry, x)
        return carry, jax.vmap(partial(model.readout, params))(carry)

    def units(carry: Carry) -> Array:
        name, cell = list(build_layers(spec, hp).items())[-1]
        return jax.vmap(cell.hidden_state)(carry[name])

    def initial_carry(params: Params, inputs: Array) -> Carry:
        return model.carry(params, key_for(hp, "evaluation"), inputs.shape[1])

    def apply(params: Params, carry: Carry, inputs: Array, segments_TB: Array) -> tuple[Carry, Array]:
        flags = {"starts_TB": first_steps(segments_TB), "start": initial_carry(params, inputs)}
        return model.apply(params, carry, inputs, segments_TB > 0, **flags)[:2]

    return ModelAdapter(
        apply=apply if sequences else lambda params, carry, inputs: model.apply(params, carry, inputs)[:2],
        step=None if spec.bidirectional else step,
        initial_carry=initial_carry,
        units=units,
        activation=build_spec_cell(spec, hp).activation,
        mask_gradient=partial(mask_frozen, hp),
        no_gradient=("start",),
        reads_segments=sequences,
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

    reads_segments = whole and required_arguments(apply) == 4

    def step(params: Params, carry: Carry, x: Array) -> tuple[Carry, Array]:
        segments = (jnp.ones((1, x.shape[0]), jnp.int32),) if reads_segments else ()
        carry, outputs_TBO = apply(params, carry, x[None], *segments)
        return carry, outputs_TBO[0]

    if whole:
        return ModelAdapter(apply, step, None, flatten_carry, whole=True, reads_segments=reads_segments)
    return ModelAdapter(partial(scan_steps, apply), apply, None, flatten_carry)


def required_arguments(function: Callable[..., Any]) -> int:
    """How many positional arguments a function needs; 0 where it does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in positional and one.default is inspect.Parameter.empty for one in parameters)


def scan_steps(step: Callable[..., Any], params: Params, carry: Carry, inputs: Array) -> tuple[Carry, Array]:
    """A window, step by step."""
    return jax.lax.scan(partial(step, params), carry, inputs)


def flatten_carry(carry: Carry) -> Array:
    """All floating numbers of B carries: [B, H]."""
    leaves = [leaf for leaf in jax.tree.leaves(carry) if is_float(leaf)]
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=1)


def is_float(leaf: Any) -> bool:
    return bool(jnp.issubdtype(jnp.result_type(leaf), jnp.floating))


def can_step(
    adapter: ModelAdapter, params: Params, carry: Carry, inputs: Array, segments_TB: Array | None = None
) -> bool:
    """Whether there is a state, a step keeps its shapes, and steps give the outputs of the whole window.

    They do not if a function of whole windows resets its state in each window, or uses later inputs; nor if a row holds
    several sequences, between which a step does not reset the state, or begins with padding, which a step reads.
    """
    step = adapter.step
    if step is None or not any(map(is_float, jax.tree.leaves(carry))) or is_packed(segments_TB):
        return False
    if adapter.whole and begins_with_padding(segments_TB):
        return False
    batch = Batch(inputs, inputs, segments_TB=segments_TB)
    return keeps_shapes(step, params, carry, inputs[0]) and agrees_with_steps(adapter, params, carry, batch)


def keeps_shapes(step: Callable[..., Any], params: Params, carry: Carry, x: Array) -> bool:
    shape = partial(jax.tree.map, lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)))
    try:
        after, _ = jax.eval_shape(step, params, carry, x)
    except (TypeError, ValueError):  # of a user's function whose axes are in another order
        return False
    return bool(shape(after) == shape(carry))


def agrees_with_steps(adapter: ModelAdapter, params: Params, carry: Carry, batch: Batch) -> bool:
    """Whether `step` gives the outputs of `apply` where sequences have steps; true if these are not finite, which is a
    condition of its own.
    """
    step, inputs = adapter.step, jnp.asarray(batch.inputs)
    by_window = jax.jit(partial(apply_batch, adapter))(params, carry, batch)[1][:COMPARED_STEPS]
    by_step = jax.jit(partial(scan_steps, step))(params, carry, inputs[:COMPARED_STEPS])[1]  # type: ignore[arg-type]
    if not np.isfinite(by_window).all():
        return True
    apart_TB = np.max(np.abs(by_step - by_window), axis=-1)
    valid_TB = True if batch.segments_TB is None else np.asarray(batch.segments_TB)[:COMPARED_STEPS] > 0
    return bool(np.max(apart_TB * valid_TB) <= TOLERANCE * np.max(np.abs(by_window)))

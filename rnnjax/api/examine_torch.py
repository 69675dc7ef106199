"""A module of torch for the doctor: our network with its weights, its outputs, and the gradients of its own loss."""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.api.interop import from_torch
from rnnjax.api.networks import Network
from rnnjax.errors import BadInput
from rnnjax.interop.torch_entries import CELLS
from rnnjax.interop.torch_gradients import step_gradients
from rnnjax.training.losses import LOSSES

NO_GRADIENT = 1e-6  # of the largest: a smaller one is none


def open_torch(module: Any, batch: Any, options: dict[str, Any]) -> tuple[Network, dict[str, Any]]:
    """The network of a module, and the options of an examination that its own program gives.

    These are `reference`, the outputs of the module; and with a loss `objective`, which counts the steps that the loss
    reaches, and `detached`. The module reads the batch in its own order of axes.

    Raises: BadInput as `from_torch`, or for a batch or loss that the module cannot read.
    """
    torch = sys.modules["torch"]
    network, loss = from_torch(module), options.pop("loss", None)
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise BadInput(f"batch: got {type(batch).__name__}; expected (inputs, targets), time first")
    inputs, targets = (to_tensor(torch, module, part) for part in batch[:2])
    try:
        reference = outputs_of(torch, module, inputs, network, required=loss is None)
        if loss is not None:
            options |= loss_options(network, step_gradients(module, lambda: loss(module, inputs, targets)))
    except BadInput:
        raise
    except Exception as error:  # a user's module may raise anything
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"module: {type(error).__name__} when applied to batch: {reason}") from error
    return network, options if reference is None else {"reference": reference} | options


def to_tensor(torch: Any, module: Any, part: Any) -> Any:
    """A part of a batch in the order of axes that the module reads, and in its type."""
    array = np.asarray(part)
    first = any(getattr(layer, "batch_first", False) for layer in module.modules())
    tensor = torch.as_tensor(np.array(array.swapaxes(0, 1) if first else array))
    weights = next(module.parameters())
    is_id = np.issubdtype(array.dtype, np.integer)
    return (tensor.long() if is_id else tensor.to(weights.dtype)).to(weights.device)


def outputs_of(torch: Any, module: Any, inputs: Any, network: Network, required: bool) -> np.ndarray | None:
    """The outputs [T, B, O] of the module in evaluation mode; None where it returns something else.

    Args: required: otherwise a module that cannot be called like that, but by its loss alone, has none.
    """
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            outputs = module(inputs)
    except Exception:  # such as a cell, which reads one step
        if required:
            raise
        return None
    finally:
        module.train(training)
    outputs = outputs[0] if isinstance(outputs, tuple) else outputs
    if getattr(outputs, "ndim", 0) != 3 or outputs.shape[-1] != network.spec.outputs:
        return None
    array = outputs.cpu().numpy()
    first = any(getattr(layer, "batch_first", False) for layer in module.modules() if is_recurrent(layer))
    return array.swapaxes(0, 1) if first else array


def is_recurrent(layer: Any) -> bool:
    return type(layer).__name__.lower().removesuffix("cell") in CELLS


def loss_options(network: Network, found: Any) -> dict[str, Any]:
    """The objective that counts the steps which the loss of torch reaches, and the share of steps that are cut off."""
    counted_T = jnp.asarray(found.outputs_T > NO_GRADIENT * max(found.outputs_T.max(), 1e-30))
    kind = LOSSES[network.spec.loss]

    def objective(outputs_TBO: Array, targets: Array) -> Array:
        steps = len(outputs_TBO)
        weights_T = counted_T[-steps:] if len(counted_T) >= steps else jnp.ones(steps, bool)
        losses_T = jnp.mean(jax.vmap(jax.vmap(kind))(outputs_TBO, targets), axis=1)
        return jnp.sum(losses_T * weights_T) / jnp.maximum(jnp.sum(weights_T), 1)

    return {"objective": objective, "detached": found.detached}

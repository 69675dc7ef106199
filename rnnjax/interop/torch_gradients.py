"""Which time steps a loss of torch reaches: gradients at the inputs and outputs of recurrent modules, by hooks.

torch is in use where a module of it is: it is taken from there.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.torch_entries import CELLS


class StepGradients(NamedTuple):
    """Gradients in the program of a user, for each step that its recurrent modules read."""

    outputs_T: np.ndarray  # norm of the gradient of the loss with respect to the output of the last layer at step t
    inputs_T: np.ndarray  # norm of that of the last output with respect to the input of the first layer at step t

    @property
    def detached(self) -> float:
        """The share of the earlier steps whose inputs have no gradient at all in the last output."""
        return float(np.mean(self.inputs_T[:-1] == 0)) if len(self.inputs_T) > 1 else 0.0


class Call(NamedTuple):
    """One call of a recurrent module: a window, or a step of a cell."""

    layer: Any
    inputs: Any
    outputs: Any


def step_gradients(module: Any, loss: Callable[[], Any]) -> StepGradients:
    """The gradients of a loss in its own program. The gradients of the parameters are left as they were.

    Args: loss: runs the module and returns a scalar tensor.

    Raises: BadInput for a loss that is no scalar with a gradient, or that calls no recurrent module.
    """
    torch = sys.modules["torch"]
    layers = [part for part in module.modules() if type(part).__name__.lower().removesuffix("cell") in CELLS]
    calls: list[Call] = []

    def before(layer: Any, inputs: Any) -> Any:
        x = inputs[0]
        x = x if x.requires_grad else x.detach().clone().requires_grad_()
        return (x, *inputs[1:])

    def after(layer: Any, inputs: Any, outputs: Any) -> None:
        calls.append(Call(layer, inputs[0], outputs[0] if isinstance(outputs, tuple) else outputs))

    hooks = [hook for layer in layers for hook in (layer.register_forward_pre_hook(before),
                                                   layer.register_forward_hook(after))]  # fmt: skip
    try:
        with torch.enable_grad():
            value = loss()
    finally:
        for hook in hooks:
            hook.remove()
    if getattr(value, "shape", None) != () or not value.requires_grad:
        raise BadInput(
            f"loss: got {type(value).__name__}; expected a function that returns a scalar tensor with a gradient"
        )
    if not calls:
        raise BadInput("loss: calls no recurrent layer of the module; expected module(inputs) in it")
    first, last = (read_calls(calls, layer) for layer in (calls[0].layer, calls[-1].layer))
    outputs = gradients(torch, value, [call.outputs for call in last])
    end = last_output(last[-1])
    alone = first if all(steps(call) == 1 for call in first) else first[-1:]  # windows may be apart on purpose
    inputs = gradients(torch, end, [call.inputs for call in alone])
    return StepGradients(by_step(last, outputs), by_step(alone, inputs))


def read_calls(calls: list[Call], layer: Any) -> list[Call]:
    return [call for call in calls if call.layer is layer]


def gradients(torch: Any, value: Any, tensors: list[Any]) -> list[Any]:
    """The gradients of a scalar with respect to some tensors, None where there is none."""
    return list(torch.autograd.grad(value, tensors, retain_graph=True, allow_unused=True))


def is_cell(layer: Any) -> bool:
    return type(layer).__name__.endswith("Cell")


def time_axis(layer: Any) -> int:
    return 1 if getattr(layer, "batch_first", False) else 0


def steps(call: Call) -> int:
    """The time steps of a call."""
    return 1 if is_cell(call.layer) else int(call.outputs.shape[time_axis(call.layer)])


def last_output(call: Call) -> Any:
    """The sum of the outputs of the last step of a call, a scalar."""
    if is_cell(call.layer):
        return call.outputs.sum()
    return call.outputs.select(time_axis(call.layer), steps(call) - 1).sum()


def by_step(calls: list[Call], found: list[Any]) -> np.ndarray:
    """The norm of a gradient at each step of some calls."""
    norms = []
    for call, gradient in zip(calls, found, strict=True):
        if gradient is None:
            norms.append(np.zeros(steps(call)))
            continue
        array = gradient.detach().cpu().double().numpy()
        array = array[None] if is_cell(call.layer) else np.moveaxis(array, time_axis(call.layer), 0)
        norms.append(np.sqrt((array.reshape(len(array), -1) ** 2).sum(axis=1)))
    return np.concatenate(norms)

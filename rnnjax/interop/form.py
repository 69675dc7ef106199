"""The neutral form of a recurrent network: NumPy arrays in the order and with the names of this package."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.types import Params

GATES = {  # the blocks of a kernel [., G*H] of each cell that other libraries have
    "elman": ("new",),
    "gru": ("reset", "update", "new"),
    "gru_before": ("reset", "update", "new"),
    "lstm": ("input", "forget", "new", "output"),
    "minimal": ("forget", "new"),
}
WITH_GATE_BIAS = ("gru", "minimal")  # {"gate": {"bias": [H]}}: the bias inside the gate of the block `new`
WITH_ACTIVATION = ("elman", "gru_before")  # the others have tanh


class Layer(NamedTuple):
    """A cell with its weights in one direction or two.

    Parameters are named as those of `networks.cells`: {"kernel": [D, G*H], "recurrent_kernel": [H, G*H], "bias": [G*H],
    "gate": {} or {"bias": [H]}}, with blocks in the order of `GATES`.
    """

    cell: str  # a key of `GATES`
    forward: Params
    backward: Params | None = None  # reads the sequence from its end
    activation: str = "tanh"

    @property
    def directions(self) -> tuple[Params, ...]:
        return (self.forward,) if self.backward is None else (self.forward, self.backward)

    @property
    def hidden(self) -> int:
        """H."""
        return len(self.forward["recurrent_kernel"])

    @property
    def inputs(self) -> int:
        """D."""
        return len(self.forward["kernel"])


class Readout(NamedTuple):
    """y = h W + b."""

    kernel: np.ndarray  # [H, O], of two directions [2 H, O]
    bias: np.ndarray  # [O]


class NetworkForm(NamedTuple):
    """Layers of recurrent cells, an embedding in front of them and a readout behind them."""

    layers: tuple[Layer, ...]
    embedding: np.ndarray | None = None  # [V, E]: the vector of each id
    readout: Readout | None = None  # None: the outputs are those of the last layer
    batch_first: bool = False  # the source reads [B, T, D]; windows here are [T, B, D]
    source: str = ""  # the library, for messages
    notes: tuple[str, ...] = ()  # differences that the owner should know of, a sentence each

    @property
    def tied(self) -> bool:
        """Whether the readout is the transposed embedding."""
        if self.embedding is None or self.readout is None:
            return False
        return np.array_equal(self.readout.kernel, self.embedding.T)


def named_arrays(form: NetworkForm) -> Iterator[tuple[str, np.ndarray]]:
    """Every array with its place: `layer_0.kernel`, `backward_layer_0.gate.bias`, `embedding`, `readout.bias`."""
    for number, layer in enumerate(form.layers):
        for direction, params in zip(("layer", "backward_layer"), layer.directions, strict=False):
            for name in ("kernel", "recurrent_kernel", "bias"):
                yield f"{direction}_{number}.{name}", params[name]
            for name, array in params["gate"].items():
                yield f"{direction}_{number}.gate.{name}", array
    if form.embedding is not None:
        yield "embedding", form.embedding
    if form.readout is not None:
        yield from (("readout.kernel", form.readout.kernel), ("readout.bias", form.readout.bias))


def check_form(form: NetworkForm) -> NetworkForm:
    """The form, if its arrays fit each other and are finite. Raises: BadInput with the first that is not."""
    if not form.layers:
        raise BadInput(f"{form.source or 'network'}: got no recurrent layer; expected at least one")
    width = None if form.embedding is None else form.embedding.shape[1]
    for number, layer in enumerate(form.layers):
        check_layer(form, number, width)
        width = layer.hidden * len(layer.directions)
    if form.readout is not None:
        rows, outputs = form.readout.kernel.shape
        if rows != width:
            raise BadInput(f"readout.kernel: got {rows} inputs; expected {width}, the outputs of the last layer")
        expect_shape("readout.bias", form.readout.bias, (outputs,))
    for name, array in named_arrays(form):
        if not np.isfinite(array).all():
            place = np.argwhere(~np.isfinite(array))[0].tolist()
            value = array[tuple(place)]
            raise BadInput(f"{name}: got {value} at {place}; expected finite weights")
    return form


def check_layer(form: NetworkForm, number: int, width: int | None) -> None:
    """Raises: BadInput for arrays of a layer that do not fit. Args: width: of its inputs, None = any."""
    layer = form.layers[number]
    columns = len(GATES[layer.cell]) * layer.hidden
    inputs = layer.inputs if width is None else width
    for direction, params in zip(("layer", "backward_layer"), layer.directions, strict=False):
        place = f"{direction}_{number}"
        expect_shape(f"{place}.kernel", params["kernel"], (inputs, columns))
        expect_shape(f"{place}.recurrent_kernel", params["recurrent_kernel"], (layer.hidden, columns))
        expect_shape(f"{place}.bias", params["bias"], (columns,))
        if layer.cell in WITH_GATE_BIAS:
            expect_shape(f"{place}.gate.bias", params["gate"]["bias"], (layer.hidden,))


def expect_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raises: BadInput for an array of another shape."""
    if array.shape != shape:
        raise BadInput(f"{name}: got shape {list(array.shape)}; expected {list(shape)}")

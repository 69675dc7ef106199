"""The values of a graph of ONNX while it is followed from its output back to its input, and what has been found."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.form import Layer
from rnnjax.interop.onnx_models import Model, describe

DIRECTIONS, FEATURES, FLAT = "directions", "features", "steps and streams"
EXPECTED = "expected an embedding (Gather), RNN, GRU or LSTM, and a readout (MatMul, Gemm)"


class Sequence(NamedTuple):
    """Data of the inputs after some layers: one label for each axis; time and streams have those of the input."""

    axes: tuple[str, ...]
    layer: int = 0  # the layers that they have passed
    last: bool = False  # of the end of each sequence
    is_state: bool = False  # h or c of the end, with its axis of directions
    readout: bool = False  # behind the readout
    stacked: int = 1  # of states: the layers whose states are one after the other, of which this is the last


class Sizes(NamedTuple):
    """What does not depend on the data: sizes of the inputs, states that are given when the model runs."""

    value: float = float("nan")  # of all its numbers, where it is known; 0 for states that are given


Value = np.ndarray | Sequence | Sizes | None


@dataclass
class Trace:
    """What has been found of a network while its values were followed."""

    model: Model
    values: dict[str, Value] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    starts: list[tuple[np.ndarray, ...]] = field(default_factory=list)
    embedding: np.ndarray | None = None
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None
    time: str = ""  # the label of the axis of steps
    softmax: bool = False
    notes: list[str] = field(default_factory=list)
    data_input: str = ""  # the name of the input that is read as a sequence
    in_start: bool = False  # while an initial state is followed

    def has_one_direction(self, data: Sequence) -> bool:
        """Whether the layer that made some data has one direction."""
        return data.layer > 0 and len(self.layers[data.layer - 1].directions) == 1


def refuse(trace: Trace, node: Any) -> NoReturn:
    """Raises: BadInput for a node."""
    raise BadInput(f"{trace.model.source}: got {describe(node)}, which no network here has in this place; {EXPECTED}")

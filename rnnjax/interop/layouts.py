"""How each library lays out the weights of a cell: one table, read when weights come in and when they go out.

Facts were found by running the libraries: torch 2.13, Keras 3.15, Flax 0.12, Haiku 0.0.17, Equinox 0.13, ONNX 1.23.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.form import GATES, WITH_GATE_BIAS
from rnnjax.types import Params

NOTHING: Mapping[str, float] = MappingProxyType({})


class Layout(NamedTuple):
    """The order and the meaning of the weights of one cell in one library."""

    gates: tuple[str, ...]  # blocks in the order of the library, in the names of `GATES`
    transposed: bool = False  # kernels are [G*H, D] and [G*H, H]
    # the second bias, added to the recurrent product: of all blocks, of the block `new` alone, or there is none
    recurrent_bias: Literal["all", "new", "none"] = "none"
    added: Mapping[str, float] = NOTHING  # block -> what the library adds to its bias when it runs
    negated: tuple[str, ...] = ()  # blocks of a gate g that stands where ours has 1 - g = s(-x)


class Weights(NamedTuple):
    """The weights of one cell and direction as a library has them."""

    kernel: np.ndarray  # [D, G*H], or its transpose
    recurrent_kernel: np.ndarray  # [H, G*H], or its transpose
    bias: np.ndarray | None = None  # [G*H]; None = the library has none here, as 0
    recurrent_bias: np.ndarray | None = None  # [G*H], or [H] of the block `new`


RZN, ZRN, FN = ("reset", "update", "new"), ("update", "reset", "new"), ("forget", "new")
IFNO, INFO, IOFN = (tuple(name.split()) for name in ("input forget new output", "input new forget output",
                                                     "input output forget new"))  # fmt: skip
NEW = ("new",)

LAYOUTS: dict[tuple[str, str], Layout] = {  # (library, cell here) -> layout
    ("torch", "elman"): Layout(NEW, transposed=True, recurrent_bias="all"),
    ("torch", "gru"): Layout(RZN, transposed=True, recurrent_bias="all"),
    ("torch", "lstm"): Layout(IFNO, transposed=True, recurrent_bias="all"),
    ("keras", "elman"): Layout(NEW),
    ("keras", "gru"): Layout(ZRN, recurrent_bias="all"),  # reset_after=True
    ("keras", "gru_before"): Layout(ZRN),  # reset_after=False
    ("keras", "lstm"): Layout(IFNO),
    ("linen", "elman"): Layout(NEW),
    ("linen", "gru"): Layout(RZN, recurrent_bias="new"),
    ("linen", "lstm"): Layout(IFNO),
    ("linen", "minimal"): Layout(FN, recurrent_bias="new"),
    ("nnx", "elman"): Layout(NEW),
    ("nnx", "gru"): Layout(RZN),
    ("nnx", "lstm"): Layout(IFNO),
    ("haiku", "elman"): Layout(NEW, recurrent_bias="all"),
    ("haiku", "gru_before"): Layout(ZRN, negated=("update",)),
    ("haiku", "lstm"): Layout(INFO, added={"forget": 1.0}),
    ("equinox", "gru"): Layout(RZN, transposed=True, recurrent_bias="new"),
    ("equinox", "lstm"): Layout(IFNO, transposed=True),
    ("onnx", "elman"): Layout(NEW, transposed=True, recurrent_bias="all"),
    ("onnx", "gru"): Layout(ZRN, transposed=True, recurrent_bias="all"),  # linear_before_reset=1
    ("onnx", "gru_before"): Layout(ZRN, transposed=True, recurrent_bias="all"),  # linear_before_reset=0, the default
    ("onnx", "lstm"): Layout(IOFN, transposed=True, recurrent_bias="all"),
}


def layout_of(library: str, cell: str) -> Layout:
    """The layout of a cell in a library. Raises: BadInput where the library has no such cell."""
    if (library, cell) in LAYOUTS:
        return LAYOUTS[library, cell]
    known = ", ".join(name for other, name in LAYOUTS if other == library)
    reason = " (its GRU resets before the product)" if library == "haiku" and cell == "gru" else ""
    raise BadInput(f"cell: got '{cell}', which {library} does not have{reason}; expected one of: {known}")


def import_weights(library: str, cell: str, weights: Weights) -> Params:
    """The parameters of a cell here, from weights as a library has them.

    Raises: BadInput for arrays whose sizes do not fit the cell.
    """
    layout = layout_of(library, cell)
    kernel, recurrent = (as_blocks(array, layout, cell) for array in (weights.kernel, weights.recurrent_kernel))
    zeros = np.zeros(recurrent.shape[1:], recurrent.dtype)  # [G, H]
    bias = zeros if weights.bias is None else bias_blocks(weights.bias, layout, cell, zeros.shape)
    for gate, number in layout.added.items():
        bias = replace_block(bias, cell, gate, bias[GATES[cell].index(gate)] + zeros.dtype.type(number))
    gate_bias = zeros[0]
    if weights.recurrent_bias is not None and layout.recurrent_bias == "new":
        gate_bias = np.asarray(weights.recurrent_bias)
    elif weights.recurrent_bias is not None:
        inside = bias_blocks(weights.recurrent_bias, layout, cell, zeros.shape)
        if cell in WITH_GATE_BIAS:
            gate_bias, inside = inside[-1], replace_block(inside, cell, "new", zeros[-1])
        bias = bias + inside
    return {
        "kernel": np.ascontiguousarray(kernel.reshape(len(kernel), -1)),
        "recurrent_kernel": np.ascontiguousarray(recurrent.reshape(len(recurrent), -1)),
        "bias": np.ascontiguousarray(bias.ravel()),
        "gate": {"bias": gate_bias} if cell in WITH_GATE_BIAS else {},
    }


def export_weights(library: str, cell: str, params: Params) -> Weights:
    """The inverse of `import_weights`: what is added up there goes into the first bias, and 0 into the second.

    Raises: BadInput for a cell that the library does not have, or a bias that it has no place for.
    """
    layout = layout_of(library, cell)
    order = [GATES[cell].index(gate) for gate in layout.gates]
    signs = np.array([-1 if gate in layout.negated else 1 for gate in layout.gates])
    gates = len(order)

    def ordered(array: Any) -> np.ndarray:
        blocks = np.asarray(array).reshape(*np.shape(array)[:-1], gates, -1)[..., order, :]
        return (blocks * signs[:, None].astype(blocks.dtype)).reshape(np.shape(array))

    bias = np.asarray(params["bias"]).reshape(gates, -1)
    for gate, number in layout.added.items():
        bias = replace_block(bias, cell, gate, bias[GATES[cell].index(gate)] - bias.dtype.type(number))
    inner = np.asarray(params["gate"]["bias"]) if cell in WITH_GATE_BIAS else np.zeros_like(bias[-1])
    if layout.recurrent_bias == "none" and inner.any():
        raise BadInput(
            f"gate.bias: got numbers other than 0, for which the {cell} of {library} has no place; expected 0"
        )
    second = {
        "none": None,
        "new": inner,
        "all": ordered(replace_block(np.zeros_like(bias), cell, "new", inner).ravel()),
    }[layout.recurrent_bias]
    kernel, recurrent = (
        np.ascontiguousarray(ordered(params[name]).T if layout.transposed else ordered(params[name]))
        for name in ("kernel", "recurrent_kernel")
    )
    return Weights(kernel, recurrent, ordered(bias.ravel()), second)


def as_blocks(array: Any, layout: Layout, cell: str) -> np.ndarray:
    """A kernel of a library as [D, G, H] in the order here."""
    matrix = np.asarray(array)
    matrix = matrix.T if layout.transposed else matrix
    gates = len(layout.gates)
    if matrix.ndim != 2 or matrix.shape[1] % gates:
        sizes = f"{gates} x hidden {'rows' if layout.transposed else 'columns'}"
        raise BadInput(f"kernel of a {cell}: got shape {list(np.shape(array))}; expected {sizes}")
    return in_our_order(matrix.reshape(len(matrix), gates, -1), layout, cell)


def bias_blocks(array: Any, layout: Layout, cell: str, shape: tuple[int, ...]) -> np.ndarray:
    """A bias of a library as [G, H] in the order here."""
    vector = np.asarray(array)
    if vector.shape != (shape[0] * shape[1],):
        raise BadInput(f"bias of a {cell}: got shape {list(vector.shape)}; expected [{shape[0] * shape[1]}]")
    return in_our_order(vector.reshape(shape), layout, cell)


def in_our_order(blocks: np.ndarray, layout: Layout, cell: str) -> np.ndarray:
    """Blocks [..., G, H] in the order of `GATES`, with the sign that a gate has here."""
    order = [layout.gates.index(gate) for gate in GATES[cell]]
    signs = np.array([-1 if gate in layout.negated else 1 for gate in GATES[cell]], blocks.dtype)
    return blocks[..., order, :] * signs[:, None]


def replace_block(blocks_GH: np.ndarray, cell: str, gate: str, values_H: np.ndarray) -> np.ndarray:
    """Blocks [G, H] with other numbers in one of them."""
    changed = blocks_GH.copy()
    changed[GATES[cell].index(gate)] = values_H
    return changed

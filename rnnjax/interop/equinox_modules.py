"""Equinox: modules as the neutral form, and back. It is imported where modules are made, never to read them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.entries import as_array
from rnnjax.interop.form import NetworkForm, Readout
from rnnjax.interop.layouts import Weights, export_weights, import_weights
from rnnjax.interop.trees import FoundCell, TreeOptions, arrange
from rnnjax.types import Params

CELLS = {"GRUCell": "gru", "LSTMCell": "lstm"}
ALLOWED = "expected GRUCell, LSTMCell, one Embedding and one Linear"


def form_from_equinox(module: Any, options: TreeOptions = TreeOptions()) -> NetworkForm:  # noqa: B008
    """The neutral form of the cells, the embedding and the linear layer in a module, in the order of its fields.

    Raises: BadInput for other layers with weights.
    """
    cells, tables, heads = [], [], []
    for path, layer in equinox_layers(module):
        kind = type(layer).__name__
        if kind in CELLS:
            cells.append(read_cell(path, layer))
        elif kind == "Embedding":
            tables.append(as_array(path, layer.weight))
        elif kind == "Linear":
            heads.append(read_linear(path, layer))
        else:
            raise BadInput(f"equinox: got a {kind} at '{path}', which a network here does not have; {ALLOWED}")
    if len(tables) > 1 or len(heads) > 1:
        raise BadInput(f"equinox: got {len(tables)} embeddings and {len(heads)} linear layers; {ALLOWED}")
    readout = heads[0] if heads else None
    layers = arrange(cells, options, "equinox", readout)
    return NetworkForm(layers, tables[0] if tables else None, readout, source="equinox")


def equinox_layers(module: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Layers of `equinox.nn` with parameters in a tree of modules, lists and dictionaries, with their places."""
    if type(module).__module__.startswith("equinox.nn"):
        if type(module).__name__ not in ("Dropout", "Identity", "Lambda"):
            yield path or type(module).__name__, module
        return
    fields = module.items() if isinstance(module, dict) else getattr(module, "__dict__", {}).items()
    items: Any = enumerate(module) if isinstance(module, list | tuple) else fields
    for name, part in items:
        yield from equinox_layers(part, f"{path}.{name}".lstrip("."))


def read_cell(path: str, layer: Any) -> FoundCell:
    """A cell of Equinox."""
    cell = CELLS[type(layer).__name__]
    bias, inner = (getattr(layer, name, None) for name in ("bias", "bias_n"))
    arrays = [None if array is None else as_array(path, array) for array in (bias, inner)]
    kernels = as_array(path, layer.weight_ih), as_array(path, layer.weight_hh)
    return FoundCell(path, cell, import_weights("equinox", cell, Weights(*kernels, *arrays)))


def read_linear(path: str, layer: Any) -> Readout:
    weight = as_array(path, layer.weight)
    if weight.ndim != 2:
        raise BadInput(f"equinox: '{path}' has a weight of shape {list(weight.shape)}; expected [O, H]")
    return Readout(weight.T.copy(), np.zeros(len(weight), weight.dtype) if layer.bias is None else
                   as_array(path, layer.bias))  # fmt: skip


def form_to_equinox(form: NetworkForm) -> dict[str, Any]:
    """{"embedding": eqx.nn.Embedding, "layers": [[cell of each direction], ...], "readout": eqx.nn.Linear}.

    Raises: BadInput for a cell that Equinox does not have, or where it is not installed.
    """
    for layer in form.layers:
        export_weights("equinox", layer.cell, layer.forward)
    try:
        import equinox as eqx
        import jax
    except ImportError:
        raise BadInput("equinox: is not installed; expected `pip install equinox`") from None
    key = jax.random.key(0)

    def filled(module: Any, arrays: Params) -> Any:
        for name, array in arrays.items():
            module = eqx.tree_at(lambda m, name=name: getattr(m, name), module, jax.numpy.asarray(array))
        return module

    layers = [
        [
            filled(
                getattr(eqx.nn, {"gru": "GRUCell", "lstm": "LSTMCell"}[layer.cell])(
                    layer_inputs, layer.hidden, key=key
                ),
                cell_arrays(layer.cell, params),
            )
            for params in layer.directions
            for layer_inputs in [len(params["kernel"])]
        ]
        for layer in form.layers
    ]
    made: dict[str, Any] = {"layers": layers}
    if form.embedding is not None:
        made["embedding"] = eqx.nn.Embedding(weight=jax.numpy.asarray(form.embedding))
    if form.readout is not None:
        linear = eqx.nn.Linear(*form.readout.kernel.shape, key=key)
        made["readout"] = filled(linear, {"weight": form.readout.kernel.T.copy(), "bias": form.readout.bias})
    return made


def cell_arrays(cell: str, params: Params) -> Params:
    """The arrays of a cell by the names of Equinox."""
    weights = export_weights("equinox", cell, params)
    names = ("weight_ih", "weight_hh", "bias", "bias_n")
    return {name: array for name, array in zip(names, weights, strict=True) if array is not None}

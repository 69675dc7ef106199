"""Flax: trees of linen cells and of nnx cells as the neutral form, and back."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.entries import Entries
from rnnjax.interop.form import Layer, NetworkForm
from rnnjax.interop.layouts import Weights, export_weights, import_weights
from rnnjax.interop.trees import FoundCell, TreeOptions, concatenated, join, natural_key, open_tree, parents, tree_form
from rnnjax.types import Params

LETTERS = {"lstm": "ifgo", "gru": "rzn", "minimal": "fn"}  # gates as the names of Flax's layers have them
INNER = {"gru": "hn", "minimal": "hn"}  # the layer whose bias stands inside the gate
ENDS = ("embedding", "kernel", "bias")
DENSE = {(1, "i"): "elman", (3, "i"): "gru", (4, "h"): "lstm"}  # (blocks, the dense layer that has a bias)


def form_from_linen(tree: Any, options: TreeOptions = TreeOptions()) -> NetworkForm:  # noqa: B008
    """The neutral form of the parameters of linen cells, a Dense layer and an Embed. Raises: BadInput."""
    entries = open_tree(tree.get("params", tree) if hasattr(tree, "get") else tree, "linen")
    return tree_form(entries, find_cells(entries, "linen"), options, ENDS)


def form_from_nnx(tree: Any, options: TreeOptions = TreeOptions()) -> NetworkForm:  # noqa: B008
    """The neutral form of a tree of nnx parameters, as of `nnx.to_pure_dict(nnx.state(module))`. Raises: BadInput."""
    entries = open_tree(tree, "nnx")
    cells = sorted([*find_cells(entries, "nnx"), *find_dense_cells(entries)], key=lambda cell: natural_key(cell.path))
    return tree_form(entries, cells, options, ENDS)


def find_cells(entries: Entries, library: str) -> list[FoundCell]:
    """The cells with a layer for each gate, or a plain cell of the layers i and h."""
    found = []
    for cell, letters in LETTERS.items():
        last = layer_name("h", letters[-1], library)
        for path in parents(entries, f"{last}/kernel"):
            if all(join(path, f"{layer_name('h', letter, library)}/kernel") in entries for letter in letters):
                found.append(FoundCell(path, cell, read_gates(entries, path, cell, library)))
    for path in parents(entries, "h/kernel"):
        if join(path, "i/kernel") in entries:
            kernel, recurrent = (entries.take(join(path, f"{name}/kernel")) for name in "ih")
            weights = Weights(kernel, recurrent, entries.take_if(join(path, "i/bias")))
            found.append(FoundCell(path, "elman", import_weights(library, "elman", weights)))
    return sorted(found, key=lambda cell: natural_key(cell.path))


def layer_name(side: str, letter: str, library: str) -> str:
    """`if` of linen, `if_` of nnx."""
    return "if_" if library == "nnx" and side + letter == "if" else side + letter


def read_gates(entries: Entries, path: str, cell: str, library: str) -> Params:
    """The parameters of a cell with a layer for each gate; an LSTM has its biases in the layers of h."""

    def leaves(side: str, leaf: str) -> list[str]:
        return [join(path, f"{layer_name(side, letter, library)}/{leaf}") for letter in LETTERS[cell]]

    kernel, recurrent = (
        np.concatenate([entries.take(name) for name in leaves(side, "kernel")], axis=1) for side in "ih"
    )
    bias = concatenated([entries.take_if(name) for name in leaves("h" if cell == "lstm" else "i", "bias")])
    inner = entries.take_if(join(path, f"{INNER[cell]}/bias")) if cell in INNER else None
    return import_weights(library, cell, Weights(kernel, recurrent, bias, inner))


def find_dense_cells(entries: Entries) -> list[FoundCell]:
    """The nnx cells with one layer of all gates for x and one for h."""
    found = []
    for path in parents(entries, "dense_h/kernel"):
        kernel, recurrent = (entries.take(join(path, f"dense_{side}/kernel")) for side in "ih")
        biases = {side: entries.take_if(join(path, f"dense_{side}/bias")) for side in "ih"}
        blocks = recurrent.shape[-1] // max(len(recurrent), 1)
        side = next((side for side, bias in biases.items() if bias is not None), "h" if blocks == 4 else "i")
        if (blocks, side) not in DENSE:
            raise BadInput(f"nnx: '{path}' has {blocks} blocks and its bias in dense_{side}; expected a SimpleCell, a "
                           "GRUCell or an OptimizedLSTMCell")  # fmt: skip
        cell = DENSE[blocks, side]
        found.append(FoundCell(path, cell, import_weights("nnx", cell, Weights(kernel, recurrent, biases[side]))))
    return found


def form_to_linen(form: NetworkForm) -> Params:
    """{"params": {"Embed_0": ..., "RNN_0": {"cell": ...}, "Dense_0": ...}}; of two directions `Bidirectional_0`."""
    tree: Params = {} if form.embedding is None else {"Embed_0": {"embedding": form.embedding}}
    for number, layer in enumerate(form.layers):
        cells = [{"cell": write_gates(layer, params, "linen")} for params in layer.directions]
        if layer.backward is None:
            tree[f"RNN_{number}"] = cells[0]
        else:
            tree[f"Bidirectional_{number}"] = dict(zip(("forward_rnn", "backward_rnn"), cells, strict=True))
    if form.readout is not None:
        tree["Dense_0"] = form.readout._asdict()
    return {"params": tree}


def form_to_nnx(form: NetworkForm, optimized: bool) -> Params:
    """{"embedding": ..., "layers": {0: {"forward": ..., "backward": ...}}, "readout": ...}, as pure dictionaries.

    Args: optimized: an LSTM as of `nnx.OptimizedLSTMCell`, else of `nnx.LSTMCell`.
    """
    tree: Params = {} if form.embedding is None else {"embedding": {"embedding": form.embedding}}
    tree["layers"] = {
        number: {
            name: write_dense(layer, params) if optimized or layer.cell != "lstm" else write_gates(layer, params, "nnx")
            for name, params in zip(("forward", "backward"), layer.directions, strict=False)
        }
        for number, layer in enumerate(form.layers)
    }
    return tree if form.readout is None else tree | {"readout": form.readout._asdict()}


def write_gates(layer: Layer, params: Params, library: str) -> Params:
    """The parameters of a cell with a layer for each gate."""
    weights, cell = export_weights(library, layer.cell, params), layer.cell
    assert weights.bias is not None
    if cell == "elman":
        return {"i": {"kernel": weights.kernel, "bias": weights.bias}, "h": {"kernel": weights.recurrent_kernel}}
    tree: Params = {}
    parts = (weights.kernel, weights.recurrent_kernel, weights.bias)
    blocks = zip(LETTERS[cell], *(np.split(part, len(LETTERS[cell]), axis=-1) for part in parts), strict=True)
    for letter, kernel, recurrent, bias in blocks:
        i, h = (layer_name(side, letter, library) for side in "ih")
        tree[i], tree[h] = {"kernel": kernel}, {"kernel": recurrent}
        tree[h if cell == "lstm" else i]["bias"] = bias
    if cell in INNER:
        tree[INNER[cell]]["bias"] = weights.recurrent_bias
    return tree


def write_dense(layer: Layer, params: Params) -> Params:
    """The parameters of an nnx cell with one layer of all gates for x and one for h."""
    weights = export_weights("nnx", layer.cell, params)
    tree: Params = {"dense_i": {"kernel": weights.kernel}, "dense_h": {"kernel": weights.recurrent_kernel}}
    tree["dense_h" if layer.cell == "lstm" else "dense_i"]["bias"] = weights.bias
    return tree


def nnx_tree(module: Any) -> tuple[Params, str | None]:
    """The parameters of an nnx module as nested dictionaries, and the activation of its plain cells.

    Raises: BadInput for a cell with functions that no cell here has.
    """
    from flax import nnx

    if isinstance(module, nnx.State):
        return nnx.to_pure_dict(module), None
    if not isinstance(module, nnx.Module):
        raise BadInput(f"source: got {type(module).__name__}; expected a module of flax.nnx or its state")
    activations = [check_cell(path, node) for path, node in nnx.iter_graph(module) if hasattr(node, "hidden_features")]
    if len(set(activations) - {None}) > 1:
        raise BadInput("nnx: got plain cells of different activations; expected the same in all")
    return nnx.to_pure_dict(nnx.state(module, nnx.Param)), next((name for name in activations if name), None)


def check_cell(path: tuple[Any, ...], cell: Any) -> str | None:
    """The activation of a plain cell, None of others. Raises: BadInput for other functions or a residual."""
    place = "/".join(map(str, path)) or type(cell).__name__
    if getattr(cell, "residual", False):
        raise BadInput(f"nnx: '{place}' has residual=True, which no cell here has")
    plain = type(cell).__name__ == "SimpleCell"
    functions = {"tanh": jnp.tanh, "relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}
    names = {field: function_name(getattr(cell, field, None)) for field in ("gate_fn", "activation_fn")}
    allowed = {"gate_fn": ("sigmoid",), "activation_fn": tuple(functions) if plain else ("tanh",)}
    for field, name in names.items():
        if hasattr(cell, field) and name not in allowed[field]:
            raise BadInput(f"nnx: '{place}' has the {field} {name}; expected {' or '.join(allowed[field])}")
    return names["activation_fn"] if plain else None


def function_name(function: Any) -> str:
    return getattr(function, "__name__", str(function))

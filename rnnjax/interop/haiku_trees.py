"""Haiku: parameters {"lstm/linear": {"w", "b"}, ...} as the neutral form, and back. Haiku itself is not imported.

Its cells are found by the default names of their modules: `lstm`, `gru`, `vanilla_rnn`, with a number behind them.
"""

from typing import Any

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.interop.entries import Entries
from rnnjax.interop.form import Layer, NetworkForm
from rnnjax.interop.layouts import Weights, export_weights, import_weights
from rnnjax.interop.trees import FoundCell, TreeOptions, join, natural_key, open_tree, parents, tree_form
from rnnjax.types import Params

NAMES = {"lstm": "lstm", "gru_before": "gru", "elman": "vanilla_rnn"}
HINT = "cells are found by the names of their modules: lstm, gru, vanilla_rnn"


def form_from_haiku(tree: Any, options: TreeOptions = TreeOptions(activation="relu")) -> NetworkForm:  # noqa: B008
    """The neutral form of Haiku's parameters. Raises: BadInput."""
    entries = open_tree(tree, "haiku")
    cells = [*find_gru(entries), *find_lstm(entries), *find_plain(entries)]
    ordered = sorted(cells, key=lambda cell: natural_key(cell.path))
    return tree_form(entries, ordered, options, ("embeddings", "w", "b"), HINT)


def find_gru(entries: Entries) -> list[FoundCell]:
    found = []
    for path in parents(entries, "w_h"):
        arrays = [entries.take(join(path, name)) for name in ("w_i", "w_h", "b")]
        found.append(FoundCell(path, "gru_before", import_weights("haiku", "gru_before", Weights(*arrays))))
    return found


def find_lstm(entries: Entries) -> list[FoundCell]:
    """One matrix for [x, h] of each; the number of its columns is 4 H."""
    found = []
    for path in parents(entries, "linear/w"):
        if "lstm" not in path.rpartition("/")[2].lower():
            continue
        matrix = entries.take(join(path, "linear/w"))
        hidden = matrix.shape[-1] // 4
        if matrix.ndim != 2 or len(matrix) <= hidden or matrix.shape[1] != 4 * hidden:
            raise BadInput(f"haiku: '{path}/linear/w' has the shape {list(matrix.shape)}; expected [D + H, 4 H] of an "
                           "LSTM without convolutions")  # fmt: skip
        kernel, recurrent = np.split(matrix, [len(matrix) - hidden])
        weights = Weights(kernel, recurrent, entries.take_if(join(path, "linear/b")))
        found.append(FoundCell(path, "lstm", import_weights("haiku", "lstm", weights)))
    return found


def find_plain(entries: Entries) -> list[FoundCell]:
    found = []
    for path in parents(entries, "linear_1/w"):
        if "rnn" not in path.rpartition("/")[2].lower():
            continue
        kernels = [entries.take(join(path, f"{name}/w")) for name in ("linear", "linear_1")]
        biases = [entries.take_if(join(path, f"{name}/b")) for name in ("linear", "linear_1")]
        found.append(FoundCell(path, "elman", import_weights("haiku", "elman", Weights(*kernels, *biases))))
    return found


def form_to_haiku(form: NetworkForm) -> Params:
    """Haiku's parameters under its default names; two directions are modules one after the other.

    Raises: BadInput for a cell or activation that Haiku does not have.
    """
    tree: Params = {} if form.embedding is None else {"embed": {"embeddings": form.embedding}}
    cells = [(layer, params) for layer in form.layers for params in layer.directions]
    for number, (layer, params) in enumerate(cells):
        weights = export_weights("haiku", layer.cell, params)
        check_haiku(layer)
        name = NAMES[layer.cell] + (f"_{number}" if number else "")
        tree |= write_cell(name, layer.cell, weights)
    if form.readout is not None:
        tree["linear"] = {"w": form.readout.kernel, "b": form.readout.bias}
    return tree


def check_haiku(layer: Layer) -> None:
    """Raises: BadInput for an activation that Haiku's cells do not have."""
    expected = "relu" if layer.cell == "elman" else "tanh"
    if layer.activation != expected:
        raise BadInput(f"activation: got '{layer.activation}'; expected {expected}, as Haiku's {NAMES[layer.cell]} has")


def write_cell(name: str, cell: str, weights: Weights) -> Params:
    """The parameters of one cell."""
    if cell == "gru_before":
        return {name: {"w_i": weights.kernel, "w_h": weights.recurrent_kernel, "b": weights.bias}}
    if cell == "lstm":
        return {f"{name}/linear": {"w": np.concatenate([weights.kernel, weights.recurrent_kernel]), "b": weights.bias}}
    second = {"w": weights.recurrent_kernel, "b": weights.recurrent_bias}
    return {f"{name}/linear": {"w": weights.kernel, "b": weights.bias}, f"{name}/linear_1": second}
